/* SPDX-License-Identifier: MIT */
/*
 * The method `metrics`, in the format of OpenMetrics 1.0. It writes what is counted anyway, and
 * counts nothing: what only a look at the kernel could tell is as the last sweep found it.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "daemon/rpc/dispatch.h"
#include "daemon/util/log.h"

static void write_head(FILE *out, const char *name, const char *type, const char *help)
{
    fprintf(out, "# TYPE shmd_%s %s\n# HELP shmd_%s %s\n", name, type, name, help);
}

static void write_gauge(FILE *out, const char *name, const char *help, uint64_t value)
{
    write_head(out, name, "gauge", help);
    fprintf(out, "shmd_%s %" PRIu64 "\n", name, value);
}

static void write_counter(FILE *out, const char *name, const char *help, uint64_t value)
{
    write_head(out, name, "counter", help);
    fprintf(out, "shmd_%s_total %" PRIu64 "\n", name, value);
}

/* "io.shmd.SizeMismatch" is SizeMismatch. */
static const char *outcome_word(int error)
{
    if (error == PROTOCOL_ERROR_COUNT)
        return "ok";
    const char *name = error_row((enum protocol_error)error)->name;
    const char *dot = name ? strrchr(name, '.') : NULL;
    return dot ? dot + 1 : name ? name : "Internal";
}

static void write_requests(FILE *out, const struct rpc_counters *c)
{
    write_head(out, "requests", "counter", "Requests answered, by method and outcome.");
    for (int method = 0; method < METHOD_COUNT; method++) {
        uint64_t internal = 0; /* errors without a name are one outcome */
        for (int error = 0; error <= PROTOCOL_ERROR_COUNT; error++) {
            const uint64_t n = c->requests[method][error];
            const char *word = outcome_word(error);
            if (strcmp(word, "Internal") == 0)
                internal += n;
            else if (n > 0 || error == PROTOCOL_ERROR_COUNT)
                fprintf(out, "shmd_requests_total{method=\"%s\",outcome=\"%s\"} %" PRIu64 "\n",
                        method_word((enum method)method), word, n);
        }
        if (internal > 0)
            fprintf(out, "shmd_requests_total{method=\"%s\",outcome=\"Internal\"} %" PRIu64 "\n",
                    method_word((enum method)method), internal);
    }
    write_counter(out, "request_errors", "Requests answered with an error.", c->errors);
    write_counter(out, "store_failures", "Requests refused because the store failed.",
                  c->store_failures);
}

static void write_times(FILE *out, const struct rpc_counters *c)
{
    static const double ends_us[] = {
#define X(us) us,
        ANSWER_BUCKETS(X)
#undef X
    };
    uint64_t n = 0;
    write_head(out, "request_duration_seconds", "histogram", "Time to answer a request.");
    for (size_t i = 0; i < ANSWER_BUCKET_COUNT; i++) {
        n += c->answered_in[i];
        fprintf(out, "shmd_request_duration_seconds_bucket{le=\"%g\"} %" PRIu64 "\n",
                ends_us[i] / 1e6, n);
    }
    n += c->answered_in[ANSWER_BUCKET_COUNT];
    fprintf(out, "shmd_request_duration_seconds_bucket{le=\"+Inf\"} %" PRIu64 "\n", n);
    fprintf(out,
            "shmd_request_duration_seconds_sum %" PRIu64 ".%06" PRIu64 "\n"
            "shmd_request_duration_seconds_count %" PRIu64 "\n",
            c->answered_us / 1000000, c->answered_us % 1000000, n);
}

/* MAX 0: there is none. */
static void write_used(FILE *out, const char *name, const char *help, uint64_t used, uint64_t max)
{
    char text[64];
    write_gauge(out, name, help, used);
    snprintf(text, sizeof(text), "%s_max", name);
    if (max > 0 && max <= INT64_MAX)
        write_gauge(out, text, "The limit.", max);
}

static void write_segments(FILE *out, const struct core *core)
{
    const struct limits *limits = &core->settings.limits;
    const struct counted *counted = &core->counted;
    const struct sysv_limits *k = &counted->kernel;
    write_used(out, "segments", "Managed segments.", core->registry.count, limits->max_segments);
    write_used(out, "segment_bytes", "Bytes of managed segments.", core->quota.total[QUOTA_BYTES],
               limits->max_bytes);
    write_gauge(out, "foreign_segments", "Segments that are not the daemon's, at the last sweep.",
                counted->foreign);
    write_gauge(out, "orphaned_segments", "Foreign segments that are orphaned, at the last sweep.",
                counted->orphaned);
    write_gauge(out, "resident_bytes", "Bytes of all segments in memory, at the last sweep.",
                k->resident * k->page_size);
    write_gauge(out, "swapped_bytes", "Bytes of all segments in swap, at the last sweep.",
                k->swapped * k->page_size);
    write_used(out, "kernel_segments", "Segments in the kernel (kernel.shmmni), at the last sweep.",
               k->segments, k->shmmni);
    write_used(out, "kernel_pages", "Pages of all segments (kernel.shmall), at the last sweep.",
               k->pages, k->shmall);
}

