#include "daemon/core/ends.h"

#include "daemon/core/find.h"
#include "daemon/core/removal.h"
#include "daemon/util/container_of.h"

enum { FIRST_LOOK_MS = 10, SLOWEST_LOOK_MS = 320 };

/* Looks at SEGMENT and removes it: 0 when it is gone or being removed. */
static int end_now(struct core *core, struct segment *segment, enum reason reason)
{
    struct found found = {.segment = segment};
    int r = find_again(core, segment, &found.kernel);
    if (r == OUTCOME_NO_SUCH_SEGMENT || r == OUTCOME_STALE_SEGMENT)
        return 0; /* the record is gone with that */
    return r < 0 ? r : removal_do(core, &found, reason);
}

int ends_if_abandoned(struct core *core, struct segment *segment)
{
    if (segment->state == STATE_REMOVING)
        return 1;
    if (segment->state == STATE_INITIALISING && !tie_find(segment, NULL, TIE_INITIALISER))
        return end_now(core, segment, REASON_INITIALISER_DIED);
    if (segment->n_holders > 0 || !lifetime_has_holders(segment->lifetime))
        return 1;
    return end_now(core, segment,
                   segment->lifetime == LIFETIME_PROCESS ? REASON_LAST_HOLDER_EXITED
                                                         : REASON_CONNECTION_CLOSED);
}

/* --- at a time */

static void expired(struct deadline *deadline, void *context)
{
    struct core *core = context;
    struct segment *segment = container_of(deadline, struct segment, expiry);
    if (end_now(core, segment, REASON_EXPIRED) == 0)
        return;
    /* The kernel refused: again with the next sweep. The segment's own time stays as it is. */
    int r = deadlines_set(&core->deadlines, &segment->expiry,
                          core_boottime_ms(core) + core->settings.reconcile_ms, expired);
    (void)r; /* there is room: it was set until now */
}

int ends_at(struct core *core, struct segment *segment, int64_t expires_at_ms)
{
    if (expires_at_ms == 0) {
        deadlines_clear(&core->deadlines, &segment->expiry);
    } else {
        int r = deadlines_set(&core->deadlines, &segment->expiry, expires_at_ms, expired);
        if (r < 0)
            return r;
    }
    segment->expires_at_ms = expires_at_ms;
    return 0;
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
    (void)r; /* the kernel refused: the segment stays without a holder, and is listed so */
}

void ends_with_party(struct core *core, struct party *party)
{
    party->is_ending = true;
    for (struct tie *tie; (tie = LIST_FIRST(&party->ties));) {
        struct segment *segment = tie->segment;
        enum tie_role role = tie->role;
        ledger_note_untied(core, tie);
        tie_free(&core->parties, tie);
        party_left(core, segment, role);
    }
    party_end(&core->parties, party);
}
