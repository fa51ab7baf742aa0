#include "daemon/rpc/subscription.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* What lies in the log need not pass the subscriber's cap at once. */
static bool has_room_to_resume(const struct session *s)
{
    return !session_is_above_high_water(s) &&
           session_unsent(s) < s->rpc->core->settings.limits.subscriber_cap / 2;
}

bool subscription_can_resume(const struct session *s)
{
    return s->subscription && s->subscription->resumes && message_is_empty(&s->message) &&
           !s->is_cut_off && has_room_to_resume(s);
}

void subscription_end(struct session *s)
{
    struct subscription *sub = steal_pointer(&s->subscription);
    if (!sub)
        return;
    if (sub->previous_session)
        sub->previous_session->subscription->next_session = sub->next_session;
    else
        s->rpc->subscribers = sub->next_session;
    if (sub->next_session)
        sub->next_session->subscription->previous_session = sub->previous_session;
    free(sub->prefix);
    free(sub);
}

int subscription_begin(struct session *s, const struct subscribe_params *p)
{
    struct event_log *log = &s->rpc->core->events;
    char *prefix = NULL;
    if (p->prefix && *p->prefix && !(prefix = strdup(p->prefix)))
        return -ENOMEM;
    if (!s->subscription) {
        struct subscription *sub = calloc(1, sizeof(*sub));
        if (!sub) {
            free(prefix);
            return -ENOMEM;
        }
        s->subscription = sub;
        sub->next_session = s->rpc->subscribers;
        if (sub->next_session)
            sub->next_session->subscription->previous_session = s;
        s->rpc->subscribers = s;
    }
    struct subscription *sub = s->subscription;
    free(sub->prefix);
    sub->prefix = prefix;
    sub->kinds = p->kinds.given ? (uint32_t)p->kinds.value : UINT32_MAX;
    /* What lies beyond the newest is of no daemon on this state: from now on, then. */
    bool resumes = p->after.given && (uint64_t)p->after.value < log->last;
    sub->next = resumes ? (uint64_t)p->after.value + 1 : log->last + 1;
    sub->resumes = resumes;
    sub->late_since = 0;
    return 0;
}

static bool is_wanted(const struct session *s, const struct segment_event *event)
{
    const struct subscription *sub = s->subscription;
    const char *name = event->segment.name;
    if (!(sub->kinds & (1U << event->kind)))
        return false;
    if (sub->prefix && (!name || strncmp(name, sub->prefix, strlen(sub->prefix)) != 0))
        return false;
    return access_may_read(&s->rpc->core->settings.access, &s->caller, &event->kernel);
}

static void tell(struct session *s, const struct wire_event *event)
{
    struct writer_mark mark = writer_mark(&s->out);
    s->dialect->event(&s->out, event);
    if (s->out.failed) {
        writer_rewind(&s->out, mark);
        s->is_cut_off = true; /* it sees the gap by event_serial when it comes back */
    }
}

/* There is no room for what is told from the log. Who has been late for a whole log is cut off, if
 * it is his doing. */
static void wait_for_room(struct session *s)
{
    const struct event_log *log = &s->rpc->core->events;
    struct subscription *sub = s->subscription;
    if (sub->next >= log->first)
        return;
    if (sub->late_since == 0 || !s->is_backed_up)
        sub->late_since = log->last;
    s->is_cut_off = log->last - sub->late_since >= EVENTS_KEPT;
}

static bool is_past_cap(const struct session *s)
{
    return session_unsent(s) > s->rpc->core->settings.limits.subscriber_cap ||
           (rpc_output_is_scarce(s->rpc) && session_is_above_high_water(s));
}

void subscription_tell(struct session *s)
{
    const struct event_log *log = &s->rpc->core->events;
    struct subscription *sub = s->subscription;
    sub->resumes |= !message_is_empty(&s->message);
    if (!message_is_empty(&s->message) || s->is_closing || s->is_cut_off)
        return; /* in the midst of an answer */
    size_t before = s->out.len;
    while (sub->next <= log->last && !s->is_cut_off) {
        if (sub->resumes && !has_room_to_resume(s)) {
            wait_for_room(s);
            break;
        }
        sub->late_since = 0;
        const struct segment_event *event = event_log_get(log, sub->next);
        if (!event) {
            /* Fallen out of the log, or lost for lack of memory. */
            uint64_t end = sub->next < log->first ? log->first : sub->next + 1;
            const struct wire_event gap = {.missed = end - sub->next};
            tell(s, &gap);
            sub->next = end;
            continue;
        }
        if (!is_wanted(s, event)) {
            sub->next++;
            continue;
        }
        /* Looked at before the next one is written: an event longer than the cap gets through. */
        if (is_past_cap(s)) {
            s->is_cut_off = s->is_backed_up;
            sub->resumes = true;
            break;
        }
        sub->next++;
        const struct wire_event wire = {.event_serial = event->serial,
                                        .at_ms = event->at_ms,
                                        .kind = event->kind,
                                        .reason = event->reason,
                                        .segment = &event->segment};
        tell(s, &wire);
        session_count_output(s);
    }
    if (sub->next > log->last)
        sub->resumes = false;
    if (s->out.len != before || s->is_cut_off)
        s->rpc->wake(s->rpc->wake_context, s);
}

struct session *subscription_next(const struct session *s)
{
    return s->subscription->next_session;
}
