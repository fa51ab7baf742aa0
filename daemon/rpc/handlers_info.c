/* SPDX-License-Identifier: MIT */
/* Handlers of the methods that speak of the daemon itself. */
#include <errno.h>
#include <stdlib.h>

#include "daemon/rpc/dispatch.h"

/* What is in force of configuration key NAME: what is counted may derive from the machine. */
static struct info_limit limit_of(const struct core *core, uint32_t uid, const char *name,
                                  uint64_t setting)
{
    struct quota_use use;
    if (!quota_show(&core->quota, uid, name, &use))
        return (struct info_limit){.name = name, .max = setting};
    return (struct info_limit){.name = name, .max = use.max, .is_counted = true, .used = use.used};
}

int handle_info(struct request *rq, struct reply *reply)
{
    const struct core *core = rq->core;
    const struct sysv *sysv = &core->on.sysv;
    const struct limits *limits = &core->settings.limits;
    struct sysv_limits kernel;
    int r = sysv->ops->limits(sysv->context, &kernel);
    if (r < 0)
        return r;
    rq->limits = malloc(LIMITS_COUNT * sizeof(*rq->limits));
    if (!rq->limits)
        return -ENOMEM;
#define X(name, def, min, max)                                                                     \
    rq->limits[LIMIT_##name] = limit_of(core, rq->caller->uid, #name, limits->name);
    LIMITS(X)
#undef X
    reply->kind = REPLY_INFO;
    reply->u.info = (struct info){
        .version = rq->rpc->version,
        .pid = core->own_pid,
        .uid = core->settings.access.own_uid,
        .started_at_ms = rq->rpc->started_at_ms,
        .boot_id = core->machine->boot_id,
        .ipc_namespace = core->machine->ipc_namespace,
        .kernel = {kernel.shmmax, kernel.shmall, kernel.shmmni, kernel.segments,
                   kernel.pages * kernel.page_size, kernel.shm_rmid_forced},
        .limits = rq->limits,
        .n_limits = LIMITS_COUNT,
        .usage_segments = quota_used(&core->quota, rq->caller->uid, QUOTA_SEGMENTS),
        .usage_bytes = quota_used(&core->quota, rq->caller->uid, QUOTA_BYTES),
        .huge_page_sizes = core->machine->huge_page_sizes,
        .n_huge_page_sizes = core->machine->n_huge_page_sizes,
        .durable = !kernel.shm_rmid_forced,
        .records_since_at_ms = core->ledger.records_since_at_ms,
        .store_failure = ledger_failure(core),
    };
    return 0;
}
