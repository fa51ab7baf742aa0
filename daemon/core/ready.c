/* SPDX-License-Identifier: MIT */
#include "daemon/core/ready.h"

#include "daemon/core/find.h"
#include "daemon/core/removal.h"

/* The segment that has the name which S is to take, and that S's owner may remove: RET's segment is
 * NULL when nobody has the name. 0, OUTCOME_PERMISSION_DENIED or a negative errno. */
static int find_replaced(struct core *core, const struct found *found, struct found *ret,
                         struct outcome_detail *detail)
{
    const struct access *a = &core->settings.access;
    const struct segment *s = found->segment;
    /* Anybody may make the daemon the owner; that gives nobody the daemon's rights. */
    const bool is_daemons = found->kernel.uid == a->own_uid;
    const struct caller owner = {.uid = is_daemons ? s->creator.uid : found->kernel.uid,
                                 .gid = is_daemons ? s->creator.gid : found->kernel.gid};
    ret->segment = NULL;
    int r = find_name(core, s->other_name, ret);
    if (r < 0)
        return r;
    if (r > 0) {
        ret->segment = NULL;
        return 0;
    }
    if (access_may_change(a, &owner, ret->segment, &ret->kernel))
        return removal_check(core, ret, detail);
    return outcome_denied(
        detail, "owner, creator or admin",
        "the segment that has the name now may not be removed by the owner of the "
        "one that is to replace it");
}

int core_ready(struct core *core, struct found *found, struct outcome_detail *detail)
{
    struct segment *segment = found->segment;
    struct found old = {0};
    struct segment old_next;
    int r = 0;
    if (segment->state == STATE_REMOVING)
        return outcome_being_removed(detail, NULL); /* whoever has filled it hears that in time */
    if (segment->state != STATE_INITIALISING)
        return 0;
    if (segment->replaces) {
        r = find_replaced(core, found, &old, detail);
        if (r == 0)
            r = registry_reserve_name(&core->registry);
        if (r == 0)
            r = ledger_reserve_two(core, segment, old.segment);
        if (r != 0)
            return r;
    }
    struct segment next = *segment;
    next.state = STATE_READY;
    if (next.replaces) {
        next.name = next.other_name;
        next.other_name = NULL;
        next.replaces = 0;
    }
    struct ledger_change change = {.record = &next, .dropped_roles = 1U << TIE_INITIALISER};
    if (old.segment) {
        old_next = removal_record(old.segment);
        change.also = &old_next;
        change.also_dropped_roles = TIES_ALL;
    }
    r = ledger_write(core, segment, &change, detail);
    if (r != 0)
        return r;
    if (old.segment)
        removal_do_recorded(core, &old, REASON_REPLACED);
    segment->state = STATE_READY;
    if (segment->replaces) {
        registry_rename(&core->registry, segment, steal_pointer(&segment->other_name));
        segment->replaces = 0;
    }
    ties_free(&core->parties, segment, 1U << TIE_INITIALISER);
    news_add(core, segment, &found->kernel, EVENT_READY, REASON_REQUEST);
    return 0;
}
