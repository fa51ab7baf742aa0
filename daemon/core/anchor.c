#include "daemon/core/anchor.h"

#include <errno.h>
#include <stddef.h>

#include "daemon/core/core.h"
#include "daemon/core/removal.h"

enum { FIRST_LOOK_MS = 10, SLOWEST_LOOK_MS = 320 };

int anchor_take(struct core *core, struct segment *segment)
{
    const struct sysv *sysv = &core->on.sysv;
    if (segment->anchor)
        return 0;
    int r = sysv->ops->attach(sysv->context, segment->shmid, &segment->anchor);
    if (r == 0)
        segment->anchored_at_s = core_realtime_ms(core) / 1000;
    return r;
}

void anchor_drop(struct core *core, struct segment *segment)
{
    const struct sysv *sysv = &core->on.sysv;
    deadlines_clear(&core->deadlines, &segment->anchor_check);
    if (!segment->anchor)
        return;
    int r = sysv->ops->detach(sysv->context, segment->anchor);
    (void)r; /* it can only fail for an address that is no attachment */
    segment->anchor = NULL;
}

void anchor_unwatch(struct core *core, struct segment *segment)
{
    if (core->rmid_forced)
        deadlines_clear(&core->deadlines, &segment->anchor_check);
    else
        anchor_drop(core, segment);
}

void anchor_settle(struct core *core, struct segment *segment, const struct sysv_stat *kernel)
{
    const struct sysv *sysv = &core->on.sysv;
    int r = 0;
    if (segment->state == STATE_REMOVING)
        return;
    if (segment->lifetime == LIFETIME_ATTACHED && !kernel->destroyed)
        r = sysv->ops->remove(sysv->context, segment->shmid);
    else if (segment->lifetime != LIFETIME_ATTACHED && core->rmid_forced)
        r = anchor_take(core, segment);
    (void)r; /* its owner may have forbidden it */
}

void anchor_release(struct core *core, struct segment *segment)
{
    const struct sysv *sysv = &core->on.sysv;
    struct sysv_stat kernel;
    anchor_drop(core, segment);
    for (struct tie *tie = segment->ties, *next; tie; tie = next) {
        next = tie->next_of_segment;
        if (tie->role == TIE_ATTACHER)
            tie_drop(&core->holders, tie);
    }
    if (sysv->ops->stat(sysv->context, segment->shmid, &kernel) == -ENOENT)
        removal_noticed(core, segment, REASON_LAST_DETACH);
    else
        turn_changed(core, segment); /* nobody is waited for any more */
}

bool anchor_release_if_attached(struct core *core, struct segment *segment,
                                const struct sysv_stat *kernel)
{
    if (!segment->anchor || segment->lifetime != LIFETIME_ATTACHED)
        return false;
    /* Whoever came and went again was there, too: it is the last pid that tells. */
    if (kernel->nattch <= 1 && (kernel->lpid == 0 || kernel->lpid == core->own_pid))
        return false;
    anchor_release(core, segment);
    return true;
}

static void look(struct deadline *deadline, void *context)
{
    struct core *core = context;
    const struct sysv *sysv = &core->on.sysv;
    struct segment *segment =
        (struct segment *)(void *)((char *)deadline - offsetof(struct segment, anchor_check));
    struct sysv_stat kernel;
    if (sysv->ops->stat(sysv->context, segment->shmid, &kernel) == 0 &&
        anchor_release_if_attached(core, segment, &kernel))
        return;
    int64_t now = core_boottime_ms(core);
    if (now >= segment->anchor_until_ms) {
        anchor_release(core, segment);
        return;
    }
    /* Soon at first, for the creator is about to attach; then ever less often. */
    int64_t since = now - (segment->anchor_until_ms - core->settings.attach_timeout_ms);
    int64_t pause = since < FIRST_LOOK_MS     ? FIRST_LOOK_MS
                    : since > SLOWEST_LOOK_MS ? SLOWEST_LOOK_MS
                                              : since;
    int64_t next = now + pause < segment->anchor_until_ms ? now + pause : segment->anchor_until_ms;
    if (deadlines_set(&core->deadlines, &segment->anchor_check, next, look) < 0)
        anchor_release(core, segment);
}

int anchor_watch(struct core *core, struct segment *segment)
{
    int64_t now = core_boottime_ms(core);
    segment->anchor_until_ms = now + core->settings.attach_timeout_ms;
    return deadlines_set(&core->deadlines, &segment->anchor_check, now + FIRST_LOOK_MS, look);
}
