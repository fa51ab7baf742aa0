/* SPDX-License-Identifier: MIT */
#include "daemon/core/reconcile.h"

#include "daemon/core/anchor.h"
#include "daemon/core/ends.h"
#include "daemon/core/find.h"
#include "daemon/core/removal.h"
#include "daemon/core/segment_charge.h"
#include "daemon/core/use.h"
#include "daemon/core/view.h"

enum {
    RECORDS_AT_A_TIME = 16, /* between two looks at the clock */
    LISTENERS_MS = 200,
};

static void read_limits(struct core *core)
{
    const struct sysv *sysv = &core->on.sysv;
    struct sysv_limits limits;
    if (sysv->ops->limits(sysv->context, &limits) < 0)
        return;
    core->counted.kernel = limits;
    core->rmid_forced = limits.shm_rmid_forced;
}

static void sweep_one(struct core *core, struct segment *segment, struct sweep_result *result)
{
    struct sysv_stat kernel;
    bool was_removing = segment->state == STATE_REMOVING;
    int r = find_again(core, segment, &kernel);
    if (r == OUTCOME_NO_SUCH_SEGMENT)
        result->gone++;
    else if (r == OUTCOME_STALE_SEGMENT)
        result->recycled++;
    else if (r < 0)
        result->indeterminate++;
    else if (segment->state == STATE_REMOVING && !was_removing)
        result->dying++;
    else
        result->match++;
    core->sweep.has_unnumbered |= r < 0 && segment->is_unnumbered;
    if (r != 0)
        return;
    if (segment->state == STATE_REMOVING && !kernel.destroyed) {
        removal_finish(core, segment, &kernel);
        return;
    }
    segment_charge_follow_lock(&core->quota, segment, kernel.locked);
    use_notice(core, segment, &kernel);
    anchor_follow_lifetime(core, segment, &kernel);
    /* The kernel may have refused when the last holder left. When it refuses again, the next sweep
     * tries. */
    if (core->is_started)
        (void)!ends_if_abandoned(core, segment);
}

static void begin_sweep(struct core *core)
{
    struct sweep *sweep = &core->sweep;
    read_limits(core);
    deadlines_clear(&core->deadlines, &sweep->due);
    sweep->is_under_way = true;
    sweep->is_told = sweep->is_asked_for;
    sweep->is_asked_for = false;
    sweep->walk = (struct registry_walk){0};
    sweep->result = (struct sweep_result){0};
    sweep->next_index = 0;
    sweep->foreign = sweep->orphaned = 0;
    sweep->has_unnumbered = false;
}

static void end_sweep(struct core *core)
{
    core->sweep.is_under_way = false;
    core->sweep.n_done++;
    if (!core->sweep.has_unnumbered)
        ledger_is_numbered(core);
    ledger_retry(core);
    reconcile_watch(core);
}

/* Those who asked for it are told, or get theirs. */
static void end_sweep_in_parts(struct core *core)
{
    struct sweep *sweep = &core->sweep;
    core->counted.foreign = sweep->foreign;
    core->counted.orphaned = sweep->orphaned;
    end_sweep(core);
    if (sweep->is_told && sweep->swept)
        sweep->swept(sweep->context, &sweep->result);
    if (sweep->is_asked_for)
        begin_sweep(core);
}

/* Counts what of the kernel's slots is not the daemon's, up to MOST of them; whether there may be
 * more. */
static bool count_some(struct core *core, size_t most)
{
    const struct sysv *sysv = &core->on.sysv;
    struct sweep *sweep = &core->sweep;
    for (; most > 0; most--) {
        struct sysv_stat kernel;
        if (sweep->next_index > core->counted.kernel.max_index)
            return false;
        work_add_records(&core->work, 1);
        if (sysv->ops->stat_index(sysv->context, sweep->next_index++, &kernel) < 0 ||
            registry_by_shmid(&core->registry, kernel.shmid))
            continue;
        sweep->foreign++;
        sweep->orphaned += view_is_orphaned(core, &kernel);
    }
    return true;
}

/* Looks at up to MOST records; whether there may be more. */
static bool sweep_some(struct core *core, size_t most)
{
    for (; most > 0; most--) {
        struct segment *segment = registry_step(&core->registry, &core->sweep.walk);
        if (!segment)
            return false;
        sweep_one(core, segment, &core->sweep.result);
    }
    return true;
}

