#include "daemon/rpc/outbox.h"

#include <string.h>

enum {
    SCARCE_UNSENT =
        4096,           /* what an outbox may hold until its session stops, when its uid has much */
    KEEP_BYTES = 16384, /* memory larger than this is freed when there is no output */
};

static void count(struct outbox *o)
{
    buffers_set(o->buffers, &o->counted, outbox_unsent(o));
}

void outbox_common_deinit(struct outbox_common *common)
{
    writer_deinit(&common->spare);
}

void outbox_init(struct outbox *o, struct outbox_common *common, struct buffers *buffers)
{
    *o = (struct outbox){.common = common, .buffers = buffers};
    writer_init(&o->out);
}

void outbox_deinit(struct outbox *o)
{
    writer_deinit(&o->out);
    o->sent = 0;
    count(o);
}

/* --- writing */

/* What is written next needs memory. */
static void take_spare(struct outbox *o)
{
    struct writer *spare = &o->common->spare;
    if (o->out.data)
        return;
    o->out.data = spare->data;
    o->out.capacity = spare->capacity;
    writer_init(spare);
}

/* There is no output. */
static void give_back(struct outbox *o)
{
    struct writer *spare = &o->common->spare;
    if (!spare->data && o->out.capacity <= KEEP_BYTES) {
        spare->data = o->out.data;
        spare->capacity = o->out.capacity;
        o->out.data = NULL;
    }
    writer_free_buffer(&o->out);
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
    take_spare(o);
    if (!outbox_write_answer(o, &o->out, call, reply, in_batch))
        o->is_closed = true;
    count(o);
}

void outbox_begin_batch(struct outbox *o)
{
    take_spare(o);
    struct writer_mark mark = writer_mark(&o->out);
    o->common->dialect->batch_begin(&o->out);
    if (o->out.failed) { /* without its beginning it is no answer */
        writer_rewind(&o->out, mark);
        o->is_closed = true;
    }
    count(o);
}

void outbox_end_batch(struct outbox *o)
{
    o->common->dialect->batch_end(&o->out);
    if (o->out.failed) { /* without its end it is no answer */
        o->out.failed = false;
        o->is_closed = true;
    }
    count(o);
}

void outbox_append(struct outbox *o, const struct writer *bytes)
{
    take_spare(o);
    struct writer_mark mark = writer_mark(&o->out);
    if (!bytes->failed)
        writer_bytes(&o->out, bytes->data, bytes->len);
    if (bytes->failed || o->out.failed) {
        writer_rewind(&o->out, mark);
        o->is_closed = true;
    }
    count(o);
}

void outbox_event(struct outbox *o, const struct wire_event *event)
{
    take_spare(o);
    struct writer_mark mark = writer_mark(&o->out);
    o->common->dialect->event(&o->out, event);
    if (o->out.failed) {
        writer_rewind(&o->out, mark);
        o->is_cut_off = true;
    }
    count(o);
}

/* --- how much there is */

size_t outbox_unsent(const struct outbox *o)
{
    return o->out.len - o->sent;
}

bool outbox_is_above_high_water(const struct outbox *o)
{
    size_t unsent = outbox_unsent(o);
    return unsent > o->common->limits->output_high_water ||
           (unsent > SCARCE_UNSENT && buffers_are_scarce(o->buffers));
}

bool outbox_is_above_subscriber_cap(const struct outbox *o)
{
    return outbox_unsent(o) > o->common->limits->subscriber_cap ||
           (buffers_are_scarce(o->buffers) && outbox_is_above_high_water(o));
}

bool outbox_has_room_for_log(const struct outbox *o)
{
    return !outbox_is_above_high_water(o) &&
           outbox_unsent(o) < o->common->limits->subscriber_cap / 2;
}

/* --- sending */

const char *outbox_bytes(const struct outbox *o)
{
    return o->out.data + o->sent;
}

void outbox_took(struct outbox *o, size_t n)
{
    o->sent += n;
    count(o);
}

void outbox_cut_off(struct outbox *o)
{
    o->is_cut_off = true;
    o->out.len = o->sent = 0;
    writer_free_buffer(&o->out);
    count(o);
}

void outbox_tidy(struct outbox *o, bool goes_on)
{
    size_t unsent = outbox_unsent(o);
    if (unsent > 0 && o->sent <= o->out.len / 2)
        return; /* what is sent goes when it is the larger part, so that moving the rest is cheap */
    if (unsent > 0)
        memmove(o->out.data, o->out.data + o->sent, unsent);
    o->out.len = unsent;
    o->sent = 0;
    /* A batch of which a part is sent must find room for its end. */
    if (unsent == 0 && !o->in_answer && (o->out.capacity > KEEP_BYTES || !goes_on))
        give_back(o);
}
