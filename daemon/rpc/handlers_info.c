/* Handlers of the methods that speak of the daemon itself. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

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
    };
    return 0;
}

static void write_requests(FILE *out, const struct rpc_counters *c)
{
    fputs("# TYPE shmd_requests counter\n# HELP shmd_requests Requests by method.\n", out);
    for (int i = 0; i < METHOD_COUNT; i++)
        fprintf(out, "shmd_requests_total{method=\"%s\"} %" PRIu64 "\n",
                method_word((enum method)i), c->requests[i]);
    fprintf(out,
            "# TYPE shmd_request_errors counter\n"
            "# HELP shmd_request_errors Requests answered with an error.\n"
            "shmd_request_errors_total %" PRIu64 "\n"
            "# TYPE shmd_store_failures counter\n"
            "# HELP shmd_store_failures Requests refused because the store failed.\n"
            "shmd_store_failures_total %" PRIu64 "\n",
            c->errors, c->store_failures);
}

static void write_gauge(FILE *out, const char *name, const char *help, uint64_t value)
{
    fprintf(out, "# TYPE shmd_%s gauge\n# HELP shmd_%s %s\nshmd_%s %" PRIu64 "\n", name, name, help,
            name, value);
}

int handle_metrics(struct request *rq, struct reply *reply)
{
    const struct core *core = rq->core;
    size_t len = 0;
    FILE *out = open_memstream(&rq->text, &len);
    if (!out)
        return -errno;
    write_requests(out, &rq->rpc->counters);
    write_gauge(out, "segments", "Managed segments.", core->registry.count);
    write_gauge(out, "segment_bytes", "Bytes of managed segments.", core->quota.total[QUOTA_BYTES]);
    write_gauge(out, "connections", "Open connections.", core->quota.total[QUOTA_CONNECTIONS]);
    write_gauge(out, "waiters", "Requests that wait.", core->waiters.count);
    write_gauge(out, "watched_processes", "Processes that segments depend on.",
                core->parties.n_processes);
    write_gauge(out, "event_serial", "Serial of the newest event.", core->events.last);
    fputs("# EOF\n", out);
    if (fclose(out) != 0)
        return -ENOMEM;
    reply->kind = REPLY_METRICS;
    reply->u.metrics.text = rq->text;
    reply->u.metrics.len = len;
    return 0;
}
