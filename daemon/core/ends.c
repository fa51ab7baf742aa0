/* SPDX-License-Identifier: MIT */
#include "daemon/core/ends.h"

#include "daemon/core/find.h"
#include "daemon/core/removal.h"
#include "daemon/core/use.h"
#include "daemon/util/container_of.h"

enum {
    /* How often an `attached` segment is looked at until somebody has come. */
    FIRST_LOOK_MS = 10,
    SLOWEST_LOOK_MS = 320,
    /* How often one with idle_ttl_ms is, while it is attached. */
    SHORTEST_IDLE_LOOK_MS = 200,
    LONGEST_IDLE_LOOK_MS = 5000,
};

/* Looks at SEGMENT and removes it: 0 when it is gone or being removed. */
static int end_now(struct core *core, struct segment *segment, enum reason reason)
{
    struct found found = {.segment = segment};
    int r = find_again(core, segment, &found.kernel);
    if (r == OUTCOME_NO_SUCH_SEGMENT || r == OUTCOME_STALE_SEGMENT)
        return 0; /* the record is gone with that */
    return r < 0 ? r : removal_do(core, &found, reason);
}

/* Whether a process that a former daemon could not see may still use SEGMENT, on which no known
 * process depends: each process that has it attached may be that one. When the kernel does not tell
 * who has, the next sweep looks again. */
static bool may_be_in_use(struct core *core, struct segment *segment)
{
    struct sysv_stat kernel;
    if (!segment->is_left_behind)
        return false;
    int r = find_again(core, segment, &kernel);
    return r < 0 || (r == 0 && segment_attachments(segment, &kernel) > 0);
}

/* Why SEGMENT is abandoned; false when it is not. */
static bool is_abandoned(const struct segment *segment, enum reason *ret)
{
    if (segment->state == STATE_REMOVING)
        return false;
    if (segment->state == STATE_INITIALISING && !tie_find(segment, NULL, TIE_INITIALISER)) {
        *ret = REASON_INITIALISER_DIED;
        return true;
    }
    *ret = segment->lifetime == LIFETIME_PROCESS ? REASON_LAST_HOLDER_EXITED
                                                 : REASON_CONNECTION_CLOSED;
    return segment->n_holders == 0 && lifetime_has_holders(segment->lifetime);
}

int ends_if_abandoned(struct core *core, struct segment *segment)
{
    enum reason reason;
    if (!is_abandoned(segment, &reason) || may_be_in_use(core, segment))
        return 1;
    /* The look may have found that it is gone. */
    return segment->state == STATE_REMOVED ? 0 : end_now(core, segment, reason);
}

/* --- at a time */

static void time_is_over(struct deadline *deadline, void *context);

/* The next time to look at SEGMENT; 0: never. */
static int64_t next_look(const struct segment *segment, int64_t now)
{
    int64_t at = segment->expires_at_ms, idle = 0;
    if (segment->idle_ttl_ms > 0 && segment->seen.nattch > 0) {
        int64_t pause = segment->idle_ttl_ms / 8;
        pause = pause < SHORTEST_IDLE_LOOK_MS  ? SHORTEST_IDLE_LOOK_MS
                : pause > LONGEST_IDLE_LOOK_MS ? LONGEST_IDLE_LOOK_MS
                                               : pause;
        idle = now + pause;
    } else if (segment->idle_ttl_ms > 0) {
        idle = segment->idle_since_ms + segment->idle_ttl_ms;
    }
    return at == 0 || (idle != 0 && idle < at) ? idle : at;
}

int ends_in_time(struct core *core, struct segment *segment)
{
    int64_t at = next_look(segment, core_boottime_ms(core));
    if (at != 0)
        return deadlines_set(&core->deadlines, &segment->expiry, at, time_is_over);
    deadlines_clear(&core->deadlines, &segment->expiry);
    return 0;
}

/* Looks at SEGMENT once more: whether its time is over. */
static bool is_expired(struct core *core, struct segment *segment)
{
    int64_t now = core_boottime_ms(core);
    struct sysv_stat kernel;
    if (segment->expires_at_ms != 0 && segment->expires_at_ms <= now)
        return true;
    if (segment->idle_ttl_ms == 0 || segment->state == STATE_REMOVING)
        return false;
    if (find_again(core, segment, &kernel) != 0)
        return false; /* it is gone with that; or we cannot tell: the next look may */
    use_notice(core, segment, &kernel);
    return segment->seen.nattch == 0 && segment->idle_since_ms + segment->idle_ttl_ms <= now;
}

