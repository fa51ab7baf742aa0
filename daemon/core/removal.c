#include "daemon/core/removal.h"

#include <errno.h>

#include "daemon/core/anchor.h"
#include "daemon/core/expiry.h"
#include "daemon/core/lookup.h"

static void cut_loose(struct core *core, struct segment *segment)
{
    anchor_drop(core, segment);
    deadlines_clear(&core->deadlines, &segment->expiry);
    segment->expires_at_ms = 0;
    while (segment->ties)
        tie_drop(&core->holders, segment->ties);
}

/* The record of a segment that is no more. */
static void bury(struct core *core, struct segment *segment)
{
    cut_loose(core, segment);
    quota_release(&core->quota, &segment->charge);
    turn_gone(core, registry_take(&core->registry, segment));
}

/* What was seen last of a segment that cannot be looked at any more. */
static struct sysv_stat last_seen(const struct segment *segment)
{
    return (struct sysv_stat){
        .shmid = segment->shmid,
        .key = segment->key,
        .size = segment->size,
        .uid = segment->seen.uid,
        .gid = segment->seen.gid,
        .mode = segment->seen.mode,
        .cuid = segment->cuid,
        .cgid = segment->seen.gid,
        .cpid = segment->cpid,
    };
}

enum reason removal_reason_of_gone(const struct segment *segment)
{
    return segment->lifetime == LIFETIME_ATTACHED ? REASON_LAST_DETACH : REASON_OUT_OF_BAND;
}

/*
 * Who waits for a segment waits for its initialiser, and is told of its end however that shows: a
 * connection's close, or the kernel's own freeing at the last detach, is seen before the process's
 * exit. Ends that have nothing to do with it keep their reason; so does what a request ends, for a
 * holder that lets go is counted until it is done, and one that has gone is not.
 */
static enum reason reason_to_tell(const struct segment *segment, enum reason reason)
{
    bool ends_lifetime = reason == REASON_LAST_DETACH ||
                         (segment->n_holders == 0 && (reason == REASON_LAST_HOLDER_EXITED ||
                                                      reason == REASON_CONNECTION_CLOSED));
    bool initialiser_left = !tie_find(segment, NULL, TIE_INITIALISER);
    return segment->state == STATE_INITIALISING && (ends_lifetime || initialiser_left)
               ? REASON_INITIALISER_DIED
               : reason;
}

void removal_noticed(struct core *core, struct segment *segment, enum reason reason)
{
    struct sysv_stat kernel = last_seen(segment);
    bool told = segment->state == STATE_REMOVING;
    reason = reason_to_tell(segment, reason);
    segment->state = STATE_REMOVED;
    if (!told)
        turn_tell(core, segment, &kernel, EVENT_REMOVED, reason);
    bury(core, segment);
}

/* Marked for destruction and still attached: the name is free, the record stays until it is gone.
 */
static void mark(struct core *core, struct segment *segment, const struct sysv_stat *kernel,
                 enum reason reason)
{
    segment->state = STATE_REMOVING;
    turn_tell(core, segment, kernel, EVENT_REMOVED, reason);
    registry_anonymise(&core->registry, segment);
    turn_changed(core, segment);
}

static void begin(struct core *core, struct segment *segment, const struct sysv_stat *kernel,
                  enum reason reason)
{
    reason = reason_to_tell(segment, reason);
    cut_loose(core, segment);
    mark(core, segment, kernel, reason);
}

/* An `attached` one is marked all its life: that it is being removed is in the record alone, and as
 * any change of a record it may have to be taken back. */
static int begin_by_record(struct core *core, struct segment *segment,
                           const struct sysv_stat *kernel, enum reason reason)
{
    int r = turn_remember(core, segment, kernel);
    if (r < 0)
        return r;
    turn_removed(segment);
    for (struct tie *tie = segment->ties, *next; tie; tie = next) {
        next = tie->next_of_segment;
        turn_cut(core, tie);
    }
    r = expiry_set(core, segment, 0);
    if (r < 0)
        return r;
    mark(core, segment, kernel, reason);
    return 0;
}

void removal_begun_elsewhere(struct core *core, struct found *found)
{
    const struct sysv *sysv = &core->on.sysv;
    struct segment *segment = found->segment;
    if (segment->anchor) {
        anchor_drop(core, segment);
        if (sysv->ops->stat(sysv->context, segment->shmid, &found->kernel) == -ENOENT) {
            removal_noticed(core, segment, REASON_OUT_OF_BAND);
            return;
        }
    }
    begin(core, segment, &found->kernel, REASON_OUT_OF_BAND);
}

int removal_do(struct core *core, struct found *found, enum reason reason)
{
    const struct sysv *sysv = &core->on.sysv;
    struct segment *segment = found->segment;
    const bool was_marked = found->kernel.destroyed;
    int r = 0;
    if (segment->state == STATE_REMOVING)
        return 0;
    /* An `attached` one has been marked since it was made: only the anchor may still hold it. */
    anchor_drop(core, segment);
    if (!was_marked)
        r = sysv->ops->remove(sysv->context, segment->shmid);
    if (r < 0 && r != -ENOENT)
        return r;
    struct sysv_stat now;
    if (sysv->ops->stat(sysv->context, segment->shmid, &now) == 0 && now.nattch > 0) {
        found->kernel = now;
        if (was_marked && reason == REASON_REQUEST)
            return begin_by_record(core, segment, &now, reason);
        begin(core, segment, &now, reason);
        return 0;
    }
    found->kernel.nattch = 0;
    reason = reason_to_tell(segment, reason);
    segment->state = STATE_REMOVED;
    turn_tell(core, segment, &found->kernel, EVENT_REMOVED, reason);
    bury(core, segment);
    return 0;
}

int removal_of_fact(struct core *core, struct segment *segment, enum reason reason)
{
    struct found found = {.segment = segment};
    int r = lookup_verify(core, segment, &found.kernel);
    if (r == OUTCOME_NO_SUCH_SEGMENT || r == OUTCOME_STALE_SEGMENT)
        return 0; /* the record is gone with that */
    return r < 0 ? r : removal_do(core, &found, reason);
}

int removal_if_abandoned(struct core *core, struct segment *segment)
{
    if (segment->state == STATE_REMOVING)
        return 1;
    if (segment->state == STATE_INITIALISING && !tie_find(segment, NULL, TIE_INITIALISER))
        return removal_of_fact(core, segment, REASON_INITIALISER_DIED);
    if (segment->n_holders > 0)
        return 1;
    if (segment->lifetime == LIFETIME_PROCESS)
        return removal_of_fact(core, segment, REASON_LAST_HOLDER_EXITED);
    if (segment->lifetime == LIFETIME_CONNECTION)
        return removal_of_fact(core, segment, REASON_CONNECTION_CLOSED);
    return 1;
}

int core_remove(struct core *core, const struct remove_params *params, struct found *found,
                struct outcome_detail *detail)
{
    struct segment *segment = found->segment;
    uint64_t nattch = found->kernel.nattch - (segment->anchor ? 1 : 0);
    if (params->only_if_unattached.value && nattch > 0) {
        *detail = (struct outcome_detail){.nattch = nattch};
        return OUTCOME_SEGMENT_BUSY;
    }
    int r = turn_reserve(core);
    if (r < 0)
        return r;
    r = removal_do(core, found, REASON_REQUEST);
    if (r == -EPERM || r == -EACCES)
        return outcome_denied(
            detail, "the daemon as owner",
            "the segment's creator has taken it back: hand it over again, or use ipcrm");
    return r;
}
