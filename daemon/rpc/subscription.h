/*
 * What a session is told of events. New ones are written into its output at once; one that reads
 * too slowly for them is cut off at its cap, and sees the gap when it comes back. What was before
 * it came is told as fast as it reads.
 */
#ifndef SHMD_RPC_SUBSCRIPTION_H
#define SHMD_RPC_SUBSCRIPTION_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/rpc/session.h"

struct subscription {
    char *prefix;   /* owned; NULL: all */
    uint32_t kinds; /* a bit for each enum event_kind */
    uint64_t next;  /* the event to be told next */
    bool resumes;   /* it is being told what was before it came, as fast as it reads */
    struct session *next_session, *previous_session;
};

/* Subscribes S, or changes what it is subscribed to: 0 or -ENOMEM. */
int subscription_begin(struct session *s, const struct subscribe_params *params) MUST_CHECK;
void subscription_end(struct session *s);

/* Writes the events that are due; not in the midst of an answer. S must be subscribed. */
void subscription_tell(struct session *s);
/* Whether there is something from before it came that could be told now. */
bool subscription_can_resume(const struct session *s);

/* The next of rpc's subscribers. */
struct session *subscription_next(const struct session *s);

#endif
