/* SPDX-License-Identifier: MIT */
/*
 * The work of a turn of the event loop: a turn ends after about turn_work_us, and within it each
 * uid has a share of 0.03 ms at a time, or more while nobody else has work. Time decides when
 * either is over; requests and records are counted, so that the metrics can show what the longest
 * of them did.
 *
 * A share always has one request. What takes longer asks work_share_is_over() between its parts and
 * goes on in a later share. Outside the loop, as at the start, no share is ever over.
 */
#ifndef SHMD_CORE_WORK_H
#define SHMD_CORE_WORK_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/sys/clock.h"

enum { SHARE_US = 30 };

struct work_count {
    uint64_t requests; /* answered */
    uint64_t records;  /* looked at */
};

struct work {
    struct clock clock;
    int64_t turn_us;       /* of work that a turn has */
    int64_t now_us;        /* monotonic clock, as last looked at */
    int64_t turn_began_us; /* monotonic clock, as the next */
    int64_t turn_ends_us, share_ends_us;
    bool turn_is_over, share_is_over;
    struct work_count turn, share; /* done in these */
    struct work_count turn_most;   /* in one turn */
    struct work_count share_most;  /* in one share while another uid had work */
    int64_t turn_longest_us;
    uint64_t accepts_most; /* connections accepted in one turn */
    /* Looks whether anybody else has work, now that a share's time is over. NULL: they may. */
    bool (*others_have_work)(void *context);
    bool (*tell)(
        void *context); /* what is ready leaves: whether there was any; NULL: there is none */
    void *context;
};

void work_init(struct work *w, struct clock clock, int64_t turn_us);

void work_begin_turn(struct work *w);
/* ACCEPTS: connections that were accepted in it. */
void work_end_turn(struct work *w, uint64_t accepts);

/* From the last look at the clock on. */
void work_begin_share(struct work *w, int64_t us);
/* OTHERS_WAITED: another uid had work meanwhile. */
void work_end_share(struct work *w, bool others_waited);

/* Reads the clock: part of the work is done. */
void work_look_at_clock(struct work *w);
/* The same, and the share begins anew if its time is over and nobody else has work. */
void work_go_on(struct work *w);
/* The same after a request. Returns the microseconds that it took. */
int64_t work_request_done(struct work *w);
/* What is ready leaves now, for what comes may take long. That is no time of the request that
 * comes. */
void work_tell(struct work *w);

/* Microseconds, as of the last look at the clock; none if below 0. */
static inline int64_t work_left_of_share(const struct work *w)
{
    return w->share_ends_us - w->now_us;
}

static inline void work_add_records(struct work *w, uint64_t n)
{
    w->turn.records += n;
    w->share.records += n;
}

/* As of the last look at the clock. */
static inline bool work_share_is_over(const struct work *w)
{
    return w->share_is_over;
}

#endif
