/* SPDX-License-Identifier: MIT */
#include "daemon/core/charge.h"

#include <errno.h>

#include "daemon/core/find.h"
#include "daemon/core/kernel_refusal.h"
#include "daemon/core/segment_charge.h"

/* A client that is refused over and over is not worth a look each time. */
enum { LOOKS_IN_A_TURN = 4 };
/* What one refusal may look at and pass over; the next goes on from there, and so do the sweeps. */
enum { LOOKS_MAX = 300, STEPS_MAX = 4096 };
/* The segments of all others may be very many, and the refused client may have few of its own. */
enum { OTHERS_EVERY_MS = 1000 };

static bool may_look(struct looks *looks, uint32_t uid)
{
    if (looks->n == LOOKS_IN_A_TURN || (looks->n > 0 && looks->uid == uid))
        return false;
    looks->n++;
    looks->uid = uid;
    return true;
}

static bool may_look_at_others(struct core *core)
{
    int64_t now = core_boottime_ms(core);
    if (now < core->looks.others_again_ms)
        return false;
    core->looks.others_again_ms = now + OTHERS_EVERY_MS;
    return true;
}

/* Looks again at some of the records that are charged to UID, or of those of all others, from where
 * the last look ended. */
static void recheck(struct core *core, uint32_t uid, bool others)
{
    struct registry_walk *walk = &core->looks.walk;
    size_t steps = core->registry.count < STEPS_MAX ? core->registry.count : STEPS_MAX;
    for (size_t looks = 0; steps > 0 && looks < LOOKS_MAX; steps--) {
        struct segment *segment = registry_step(&core->registry, walk);
        struct sysv_stat kernel;
        if (!segment) {
            *walk = (struct registry_walk){0};
            segment = registry_step(&core->registry, walk);
        }
        if (!segment)
            return;
        if ((segment->creator.uid != uid) != others)
            continue;
        int r = find_again(core, segment, &kernel);
        (void)r; /* the charge of what is gone was given back; anything else counts */
        looks++;
    }
}

int charge_segment(struct core *core, const struct caller *caller, struct segment *segment,
                   struct outcome_detail *detail)
{
    const bool is_admin = access_is_admin(&core->settings.access, caller);
    const uint32_t uid = segment->creator.uid;
    int r = segment_charge(&core->quota, segment, is_admin, detail);
    if (r != OUTCOME_QUOTA_EXCEEDED || !may_look(&core->looks, uid))
        return r;
    recheck(core, uid, false);
    r = segment_charge(&core->quota, segment, is_admin, detail);
    if (r != OUTCOME_QUOTA_EXCEEDED || !detail->is_total || !may_look_at_others(core))
        return r;
    recheck(core, uid, true);
    return segment_charge(&core->quota, segment, is_admin, detail);
}

int charge_lock(struct core *core, const struct caller *caller, struct segment *segment,
                struct outcome_detail *detail)
{
    const struct sysv *sysv = &core->on.sysv;
    const bool is_admin = access_is_admin(&core->settings.access, caller);
    uint64_t max;
    int r = segment_charge_lock(&core->quota, segment, is_admin, detail);
    /* The kernel would refuse it too, and its limit is the one to raise first. */
    if (r == OUTCOME_QUOTA_EXCEEDED && sysv->ops->memlock(sysv->context, &max) == 0 &&
        segment->size > max)
        return kernel_refusal_of_lock(core, segment->size, -ENOMEM, detail);
    return r;
}

int charge_anchor(struct core *core, const struct caller *caller, struct segment *segment,
                  struct outcome_detail *detail)
{
    const bool is_admin = access_is_admin(&core->settings.access, caller);
    return segment_charge_anchor(&core->quota, segment, is_admin, detail);
}
