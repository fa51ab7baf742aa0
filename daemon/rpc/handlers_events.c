/* SPDX-License-Identifier: MIT */
/* Handlers of the methods whose answer, or more of it, comes later. */
#include <errno.h>

#include "daemon/core/view.h"
#include "daemon/core/wait.h"
#include "daemon/rpc/dispatch.h"
#include "daemon/rpc/subscription.h"

int handle_wait(struct request *rq, struct reply *reply)
{
    if (!rq->waiter)
        return -ENOMEM;
    int r = core_wait(rq->core, rq->caller, &rq->params->wait, rq->waiter, &rq->found, &rq->detail);
    if (r == 0) {
        reply->kind = REPLY_SEGMENT;
        view_found(rq->core, &rq->found, &reply->u.one.segment);
    }
    return r;
}

int handle_subscribe(struct request *rq, struct reply *reply)
{
    int r = subscription_begin(rq->subscription, rq->rpc, rq->caller, rq->outbox,
                               &rq->params->subscribe, &rq->detail);
    reply->kind = REPLY_SUBSCRIBED;
    reply->u.event_serial = rq->core->events.last;
    return r;
}
