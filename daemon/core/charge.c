#include "daemon/core/charge.h"

#include "daemon/core/find.h"

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

/* At records that are charged to UID, or at those of all others: at some of them, from where the
 * last look ended. */
static void look(struct core *core, uint32_t uid, bool others)
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

int charge_segment(struct core *core, uint32_t uid, uint64_t size, struct charge *ret,
                   struct outcome_detail *ret_detail)
{
    const uint64_t amount[QUOTA_KINDS] = {[QUOTA_SEGMENTS] = 1, [QUOTA_BYTES] = size};
    const struct limits *limits = &core->settings.limits;
    int r = quota_charge(&core->quota, limits, uid, amount, ret, ret_detail);
    if (r != OUTCOME_QUOTA_EXCEEDED || !may_look(&core->looks, uid))
        return r;
    look(core, uid, false);
    r = quota_charge(&core->quota, limits, uid, amount, ret, ret_detail);
    if (r != OUTCOME_QUOTA_EXCEEDED || !ret_detail->is_total || !may_look_at_others(core))
        return r;
    look(core, uid, true);
    return quota_charge(&core->quota, limits, uid, amount, ret, ret_detail);
}
