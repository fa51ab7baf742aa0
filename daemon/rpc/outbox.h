/* SPDX-License-Identifier: MIT */
/*
 * What goes out on one connection: answers and events, in order. The session and the subscription
 * write; the connection (io/) takes the bytes. An answer is final when it is written.
 *
 * A peer that does not read cannot make it grow without bound: above the high-water mark its
 * session stops, and when the connections of its uid hold much together, each may have only little.
 */
#ifndef SHMD_RPC_OUTBOX_H
#define SHMD_RPC_OUTBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/core/limits.h"
#include "daemon/rpc/buffers.h"
#include "protocol/dialect.h"

/* An idle connection has none. */
struct output {
    struct writer out;
    struct writer later; /* whole answers that came while that of a batch was being written */
    bool in_batch;       /* it is being written */
    size_t sent;         /* of `out`, by the connection */
    uint64_t counted;    /* in the outbox's buffers */
    struct output *next; /* while it is a spare one */
};

/* So many outboxes may have answers that leave together, and none of them allocates. */
enum { OUTBOX_SPARES_MAX = 64 };

/* What all outboxes share. */
struct outbox_common {
    const struct limits *limits; /* output_high_water, subscriber_cap */
    const struct dialect *dialect;
    /* The memory that outboxes without output gave back: the next ones take it, so that answers
     * which leave together allocate nothing. */
    struct output *spares;
    size_t n_spares;
};

void outbox_common_deinit(struct outbox_common *common);

struct outbox {
    struct outbox_common *common;
    struct buffers buffers; /* of the connection: its output, and what its session keeps */
    struct output *output;  /* NULL: there is none */
    bool in_answer;         /* a message is being answered: events wait until that is done */
    bool is_closed; /* nothing more is written; what is there is sent, then the connection closes */
    bool is_cut_off;   /* the connection closes at once */
    bool is_backed_up; /* the connection could not send all: the peer has not made room for it */
};

/* COMMON must outlive it; what is buffered is charged to ACCOUNT (NULL: it is not). */
void outbox_init(struct outbox *o, struct outbox_common *common, struct account *account);
void outbox_deinit(struct outbox *o);

/* --- writing */

/* Writes REPLY to CALL (NULL: it belongs to none). Without memory the answer is that, and if even
 * that fails, the outbox is closed rather than a request left without an answer. */
void outbox_answer(struct outbox *o, const struct call *call, const struct reply *reply,
                   bool in_batch);

/* The same into W, for an answer that is to be appended later: false when not even the sentence
 * that memory ran out had room. */
bool outbox_write_answer(const struct outbox *o, struct writer *w, const struct call *call,
                         const struct reply *reply, bool in_batch);

/* Around the answers of a batch; what else is answered in between comes behind it. Without memory
 * the outbox is closed. */
void outbox_begin_batch(struct outbox *o);
void outbox_end_batch(struct outbox *o);

/* Appends a whole message that was written into BYTES. If writing it failed, the outbox is closed.
 */
void outbox_append(struct outbox *o, const struct writer *bytes);

/* Writes EVENT. Without memory the subscriber is cut off: it sees the gap by event_serial when it
 * comes back. */
void outbox_event(struct outbox *o, const struct wire_event *event);

/* --- how much there is */

static inline size_t outbox_unsent(const struct outbox *o)
{
    return o->output ? o->output->out.len - o->output->sent : 0;
}

/* It is too much to go on with answers. */
bool outbox_is_above_high_water(const struct outbox *o);
/* It is too much for more events. */
bool outbox_is_above_subscriber_cap(const struct outbox *o);
/* There is room for events from the log, which need not reach the cap. */
bool outbox_has_room_for_log(const struct outbox *o);

/* --- sending */

/* The bytes to be sent next, of which there are outbox_unsent(). */
const char *outbox_bytes(const struct outbox *o);
/* N of them are sent. */
void outbox_took(struct outbox *o, size_t n);
/* What there is is thrown away, and the connection closes at once. */
void outbox_cut_off(struct outbox *o);
/* After sending: gives back memory that is not needed. GOES_ON: the session will write more soon.
 */
void outbox_tidy(struct outbox *o, bool goes_on);

#endif
