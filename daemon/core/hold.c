/* SPDX-License-Identifier: MIT */
#include "daemon/core/hold.h"

#include <errno.h>

#include "daemon/core/removal.h"

static bool can_be_held(const struct segment *segment)
{
    return segment->state != STATE_REMOVING && lifetime_has_holders(segment->lifetime);
}

/* Why a segment has no holders, and what to do instead of holding it or releasing it. */
struct advice {
    const char *of_persistent, *of_attached, *of_removing;
};

static const struct advice to_hold = {
    "a persistent segment has no holders and stays until somebody removes it: if it is to go with "
    "its last holder, set its lifetime to process or connection, and you are the first",
    "an attached segment has no holders and goes at the last detach: attach it, and it stays",
    "the segment is being removed and goes at the last detach: nobody can hold it any more",
};

static const struct advice to_release = {
    "there is nothing to release: a persistent segment has no holders and stays until somebody "
    "removes it",
    "there is nothing to release: an attached segment has no holders, and goes at the last detach",
    "there is nothing to release: the segment is being removed already, and goes at the last "
    "detach",
};

static int not_holdable(const struct segment *segment, const struct advice *advice,
                        struct outcome_detail *detail)
{
    const char *hint = advice->of_persistent;
    if (segment->state == STATE_REMOVING)
        hint = advice->of_removing;
    else if (segment->lifetime == LIFETIME_ATTACHED)
        hint = advice->of_attached;
    *detail = (struct outcome_detail){.what = lifetime_words[segment->lifetime], .hint = hint};
    return OUTCOME_NOT_HOLDABLE;
}

int core_holds(struct core *core, struct caller *caller, const struct segment *segment)
{
    struct tie *tie = NULL;
    if (!can_be_held(segment))
        return 0;
    int r = tie_of_caller(&core->parties, caller, segment, TIE_HOLDER, &tie);
    return r < 0 ? r : tie != NULL;
}

/* The tie itself, or that the segment has such ties as cannot be recorded. */
static int record_holder(struct core *core, struct segment *segment, const struct tie *tie,
                         struct outcome_detail *detail)
{
    struct segment next = *segment;
    struct ledger_change change = {.added = {tie}};
    next.has_unseen |= tie_is_unseen(tie);
    if (next.has_unseen != segment->has_unseen)
        change.record = &next;
    int r = ledger_write(core, segment, &change, detail);
    if (r == 0)
        segment->has_unseen = next.has_unseen;
    return r;
}

/* The last quarter of the places is for those who may change the segment: strangers who may read it
 * cannot keep its owner's own processes out. */
static uint64_t max_holders(const struct core *core, const struct caller *caller,
                            const struct found *found)
{
    uint64_t max = core->settings.limits.max_holders_per_segment;
    bool has_reserve =
        access_may_change(&core->settings.access, caller, found->segment, &found->kernel);
    return has_reserve ? max : max - max / 4;
}

int core_hold(struct core *core, struct caller *caller, struct found *found,
              struct outcome_detail *detail)
{
    struct segment *segment = found->segment;
    const uint64_t max = max_holders(core, caller, found);
    struct tie *tie = NULL;
    if (!can_be_held(segment))
        return not_holdable(segment, &to_hold, detail);
    int r = tie_new_of(&core->parties, caller, segment->lifetime, TIE_HOLDER,
                       core_realtime_ms(core), &tie, detail);
    if (r != 0)
        return r;
    if (tie_find(segment, tie->party, TIE_HOLDER)) {
        tie_free(&core->parties, tie);
        return 0;
    }
    if (segment->n_holders >= max) {
        *detail = (struct outcome_detail){
            .what = "max_holders_per_segment", .used = segment->n_holders, .max = max};
        r = OUTCOME_QUOTA_EXCEEDED;
    } else {
        r = record_holder(core, segment, tie, detail);
    }
    if (r != 0) {
        tie_free(&core->parties, tie);
        return r;
    }
    tie_bind(&core->parties, tie, segment);
    news_add(core, segment, &found->kernel, EVENT_CHANGED, REASON_REQUEST);
    return 0;
}

int core_hold_if_holdable(struct core *core, struct caller *caller, struct found *found,
                          struct outcome_detail *detail)
{
    return can_be_held(found->segment) ? core_hold(core, caller, found, detail) : 0;
}

/* The last holder releases the segment, which ends it; it holds on if the kernel refuses that. */
static int release_last(struct core *core, const struct tie *tie, struct found *found)
{
    int r = ledger_reserve(core, found->segment);
    return r < 0 ? r
                 : removal_do(core, found,
                              tie->party->is_connection ? REASON_CONNECTION_CLOSED
                                                        : REASON_LAST_HOLDER_EXITED);
}

int core_release(struct core *core, struct caller *caller, struct found *found,
                 struct outcome_detail *detail)
{
    struct segment *segment = found->segment;
    struct tie *tie = NULL;
    if (!can_be_held(segment))
        return not_holdable(segment, &to_release, detail);
    int r = tie_of_caller(&core->parties, caller, segment, TIE_HOLDER, &tie);
    if (r < 0 || !tie)
        return r;
    if (segment->n_holders == 1)
        return release_last(core, tie, found);
    r = ledger_write(core, segment, &(struct ledger_change){.dropped = tie}, detail);
    if (r != 0)
        return r;
    tie_free(&core->parties, tie);
    news_add(core, segment, &found->kernel, EVENT_CHANGED, REASON_REQUEST);
    return 0;
}
