/* SPDX-License-Identifier: MIT */
/*
 * The answers to a batch some of whose members may wait. They are gathered, and leave as one array
 * when the last member has its answer; until then the session goes on with what came after it.
 */
#ifndef SHMD_RPC_BATCH_H
#define SHMD_RPC_BATCH_H

#include <stdbool.h>
#include <stddef.h>

#include "daemon/rpc/outbox.h"

struct batch {
    struct outbox *outbox;
    bool is_executed; /* all members but those that wait */
    bool has_failed;  /* there was no memory for an answer */
    size_t n_waiting;
    uint64_t counted; /* bytes of the answers, in the connection's buffers */
    size_t n_members;
    struct writer answers[]; /* by member, so that they leave in order; empty: none (yet) */
};

/* NULL when out of memory. OUTBOX must outlive it. */
struct batch *batch_new(struct outbox *outbox, size_t n_members);
void batch_free(struct batch *batch);

/* The answer to member INDEX. */
void batch_answer(struct batch *batch, size_t index, const struct call *call,
                  const struct reply *reply);

/* The answers so far are thrown away: the connection closes. */
void batch_give_up(struct batch *batch);

/* All members were executed, or one more wait is over: sends and frees the batch if all members
 * have their answers. */
void batch_executed(struct batch *batch);
void batch_waited(struct batch *batch);

#endif
