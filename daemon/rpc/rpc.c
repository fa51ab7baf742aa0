#include "daemon/rpc/rpc.h"

#include "daemon/core/wait.h"
#include "daemon/rpc/audit.h"
#include "daemon/rpc/subscription.h"

void rpc_init(struct rpc *rpc, struct core *core, const char *version,
              void (*wake)(void *context, struct outbox *outbox), void *wake_context)
{
    *rpc = (struct rpc){.core = core,
                        .version = version,
                        .started_at_ms = core_realtime_ms(core),
                        .wake = wake,
                        .wake_context = wake_context};
}

static void tell_events(struct rpc *rpc)
{
    for (struct segment_event *event; (event = news_next(rpc->core));) {
        audit_event(event);
        event_log_publish(&rpc->core->events, event);
        wait_hear(rpc->core, event);
        struct subscription *sub;
        LIST_FOREACH (sub, &rpc->subscribers, of_subscribers)
            subscription_tell(sub);
    }
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
