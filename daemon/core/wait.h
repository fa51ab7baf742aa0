/* SPDX-License-Identifier: MIT */
/*
 * `wait`: for a segment of a name to be there and ready. A waiter is answered at the end of the
 * turn, by an event about the name that it waits for.
 */
#ifndef SHMD_CORE_WAIT_H
#define SHMD_CORE_WAIT_H

#include <stddef.h>
#include <sys/queue.h>

#include "daemon/core/caller.h"
#include "daemon/core/deadlines.h"
#include "daemon/core/outcome.h"
#include "protocol/params.h"
#include "protocol/segment_json.h"

struct core;
struct segment_event;
struct found;

/* On which terms a segment ends the wait. */
struct wait_terms {
    struct opt_int owner; /* whose it must be, else the wait ends with PermissionDenied */
    bool holds;           /* the caller becomes a holder with the answer */
};

struct waiter {
    char *name; /* owned; NULL: it does not wait */
    struct caller *caller;
    struct account *account; /* charged with it */
    struct wait_terms terms;
    struct deadline timeout;
    int64_t timeout_ms;
    int64_t since_at_ms; /* Unix milliseconds */
    LIST_ENTRY(waiter) of_bucket;
    /* Called once, when the wait for NAME is over: OUTCOME 0 with FOUND, or a named outcome or a
     * negative errno with DETAIL. It may free WAITER. */
    void (*answer)(struct waiter *waiter, const char *name, int outcome, const struct found *found,
                   const struct outcome_detail *detail);
};

enum { WAITER_BUCKETS = 256 };

LIST_HEAD(waiter_bucket, waiter);

struct waiters {
    struct waiter_bucket by_name[WAITER_BUCKETS]; /* by a hash of the name that they wait for */
    size_t count;
};

/* 0 when the segment is ready now; OUTCOME_WAITING when WAITER will be answered; else why not. */
int core_wait(struct core *core, struct caller *caller, const struct wait_params *params,
              struct waiter *waiter, struct found *ret,
              struct outcome_detail *ret_detail) MUST_CHECK;

/* How many wait for NAME. The first MAX that are found are put into RET, which borrows their
 * strings. */
size_t wait_list(const struct core *core, const char *name, struct wire_holder *ret, size_t max);

/* WAITER will not be answered any more. Nothing is done when it does not wait. */
void wait_cancel(struct core *core, struct waiter *waiter);

/* Answers those whose wait EVENT ends. */
void wait_hear(struct core *core, const struct segment_event *event);

/* The same when it is not known what has happened: each looks anew. */
void wait_look_again(struct core *core);

/* Answers all with OUTCOME. */
void wait_end_all(struct core *core, int outcome);

#endif
