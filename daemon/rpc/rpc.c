/* SPDX-License-Identifier: MIT */
#include "daemon/rpc/rpc.h"

#include "daemon/core/wait.h"
#include "daemon/rpc/audit.h"
#include "daemon/rpc/subscription.h"
#include "protocol/jsonrpc.h"

void rpc_init(struct rpc *rpc, struct core *core, const char *version,
              void (*wake)(void *context, struct outbox *outbox), void *wake_context)
{
    *rpc = (struct rpc){.core = core,
                        .version = version,
                        .started_at_ms = core_realtime_ms(core),
                        .wake = wake,
                        .wake_context = wake_context};
    TAILQ_INIT(&rpc->sessions);
    log_budget_init(&rpc->log, core);
    rpc->outboxes =
        (struct outbox_common){.limits = &core->settings.limits, .dialect = &jsonrpc_dialect};
}

void rpc_deinit(struct rpc *rpc)
{
    outbox_common_deinit(&rpc->outboxes);
}

void rpc_count_time(struct rpc *rpc, int64_t us)
{
    static const int64_t ends[ANSWER_BUCKET_COUNT] = {
#define X(us) us,
        ANSWER_BUCKETS(X)
#undef X
    };
    size_t i = 0;
    while (i < ANSWER_BUCKET_COUNT && us > ends[i])
        i++;
    rpc->counters.answered_in[i]++;
    rpc->counters.answered_us += (uint64_t)us;
}

static void tell_events(struct rpc *rpc)
{
    for (struct segment_event *event; (event = news_next(rpc->core));) {
        audit_event(rpc, event);
        event_log_publish(&rpc->core->events, event);
        wait_hear(rpc->core, event);
        subscriptions_wake(rpc);
    }
    if (news_take_loss(rpc->core))
        wait_look_again(rpc->core);
}

void rpc_publish(struct rpc *rpc)
{
    core_record_facts(rpc->core);
    tell_events(rpc);
    core_bury(rpc->core);
}

void rpc_end_turn(struct rpc *rpc)
{
    core_end_turn(rpc->core);
    tell_events(rpc);
    core_bury(rpc->core);
}

void rpc_shut_down(struct rpc *rpc)
{
    rpc->is_shutting_down = true;
    wait_end_all(rpc->core, OUTCOME_SHUTTING_DOWN);
}
