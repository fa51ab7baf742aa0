#include "daemon/core/reconcile.h"

#include "daemon/core/anchor.h"
#include "daemon/core/lookup.h"

static void tell_attachments(struct core *core, struct segment *segment,
                             const struct sysv_stat *kernel)
{
    uint64_t nattch = kernel->nattch - (segment->anchor && kernel->nattch > 0);
    if (core->is_started && nattch != segment->seen.nattch && segment->state != STATE_REMOVING)
        turn_tell(core, segment, kernel,
                  nattch > segment->seen.nattch ? EVENT_ATTACHED : EVENT_DETACHED, REASON_REQUEST);
    segment->seen.nattch = nattch;
}

void reconcile_sweep(struct core *core, struct sweep_result *ret)
{
    struct sweep_result result = {0};
    struct segment *segment;
    for (struct registry_walk walk = {0}; (segment = registry_step(&core->registry, &walk));) {
        struct sysv_stat kernel;
        bool was_removing = segment->state == STATE_REMOVING;
        int r = lookup_verify(core, segment, &kernel);
        if (r == OUTCOME_NO_SUCH_SEGMENT)
            result.gone++;
        else if (r == OUTCOME_STALE_SEGMENT)
            result.recycled++;
        else if (r < 0)
            result.indeterminate++;
        else if (segment->state == STATE_REMOVING && !was_removing)
            result.dying++;
        else
            result.match++;
        if (r == 0)
            tell_attachments(core, segment, &kernel);
        if (r == 0 && !segment->undo) /* what is not recorded may be taken back */
            anchor_settle(core, segment, &kernel);
    }
    /* What could not be written earlier is tried again now and then. */
    if (core->turn.n_dirty > 0 || core->turn.n_gone > 0)
        core->turn.has_news = true;
    *ret = result;
}

/* A daemon served until the next one on its store began: two never have it at once. Of those that
 * began in the same second it is not known which came first, so they set no end to each other. */
static int64_t ended_at_s(const struct core *core, const struct store_daemon *formers,
                          size_t n_formers, size_t which)
{
    int64_t end = core->self.started_at_s;
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

void reconcile_rmid_forced(struct core *core)
{
    const struct sysv *sysv = &core->on.sysv;
    struct sysv_limits limits;
    if (sysv->ops->limits(sysv->context, &limits) < 0)
        return;
    core->rmid_forced = limits.shm_rmid_forced;
}
