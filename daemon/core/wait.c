/* SPDX-License-Identifier: MIT */
#include "daemon/core/wait.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/core/core.h"
#include "daemon/core/find.h"
#include "daemon/core/hold.h"
#include "daemon/util/container_of.h"
#include "daemon/util/siphash.h"

/* By a secret hash, so that nobody can choose names that share a bucket. */
static size_t bucket_of(const struct core *core, const char *name)
{
    return siphash(core->registry.secret, name, strlen(name)) % WAITER_BUCKETS;
}

/* Returns the name, which is the caller's to free. */
static char *leave(struct core *core, struct waiter *waiter)
{
    deadlines_clear(&core->deadlines, &waiter->timeout);
    LIST_REMOVE(waiter, of_bucket);
    core->waiters.count--;
    quota_give(&core->quota, steal_pointer(&waiter->account), QUOTA_WAITERS, 1);
    return steal_pointer(&waiter->name);
}

static void answer(struct core *core, struct waiter *waiter, int outcome, const struct found *found,
                   const struct outcome_detail *detail)
{
    char *name CLEANUP(cleanup_free) = leave(core, waiter);
    waiter->answer(waiter, name, outcome, found, detail);
}

static void timed_out(struct deadline *deadline, void *context)
{
    struct waiter *waiter = container_of(deadline, struct waiter, timeout);
    const struct outcome_detail detail = {.timeout_ms = waiter->timeout_ms};
    answer(context, waiter, OUTCOME_TIMED_OUT, NULL, &detail);
}

/* Looks for the segment, and holds it if that is wanted: 0, OUTCOME_WAITING, or another outcome or
 * a negative errno, with which the wait is over. */
static int try_name(struct core *core, struct caller *caller, const char *name,
                    const struct wait_terms *terms, struct found *ret,
                    struct outcome_detail *detail)
{
    const struct access *a = &core->settings.access;
    uint32_t other;
    int r = find_name(core, name, ret);
    if (r < 0)
        return r;
    if (r > 0)
        return OUTCOME_WAITING;
    if (!access_may_read(a, caller, &ret->kernel))
        return find_unreadable(core, caller, ret, detail);
    if (terms->owner.given &&
        !access_is_of(a, (uint32_t)terms->owner.value, ret->segment, &ret->kernel, &other))
        return outcome_not_owner(detail, "owner", other, OUTCOME_HINT_NOT_OWNER);
    if (ret->segment->state == STATE_INITIALISING)
        return OUTCOME_WAITING;
    return terms->holds ? core_hold_if_holdable(core, caller, ret, detail) : 0;
}

/* OUTCOME_WAITING, OUTCOME_QUOTA_EXCEEDED or -ENOMEM. */
static int begin(struct core *core, const struct wait_params *p, struct waiter *waiter,
                 struct outcome_detail *detail)
{
    const struct processes *processes = &core->on.processes;
    struct caller *caller = waiter->caller;
    char *name CLEANUP(cleanup_free) = strdup(p->name);
    if (!name)
        return -ENOMEM;
    int r = quota_take(&core->quota, caller->uid, access_is_admin(&core->settings.access, caller),
                       QUOTA_WAITERS, 1, &waiter->account, detail);
    if (r != 0)
        return r;
    waiter->timeout_ms = p->timeout_ms.value;
    if (p->timeout_ms.given &&
        deadlines_set(&core->deadlines, &waiter->timeout,
                      core_boottime_ms(core) + p->timeout_ms.value, timed_out) < 0) {
        quota_give(&core->quota, steal_pointer(&waiter->account), QUOTA_WAITERS, 1);
        return -ENOMEM;
    }
    waiter->since_at_ms = core_realtime_ms(core);
    if (!caller->comm[0]) /* while the process is there */
        processes->ops->comm(processes->context, caller->pid, caller->comm);
    waiter->name = steal_pointer(&name);
    LIST_INSERT_HEAD(&core->waiters.by_name[bucket_of(core, waiter->name)], waiter, of_bucket);
    core->waiters.count++;
    return OUTCOME_WAITING;
}

int core_wait(struct core *core, struct caller *caller, const struct wait_params *p,
              struct waiter *waiter, struct found *ret, struct outcome_detail *detail)
{
    const struct wait_terms terms = {p->owner, p->hold.value};
    int r = try_name(core, caller, p->name, &terms, ret, detail);
    if (r != OUTCOME_WAITING)
        return r;
    if (p->timeout_ms.given && p->timeout_ms.value == 0) {
        *detail = (struct outcome_detail){0};
        return OUTCOME_TIMED_OUT;
    }
    waiter->caller = caller;
    waiter->terms = terms;
    return begin(core, p, waiter, detail);
}

size_t wait_list(const struct core *core, const char *name, struct wire_holder *ret, size_t max)
{
    const struct waiter *waiter;
    size_t count = 0;
    LIST_FOREACH (waiter, &core->waiters.by_name[bucket_of(core, name)], of_bucket) {
        if (strcmp(waiter->name, name) != 0)
            continue;
        const struct caller *caller = waiter->caller;
        if (count < max)
            ret[count] =
                (struct wire_holder){caller->pid, caller->uid,
                                     caller->comm[0] ? caller->comm : NULL, waiter->since_at_ms};
        count++;
    }
    return count;
}

void wait_cancel(struct core *core, struct waiter *waiter)
{
    if (waiter->name)
        free(leave(core, waiter));
}

static void try_again(struct core *core, struct waiter *waiter)
{
    struct found found;
    struct outcome_detail detail = {0};
    int r = try_name(core, waiter->caller, waiter->name, &waiter->terms, &found, &detail);
    if (r != OUTCOME_WAITING)
        answer(core, waiter, r, &found, &detail);
}

static void hear(struct core *core, struct waiter *waiter, const struct segment_event *event)
{
    const struct outcome_detail none = {0};
    if (event->kind != EVENT_REMOVED)
        try_again(core, waiter);
    else if (event->reason == REASON_INITIALISER_DIED)
        answer(core, waiter, OUTCOME_INITIALISER_DIED, NULL, &none);
}

void wait_hear(struct core *core, const struct segment_event *event)
{
    const char *name = event->segment.name;
    if (!name || core->waiters.count == 0)
        return;
    struct waiter *waiter = LIST_FIRST(&core->waiters.by_name[bucket_of(core, name)]);
    for (struct waiter *next; waiter; waiter = next) {
        next = LIST_NEXT(waiter, of_bucket);
        if (strcmp(waiter->name, name) == 0)
            hear(core, waiter, event);
    }
}

void wait_look_again(struct core *core)
{
    for (size_t i = 0; i < WAITER_BUCKETS; i++) {
        struct waiter *waiter = LIST_FIRST(&core->waiters.by_name[i]);
        for (struct waiter *next; waiter; waiter = next) {
            next = LIST_NEXT(waiter, of_bucket);
            try_again(core, waiter);
        }
    }
}

void wait_end_all(struct core *core, int outcome)
{
    static const struct outcome_detail none;
    for (size_t i = 0; i < WAITER_BUCKETS; i++)
        while (!LIST_EMPTY(&core->waiters.by_name[i]))
            answer(core, LIST_FIRST(&core->waiters.by_name[i]), outcome, NULL, &none);
}
