/* SPDX-License-Identifier: MIT */
/*
 * The bytes that a connection makes the daemon keep: unfinished input, decoded requests that were
 * not answered whole, answers that are gathered, output that was not read. They are charged to the
 * connection's uid. When they are many, the uid's own connections get only little output; when they
 * are too many, its largest buffers are given up (session.c). No other uid notices.
 */
#ifndef SHMD_RPC_BUFFERS_H
#define SHMD_RPC_BUFFERS_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/core/quota.h"

/* Of one connection. */
struct buffers {
    struct account *account; /* NULL: nothing is charged */
    uint64_t total;
};

/* One of the buffers had *HAS bytes, and has WANTED. */
static inline void buffers_set(struct buffers *b, uint64_t *has, uint64_t wanted)
{
    b->total = b->total - *has + wanted;
    quota_set(b->account, QUOTA_BUFFER_BYTES, has, wanted);
    *has = wanted;
}

/* The uid has so much that each of its connections may have only little output. */
static inline bool buffers_are_scarce(const struct buffers *b)
{
    return quota_is_above(b->account, QUOTA_BUFFER_BYTES, 4);
}

/* The uid has more than it may. */
static inline bool buffers_are_over(const struct buffers *b)
{
    return quota_is_above(b->account, QUOTA_BUFFER_BYTES, 1);
}

#endif
