/* SPDX-License-Identifier: MIT */
#include "daemon/core/removal.h"

#include <errno.h>

#include "daemon/core/anchor.h"
#include "daemon/core/declaration.h"
#include "daemon/core/kernel.h"
#include "daemon/core/segment_charge.h"

/* Lets go of all that keeps SEGMENT, or waits for its end. */
static void cut_loose(struct core *core, struct segment *segment)
{
    anchor_drop(core, segment);
    deadlines_clear(&core->deadlines, &segment->expiry);
    segment->expires_at_ms = 0;
    segment->idle_ttl_ms = 0;
    if (segment->replaces) {
        segment->replaces = 0;
        free(steal_pointer(&segment->other_name));
    }
    ties_free(&core->parties, segment, TIES_ALL);
}

void removal_discard(struct core *core, struct segment *segment)
{
    cut_loose(core, segment);
    segment_uncharge(&core->quota, segment);
    segment_free(segment);
}

/* Takes the record of a segment that is no more out of the registry. The answer to the request may
 * still borrow from it. */
static void bury(struct core *core, struct segment *segment)
{
    cut_loose(core, segment);
    segment_uncharge(&core->quota, segment);
    ledger_note_gone(core, segment);
    registry_take(&core->registry, segment);
    SLIST_INSERT_HEAD(&core->dead, segment, of_dead);
}

