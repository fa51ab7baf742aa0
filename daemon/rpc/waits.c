/* SPDX-License-Identifier: MIT */
#include "daemon/rpc/waits.h"

#include <stdlib.h>

#include "daemon/rpc/dispatch.h"
#include "daemon/util/container_of.h"

struct wait {
    struct waiter waiter;
    struct waits *of;
    struct batch *batch; /* NULL: it stands alone */
    size_t index;        /* in the batch */
    LIST_ENTRY(wait) pending;
    struct writer id; /* as JSON text */
};

struct waits *waits_new(struct rpc *rpc, struct caller *caller, struct outbox *outbox)
{
    struct waits *w = malloc(sizeof(*w));
    if (!w)
        return NULL;
    *w = (struct waits){.rpc = rpc, .caller = caller, .outbox = outbox};
    LIST_INIT(&w->pending);
    return w;
}

void waits_free(struct waits *w)
{
    if (w)
        waits_cancel(w);
    free(w);
}

static void answer(struct wait *wait, const struct reply *reply)
{
    const struct call call = {.id = {.kind = VALUE_RAW, .text = wait->id.data, .len = wait->id.len},
                              .answered = true};
    if (wait->batch)
        batch_answer(wait->batch, wait->index, &call, reply);
    else
        outbox_answer(wait->of->outbox, &call, reply, false);
}

static void waited(struct waiter *waiter, const char *name, int outcome, const struct found *found,
                   const struct outcome_detail *detail)
{
    struct wait *wait = container_of(waiter, struct wait, waiter);
    struct waits *w = wait->of;
    const union params params = {.wait = {.name = name}};
    struct request rq = {.rpc = w->rpc,
                         .core = w->rpc->core,
                         .caller = w->caller,
                         .outbox = w->outbox,
                         .method = METHOD_WAIT,
                         .params = &params};
    struct reply reply;
    dispatch_waited(&rq, outcome, found, detail, &reply);
    answer(wait, &reply);
    LIST_REMOVE(wait, pending);
    struct batch *batch = wait->batch;
    wait_free(wait);
    if (batch)
        batch_waited(batch);
    w->rpc->wake(w->rpc->wake_context, w->outbox);
}

struct wait *wait_new(struct waits *w, const struct call *call, struct batch *batch, size_t index)
{
    struct wait *wait = calloc(1, sizeof(*wait));
    if (!wait)
        return NULL;
    wait->of = w;
    wait->batch = batch;
    wait->index = index;
    wait->waiter.answer = waited;
    writer_init(&wait->id);
    w->outbox->common->dialect->id(&wait->id, call);
    if (!wait->id.failed)
        return wait;
    wait_free(wait);
    return NULL;
}

bool wait_id_fits(const struct wait *wait)
{
    return wait->id.len <= WAIT_ID_MAX;
}

struct waiter *wait_waiter(struct wait *wait)
{
    return &wait->waiter;
}

void wait_free(struct wait *wait)
{
    if (!wait)
        return;
    writer_deinit(&wait->id);
    free(wait);
}

void wait_keep(struct waits *w, struct wait *wait)
{
    if (wait->batch)
        wait->batch->n_waiting++;
    LIST_INSERT_HEAD(&w->pending, wait, pending);
}

void waits_give_up(struct waits *w)
{
    struct wait *wait;
    LIST_FOREACH (wait, &w->pending, pending)
        if (wait->batch)
            batch_give_up(wait->batch);
}

void waits_cancel(struct waits *w)
{
    while (waits_are_pending(w)) {
        struct wait *wait = LIST_FIRST(&w->pending);
        struct batch *batch = wait->batch;
        LIST_REMOVE(wait, pending);
        wait_cancel(w->rpc->core, &wait->waiter);
        wait_free(wait);
        if (batch && --batch->n_waiting == 0 && batch->is_executed)
            batch_free(batch);
    }
}
