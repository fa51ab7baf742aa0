/* SPDX-License-Identifier: MIT */
#include "daemon/rpc/outbox.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/util/cleanup.h"

enum {
    SCARCE_UNSENT =
        4096,           /* what an outbox may hold until its session stops, when its uid has much */
    KEEP_BYTES = 16384, /* memory larger than this is freed when there is no output */
};

static void count(struct outbox *o)
{
    buffers_set(&o->buffers, &o->output->counted, outbox_unsent(o) + o->output->later.len);
}

static void output_free(struct output *output)
{
    if (output) {
        writer_deinit(&output->out);
        writer_deinit(&output->later);
    }
    free(output);
}

/* There is one. */
static struct output *take_spare(struct outbox_common *common)
{
    struct output *output = common->spares;
    common->spares = steal_pointer(&output->next);
    common->n_spares--;
    return output;
}

void outbox_common_deinit(struct outbox_common *common)
{
    while (common->spares)
        output_free(take_spare(common));
}

void outbox_init(struct outbox *o, struct outbox_common *common, struct account *account)
{
    *o = (struct outbox){.common = common, .buffers = {.account = account}};
}

/* All output is thrown away. */
static void drop(struct outbox *o)
{
    if (o->output)
        buffers_set(&o->buffers, &o->output->counted, 0);
    output_free(steal_pointer(&o->output));
}

void outbox_deinit(struct outbox *o)
{
    drop(o);
}

/* --- writing */

static struct output *output_new(void)
{
    struct output *output = calloc(1, sizeof(*output));
    if (output) {
        writer_init(&output->out);
        writer_init(&output->later);
    }
    return output;
}

/* Where the next message goes; NULL when there is no memory for it. */
static struct writer *begin(struct outbox *o)
{
    if (!o->output)
        o->output = o->common->spares ? take_spare(o->common) : output_new();
    return o->output ? &o->output->out : NULL;
}

/* The same for a message that belongs to a request. Rather than leave that without an answer we try
 * twice, as outbox_write_answer() does. */
static struct writer *begin_answer(struct outbox *o)
{
    struct writer *w = begin(o);
    if (!w)
        w = begin(o);
    if (!w)
        o->is_closed = true;
    return w;
}

/* The same for an answer that belongs to no batch, or for a whole batch's. */
static struct writer *begin_whole(struct outbox *o)
{
    struct writer *w = begin_answer(o);
    return w && o->output->in_batch ? &o->output->later : w;
}

/* There is no output. */
static void give_back(struct outbox *o)
{
    struct output *output = steal_pointer(&o->output);
    struct outbox_common *common = o->common;
    if (common->n_spares == OUTBOX_SPARES_MAX || output->out.capacity > KEEP_BYTES) {
        output_free(output);
        return;
    }
    output->out.comma = output->in_batch = false;
    writer_deinit(&output->later);
    output->next = common->spares;
    common->spares = output;
    common->n_spares++;
}

bool outbox_write_answer(const struct outbox *o, struct writer *w, const struct call *call,
                         const struct reply *reply, bool in_batch)
{
    struct writer_mark mark = writer_mark(w);
    o->common->dialect->reply(w, call, reply, in_batch);
    if (!w->failed)
        return true;
    struct reply sorry = {.kind = REPLY_FAILURE};
    failure_init(&sorry.u.failure, PROTOCOL_ERROR_INTERNAL);
    writer_rewind(w, mark);
    o->common->dialect->reply(w, call, &sorry, in_batch);
    if (!w->failed)
        return true;
    writer_rewind(w, mark);
    return false;
}

void outbox_answer(struct outbox *o, const struct call *call, const struct reply *reply,
                   bool in_batch)
{
    struct writer *w = in_batch ? begin_answer(o) : begin_whole(o);
    if (!w)
        return;
    if (!outbox_write_answer(o, w, call, reply, in_batch))
        o->is_closed = true;
    count(o);
}

void outbox_begin_batch(struct outbox *o)
{
    struct writer *w = begin_answer(o);
    if (!w)
        return;
    struct writer_mark mark = writer_mark(w);
    o->common->dialect->batch_begin(w);
    o->output->in_batch = true;
    if (w->failed) { /* without its beginning it is no answer */
        writer_rewind(w, mark);
        o->is_closed = true;
    }
    count(o);
}

void outbox_append(struct outbox *o, const struct writer *bytes)
{
    struct writer *w = begin_whole(o);
    if (!w)
        return;
    struct writer_mark mark = writer_mark(w);
    if (!bytes->failed)
        writer_bytes(w, bytes->data, bytes->len);
    if (bytes->failed || w->failed) {
        writer_rewind(w, mark);
        o->is_closed = true;
    }
    count(o);
}

void outbox_end_batch(struct outbox *o)
{
    struct output *output = o->output;
    if (o->is_closed || !output) /* one of its answers is missing */
        return;
    o->common->dialect->batch_end(&output->out);
    output->in_batch = false;
    if (output->out.failed) { /* without its end it is no answer */
        output->out.failed = false;
        o->is_closed = true;
    } else {
        outbox_append(o, &output->later);
    }
    writer_deinit(&output->later);
    count(o);
}

void outbox_event(struct outbox *o, const struct wire_event *event)
{
    struct writer *w = begin(o);
    if (!w) {
        o->is_cut_off = true;
        return;
    }
    struct writer_mark mark = writer_mark(w);
    o->common->dialect->event(w, event);
    if (w->failed) {
        writer_rewind(w, mark);
        o->is_cut_off = true;
    }
    count(o);
}

/* --- how much there is */

bool outbox_is_above_high_water(const struct outbox *o)
{
    size_t unsent = outbox_unsent(o);
    return unsent > o->common->limits->output_high_water ||
           (unsent > SCARCE_UNSENT && buffers_are_scarce(&o->buffers));
}

bool outbox_is_above_subscriber_cap(const struct outbox *o)
{
    return outbox_unsent(o) > o->common->limits->subscriber_cap ||
           (buffers_are_scarce(&o->buffers) && outbox_is_above_high_water(o));
}

bool outbox_has_room_for_log(const struct outbox *o)
{
    return !outbox_is_above_high_water(o) &&
           outbox_unsent(o) < o->common->limits->subscriber_cap / 2;
}

/* --- sending */

const char *outbox_bytes(const struct outbox *o)
{
    return o->output->out.data + o->output->sent;
}

void outbox_took(struct outbox *o, size_t n)
{
    if (n == 0)
        return;
    o->output->sent += n;
    count(o);
}

void outbox_cut_off(struct outbox *o)
{
    o->is_cut_off = true;
    drop(o);
}

void outbox_tidy(struct outbox *o, bool goes_on)
{
    struct output *output = o->output;
    size_t unsent = outbox_unsent(o);
    if (!output)
        return;
    if (unsent > 0 && output->sent <= output->out.len / 2)
        return; /* what is sent goes when it is the larger part, so that moving the rest is cheap */
    if (unsent > 0)
        memmove(output->out.data, output->out.data + output->sent, unsent);
    output->out.len = unsent;
    output->sent = 0;
    /* A batch of which a part is sent must find room for its end. */
    if (unsent == 0 && !o->in_answer && (output->out.capacity > KEEP_BYTES || !goes_on))
        give_back(o);
}
