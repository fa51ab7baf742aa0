/* SPDX-License-Identifier: MIT */
/* Handlers of the methods that speak of segments: each calls its verb of the core. */
#include <errno.h>

#include "daemon/core/adopt.h"
#include "daemon/core/create.h"
#include "daemon/core/disown.h"
#include "daemon/core/hold.h"
#include "daemon/core/list.h"
#include "daemon/core/ready.h"
#include "daemon/core/remove.h"
#include "daemon/core/residency.h"
#include "daemon/core/set.h"
#include "daemon/core/view.h"
#include "daemon/rpc/dispatch.h"

enum { SCARCE_PAGE_BYTES = 8192 }; /* a page of list when the uid has much unread */

static int reply_segment(struct request *rq, int r, struct reply *reply)
{
    if (r != 0)
        return r;
    reply->kind = REPLY_SEGMENT;
    view_found(rq->core, &rq->found, &reply->u.one.segment);
    return 0;
}

int handle_create(struct request *rq, struct reply *reply)
{
    bool created = false;
    int r =
        core_create(rq->core, rq->caller, &rq->params->create, &rq->found, &created, &rq->detail);
    rq->changed_nothing = r == 0 && !created;
    r = reply_segment(rq, r, reply);
    if (r == 0) {
        reply->kind = REPLY_CREATED;
        reply->u.one.created = created;
    }
    return r;
}

enum { WAITERS_TOLD = 256 }; /* in one reply, as there are holders at most by default */

/* Those who wait until the segment is ready. */
static int tell_waiters(struct request *rq, struct wire_segment *s)
{
    if (!s->managed || !s->name || s->state != STATE_INITIALISING)
        return 0;
    rq->waiters = calloc(WAITERS_TOLD, sizeof(*rq->waiters));
    if (!rq->waiters)
        return -ENOMEM;
    size_t count = wait_list(rq->core, s->name, rq->waiters, WAITERS_TOLD);
    s->waiters = (uint32_t)count;
    s->n_waiters_told = (uint32_t)(count < WAITERS_TOLD ? count : WAITERS_TOLD);
    s->waiter_list = rq->waiters;
    return 0;
}

int handle_stat(struct request *rq, struct reply *reply)
{
    if (rq->found.segment)
        view_refresh_names(rq->core, rq->found.segment);
    int r = reply_segment(rq, 0, reply);
    if (rq->found.segment && rq->found.segment->n_holders > 0) {
        rq->holders = view_holders(rq->found.segment);
        if (!rq->holders)
            return -ENOMEM;
    }
    static const struct wire_holder nobody[1];
    reply->u.one.segment.holder_list = rq->holders ? rq->holders : nobody;
    /* As of the last look at the clock, of which there is one a turn at least. */
    residency_tell(&rq->rpc->residency, &rq->core->on.sysv, &rq->core->on.clock,
                   rq->core->work.now_us / 1000, &reply->u.one.segment);
    return r == 0 ? tell_waiters(rq, &reply->u.one.segment) : r;
}

int handle_set(struct request *rq, struct reply *reply)
{
    rq->changed_nothing = !set_would_change(&rq->params->set, &rq->found);
    int r = core_set(rq->core, rq->caller, &rq->params->set, &rq->found, &rq->detail);
    return reply_segment(rq, r, reply);
}

int handle_remove(struct request *rq, struct reply *reply)
{
    int r = core_remove(rq->core, &rq->params->remove, &rq->found, &rq->detail);
    return reply_segment(rq, r, reply);
}

int handle_list(struct request *rq, struct reply *reply)
{
    size_t page_bytes =
        buffers_are_scarce(&rq->outbox->buffers) ? SCARCE_PAGE_BYTES : LIST_PAGE_BYTES_MAX;
    int r = core_list(rq->core, rq->caller, &rq->params->list, page_bytes, &rq->page, &rq->detail);
    if (r != 0)
        return r;
    reply->kind = REPLY_LIST;
    reply->u.list.segments = rq->page.segments;
    reply->u.list.count = rq->page.count;
    _Static_assert(sizeof(reply->u.list.cursor) == sizeof(rq->page.cursor), "one cursor");
    __builtin_memcpy(reply->u.list.cursor, rq->page.cursor, sizeof(rq->page.cursor));
    return 0;
}

int handle_adopt(struct request *rq, struct reply *reply)
{
    int r = core_adopt(rq->core, rq->caller, &rq->params->adopt, &rq->found, &rq->detail);
    return reply_segment(rq, r, reply);
}

int handle_disown(struct request *rq, struct reply *reply)
{
    return reply_segment(rq, core_disown(rq->core, rq->caller, &rq->found, &rq->detail), reply);
}

int handle_ready(struct request *rq, struct reply *reply)
{
    return reply_segment(rq, core_ready(rq->core, rq->caller, &rq->found, &rq->detail), reply);
}

int handle_hold(struct request *rq, struct reply *reply)
{
    return reply_segment(rq, core_hold(rq->core, rq->caller, &rq->found, &rq->detail), reply);
}

int handle_release(struct request *rq, struct reply *reply)
{
    return reply_segment(rq, core_release(rq->core, rq->caller, &rq->found, &rq->detail), reply);
}
