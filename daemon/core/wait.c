#include "daemon/core/wait.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/core/core.h"
#include "daemon/core/find.h"
#include "daemon/core/hold.h"
#include "daemon/util/container_of.h"

/* Returns the name, which is the caller's to free. */
static char *leave(struct core *core, struct waiter *waiter)
{
    deadlines_clear(&core->deadlines, &waiter->timeout);
    LIST_REMOVE(waiter, of_waiters);
    core->waiters.count--;
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
static int look(struct core *core, struct caller *caller, const char *name,
                const struct wait_terms *terms, struct found *ret, struct outcome_detail *detail)
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

int core_wait(struct core *core, struct caller *caller, const struct wait_params *p,
              struct waiter *waiter, struct found *ret, struct outcome_detail *detail)
{
    const struct wait_terms terms = {p->owner, p->hold.value};
    uint64_t max = core->settings.limits.max_waiters;
    int r = look(core, caller, p->name, &terms, ret, detail);
    if (r != OUTCOME_WAITING)
        return r;
    if (p->timeout_ms.given && p->timeout_ms.value == 0) {
        *detail = (struct outcome_detail){0};
        return OUTCOME_TIMED_OUT;
    }
    if (core->waiters.count >= max) {
        *detail =
            (struct outcome_detail){.what = "max_waiters", .used = core->waiters.count, .max = max};
        return OUTCOME_QUOTA_EXCEEDED;
    }
    char *name = strdup(p->name);
    if (!name)
        return -ENOMEM;
    waiter->timeout_ms = p->timeout_ms.value;
    if (p->timeout_ms.given &&
        deadlines_set(&core->deadlines, &waiter->timeout,
                      core_boottime_ms(core) + p->timeout_ms.value, timed_out) < 0) {
        free(name);
        return -ENOMEM;
    }
    waiter->name = name;
    waiter->caller = caller;
    waiter->terms = terms;
    LIST_INSERT_HEAD(&core->waiters.all, waiter, of_waiters);
    core->waiters.count++;
    return OUTCOME_WAITING;
}

void wait_cancel(struct core *core, struct waiter *waiter)
{
    if (waiter->name)
        free(leave(core, waiter));
}

static void hear(struct core *core, struct waiter *waiter, const struct segment_event *event)
{
    struct found found;
    struct outcome_detail detail = {0};
    if (event->kind == EVENT_REMOVED) {
        if (event->reason == REASON_INITIALISER_DIED)
            answer(core, waiter, OUTCOME_INITIALISER_DIED, NULL, &detail);
        return;
    }
    int r = look(core, waiter->caller, waiter->name, &waiter->terms, &found, &detail);
    if (r != OUTCOME_WAITING)
        answer(core, waiter, r, &found, &detail);
}

void wait_hear(struct core *core, const struct segment_event *event)
{
    const char *name = event->segment.name;
    if (!name)
        return;
    for (struct waiter *waiter = LIST_FIRST(&core->waiters.all), *next; waiter; waiter = next) {
        next = LIST_NEXT(waiter, of_waiters);
        if (strcmp(waiter->name, name) == 0)
            hear(core, waiter, event);
    }
}

void wait_end_all(struct core *core, int outcome)
{
    static const struct outcome_detail none;
    while (!LIST_EMPTY(&core->waiters.all))
        answer(core, LIST_FIRST(&core->waiters.all), outcome, NULL, &none);
}
