/* SPDX-License-Identifier: MIT */
/*
 * Requests and replies: bytes in, replies out; no descriptors here, and no JSON types. What all
 * sessions share, and the end of a turn.
 */
#ifndef SHMD_RPC_RPC_H
#define SHMD_RPC_RPC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/core/core.h"
#include "daemon/core/residency.h"
#include "daemon/rpc/log_budget.h"
#include "daemon/rpc/outbox.h"
#include "protocol/errors.h"
#include "protocol/methods.h"

struct session;
struct subscription;

/* How long requests took: the upper ends of the buckets, in microseconds. */
#define ANSWER_BUCKETS(X) X(50) X(100) X(250) X(500) X(1000) X(2500) X(10000) X(100000)

enum {
#define X(us) ANSWERED_IN_##us,
    ANSWER_BUCKETS(X)
#undef X
        ANSWER_BUCKET_COUNT
};

struct rpc_counters {
    /* Answered, by outcome: the error and, at the last place, success. */
    uint64_t requests[METHOD_COUNT][PROTOCOL_ERROR_COUNT + 1];
    uint64_t answered_in[ANSWER_BUCKET_COUNT + 1]; /* the last: longer */
    uint64_t answered_us;                          /* of all together */
    uint64_t errors;
    uint64_t store_failures;
};

struct rpc {
    struct core *core;
    const char *version;
    int64_t started_at_ms; /* wall clock */
    bool is_shutting_down;
    struct rpc_counters counters;
    struct log_budget log;
    struct outbox_common outboxes;
    struct residency residency;
    LIST_HEAD(, subscription) subscribers; /* that have not been woken since they were told last */
    size_t n_subscribers;
    TAILQ_HEAD(, session) sessions; /* the longest idle first */
    /* OUTBOX has something to send, or its session can go on: the event loop looks after it. */
    void (*wake)(void *context, struct outbox *outbox);
    void *wake_context;
    /* Reads the configuration again, because CALLER asks for it: 0 or an outcome with RET_DETAIL.
     * NULL: there is none to read. */
    int (*reload)(void *context, const struct caller *caller, struct outcome_detail *ret_detail);
    void *reload_context;
};

void rpc_init(struct rpc *rpc, struct core *core, const char *version,
              void (*wake)(void *context, struct outbox *outbox), void *wake_context);

/* All sessions must have ended. */
void rpc_deinit(struct rpc *rpc);

/* A request took US to answer. */
void rpc_count_time(struct rpc *rpc, int64_t us);

/* Records facts, and lets events be known: to the log, to those who wait, to subscribers, who get
 * them when it is their turn. Nothing may borrow from segments then. */
void rpc_publish(struct rpc *rpc);
/* The end of a turn: the same, and what the core does then. */
void rpc_end_turn(struct rpc *rpc);

/* Every waiter is answered ShuttingDown, and so is what would wait or subscribe from now on. */
void rpc_shut_down(struct rpc *rpc);

#endif
