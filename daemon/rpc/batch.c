/* SPDX-License-Identifier: MIT */
#include "daemon/rpc/batch.h"

#include <stdlib.h>

struct batch *batch_new(struct outbox *outbox, size_t n_members)
{
    struct batch *batch = calloc(1, sizeof(*batch) + n_members * sizeof(batch->answers[0]));
    if (!batch)
        return NULL;
    batch->outbox = outbox;
    batch->n_members = n_members;
    for (size_t i = 0; i < n_members; i++)
        writer_init(&batch->answers[i]);
    return batch;
}

void batch_free(struct batch *batch)
{
    if (!batch)
        return;
    batch_give_up(batch);
    free(batch);
}

void batch_give_up(struct batch *batch)
{
    for (size_t i = 0; i < batch->n_members; i++)
        writer_deinit(&batch->answers[i]);
    batch->has_failed = true;
    buffers_set(&batch->outbox->buffers, &batch->counted, 0);
}

void batch_answer(struct batch *batch, size_t index, const struct call *call,
                  const struct reply *reply)
{
    if (!outbox_write_answer(batch->outbox, &batch->answers[index], call, reply, true))
        batch->has_failed = true;
    buffers_set(&batch->outbox->buffers, &batch->counted,
                batch->counted + batch->answers[index].len);
}

static void send(struct batch *batch)
{
    const struct dialect *dialect = batch->outbox->common->dialect;
    struct writer array;
    bool is_empty = true;
    writer_init(&array);
    array.failed = batch->has_failed; /* rather no answer than one without a member's */
    dialect->batch_begin(&array);
    for (size_t i = 0; i < batch->n_members; i++) {
        const struct writer *answer = &batch->answers[i];
        if (answer->len == 0)
            continue; /* a notification */
        writer_value(&array, answer->data, answer->len);
        is_empty = false;
    }
    dialect->batch_end(&array);
    if (!is_empty || batch->has_failed)
        outbox_append(batch->outbox, &array);
    writer_deinit(&array);
}

static void send_if_complete(struct batch *batch)
{
    if (!batch->is_executed || batch->n_waiting > 0)
        return;
    send(batch);
    batch_free(batch);
}

void batch_executed(struct batch *batch)
{
    batch->is_executed = true;
    send_if_complete(batch);
}

void batch_waited(struct batch *batch)
{
    batch->n_waiting--;
    send_if_complete(batch);
}
