/* SPDX-License-Identifier: MIT */
/*
 * The `wait` calls of one session whose answers are still to come. A wait holds nothing up: later
 * requests and events go on meanwhile. It keeps the id and the name, not the decoded message.
 */
#ifndef SHMD_RPC_WAITS_H
#define SHMD_RPC_WAITS_H

#include <sys/queue.h>

#include "daemon/core/wait.h"
#include "daemon/rpc/batch.h"
#include "daemon/rpc/rpc.h"

/* The longest id of a `wait`, as JSON text: it is kept until the answer. */
enum { WAIT_ID_MAX = 1024 };

struct wait;

struct waits {
    struct rpc *rpc;
    struct caller *caller;
    struct outbox *outbox;
    LIST_HEAD(, wait) pending;
};

/* CALLER and OUTBOX must outlive it. NULL when out of memory. */
struct waits *waits_new(struct rpc *rpc, struct caller *caller, struct outbox *outbox);
/* Cancels what is pending. W may be NULL. */
void waits_free(struct waits *w);
/* None of them is answered any more. BATCHes of which members wait are freed. */
void waits_cancel(struct waits *w);

/* The answers of BATCHes that wait are thrown away: the connection closes. */
void waits_give_up(struct waits *w);

/* W may be NULL. */
static inline bool waits_are_pending(const struct waits *w)
{
    return w && !LIST_EMPTY(&w->pending);
}

/* The wait of CALL, which is member INDEX of BATCH (NULL: it stands alone). NULL when out of
 * memory.
 */
struct wait *wait_new(struct waits *w, const struct call *call, struct batch *batch, size_t index);
/* Whether its id has at most WAIT_ID_MAX bytes. */
bool wait_id_fits(const struct wait *wait);
/* What core_wait() takes. */
struct waiter *wait_waiter(struct wait *wait);
/* It was answered at once. */
void wait_free(struct wait *wait);
/* It is pending: core_wait() has returned OUTCOME_WAITING. */
void wait_keep(struct waits *w, struct wait *wait);

#endif
