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
#include "daemon/rpc/outbox.h"
#include "protocol/methods.h"

struct session;
struct subscription;

struct rpc_counters {
    uint64_t requests[METHOD_COUNT];
    uint64_t errors;
    uint64_t store_failures;
};

/* What of a second's refusals is in the log. */
struct refusals {
    int64_t second; /* of the boot clock */
    uint64_t logged, unlogged;
};

struct rpc {
    struct core *core;
    const char *version;
    int64_t started_at_ms; /* wall clock */
    bool is_shutting_down;
    struct rpc_counters counters;
    struct refusals refusals;
    struct residency residency;
    LIST_HEAD(, subscription) subscribers;
    LIST_HEAD(, session) sessions;
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

/* Records what is left to be recorded, tells events, and answers those who wait for them. */
void rpc_end_turn(struct rpc *rpc);

/* Every waiter is answered ShuttingDown, and so is what would wait or subscribe from now on. */
void rpc_shut_down(struct rpc *rpc);

#endif
