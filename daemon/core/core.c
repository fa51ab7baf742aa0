#include "daemon/core/core.h"

#include <errno.h>
#include <stdlib.h>

#include "daemon/core/anchor.h"
#include "daemon/core/expiry.h"
#include "daemon/core/hold.h"
#include "daemon/core/reconcile.h"
#include "daemon/core/removal.h"

void core_init(struct core *core, const struct core_seams *on, const struct core_settings *settings,
               const struct machine *machine, int32_t own_pid, uint32_t own_gid)
{
    *core = (struct core){.on = *on,
                          .settings = *settings,
                          .machine = machine,
                          .own_pid = own_pid,
                          .own_gid = own_gid};
    registry_init(&core->registry, machine->secret);
    quota_init(&core->quota);
    holders_init(&core->holders, on->processes, on->watcher);
    deadlines_init(&core->deadlines);
    event_log_init(&core->events, 0);
}

void core_deinit(struct core *core)
{
    struct segment *segment;
    for (struct registry_walk walk = {0}; (segment = registry_step(&core->registry, &walk));) {
        anchor_drop(core, segment);
        while (segment->ties)
            tie_drop(&core->holders, segment->ties);
        quota_release(&core->quota, &segment->charge);
        segment->is_dirty = false;
        turn_forget(segment);
    }
    turn_bury(core);
    turn_deinit(&core->turn);
    event_log_deinit(&core->events);
    deadlines_deinit(&core->deadlines);
    registry_deinit(&core->registry);
    holders_deinit(&core->holders);
    quota_deinit(&core->quota);
}

void core_configure(struct core *core, const struct core_settings *settings)
{
    core->settings = *settings;
    deadlines_clear(&core->deadlines, &core->sweep);
    core_watch_segments(core);
}

static void sweep_is_due(struct deadline *deadline, void *context)
{
    struct core *core = context;
    struct sweep_result result;
    (void)deadline;
    reconcile_rmid_forced(core);
    reconcile_sweep(core, &result);
    core_watch_segments(core);
}

void core_watch_segments(struct core *core)
{
    if (core->sweep.place || core->registry.count == 0)
        return;
    int r = deadlines_set(&core->deadlines, &core->sweep,
                          core_boottime_ms(core) + core->settings.reconcile_ms, sweep_is_due);
    (void)r; /* out of memory: the next segment sets it */
}

void core_tick(struct core *core)
{
    deadlines_run(&core->deadlines, core_boottime_ms(core), core);
}

int64_t core_next_tick(const struct core *core)
{
    return deadlines_next(&core->deadlines);
}

/* What an end of a tie's party means for its segment; the tie is gone already. */
static void party_left(struct core *core, struct segment *segment, enum tie_role role)
{
    int r = 0;
    if (role == TIE_ATTACHER)
        anchor_release(core, segment);
    else
        r = removal_if_abandoned(core, segment);
    (void)r; /* the kernel would not: the segment stays, held by nobody, and is listed so */
    if (segment->state != STATE_REMOVED)
        turn_changed(core, segment);
}

void core_party_gone(struct core *core, struct party *party)
{
    party->is_going = true;
    while (party->ties) {
        struct tie *tie = party->ties;
        struct segment *segment = tie->segment;
        enum tie_role role = tie->role;
        bool counted = tie->state != TIE_CUT;
        tie_drop(&core->holders, tie);
        if (counted)
            party_left(core, segment, role);
    }
    party->is_going = false;
    if (party->is_connection)
        party_free_connection(party);
    else
        party_put(&core->holders, party);
}

/* --- the start */

struct loading {
    struct core *core;
    struct store_daemon *formers;
    size_t n_formers;
};

static int load_daemon(void *context, const struct store_daemon *daemon)
{
    struct loading *l = context;
    struct store_daemon *more = reallocarray(l->formers, l->n_formers + 1, sizeof(*more));
    if (!more)
        return -ENOMEM;
    l->formers = more;
    l->formers[l->n_formers++] = *daemon;
    return 0;
}

