#include "daemon/core/core.h"

#include <errno.h>
#include <stdlib.h>

#include "daemon/core/anchor.h"
#include "daemon/core/ends.h"
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
    parties_init(&core->parties, on->processes, on->watcher);
    deadlines_init(&core->deadlines);
    event_log_init(&core->events, 0);
    news_init(&core->news);
}

void core_deinit(struct core *core)
{
    struct segment *segment;
    for (struct registry_walk walk = {0}; (segment = registry_step(&core->registry, &walk));)
        removal_discard(core, registry_take(&core->registry, segment));
    core_bury(core);
    news_deinit(&core->news);
    ledger_deinit(&core->ledger);
    event_log_deinit(&core->events);
    deadlines_deinit(&core->deadlines);
    registry_deinit(&core->registry);
    parties_deinit(&core->parties);
    quota_deinit(&core->quota);
}

void core_configure(struct core *core, const struct core_settings *settings)
{
    core->settings = *settings;
    deadlines_clear(&core->deadlines, &core->sweep);
    reconcile_watch(core);
}

void core_tick(struct core *core)
{
    deadlines_run(&core->deadlines, core_boottime_ms(core), core);
}

int64_t core_next_tick(const struct core *core)
{
    return deadlines_next(&core->deadlines);
}

void core_end_turn(struct core *core)
{
    core->looks.n = 0;
    ledger_catch_up(core);
}

bool core_turn_is_due(const struct core *core)
{
    return ledger_is_due(core) || core->news.count > 0 || !SLIST_EMPTY(&core->dead);
}

void core_bury(struct core *core)
{
    removal_bury_dead(core);
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
    return parties_of_process(&core->parties, &now, pidfd, stored->uid, stored->comm, ret);
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
    struct tie *tie = tie_new(party, stored->role, stored->since_at_ms);
    if (!tie) {
        party_put(&core->parties, party);
        return -ENOMEM;
    }
    tie_bind(tie, segment);
    return 0;
}

static int load_segment(void *context, struct segment *segment, const struct stored_tie *ties,
                        size_t n_ties)
{
    struct loading *l = context;
    struct core *core = l->core;
    static const struct limits none; /* what is there counts, and is not refused */
    const uint64_t amount[QUOTA_KINDS] = {[QUOTA_SEGMENTS] = 1, [QUOTA_BYTES] = segment->size};
    struct outcome_detail detail;
    /* Until it is looked at in the kernel. Should it be gone, its creator may hear of it. */
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
        r = ends_at(core, segment, segment->expires_at_ms);
    for (size_t i = n_ties; r == 0 && i-- > 0;) /* the newest comes first */
        r = load_tie(core, segment, &ties[i]);
    return r > 0 ? -EOVERFLOW : r;
}

/* Those whose life these depend on have ended while no daemon ran. */
static uint64_t remove_abandoned(struct core *core)
{
    uint64_t removed = 0;
    struct segment *segment;
    for (struct registry_walk walk = {0}; (segment = registry_step(&core->registry, &walk));)
        removed += ends_if_abandoned(core, segment) == 0;
    return removed;
}

void core_reconcile(struct core *core, struct core_start *ret)
{
    *ret = (struct core_start){0};
    struct sweep_result sweep;
    reconcile_sweep(core, &sweep);
    ret->kept = sweep.match;
    ret->gone = sweep.gone;
    ret->recycled = sweep.recycled;
    ret->dying = sweep.dying;
    ret->indeterminate = sweep.indeterminate;
}

int core_start(struct core *core, struct core_start *ret)
{
    struct loading loading = {.core = core};
    const struct store_visitor visitor = {load_segment, load_daemon, &loading};
    *ret = (struct core_start){0};
    core->ledger.self =
        (struct store_daemon){core->own_pid, core->on.clock.ops->kernel_s(core->on.clock.context)};
    int r = ledger_load(core, &visitor);
    if (r == 0) {
        /* A disk that is full now may have room later: meanwhile the daemon shows what there is. */
        int store_error = ledger_enter(core);
        core_reconcile(core, ret);
        ret->store_error = store_error;
        ret->dead = remove_abandoned(core);
        ret->unacknowledged = reconcile_unacknowledged(core, loading.formers, loading.n_formers);
        reconcile_watch(core);
        core->is_started = true;
    }
    free(loading.formers);
    return r;
}
