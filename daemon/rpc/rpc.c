#include "daemon/rpc/rpc.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/core/wait.h"
#include "daemon/rpc/audit.h"
#include "daemon/rpc/outcome_to_error.h"
#include "daemon/rpc/subscription.h"

enum { KEEP_NAMES = 16384 }; /* a buffer larger than this is freed when the turn is over */

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
    writer_deinit(&rpc->names);
}

int rpc_reserve_promise(struct rpc *rpc)
{
    if (writer_reserve(&rpc->names, SEGMENT_NAME_MAX + 1) < 0) {
        rpc->names.failed = false;
        return -ENOMEM;
    }
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
                            const char *name, const struct segment *segment)
{
    struct promise *promise = &rpc->promises[rpc->n_promises++];
    *promise = (struct promise){.method = method,
                                .pid = caller->pid,
                                .uid = caller->uid,
                                .name = rpc->names.len,
                                .segment = segment};
    memcpy(promise->comm, caller->comm, sizeof(promise->comm));
    writer_bytes(&rpc->names, name ? name : "", name ? strlen(name) + 1 : 1);
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
    /* From the last: what is replaced may change its length. */
    for (size_t i = rpc->n_promises; i-- > 0;)
        if (rpc->promises[i].session)
            session_replace(rpc->promises[i].session, &rpc->promises[i], &failure);
}

/* REASON: why what can be taken back was; NULL: all was recorded. */
static void audit(struct rpc *rpc, const char *reason)
{
    for (size_t i = 0; i < rpc->n_promises; i++) {
        const struct promise *promise = &rpc->promises[i];
        if (!promise->is_logged)
            continue;
        if (reason && !promise->is_fact)
            audit_broken(rpc, promise, reason);
        else
            audit_done(rpc, promise);
    }
}

static void forget_promises(struct rpc *rpc)
{
    rpc->n_promises = 0;
    rpc->names.len = 0;
    if (rpc->names.capacity > KEEP_NAMES)
        writer_free_buffer(&rpc->names);
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
    audit(rpc, r < 0 ? *ret_reason : NULL);
    forget_promises(rpc);
    tell_events(rpc);
    turn_bury(rpc->core);
    return r;
}

void rpc_shut_down(struct rpc *rpc)
{
    rpc->is_shutting_down = true;
    wait_end_all(rpc->core, OUTCOME_SHUTTING_DOWN);
}
