#include "daemon/core/reconcile.h"

#include "daemon/core/anchor.h"
#include "daemon/core/find.h"
#include "daemon/core/removal.h"
#include "daemon/core/use.h"

static void read_rmid_forced(struct core *core)
{
    const struct sysv *sysv = &core->on.sysv;
    struct sysv_limits limits;
    if (sysv->ops->limits(sysv->context, &limits) == 0)
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
    if (r != 0)
        return;
    if (segment->state == STATE_REMOVING && !kernel.destroyed) {
        removal_finish(core, segment, &kernel);
        return;
    }
    use_notice(core, segment, &kernel);
    anchor_settle(core, segment, &kernel);
}

void reconcile_sweep(struct core *core, struct sweep_result *ret)
{
    struct sweep_result result = {0};
    struct segment *segment;
    read_rmid_forced(core);
    for (struct registry_walk walk = {0}; (segment = registry_step(&core->registry, &walk));)
        sweep_one(core, segment, &result);
    ledger_retry(core);
    *ret = result;
}

static void sweep_is_due(struct deadline *deadline, void *context)
{
    struct core *core = context;
    struct sweep_result result;
    (void)deadline;
    reconcile_sweep(core, &result);
    reconcile_watch(core);
}

void reconcile_watch(struct core *core)
{
    if (core->sweep.place || core->registry.count == 0)
        return;
    int r = deadlines_set(&core->deadlines, &core->sweep,
                          core_boottime_ms(core) + core->settings.reconcile_ms, sweep_is_due);
    (void)r; /* out of memory: the next segment sets it */
}

/* Whether KERNEL is the segment that INTENT announced. Nobody knew of that one, so that nobody but
 * the daemon, which may have anchored it, can have attached it. */
static bool is_intended(const struct core *core, const struct sysv_stat *kernel,
                        const struct store_intent *intent)
{
    return kernel->cuid == core->settings.access.own_uid && kernel->cpid == intent->pid &&
           kernel->key == intent->key && kernel->size == intent->size && kernel->nattch == 0 &&
           (kernel->lpid == 0 || kernel->lpid == intent->pid) && !kernel->destroyed &&
           kernel->ctime >= intent->at_s && !registry_by_shmid(&core->registry, kernel->shmid);
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
    if (found.n_unclear == 1) {
        found.is_removed = remove_intended(core, found.unclear[0], intent);
        found.n_unclear = 0;
    }
    *ret = found;
}