/* The process that was recorded, if it still lives: 0, -ESRCH, or another negative errno. */
static int find_process(struct core *core, const struct stored_tie *stored, struct party **ret)
{
    const struct processes *p = &core->on.processes;
    struct process_identity now;
    int pidfd;
    int r = p->ops->open(p->context, stored->identity.pid, &pidfd);
    if (r < 0)
        return r;
    r = p->ops->identify(p->context, pidfd, stored->identity.pid, &now);
    if (r == 0 && !process_is_same(&stored->identity, &now))
        r = -ESRCH;
    if (r < 0) {
        p->ops->close(p->context, pidfd);
        return r;
    }
    return holders_process(&core->holders, &now, pidfd, stored->uid, stored->comm, ret);
}

static int load_tie(struct core *core, struct segment *segment, const struct stored_tie *stored)
{
    struct party *party;
    if (stored->role == TIE_ATTACHER)
        return 0; /* the anchor went with the former daemon */
    int r = find_process(core, stored, &party);
    if (r == -ESRCH)
        return 0; /* it has died: what that means is seen when all is loaded */
    if (r < 0)
        return r;
    if (tie_make(segment, party, stored->role, stored->since_at_ms))
        return 0;
    party_put(&core->holders, party);
    return -ENOMEM;
}

static int load_segment(void *context, struct segment *segment, const struct stored_tie *ties,
                        size_t n_ties)
{
    struct loading *l = context;
    struct core *core = l->core;
    static const struct limits none; /* what is there counts, but nothing is refused any more */
    const uint64_t amount[QUOTA_KINDS] = {[QUOTA_SEGMENTS] = 1, [QUOTA_BYTES] = segment->size};
    struct outcome_detail detail;
    /* Until it is looked at in the kernel: should it be gone, its creator is to be told. */
    segment->seen.uid = segment->creator.uid;
    segment->seen.gid = segment->creator.gid;
    segment->seen.mode = 0600;
    int r = registry_add(&core->registry, segment);
    if (r < 0) {
        segment_free(segment);
        return r;
    }
    r = quota_charge(&core->quota, &none, segment->creator.uid, amount, &segment->charge, &detail);
    if (r == 0 && segment->expires_at_ms)
        r = expiry_set(core, segment, segment->expires_at_ms);
    for (size_t i = n_ties; r == 0 && i-- > 0;) /* each comes before those that were made earlier */
        r = load_tie(core, segment, &ties[i]);
    return r > 0 ? -EOVERFLOW : r;
}

/* Whoever kept these has died, or closed, while no daemon was there to see. */
static uint64_t remove_abandoned(struct core *core)
{
    uint64_t removed = 0;
    struct segment *segment;
    for (struct registry_walk walk = {0}; (segment = registry_step(&core->registry, &walk));)
        removed += removal_if_abandoned(core, segment) == 0;
    return removed;
}

void core_reconcile(struct core *core, struct core_start *ret)
{
    *ret = (struct core_start){0};
    struct sweep_result sweep;
    reconcile_rmid_forced(core);
    reconcile_sweep(core, &sweep);
    ret->kept = sweep.match;
    ret->gone = sweep.gone;
    ret->recycled = sweep.recycled;
    ret->dying = sweep.dying;
    ret->indeterminate = sweep.indeterminate;
}

int core_start(struct core *core, struct core_start *ret)
{
    const struct store *store = &core->on.store;
    struct loading loading = {.core = core};
    const struct store_visitor visitor = {load_segment, load_daemon, &loading};
    const char *ignored;
    int store_error = 0;
    *ret = (struct core_start){0};
    core->self =
        (struct store_daemon){core->own_pid, core->on.clock.ops->kernel_s(core->on.clock.context)};
    int r = store->ops->load(store->context, &visitor, &core->meta);
    if (r == 0) {
        event_log_init(&core->events, core->meta.event_serial);
        if (core->meta.last_serial > core->registry.last_serial)
            core->registry.last_serial = core->meta.last_serial;
        /* A disk that is full now may have room later: what is there is shown meanwhile. */
        store_error = turn_enter(core, &ignored);
    }
    if (r == 0) {
        core_reconcile(core, ret);
        ret->store_error = store_error;
        ret->dead = remove_abandoned(core);
        ret->unacknowledged = reconcile_unacknowledged(core, loading.formers, loading.n_formers);
        core_watch_segments(core);
        core->is_started = true;
    }
    free(loading.formers);
    return r;
}
