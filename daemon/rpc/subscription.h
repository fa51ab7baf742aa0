/*
 * What a session is told of events. New ones are written into its output at once, up to its cap;
 * who reads too slowly for them is cut off there, and sees the gap when it comes back. What nobody
 * could have read yet is held against nobody: the rest of a turn's events is told from the log, as
 * fast as it is read, and so is what was before a subscriber came. Who does not read that either is
 * cut off when he has missed as much as the log holds.
 */
#ifndef SHMD_RPC_SUBSCRIPTION_H
#define SHMD_RPC_SUBSCRIPTION_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/rpc/session.h"

struct subscription {
    char *prefix;        /* owned; NULL: all */
    uint32_t kinds;      /* a bit for each enum event_kind */
    uint64_t next;       /* the event to be told next */
    bool resumes;        /* it is being told what is in the log, as fast as it reads */
    uint64_t late_since; /* the newest event when what it is to be told fell out of the log before
                            there was room for it; 0: it has not */
    struct session *next_session, *previous_session;
};

/* Subscribes S, or changes what it is subscribed to: 0 or -ENOMEM. */
int subscription_begin(struct session *s, const struct subscribe_params *params) MUST_CHECK;
void subscription_end(struct session *s);

/* Writes the events that are due; not in the midst of an answer. S must be subscribed. */
void subscription_tell(struct session *s);
/* Whether there is something in the log that could be told now. */
bool subscription_can_resume(const struct session *s);

/* The next of rpc's subscribers. */
struct session *subscription_next(const struct session *s);

#endif
