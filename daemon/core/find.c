/* SPDX-License-Identifier: MIT */
#include "daemon/core/find.h"

#include <assert.h>
#include <errno.h>

#include "daemon/core/anchor.h"
#include "daemon/core/lookup.h"
#include "daemon/core/removal.h"

/* SEGMENT gets the kernel's number of its creator in this pid namespace, unless it has it: 0 for
 * one outside of it. */
static void number_if_unnumbered(struct core *core, struct segment *segment,
                                 const struct sysv_stat *kernel)
{
    if (!segment->is_unnumbered)
        return;
    segment->is_unnumbered = false;
    segment->cpid = kernel->cpid;
    ledger_note_changed(core, segment);
}

/* The record has its segment: RET is that, once what the look has shown is done. */
static int heed_match(struct core *core, struct segment *segment, struct found *ret)
{
    segment->seen.uid = ret->kernel.uid;
    segment->seen.gid = ret->kernel.gid;
    segment->seen.mode = ret->kernel.mode;
    if (!removal_release_if_attached(core, segment, &ret->kernel))
        return 0;
    if (segment->state == STATE_REMOVED)
        return OUTCOME_NO_SUCH_SEGMENT;
    ret->kernel.nattch--; /* the anchor */
    return 0;
}

/* Does what LOOKED has shown. 0 with RET, an outcome or a negative errno. */
static int heed(struct core *core, const struct looked_up *looked, struct found *ret)
{
    struct segment *segment = looked->segment;
    struct found found = {segment, looked->sight.kernel};
    int r = 0;
    work_add_records(&core->work, 1);
    switch (looked->sight.verdict) {
    case VERDICT_MATCH:
        if (segment) {
            number_if_unnumbered(core, segment, &found.kernel);
            r = heed_match(core, segment, &found);
        }
        break;
    case VERDICT_DYING:
        number_if_unnumbered(core, segment, &found.kernel);
        /* Another process has done IPC_RMID. Perhaps only our anchor keeps it. */
        removal_follow(core, &found, REASON_OUT_OF_BAND);
        r = segment->state == STATE_REMOVED ? OUTCOME_NO_SUCH_SEGMENT : 0;
        break;
    case VERDICT_GONE:
        if (segment)
            removal_noticed(core, segment, removal_reason_of_gone(segment));
        return OUTCOME_NO_SUCH_SEGMENT;
    case VERDICT_RECYCLED:
        removal_noticed(core, segment, REASON_RECYCLED);
        return OUTCOME_STALE_SEGMENT;
    case VERDICT_INDETERMINATE: return looked->sight.error;
    }
    if (r == 0)
        *ret = found;
    return r;
}

int find_again(struct core *core, struct segment *segment, struct sysv_stat *ret)
{
    const struct looked_up looked = lookup_record(core, segment);
    struct found found;
    int r = heed(core, &looked, &found);
    if (r == 0)
        *ret = found.kernel;
    return r;
}

/* A segment that turns out to be removed already has no name and no key any more. */
static int heed_named(struct core *core, const struct looked_up *looked, struct found *ret)
{
    int r = heed(core, looked, ret);
    return r == 0 && ret->segment && ret->segment->state == STATE_REMOVING ? OUTCOME_NO_SUCH_SEGMENT
                                                                           : r;
}

int find_name(struct core *core, const char *name, struct found *ret)
{
    const struct looked_up looked = lookup_name(core, name);
    return heed_named(core, &looked, ret);
}

int find_key(struct core *core, uint32_t key, struct found *ret)
{
    const struct looked_up looked = lookup_key(core, key);
    return heed_named(core, &looked, ret);
}

/* Only the serial of TARGET and its other member together denote the segment. */
static int check_serial(struct core *core, const struct target *target, int r,
                        const struct found *found, struct outcome_detail *detail)
{
    uint64_t serial = (uint64_t)target->serial.value;
    if (!target->serial.given || r < 0)
        return r;
    if (r == 0 ? found->segment && found->segment->serial == serial
               : !registry_by_serial(&core->registry, serial))
        return r;
    *detail = (struct outcome_detail){.serial = serial};
    return OUTCOME_STALE_SEGMENT;
}

int find_target(struct core *core, const struct target *target, struct found *ret,
                struct outcome_detail *detail)
{
    const bool by_name = target->name,
               by_key = !by_name && !target->shmid.given && target->key.given;
    struct looked_up looked = lookup_target(core, target);
    struct found found = {0};
    int r = by_name ? heed_named(core, &looked, &found) : heed(core, &looked, &found);
    if (by_key && looked.segment && r >= 0) {
        bool has_lost_key = r > 0 || looked.segment->state == STATE_REMOVING;
        /* A record that has ended may have hidden another segment with that key. */
        if (has_lost_key) {
            looked = lookup_target(core, target);
            r = heed(core, &looked, &found);
        }
    }
    *detail = (struct outcome_detail){0};
    if (r == OUTCOME_STALE_SEGMENT) {
        assert(looked.segment); /* only a record can turn out to be stale */
        detail->serial = looked.segment->serial;
    } else
        r = check_serial(core, target, r, &found, detail);
    if (r == 0)
        *ret = found;
    return r;
}

#define NOT_OWNED "you created the segment but do not own it, and its mode shuts you out: set "

/* What would let CALLER read the segment, which he may change. The creator of record need not be
 * the owner: then the owner's bits do not help him. */
static const char *how_to_read(const struct core *core, const struct caller *caller,
                               const struct found *found)
{
    /* The daemon remains the owner of what is adopted, unless it is root. */
    bool may_own = !found->segment->adopted || core->settings.access.own_uid == 0;
    switch (access_read_bit(caller, &found->kernel)) {
    case 0400:
        return "the segment is yours, but its mode shuts you out: set another mode (\"0600\")";
    case 0040:
        return may_own ? NOT_OWNED "your uid as its owner's, or a mode by which its group may read "
                                   "it (\"0640\")"
                       : NOT_OWNED "a mode by which its group may read it (\"0640\")";
    default:
        return may_own ? NOT_OWNED "your uid as its owner's, or a mode by which everybody may read "
                                   "it (\"0644\")"
                       : NOT_OWNED "a mode by which everybody may read it (\"0644\")";
    }
}

int find_unreadable(const struct core *core, const struct caller *caller, const struct found *found,
                    struct outcome_detail *detail)
{
    bool is_shut_out =
        access_may_change(&core->settings.access, caller, found->segment, &found->kernel);
    return outcome_denied(detail, "read", is_shut_out ? how_to_read(core, caller, found) : NULL);
}

int find_exists(const struct core *core, const struct caller *caller, const struct found *found,
                const char *hint, struct outcome_detail *detail)
{
    *detail = (struct outcome_detail){.hint = hint};
    if (access_may_read(&core->settings.access, caller, &found->kernel)) {
        detail->serial = found->segment->serial;
        detail->shmid = found->segment->shmid;
    }
    return OUTCOME_SEGMENT_EXISTS;
}