static void time_is_over(struct deadline *deadline, void *context)
{
    struct core *core = context;
    struct segment *segment = container_of(deadline, struct segment, expiry);
    bool is_over = is_expired(core, segment);
    if (is_over && end_now(core, segment, REASON_EXPIRED) == 0)
        return;
    if (segment->state == STATE_REMOVING || segment->state == STATE_REMOVED)
        return;
    /* When the kernel refused: again with the next sweep. The segment's own times stay. */
    int64_t now = core_boottime_ms(core), next = next_look(segment, now);
    if (is_over || next <= now)
        next = now + core->settings.reconcile_ms;
    int r = deadlines_set(&core->deadlines, &segment->expiry, next, time_is_over);
    (void)r; /* there is room: it was set until now */
}

int64_t ends_after(const struct core *core, int64_t ttl_ms)
{
    return ttl_ms == 0 ? 0 : core_boottime_ms(core) + ttl_ms;
}

/* --- when nobody has attached */

static void look_for_attacher(struct deadline *deadline, void *context)
{
    struct core *core = context;
    const struct sysv *sysv = &core->on.sysv;
    struct segment *segment = container_of(deadline, struct segment, anchor_check);
    struct sysv_stat kernel;
    if (sysv->ops->stat(sysv->context, segment->shmid, &kernel) == 0 &&
        removal_release_if_attached(core, segment, &kernel))
        return;
    int64_t now = core_boottime_ms(core);
    if (now >= segment->anchor_until_ms) {
        removal_release_anchor(core, segment);
        return;
    }
    /* Soon at first, for the creator is about to attach; then ever less often. */
    int64_t since = now - (segment->anchor_until_ms - core->settings.attach_timeout_ms);
    int64_t pause = since < FIRST_LOOK_MS     ? FIRST_LOOK_MS
                    : since > SLOWEST_LOOK_MS ? SLOWEST_LOOK_MS
                                              : since;
    int64_t next = now + pause < segment->anchor_until_ms ? now + pause : segment->anchor_until_ms;
    int r = deadlines_set(&core->deadlines, &segment->anchor_check, next, look_for_attacher);
    (void)r; /* there is room: it was set until now */
}

int ends_unless_attached(struct core *core, struct segment *segment)
{
    int64_t now = core_boottime_ms(core);
    segment->anchor_until_ms = now + core->settings.attach_timeout_ms;
    return deadlines_set(&core->deadlines, &segment->anchor_check, now + FIRST_LOOK_MS,
                         look_for_attacher);
}

/* --- with a process or a connection */

/* What the end of a tie's party means for its segment; the tie is gone already. */
static void party_left(struct core *core, struct segment *segment, enum tie_role role)
{
    int r = 0;
    if (role == TIE_ATTACHER)
        removal_release_anchor(core, segment);
    else
        r = ends_if_abandoned(core, segment);
    (void)r; /* the kernel refused: the next sweep tries again */
}

/* Ends one tie of PARTY. */
static void end_tie(struct core *core, struct party *party)
{
    struct tie *tie = LIST_FIRST(&party->ties);
    struct segment *segment = tie->segment;
    enum tie_role role = tie->role;
    ledger_note_untied(core, tie);
    tie_free(&core->parties, tie);
    party_left(core, segment, role);
}

static void free_first(struct core *core)
{
    struct party *party = STAILQ_FIRST(&core->ended);
    STAILQ_REMOVE_HEAD(&core->ended, of_ended);
    party_end(&core->parties, party);
}

void ends_note(struct core *core, struct party *party)
{
    if (!party->is_ending)
        STAILQ_INSERT_TAIL(&core->ended, party, of_ended);
    party->is_ending = true;
}

void ends_with_party(struct core *core, struct party *party)
{
    ends_note(core, party);
    ends_go_on(core);
}

bool ends_are_due(const struct core *core)
{
    return !STAILQ_EMPTY(&core->ended);
}

void ends_go_on(struct core *core)
{
    while (ends_are_due(core) && !work_share_is_over(&core->work)) {
        struct party *party = STAILQ_FIRST(&core->ended);
        if (LIST_EMPTY(&party->ties))
            free_first(core);
        else
            end_tie(core, party);
        work_look_at_clock(&core->work);
    }
}

void ends_deinit(struct core *core)
{
    while (ends_are_due(core))
        free_first(core);
}