void reconcile_sweep(struct core *core, struct sweep_result *ret)
{
    begin_sweep(core); /* one that is under way is replaced by it */
    (void)sweep_some(core, SIZE_MAX);
    end_sweep(core);
    *ret = core->sweep.result;
}

void reconcile_ask(struct core *core)
{
    core->sweep.is_asked_for = true;
    if (!core->sweep.is_under_way)
        begin_sweep(core);
}

bool reconcile_is_under_way(const struct core *core)
{
    return core->sweep.is_under_way;
}

void reconcile_go_on(struct core *core)
{
    while (!work_share_is_over(&core->work)) {
        if (!sweep_some(core, RECORDS_AT_A_TIME) && !count_some(core, RECORDS_AT_A_TIME)) {
            end_sweep_in_parts(core);
            return;
        }
        work_look_at_clock(&core->work);
    }
}

static void sweep_is_due(struct deadline *deadline, void *context)
{
    (void)deadline;
    begin_sweep(context);
}

static int64_t pause_ms(const struct core *core)
{
    int64_t ms = core->settings.reconcile_ms;
    return core->sweep.listeners > 0 && ms > LISTENERS_MS ? LISTENERS_MS : ms;
}

void reconcile_watch(struct core *core)
{
    if (core->sweep.due.place || core->sweep.is_under_way)
        return;
    /* The end of a sweep tries again what could not be noted or recorded. */
    if (core->registry.count == 0 && ledger_noted(&core->ledger) == 0 && !core->ledger.is_short)
        return;
    int r = deadlines_set(&core->deadlines, &core->sweep.due,
                          core_boottime_ms(core) + pause_ms(core), sweep_is_due);
    (void)r; /* out of memory: the next segment sets it */
}

/* The sweep that is due may only come earlier: listeners who come and go cannot put it off. */
void reconcile_listen(struct core *core)
{
    core->sweep.listeners++;
    if (!core->sweep.due.place || core->sweep.due.at_ms <= core_boottime_ms(core) + pause_ms(core))
        return;
    deadlines_clear(&core->deadlines, &core->sweep.due);
    reconcile_watch(core);
}

void reconcile_unlisten(struct core *core)
{
    core->sweep.listeners--;
}

/* Whether KERNEL may be the segment that INTENT announced. Nobody knew of that one, so that nobody
 * but the daemon, which may have anchored it, can have attached it. */
static bool is_intended(const struct core *core, const struct sysv_stat *kernel,
                        const struct store_intent *intent)
{
    return kernel->cuid == core->settings.access.own_uid && kernel->cpid == intent->pid &&
           kernel->key == intent->key && kernel->size == intent->size && kernel->nattch == 0 &&
           (kernel->lpid == 0 || kernel->lpid == intent->pid) && !kernel->destroyed &&
           (kernel->ctime >= intent->at_s || intent->at_s == STORE_INTENT_UNSURE) &&
           !registry_by_shmid(&core->registry, kernel->shmid);
}

/* Looks once more before it removes. */
static bool remove_intended(struct core *core, int32_t shmid, const struct store_intent *intent)
{
    const struct sysv *sysv = &core->on.sysv;
    struct sysv_stat kernel;
    return sysv->ops->stat(sysv->context, shmid, &kernel) == 0 &&
           is_intended(core, &kernel, intent) && sysv->ops->remove(sysv->context, shmid) == 0;
}

void reconcile_unacknowledged(struct core *core, const struct store_intent *intent,
                              struct unacknowledged *ret)
{
    const struct sysv *sysv = &core->on.sysv;
    struct unacknowledged found = {0};
    struct sysv_limits limits;
    *ret = found;
    if (sysv->ops->limits(sysv->context, &limits) < 0)
        return;
    for (int32_t index = 0; index <= limits.max_index; index++) {
        struct sysv_stat kernel;
        if (sysv->ops->stat_index(sysv->context, index, &kernel) < 0 ||
            !is_intended(core, &kernel, intent))
            continue;
        if (found.n_unclear < UNCLEAR_MAX)
            found.unclear[found.n_unclear] = kernel.shmid;
        found.n_unclear++;
    }
    if (found.n_unclear == 1 && intent->at_s != STORE_INTENT_UNSURE) {
        found.is_removed = remove_intended(core, found.unclear[0], intent);
        found.n_unclear = 0;
    }
    *ret = found;
}
