/* SPDX-License-Identifier: MIT */
#include "daemon/rpc/subscription.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/core/reconcile.h"

/* What of the events a sweep alone finds. */
enum { FOUND_BY_SWEEP = 1U << EVENT_ATTACHED | 1U << EVENT_DETACHED };

bool subscription_has_work(const struct subscription *sub)
{
    return sub && sub->next <= sub->rpc->core->events.last && !sub->outbox->in_answer &&
           !sub->outbox->is_cut_off && !sub->outbox->is_closed &&
           (!sub->is_behind || outbox_has_room_for_log(sub->outbox));
}

static void go_to_sleep(struct subscription *sub)
{
    if (sub->is_awake)
        LIST_INSERT_HEAD(&sub->rpc->subscribers, sub, of_subscribers);
    sub->is_awake = false;
}

static void wake_up(struct subscription *sub)
{
    if (!sub->is_awake)
        LIST_REMOVE(sub, of_subscribers);
    sub->is_awake = true;
}

void subscriptions_wake(struct rpc *rpc)
{
    for (struct subscription *sub; (sub = LIST_FIRST(&rpc->subscribers));) {
        wake_up(sub);
        rpc->wake(rpc->wake_context, sub->outbox);
    }
}

/* Sweeps come often while somebody wants to know what they find. */
static void set_kinds(struct subscription *sub, uint32_t kinds)
{
    struct core *core = sub->rpc->core;
    bool listened = sub->kinds & FOUND_BY_SWEEP, listens = kinds & FOUND_BY_SWEEP;
    sub->kinds = kinds;
    if (listens && !listened)
        reconcile_listen(core);
    else if (listened && !listens)
        reconcile_unlisten(core);
}

void subscription_end(struct subscription *sub)
{
    if (!sub)
        return;
    set_kinds(sub, 0);
    wake_up(sub); /* off the list */
    sub->rpc->n_subscribers--;
    quota_give(&sub->rpc->core->quota, sub->account, QUOTA_SUBSCRIPTIONS, 1);
    free(sub->prefix);
    free(sub);
}

static int add(struct rpc *rpc, const struct caller *caller, struct outbox *outbox,
               struct subscription **ret, struct outcome_detail *detail)
{
    struct subscription *sub = calloc(1, sizeof(*sub));
    if (!sub)
        return -ENOMEM;
    int r = quota_take(&rpc->core->quota, caller->uid,
                       access_is_admin(&rpc->core->settings.access, caller), QUOTA_SUBSCRIPTIONS, 1,
                       &sub->account, detail);
    if (r != 0) {
        free(sub);
        return r;
    }
    sub->rpc = rpc;
    sub->caller = caller;
    sub->outbox = outbox;
    sub->is_awake = true;
    go_to_sleep(sub);
    rpc->n_subscribers++;
    *ret = sub;
    return 0;
}

int subscription_begin(struct subscription **subscription, struct rpc *rpc,
                       const struct caller *caller, struct outbox *outbox,
                       const struct subscribe_params *p, struct outcome_detail *detail)
{
    const struct event_log *log = &rpc->core->events;
    struct subscription *sub = *subscription;
    char *prefix CLEANUP(cleanup_free) = NULL;
    if (p->prefix && *p->prefix && !(prefix = strdup(p->prefix)))
        return -ENOMEM;
    if (!sub) {
        int r = add(rpc, caller, outbox, &sub, detail);
        if (r != 0)
            return r;
        *subscription = sub;
    }
    free(sub->prefix);
    sub->prefix = steal_pointer(&prefix);
    set_kinds(sub, p->kinds.given ? (uint32_t)p->kinds.value : UINT32_MAX);
    /* A serial above the newest is of no daemon on this state: from now on, then. */
    sub->is_behind = p->after.given && (uint64_t)p->after.value < log->last;
    sub->next = sub->is_behind ? (uint64_t)p->after.value + 1 : log->last + 1;
    sub->late_since = 0;
    return 0;
}

static bool is_wanted(const struct subscription *sub, const struct segment_event *event)
{
    const char *name = event->segment.name;
    if (!(sub->kinds & (1U << event->kind)))
        return false;
    if (sub->prefix && (!name || strncmp(name, sub->prefix, strlen(sub->prefix)) != 0))
        return false;
    return access_may_read(&sub->rpc->core->settings.access, sub->caller, &event->kernel);
}

/* There is no room for events from the log. A subscriber that has been late for a whole log
 * is cut off, if it is the one that does not read. */
static void wait_for_room(struct subscription *sub)
{
    const struct event_log *log = &sub->rpc->core->events;
    if (sub->next >= log->first)
        return;
    if (sub->late_since == 0 || !sub->outbox->is_backed_up)
        sub->late_since = log->last;
    sub->outbox->is_cut_off = log->last - sub->late_since >= EVENTS_KEPT;
}

/* The events from sub->next on that the log does not have: they fell out of it, or were lost for
 * lack of memory. */
static void tell_gap(struct subscription *sub)
{
    const struct event_log *log = &sub->rpc->core->events;
    uint64_t end = sub->next < log->first ? log->first : sub->next + 1;
    const struct wire_event gap = {.missed = end - sub->next};
    outbox_event(sub->outbox, &gap);
    sub->next = end;
}

/* Tells the next event, or passes over it: false when there is no room for it. */
static bool tell_next(struct subscription *sub)
{
    struct outbox *outbox = sub->outbox;
    if (sub->is_behind && !outbox_has_room_for_log(outbox)) {
        wait_for_room(sub);
        return false;
    }
    sub->late_since = 0;
    const struct segment_event *event = event_log_get(&sub->rpc->core->events, sub->next);
    if (!event) {
        tell_gap(sub);
        return true;
    }
    if (!is_wanted(sub, event)) {
        sub->next++;
        return true;
    }
    /* Before it is written: an event that is longer than the cap gets through. */
    if (outbox_is_above_subscriber_cap(outbox)) {
        outbox->is_cut_off = outbox->is_backed_up;
        sub->is_behind = true;
        return false;
    }
    sub->next++;
    const struct wire_event wire = {.event_serial = event->serial,
                                    .at_ms = event->at_ms,
                                    .kind = event->kind,
                                    .reason = event->reason,
                                    .segment = &event->segment};
    outbox_event(outbox, &wire);
    return true;
}

void subscription_tell(struct subscription *sub)
{
    struct outbox *outbox = sub->outbox;
    go_to_sleep(sub);
    if (outbox->in_answer || outbox->is_closed || outbox->is_cut_off) {
        sub->is_behind |= outbox->in_answer;
        return;
    }
    struct work *work = &sub->rpc->core->work;
    const struct event_log *log = &sub->rpc->core->events;
    while (sub->next <= log->last && !outbox->is_cut_off && !work_share_is_over(work) &&
           tell_next(sub))
        work_look_at_clock(work);
    if (sub->next > log->last)
        sub->is_behind = false;
}