/* What all users together have of each thing that the configuration limits. Without a limit there
 * is no _max. */
static void write_quotas(FILE *out, const struct quota *quota)
{
    struct quota_use use;
    write_head(out, "quota_used", "gauge",
               "How much of each total of the configuration is in use.");
    for (int kind = 0; kind < QUOTA_KINDS; kind++) {
        const char *key = quota_total(quota, (enum quota_kind)kind, &use);
        if (key)
            fprintf(out, "shmd_quota_used{quota=\"%s\"} %" PRIu64 "\n", key, use.used);
    }
    write_head(out, "quota_max", "gauge", "The limit, for all users together.");
    for (int kind = 0; kind < QUOTA_KINDS; kind++) {
        const char *key = quota_total(quota, (enum quota_kind)kind, &use);
        if (key && use.max != QUOTA_NO_CAP)
            fprintf(out, "shmd_quota_max{quota=\"%s\"} %" PRIu64 "\n", key, use.max);
    }
}

static void write_journal(FILE *out, const struct core *core)
{
    write_gauge(out, "journal_bytes", "Size of the journal's file.", ledger_size(core));
    write_counter(out, "journal_writes", "Changes written to the journal.", core->ledger.n_written);
    write_counter(out, "journal_write_failures", "Changes that the journal did not take.",
                  core->ledger.n_failed);
    write_gauge(out, "journal_longest_write_bytes",
                "The most bytes of records that had waited in one write to the journal.",
                core->ledger.longest_write);
}

static void write_rest(FILE *out, const struct rpc *rpc)
{
    const struct core *core = rpc->core;
    const struct limits *limits = &core->settings.limits;
    write_used(out, "connections", "Open connections.", core->quota.total[QUOTA_CONNECTIONS],
               limits->max_connections);
    write_used(out, "waiters", "Requests that wait.", core->waiters.count, limits->max_waiters);
    write_gauge(out, "subscribers", "Connections that are subscribed.", rpc->n_subscribers);
    write_gauge(out, "watched_processes", "Processes that segments depend on.",
                core->parties.n_processes);
    write_gauge(out, "holders", "Holders of segments.", core->parties.n_holders);
    write_gauge(out, "event_serial", "Serial of the newest event.", core->events.last);
    write_counter(out, "sweeps", "Sweeps over all records.", core->sweep.n_done);
    write_counter(out, "log_lines_lost", "Log lines that standard error did not take.", log_lost());
}

static void write_turns(FILE *out, const struct work *work)
{
    write_head(out, "turn_longest_seconds", "gauge", "The longest turn of the loop.");
    fprintf(out, "shmd_turn_longest_seconds %" PRId64 ".%06" PRId64 "\n",
            work->turn_longest_us / 1000000, work->turn_longest_us % 1000000);
    write_gauge(out, "turn_longest_requests", "The most requests in one turn.",
                work->turn_most.requests);
    write_gauge(out, "turn_longest_records", "The most records looked at in one turn.",
                work->turn_most.records);
    write_gauge(out, "turn_longest_accepts", "The most connections accepted in one turn.",
                work->accepts_most);
    write_gauge(out, "share_longest_requests",
                "The most requests of one uid in a row while another had work.",
                work->share_most.requests);
    write_gauge(out, "share_longest_records", "The most records that such requests looked at.",
                work->share_most.records);
}

int handle_metrics(struct request *rq, struct reply *reply)
{
    size_t len = 0;
    FILE *out = open_memstream(&rq->text, &len);
    if (!out)
        return -errno;
    write_requests(out, &rq->rpc->counters);
    write_times(out, &rq->rpc->counters);
    write_segments(out, rq->core);
    write_quotas(out, &rq->core->quota);
    write_journal(out, rq->core);
    write_rest(out, rq->rpc);
    write_turns(out, &rq->core->work);
    fputs("# EOF\n", out);
    if (fclose(out) != 0)
        return -ENOMEM;
    reply->kind = REPLY_METRICS;
    reply->u.metrics.text = rq->text;
    reply->u.metrics.len = len;
    return 0;
}
