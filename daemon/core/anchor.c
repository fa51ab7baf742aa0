/* SPDX-License-Identifier: MIT */
#include "daemon/core/anchor.h"

#include "daemon/core/core.h"
#include "daemon/core/segment_charge.h"

/* The kernel has noted when we attached and DETACHED. Our own clock may say something else. */
static void note_times(const struct core *core, struct segment *segment, bool detached)
{
    const struct sysv *sysv = &core->on.sysv;
    struct sysv_stat kernel;
    if (sysv->ops->stat(sysv->context, segment->shmid, &kernel) < 0)
        return;
    segment->anchored_at_s = kernel.atime;
    if (detached)
        segment->let_go_at_s = kernel.dtime;
}

int anchor_take(struct core *core, struct segment *segment, struct outcome_detail *detail)
{
    const struct sysv *sysv = &core->on.sysv;
    if (segment->anchor)
        return 0;
    int r = segment_charge_anchor(&core->quota, segment, segment->creator.was_admin, detail);
    if (r != 0)
        return r;
    r = sysv->ops->attach(sysv->context, segment->shmid, &segment->anchor);
    if (r < 0)
        segment_uncharge_anchor(&core->quota, segment);
    else
        note_times(core, segment, false);
    return r;
}

int anchor_renew(struct core *core, struct segment *segment)
{
    const struct sysv *sysv = &core->on.sysv;
    void *anew;
    int r = sysv->ops->attach(sysv->context, segment->shmid, &anew);
    if (r < 0)
        return r;
    r = sysv->ops->detach(sysv->context, segment->anchor);
    (void)r; /* it can only fail for an address that is no attachment */
    segment->anchor = anew;
    note_times(core, segment, true);
    return 0;
}

void anchor_drop(struct core *core, struct segment *segment)
{
    const struct sysv *sysv = &core->on.sysv;
    deadlines_clear(&core->deadlines, &segment->anchor_check);
    segment_uncharge_anchor(&core->quota, segment);
    if (!segment->anchor)
        return;
    int r = sysv->ops->detach(sysv->context, segment->anchor);
    (void)r; /* it can only fail for an address that is no attachment */
    segment->anchor = NULL;
}

int anchor_let_go(struct core *core, struct segment *segment, struct sysv_stat *ret)
{
    const struct sysv *sysv = &core->on.sysv;
    anchor_drop(core, segment);
    int r = sysv->ops->stat(sysv->context, segment->shmid, ret);
    if (r == 0 && ret->lpid == core->own_pid)
        segment->let_go_at_s = ret->dtime;
    return r;
}

void anchor_follow_lifetime(struct core *core, struct segment *segment,
                            const struct sysv_stat *kernel)
{
    const struct sysv *sysv = &core->on.sysv;
    struct outcome_detail detail;
    int r = 0;
    if (segment->state == STATE_REMOVING)
        return;
    if (segment->lifetime == LIFETIME_ATTACHED && !kernel->destroyed)
        r = sysv->ops->remove(sysv->context, segment->shmid);
    else if (segment->lifetime != LIFETIME_ATTACHED && core->rmid_forced)
        r = anchor_take(core, segment, &detail);
    (void)r; /* the segment's owner may have forbidden it, or its creator has no room for it */
}
