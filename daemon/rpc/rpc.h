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
#include "protocol/methods.h"
#include "protocol/writer.h"

struct session;

enum {
    /* What nobody has read yet of all sessions' output; above it each gets only so much more. */
    OUTPUT_BYTES_ALL = 64 << 20,
    SCARCE_OUTPUT_BYTES = 4096, /* unsent, until a session is stopped */
    SCARCE_PAGE_BYTES = 8192,   /* a page of list */
};

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
    struct session *subscribers;
    uint64_t unsent; /* bytes of all sessions' output */
    /* The session has output, or can go on: the event loop is to look after it. */
    void (*wake)(void *context, struct session *session);
    void *wake_context;
};

void rpc_init(struct rpc *rpc, struct core *core, const char *version,
              void (*wake)(void *context, struct session *session), void *wake_context);

/* Records what is left to be recorded, tells events, and answers those who wait for them. */
void rpc_end_turn(struct rpc *rpc);

/* Every waiter is answered ShuttingDown, and so is what would wait or subscribe from now on. */
void rpc_shut_down(struct rpc *rpc);

/* Peers that read nothing hold as much output as all may: nobody is served far ahead of his reading
 * any more. */
static inline bool rpc_output_is_scarce(const struct rpc *rpc)
{
    return rpc->unsent > OUTPUT_BYTES_ALL;
}

#endif
