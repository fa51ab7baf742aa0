/* SPDX-License-Identifier: MIT */
#include "daemon/rpc/dispatch.h"

#include <assert.h>
#include <stdlib.h>

#include "daemon/core/find.h"
#include "daemon/core/hold.h"
#include "daemon/core/view.h"
#include "daemon/rpc/audit.h"
#include "daemon/rpc/outcome_to_error.h"

enum right {
    RIGHT_NONE,    /* every peer has it; answers are filtered */
    RIGHT_READ,    /* the target may be read: as the kernel has it */
    RIGHT_RELEASE, /* the same, or the caller holds the target: its mode may have changed since */
    RIGHT_CHANGE,  /* the target may be changed: its owner, its creator, an admin */
    RIGHT_ADMIN,   /* the caller is an admin; there is no target */
    RIGHT_OWN,     /* the core asks, for it depends on more than the target */
};

struct method_row {
    handler_fn *handler;
    enum right right;
    bool changes; /* the caller's name is recorded or logged */
};

static const struct method_row rows[METHOD_COUNT] = {
    [METHOD_INFO] = {handle_info, RIGHT_NONE, false},
    [METHOD_CREATE] = {handle_create, RIGHT_OWN, true},
    [METHOD_STAT] = {handle_stat, RIGHT_READ, false},
    [METHOD_SET] = {handle_set, RIGHT_CHANGE, true},
    [METHOD_REMOVE] = {handle_remove, RIGHT_CHANGE, true},
    [METHOD_LIST] = {handle_list, RIGHT_NONE, false},
    [METHOD_READY] = {handle_ready, RIGHT_CHANGE, true},
    [METHOD_WAIT] = {handle_wait, RIGHT_OWN, false},
    [METHOD_HOLD] = {handle_hold, RIGHT_READ, true},
    [METHOD_RELEASE] = {handle_release, RIGHT_RELEASE, true},
    [METHOD_ADOPT] = {handle_adopt, RIGHT_OWN, true},
    [METHOD_DISOWN] = {handle_disown, RIGHT_CHANGE, true},
    [METHOD_RELOAD] = {handle_reload, RIGHT_ADMIN, true},
    [METHOD_SUBSCRIBE] = {handle_subscribe, RIGHT_NONE, false},
    [METHOD_METRICS] = {handle_metrics, RIGHT_NONE, false},
};

/* It may look at many segments, free or walk through much memory, or read files. */
static bool may_take_long(const struct request *rq)
{
    switch (rq->method) {
    case METHOD_SET:
    case METHOD_REMOVE:
    case METHOD_LIST:
    case METHOD_READY:
    case METHOD_RELEASE:
    case METHOD_DISOWN:
    case METHOD_RELOAD:
    case METHOD_SUBSCRIBE:
    case METHOD_METRICS: return true;
    case METHOD_CREATE: return rq->params->create.replace.value;
    default: return false;
    }
}

bool dispatch_only_reads(enum method method)
{
    switch (method) {
    case METHOD_INFO:
    case METHOD_STAT:
    case METHOD_LIST:
    case METHOD_METRICS:
    case METHOD_SUBSCRIBE: return true;
    default: return false;
    }
}

/* Whether the segment is the user's that the caller expects, where the request names one. */
static int check_owner(struct request *rq)
{
    const struct found *found = &rq->found;
    uint32_t other;
    if (rq->method != METHOD_STAT && rq->method != METHOD_HOLD)
        return 0;
    const struct opt_int *owner = &rq->params->target.owner;
    if (!owner->given || access_is_of(&rq->core->settings.access, (uint32_t)owner->value,
                                      found->segment, &found->kernel, &other))
        return 0;
    return outcome_not_owner(&rq->detail, "owner", other, OUTCOME_HINT_NOT_OWNER);
}

