/* SPDX-License-Identifier: MIT */
/*
 * The event loop: one thread, libevent. A pass of it is a turn: what the kernel reports is noted,
 * then what has work is served, uid after uid, until turn_work_us is over (rpc/turns.h), then facts
 * are recorded, events published and new peers let in. What is left goes on in the next turn. While
 * there is more than a share of work, the kernel is looked at again between two shares.
 */
#ifndef SHMD_IO_LOOP_H
#define SHMD_IO_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/queue.h>

#include "daemon/io/trim.h"
#include "daemon/rpc/rpc.h"
#include "daemon/rpc/turns.h"
#include "daemon/util/cleanup.h"

struct event_base;
struct connection;
struct listener;

/* Shared by all connections: what is read is handled before the next read. */
#define SCRATCH_BYTES 65536

enum { ANSWERED_MAX = OUTBOX_SPARES_MAX };

/* Connections whose answers have not left yet, in their order. Answers of a share leave together:
 * each send wakes its reader, and between two requests that makes the kernel change processes once
 * for each, which costs more than a stat. */
struct answered {
    struct connection *connections[ANSWERED_MAX]; /* NULL: closed, or served again */
    size_t n;
    bool is_serving; /* another connection, meanwhile */
};

/* A part of what the core does by itself, which has a share of each turn. */
struct chore {
    struct task task;
    struct loop *loop;
    const struct core_chore *does;
};

struct loop {
    struct event_base *base;
    struct rpc *rpc;
    struct event *tick; /* a timerfd of the boot clock */
    int tick_fd;
    int64_t tick_at_ms; /* what the timer is set to; -1: nothing */
    struct turns turns;
    struct chore chores[CORE_CHORES];
    uint32_t n_turns;  /* only to tell one from the next */
    size_t n_readable; /* connections that became so, as the last look at the kernel reported */
    char *scratch;
    struct answered answered;
    struct trim trim;
    bool is_stopping;
    struct listener *listener; /* NULL: no peer is let in */
    /* The store was written in this turn: how the last write ended (0 or a negative errno). */
    void (*store_written)(void *context, int result, const char *reason);
    void *context;
};

/* 0 or a negative errno. */
int loop_init(struct loop *loop, struct rpc *rpc) MUST_CHECK;
void loop_close_connections(struct loop *loop);
/* All connections must be closed. */
void loop_deinit(struct loop *loop);

/* Runs until loop_stop(): 0 or a negative errno. */
int loop_run(struct loop *loop) MUST_CHECK;
void loop_stop(struct loop *loop);

/* Finishes and sends what was received, for at most TIMEOUT_MS. */
void loop_drain(struct loop *loop, int64_t timeout_ms);

/* rpc's wake: OUTBOX is a connection's. */
void loop_wake(void *context, struct outbox *outbox);

#endif
