/*
 * Requests and replies: bytes in, replies out; no descriptors here, and no JSON types. What all
 * sessions share, and the end of a turn.
 *
 * A turn ends by rpc_end_turn(): what was changed is committed, then events are told and waiters
 * answered. Only after that may a session's output be sent.
 */
#ifndef SHMD_RPC_RPC_H
#define SHMD_RPC_RPC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/core/core.h"
#include "daemon/core/residency.h"
#include "protocol/methods.h"
#include "protocol/writer.h"

struct session;

enum {
    /* What nobody has read yet of all sessions' output; above it each gets only so much more. */
    OUTPUT_BYTES_ALL = 64 << 20,
    SCARCE_OUTPUT_BYTES = 4096, /* unsent, until a session is stopped */
    SCARCE_PAGE_BYTES = 8192,   /* a page of list */
};

/* What a turn has answered and must commit, or is to tell the log of. */
struct promise {
    /* An answer that tells of a change that is not committed yet: bytes of its session's output. */
    struct session *session; /* NULL: nobody is answered, or it has closed since */
    size_t begin, end;
    bool in_batch;
    bool is_fact;   /* it was done, whatever becomes of the commit */
    bool is_logged; /* who asked for what: */
    enum method method;
    int32_t pid;
    uint32_t uid;
    char comm[COMM_MAX];
    size_t name;                   /* in rpc's names: what it was called when it was asked for */
    const struct segment *segment; /* there until the turn is over; NULL: of none, or of many */
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
    struct residency residency;
    struct promise *promises;
    size_t n_promises, promises_capacity;
    struct writer names; /* of what is promised; each with its NUL */
    struct session *subscribers;
    uint64_t unsent; /* bytes of all sessions' output */
    /* The session has output, or can go on: the event loop is to look after it. */
    void (*wake)(void *context, struct session *session);
    void *wake_context;
};

void rpc_init(struct rpc *rpc, struct core *core, const char *version,
              void (*wake)(void *context, struct session *session), void *wake_context);
void rpc_deinit(struct rpc *rpc);

/* 0, or the negative errno of a commit that failed, with the reason (valid until the next turn);
 * the answers say so. */
int rpc_end_turn(struct rpc *rpc, const char **ret_reason);

/* Every waiter is answered ShuttingDown, and so is what would wait or subscribe from now on. */
void rpc_shut_down(struct rpc *rpc);

/* Peers that read nothing hold as much output as all may: nobody is served far ahead of his reading
 * any more. */
static inline bool rpc_output_is_scarce(const struct rpc *rpc)
{
    return rpc->unsent > OUTPUT_BYTES_ALL;
}

/* Makes room for one more promise: 0 or -ENOMEM. */
int rpc_reserve_promise(struct rpc *rpc) MUST_CHECK;
/* One more, of nobody's output yet; NAME may be NULL. Valid until the next room is made. */
struct promise *rpc_promise(struct rpc *rpc, enum method method, const struct caller *caller,
                            const char *name, const struct segment *segment);
/* SESSION is closed: nobody is promised anything any more. */
void rpc_forget(struct rpc *rpc, const struct session *session);

#endif
