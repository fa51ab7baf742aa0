#include "daemon/rpc/rpc.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/core/wait.h"
#include "daemon/rpc/audit.h"
#include "daemon/rpc/outcome_to_error.h"
#include "daemon/rpc/subscription.h"

void rpc_init(struct rpc *rpc, struct core *core, const char *version,
              void (*wake)(void *context, struct session *session), void *wake_context)
{
    *rpc = (struct rpc){.core = core,
                        .version = version,
                        .started_at_ms = core_realtime_ms(core),
                        .wake = wake,
                        .wake_context = wake_context};
}

void rpc_deinit(struct rpc *rpc)
{
    free(rpc->promises);
}

int rpc_reserve_promise(struct rpc *rpc)
{
    if (rpc->n_promises < rpc->promises_capacity)
        return 0;
    size_t capacity = rpc->promises_capacity ? rpc->promises_capacity * 2 : 64;
    struct promise *promises = reallocarray(rpc->promises, capacity, sizeof(*promises));
    if (!promises)
        return -ENOMEM;
    rpc->promises = promises;
    rpc->promises_capacity = capacity;
    return 0;
}

struct promise *rpc_promise(struct rpc *rpc, enum method method, const struct caller *caller,
                            const struct segment *segment)
{
    struct promise *promise = &rpc->promises[rpc->n_promises++];
    *promise = (struct promise){
        .method = method, .pid = caller->pid, .uid = caller->uid, .segment = segment};
    memcpy(promise->comm, caller->comm, sizeof(promise->comm));
    return promise;
}

void rpc_forget(struct rpc *rpc, const struct session *session)
{
    for (size_t i = 0; i < rpc->n_promises; i++)
        if (rpc->promises[i].session == session)
            rpc->promises[i].session = NULL;
}

static void break_promises(struct rpc *rpc, const char *reason)
{
    const struct outcome_detail detail = {.hint = reason};
    struct failure failure;
    outcome_to_failure(OUTCOME_STORE_FAILURE, &detail, NULL, NULL, &failure);
    rpc->counters.store_failures++;
    for (size_t i = 0; i < rpc->n_promises; i++)
        audit_broken(rpc, &rpc->promises[i], reason);
    /* From the last: what is replaced may change its length. */
    for (size_t i = rpc->n_promises; i-- > 0;)
        if (rpc->promises[i].session)
            session_replace(rpc->promises[i].session, &rpc->promises[i], &failure);
}

static void tell_events(struct rpc *rpc)
{
    for (struct segment_event *event; (event = turn_next_event(rpc->core));) {
        audit_event(event);
        event_log_publish(&rpc->core->events, event);
        wait_hear(rpc->core, event);
        for (struct session *s = rpc->subscribers, *next; s; s = next) {
            next = subscription_next(s);
            subscription_tell(s);
        }
    }
}

int rpc_end_turn(struct rpc *rpc, const char **ret_reason)
{
    int r = turn_commit(rpc->core, ret_reason);
    if (r < 0)
        break_promises(rpc, *ret_reason);
    rpc->n_promises = 0;
    tell_events(rpc);
    turn_bury(rpc->core);
    return r;
}

void rpc_shut_down(struct rpc *rpc)
{
    rpc->is_shutting_down = true;
    wait_end_all(rpc->core, OUTCOME_SHUTTING_DOWN);
}
