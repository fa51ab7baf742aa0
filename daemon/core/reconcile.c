#include "daemon/core/reconcile.h"

#include "daemon/core/anchor.h"
#include "daemon/core/find.h"

static void read_rmid_forced(struct core *core)
{
    const struct sysv *sysv = &core->on.sysv;
    struct sysv_limits limits;
    if (sysv->ops->limits(sysv->context, &limits) == 0)
        core->rmid_forced = limits.shm_rmid_forced;
}

static void tell_attachments(struct core *core, struct segment *segment,
                             const struct sysv_stat *kernel)
{
    uint64_t nattch = kernel->nattch - (segment->anchor && kernel->nattch > 0);
    if (core->is_started && nattch != segment->seen.nattch && segment->state != STATE_REMOVING)
        news_add(core, segment, kernel,
                 nattch > segment->seen.nattch ? EVENT_ATTACHED : EVENT_DETACHED, REASON_REQUEST);
    segment->seen.nattch = nattch;
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
    tell_attachments(core, segment, &kernel);
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

/* A daemon served until the next one on its store started: two never have it at once. Of those that
 * started in the same second we cannot tell which came first, so neither sets an end to the other.
 */
static int64_t ended_at_s(const struct core *core, const struct store_daemon *formers,
                          size_t n_formers, size_t which)
{
    int64_t end = core->ledger.self.started_at_s;
    for (size_t i = 0; i < n_formers; i++)
        if (formers[i].started_at_s > formers[which].started_at_s && formers[i].started_at_s < end)
            end = formers[i].started_at_s;
    return end;
}

static bool is_unacknowledged(const struct core *core, const struct sysv_stat *kernel,
                              const struct store_daemon *formers, size_t n_formers)
{
    if (kernel->cuid != core->settings.access.own_uid || kernel->nattch > 0 || kernel->destroyed ||
        registry_by_shmid(&core->registry, kernel->shmid))
        return false;
    for (size_t i = 0; i < n_formers; i++)
        if (kernel->cpid == formers[i].pid && kernel->ctime >= formers[i].started_at_s &&
            kernel->ctime <= ended_at_s(core, formers, n_formers, i))
            return true;
    return false;
}

uint64_t reconcile_unacknowledged(struct core *core, const struct store_daemon *formers,
                                  size_t n_formers)
{
    const struct sysv *sysv = &core->on.sysv;
    struct sysv_limits limits;
    uint64_t removed = 0;
    if (n_formers == 0 || sysv->ops->limits(sysv->context, &limits) < 0)
        return 0;
    for (int32_t index = 0; index <= limits.max_index; index++) {
        struct sysv_stat kernel;
        if (sysv->ops->stat_index(sysv->context, index, &kernel) == 0 &&
            is_unacknowledged(core, &kernel, formers, n_formers) &&
            sysv->ops->remove(sysv->context, kernel.shmid) == 0)
            removed++;
    }
    return removed;
}
