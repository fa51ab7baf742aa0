/* SPDX-License-Identifier: MIT */
/*
 * The events that go to a subscriber. They are written into its outbox when it is its session's
 * turn: that is work of the subscriber's uid. New ones are written up to subscriber_cap; a
 * subscriber that reads too slowly for them is cut off there, and sees the gap when it comes back.
 * A burst that nobody could have read yet does not count against the cap: the rest of a turn's
 * events comes from the log, as fast as the subscriber reads, and so do the events from before it
 * came. One that does not read those either is cut off when it has missed as much as the log holds.
 */
#ifndef SHMD_RPC_SUBSCRIPTION_H
#define SHMD_RPC_SUBSCRIPTION_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/rpc/outbox.h"
#include "daemon/rpc/rpc.h"

struct subscription {
    struct rpc *rpc;
    const struct caller *caller;
    struct account *account; /* charged with it */
    struct outbox *outbox;
    char *prefix;        /* owned; NULL: all */
    uint32_t kinds;      /* a bit for each enum event_kind */
    uint64_t next;       /* the serial of the next event */
    bool is_behind;      /* its events come from the log, as fast as it reads */
    uint64_t late_since; /* the newest event when its next one fell out of the log, for there was no
                            room; 0: it has not */
    bool is_awake;       /* its session will look for events */
    LIST_ENTRY(subscription) of_subscribers; /* while it is not awake */
};

/* Subscribes the owner of OUTBOX, or changes what it is subscribed to: *SUBSCRIPTION is NULL at
 * first, and stays the caller's. CALLER and OUTBOX must outlive it. 0, OUTCOME_QUOTA_EXCEEDED or
 * -ENOMEM. */
int subscription_begin(struct subscription **subscription, struct rpc *rpc,
                       const struct caller *caller, struct outbox *outbox,
                       const struct subscribe_params *params,
                       struct outcome_detail *ret_detail) MUST_CHECK;
/* Ends and frees SUBSCRIPTION (NULL: nothing). */
void subscription_end(struct subscription *subscription);

/* There is an event: those that sleep are woken. */
void subscriptions_wake(struct rpc *rpc);

/* Writes events that are due, until the share is over; not in the middle of an answer. */
void subscription_tell(struct subscription *subscription);
/* Whether SUBSCRIPTION (NULL: no) has events and room for them. */
bool subscription_has_work(const struct subscription *subscription);

#endif
