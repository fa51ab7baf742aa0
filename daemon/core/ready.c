/* SPDX-License-Identifier: MIT */
#include "daemon/core/ready.h"

#include "daemon/core/find.h"
#include "daemon/core/new_name.h"
#include "daemon/core/removal.h"

/* Whether the segment of NEW may take the name of OLD's. Who owns a segment in the kernel can make
 * anybody its owner, root too, and give it any group. That gives nobody another one's rights, so
 * its creator must have them as well. Which groups the owner is in is not known. */
static bool may_take_name(const struct access *a, const struct found *new, const struct found *old)
{
    const struct stored_creator *by = &new->segment->creator;
    const struct caller creator = {.uid = by->uid, .gid = by->gid};
    const struct caller owner = {.uid = new->kernel.uid, .gid = UINT32_MAX};
    if (!by->was_admin && !access_may_change(a, &creator, old->segment, &old->kernel))
        return false;
    return owner.uid == by->uid || owner.uid == a->own_uid ||
           access_may_change(a, &owner, old->segment, &old->kernel);
}

/* Whether S may take the name that nobody has: since it was begun, the name may have become that of
 * a declared segment. */
static int check_free(const struct core *core, const struct segment *s,
                      struct outcome_detail *detail)
{
    const struct stored_creator *by = &s->creator;
    const struct caller creator = {.uid = by->uid, .gid = by->gid};
    return by->was_admin ? 0 : new_name_check_declared(core, &creator, s->other_name, 0, detail);
}

/* The segment that has the name which S is to take, and that S's owner and creator may remove:
 * RET's segment is NULL when nobody has the name. 0, OUTCOME_PERMISSION_DENIED or a negative errno.
 */
static int find_replaced(struct core *core, const struct found *found, struct found *ret,
                         struct outcome_detail *detail)
{
    ret->segment = NULL;
    int r = find_name(core, found->segment->other_name, ret);
    if (r < 0)
        return r;
    if (r > 0) {
        ret->segment = NULL;
        return check_free(core, found->segment, detail);
    }
    if (may_take_name(&core->settings.access, found, ret))
        return removal_check(core, ret, detail);
    return outcome_denied(
        detail, "owner, creator or admin",
        "the segment that has the name now may not be removed by the owner and the creator of the "
        "one that is to replace it");
}

int core_ready(struct core *core, const struct caller *caller, struct found *found,
               struct outcome_detail *detail)
{
    struct segment *segment = found->segment;
    struct found old = {0};
    struct segment old_next;
    int r = 0;
    if (segment->state == STATE_REMOVING)
        return outcome_being_removed(detail, NULL); /* its initialiser must learn it */
    if (segment->state != STATE_INITIALISING)
        return 0;
    if (segment->replaces) {
        r = new_name_check_prefix(core, caller, segment->other_name, detail);
        if (r == 0)
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
