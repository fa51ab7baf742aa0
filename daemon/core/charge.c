#include "daemon/core/charge.h"

#include "daemon/core/lookup.h"

/* Who is refused over and over, a whole pipeline long, is not worth a look each time. */
enum { LOOKS_IN_A_TURN = 4 };
/* Those of all others may be very many, and whoever is refused by their sum can have few himself.
 */
enum { OTHERS_EVERY_MS = 1000 };

static bool may_look(struct turn *turn, uint32_t uid)
{
    if (turn->n_looks == LOOKS_IN_A_TURN || (turn->n_looks > 0 && turn->looked_for == uid))
        return false;
    turn->n_looks++;
    turn->looked_for = uid;
    return true;
}

static bool may_look_at_others(struct core *core)
{
    int64_t now = core_boottime_ms(core);
    if (now < core->turn.all_looked_at_from_ms)
        return false;
    core->turn.all_looked_at_from_ms = now + OTHERS_EVERY_MS;
    return true;
}

/* At all records that are charged to UID, or at all others. */
static void look(struct core *core, uint32_t uid, bool others)
{
    struct segment *segment;
    for (struct registry_walk walk = {0}; (segment = registry_step(&core->registry, &walk));) {
        struct sysv_stat kernel;
        if ((segment->creator.uid != uid) == others) {
            int r = lookup_verify(core, segment, &kernel);
            (void)r; /* what is gone was given back by it; anything else counts */
        }
    }
}

int charge_segment(struct core *core, uint32_t uid, uint64_t size, struct charge *ret,
                   struct outcome_detail *ret_detail)
{
    const uint64_t amount[QUOTA_KINDS] = {[QUOTA_SEGMENTS] = 1, [QUOTA_BYTES] = size};
    const struct limits *limits = &core->settings.limits;
    int r = quota_charge(&core->quota, limits, uid, amount, ret, ret_detail);
    if (r != OUTCOME_QUOTA_EXCEEDED || !may_look(&core->turn, uid))
        return r;
    look(core, uid, false);
    r = quota_charge(&core->quota, limits, uid, amount, ret, ret_detail);
    if (r != OUTCOME_QUOTA_EXCEEDED || !ret_detail->is_total || !may_look_at_others(core))
        return r;
    look(core, uid, true);
    return quota_charge(&core->quota, limits, uid, amount, ret, ret_detail);
}