void removal_bury_dead(struct core *core)
{
    while (!SLIST_EMPTY(&core->dead)) {
        struct segment *segment = SLIST_FIRST(&core->dead);
        SLIST_REMOVE_HEAD(&core->dead, of_dead);
        if (segment->is_unnoted)
            ledger_keep_unnoted(core, segment);
        else
            segment_free(segment);
    }
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
 * A `wait` for a segment waits for its initialiser, and must hear of the initialiser's end however
 * that end shows first: by the close of its connection, or by the last detach, before its exit is
 * seen. Reasons that have nothing to do with the initialiser stay as they are. So does the reason
 * of a removal by request, for a holder that releases the segment counts until that is done.
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

/* The segment is gone; KERNEL is what was seen of it last. */
static void end(struct core *core, struct segment *segment, const struct sysv_stat *kernel,
                enum reason reason)
{
    bool is_told = segment->state == STATE_REMOVING;
    reason = reason_to_tell(segment, reason);
    segment->state = STATE_REMOVED;
    if (!is_told)
        news_add(core, segment, kernel, EVENT_REMOVED, reason);
    bury(core, segment);
}

void removal_noticed(struct core *core, struct segment *segment, enum reason reason)
{
    const struct sysv_stat kernel = last_seen(segment);
    end(core, segment, &kernel, reason);
}

/* Whoever a file made the owner of a declared segment pays for what is left of it. */
static void pass_on(struct core *core, struct segment *segment)
{
    uint32_t uid;
    if (declaration_heir(&core->declarations, segment, core->settings.access.own_uid, &uid))
        (void)!segment_charge_give(&core->quota, segment, uid); /* no memory: the daemon pays */
}

/* Marked for destruction and still attached: the name is free, and the record stays until the
 * segment is gone. */
static void begin(struct core *core, struct segment *segment, const struct sysv_stat *kernel,
                  enum reason reason)
{
    if (segment->state == STATE_REMOVING)
        return;
    reason = reason_to_tell(segment, reason);
    struct tie *tie;
    LIST_FOREACH (tie, &segment->ties, of_segment)
        ledger_note_untied(core, tie);
    cut_loose(core, segment);
    pass_on(core, segment);
    segment->state = STATE_REMOVING;
    news_add(core, segment, kernel, EVENT_REMOVED, reason);
    registry_anonymise(&core->registry, segment);
    ledger_note_changed(core, segment);
}

/* Gives the anchor up. KERNEL of FOUND, which counts it, does so no more. */
static void give_up_anchor(struct core *core, struct found *found)
{
    if (found->segment->anchor && found->kernel.nattch > 0)
        found->kernel.nattch--;
    anchor_drop(core, found->segment);
}

void removal_follow(struct core *core, struct found *found, enum reason reason)
{
    struct segment *segment = found->segment;
    give_up_anchor(core, found);
    const struct sight now = kernel_look(core, segment);
    if (now.verdict == VERDICT_MATCH || now.verdict == VERDICT_DYING)
        found->kernel = now.kernel;
    else if (now.verdict != VERDICT_INDETERMINATE)
        found->kernel.nattch = 0;
    else
        found->kernel.key = 0; /* it went with the mark for destruction */
    /* If we cannot tell, the record stays: the sweep finds out. */
    if (found->kernel.nattch > 0 || now.verdict == VERDICT_INDETERMINATE)
        begin(core, segment, &found->kernel, reason);
    else
        end(core, segment, &found->kernel, reason);
}

int removal_denied(struct outcome_detail *detail)
{
    return outcome_denied(
        detail, "the daemon as owner",
        "the segment's creator has taken it back: hand it over again, or use ipcrm");
}

int removal_check(const struct core *core, const struct found *found, struct outcome_detail *detail)
{
    if (found->kernel.destroyed || access_daemon_may_change(&core->settings.access, &found->kernel))
        return 0;
    return removal_denied(detail);
}

int removal_do(struct core *core, struct found *found, enum reason reason)
{
    const struct sysv *sysv = &core->on.sysv;
    struct segment *segment = found->segment;
    if (segment->state == STATE_REMOVING)
        return 0;
    /* An `attached` one was marked when it was made: only the anchor may still keep it. */
    int r = found->kernel.destroyed ? 0 : sysv->ops->remove(sysv->context, segment->shmid);
    if (r < 0 && r != -ENOENT)
        return r;
    removal_follow(core, found, reason);
    return 0;
}

struct segment removal_record(const struct segment *segment)
{
    struct segment next = *segment;
    next.state = STATE_REMOVING;
    next.expires_at_ms = 0;
    next.idle_ttl_ms = 0;
    next.replaces = 0;
    next.other_name = next.name;
    next.name = NULL;
    next.key = 0;
    return next;
}

void removal_do_recorded(struct core *core, struct found *found, enum reason reason)
{
    const struct sysv *sysv = &core->on.sysv;
    struct segment *segment = found->segment;
    int r = 0;
    if (!found->kernel.destroyed)
        r = sysv->ops->remove(sysv->context, segment->shmid);
    if (r == 0 || r == -ENOENT) {
        removal_follow(core, found, reason);
        return;
    }
    give_up_anchor(core, found);
    begin(core, segment, &found->kernel, reason);
}

void removal_finish(struct core *core, struct segment *segment, const struct sysv_stat *kernel)
{
    const struct sysv *sysv = &core->on.sysv;
    struct found found = {segment, *kernel};
    int r = sysv->ops->remove(sysv->context, segment->shmid);
    if (r == 0 || r == -ENOENT)
        removal_follow(core, &found, REASON_REQUEST);
}

void removal_let_go(struct core *core, struct segment *segment)
{
    cut_loose(core, segment);
    segment_uncharge(&core->quota, segment);
    registry_take(&core->registry, segment);
    segment->state = STATE_REMOVED;
    SLIST_INSERT_HEAD(&core->dead, segment, of_dead);
}

void removal_release_anchor(struct core *core, struct segment *segment)
{
    struct sysv_stat kernel;
    struct tie *tie;
    int r = anchor_let_go(core, segment, &kernel);
    LIST_FOREACH (tie, &segment->ties, of_segment)
        if (tie->role == TIE_ATTACHER)
            ledger_note_untied(core, tie);
    ties_free(&core->parties, segment, 1U << TIE_ATTACHER);
    if (r == -ENOENT)
        removal_noticed(core, segment, REASON_LAST_DETACH);
}

bool removal_release_if_attached(struct core *core, struct segment *segment,
                                 const struct sysv_stat *kernel)
{
    if (!segment->anchor || segment->lifetime != LIFETIME_ATTACHED)
        return false;
    /* A client may have attached and detached again since: the last pid shows that. */
    if (kernel->nattch <= 1 && (kernel->lpid == 0 || kernel->lpid == core->own_pid))
        return false;
    removal_release_anchor(core, segment);
    return true;
}