static int check_right(struct request *rq, enum right right)
{
    const struct access *a = &rq->core->settings.access;
    const struct found *found = &rq->found;
    if (!found->segment)
        return rq->method == METHOD_STAT ? 0 : OUTCOME_NOT_MANAGED;
    switch (right) {
    case RIGHT_READ:
    case RIGHT_RELEASE:
        if (access_may_read(a, rq->caller, &found->kernel))
            return 0;
        /* If we cannot tell, treat the caller as not holding it. */
        if (right == RIGHT_RELEASE && core_holds(rq->core, rq->caller, found->segment) > 0)
            return 0;
        return find_unreadable(rq->core, rq->caller, found, &rq->detail);
    case RIGHT_CHANGE:
        if (access_may_change(a, rq->caller, found->segment, &found->kernel))
            return 0;
        return outcome_denied(&rq->detail, "owner, creator or admin", NULL);
    case RIGHT_NONE:
    case RIGHT_ADMIN:
    case RIGHT_OWN:
    default: return 0;
    }
}

/* The caller's name is looked up once, when it is first needed. */
static void name_peer(struct request *rq)
{
    const struct processes *p = &rq->core->on.processes;
    if (!rq->caller->comm[0])
        p->ops->comm(p->context, rq->caller->pid, rq->caller->comm);
}

static const struct target *target_of(const struct request *rq)
{
    assert(rq->params);
    return params_table(rq->method)->has_target ? &rq->params->target.target : NULL;
}

static const char *name_of(const struct request *rq)
{
    return rq->method == METHOD_WAIT ? rq->params->wait.name : NULL;
}

static void fail(struct request *rq, int outcome, struct reply *reply)
{
    struct target adopted;
    const struct target *target = target_of(rq);
    if (rq->method == METHOD_ADOPT) {
        adopted = (struct target){.shmid = rq->params->adopt.shmid, .key = rq->params->adopt.key};
        target = &adopted;
    }
    reply->kind = REPLY_FAILURE;
    outcome_to_failure(outcome, &rq->detail, target, name_of(rq), &reply->u.failure);
    rq->rpc->counters.requests[rq->method][reply->u.failure.error]++;
    rq->rpc->counters.errors++;
    rq->rpc->counters.store_failures += outcome == OUTCOME_STORE_FAILURE;
}

void dispatch(struct request *rq, struct answer *ret)
{
    const struct method_row *row = &rows[rq->method];
    const struct target *target = target_of(rq);
    int r = 0;
    ret->is_waiting = false;
    if (may_take_long(rq)) /* what others of its uid were answered does not wait for it */
        work_tell(&rq->core->work);
    /* What was received is finished; what would last is not begun. */
    if (rq->rpc->is_shutting_down && (rq->method == METHOD_WAIT || rq->method == METHOD_SUBSCRIBE))
        r = OUTCOME_SHUTTING_DOWN;
    if (r == 0 && row->changes)
        name_peer(rq);
    if (r == 0 && target) {
        r = find_target(rq->core, target, &rq->found, &rq->detail);
        if (r == 0)
            r = check_right(rq, row->right);
        if (r == 0)
            r = check_owner(rq);
    }
    if (r == 0 && row->right == RIGHT_ADMIN &&
        !access_is_admin(&rq->core->settings.access, rq->caller))
        r = outcome_denied(&rq->detail, "admin", "it is for admins only");
    if (r == 0)
        r = row->handler(rq, &ret->reply);
    if (r == OUTCOME_WAITING) {
        ret->is_waiting = true;
        return;
    }
    if (r != 0) {
        fail(rq, r, &ret->reply);
        audit_refusal(rq, r, &ret->reply.u.failure);
        return;
    }
    rq->rpc->counters.requests[rq->method][PROTOCOL_ERROR_COUNT]++;
    audit_done(rq);
}

void dispatch_done(struct request *rq)
{
    free(rq->page.segments);
    free(rq->holders);
    free(rq->waiters);
    free(rq->text);
    free(rq->limits);
}

void dispatch_waited(struct request *rq, int outcome, const struct found *found,
                     const struct outcome_detail *detail, struct reply *reply)
{
    if (outcome == 0) {
        reply->kind = REPLY_SEGMENT;
        view_found(rq->core, found, &reply->u.one.segment);
        rq->rpc->counters.requests[rq->method][PROTOCOL_ERROR_COUNT]++;
        return;
    }
    rq->detail = *detail;
    fail(rq, outcome, reply);
}
