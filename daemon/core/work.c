/* SPDX-License-Identifier: MIT */
#include "daemon/core/work.h"

static int64_t now_us(struct work *w)
{
    w->now_us = w->clock.ops->monotonic_us(w->clock.context);
    return w->now_us;
}

static void raise(uint64_t *most, uint64_t n)
{
    if (n > *most)
        *most = n;
}

static void leave_share(struct work *w)
{
    w->share = (struct work_count){0};
    w->share_ends_us = INT64_MAX;
    w->share_is_over = false;
}

void work_init(struct work *w, struct clock clock, int64_t turn_us)
{
    *w = (struct work){.clock = clock, .turn_us = turn_us, .turn_ends_us = INT64_MAX};
    leave_share(w);
    (void)now_us(w);
}

void work_begin_turn(struct work *w)
{
    w->turn_began_us = now_us(w);
    w->turn_ends_us = w->turn_began_us + w->turn_us;
    w->turn_is_over = false;
    w->turn = (struct work_count){0};
}

void work_end_turn(struct work *w, uint64_t accepts)
{
    int64_t us = now_us(w) - w->turn_began_us;
    if (us > w->turn_longest_us)
        w->turn_longest_us = us;
    raise(&w->turn_most.requests, w->turn.requests);
    raise(&w->turn_most.records, w->turn.records);
    raise(&w->accepts_most, accepts);
    w->turn_ends_us = INT64_MAX;
    w->turn_is_over = false;
}

void work_begin_share(struct work *w, int64_t us)
{
    leave_share(w);
    w->share_ends_us = w->now_us + us;
}

void work_end_share(struct work *w, bool others_waited)
{
    if (others_waited) {
        raise(&w->share_most.requests, w->share.requests);
        raise(&w->share_most.records, w->share.records);
    }
    leave_share(w);
}

void work_look_at_clock(struct work *w)
{
    int64_t now = now_us(w);
    w->turn_is_over = now >= w->turn_ends_us;
    w->share_is_over = now >= w->share_ends_us;
}

/* The clock was looked at; IS_KNOWN: the share was over before. */
static void go_on(struct work *w, bool is_known)
{
    if (is_known || !w->share_is_over || w->turn_is_over || !w->others_have_work)
        return;
    bool others_came = w->others_have_work(w->context);
    (void)now_us(w); /* that may have taken a while, and the next share begins now */
    if (!others_came)
        work_begin_share(w, SHARE_US);
}

void work_go_on(struct work *w)
{
    bool is_known = w->share_is_over;
    work_look_at_clock(w);
    go_on(w, is_known);
}

int64_t work_request_done(struct work *w)
{
    const bool is_known = w->share_is_over;
    const int64_t began_us = w->now_us;
    w->turn.requests++;
    w->share.requests++;
    work_look_at_clock(w);
    const int64_t took_us = w->now_us - began_us;
    go_on(w, is_known);
    return took_us;
}

void work_tell(struct work *w)
{
    if (w->tell && w->tell(w->context))
        (void)now_us(w); /* what that took is nothing of the request */
}
