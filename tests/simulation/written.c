/* SPDX-License-Identifier: MIT */
/*
 * An answer that comes later is judged when the daemon writes it: who is told, and what, is then as
 * the model has it. What is sent at last must be the same.
 */
#include "tests/simulation/oracle_state.h"

#include "daemon/rpc/batch.h"
#include "daemon/util/container_of.h"
#include "tests/fakes/fake_memory.h"

static struct ask *find_wait(struct talk *t, long long id)
{
    for (size_t i = 0; i < t->n_waits; i++)
        if (t->waits[i].id == id && !t->waits[i].written)
            return &t->waits[i];
    return NULL;
}

/* A member of a batch whose answer comes late, which is being executed. */
static struct ask *find_member(struct talk *t, long long id)
{
    for (size_t i = t->n_done; i < t->n_asks && t->asks[i].is_deferred; i++)
        if (t->asks[i].id == id && t->asks[i].message && !t->asks[i].written)
            return &t->asks[i];
    return NULL;
}

/* What is executed now is judged when that is done. */
static void hear(struct oracle *o, struct talk *t, const char *text, size_t n)
{
    json_t *message = json_loadb(text, n, JSON_DISABLE_EOF_CHECK, NULL);
    const json_t *id = json_object_get(message, "id");
    struct ask *ask = json_is_integer(id) ? find_wait(t, json_integer_value(id)) : NULL;
    struct ask *member =
        !ask && json_is_integer(id) ? find_member(t, json_integer_value(id)) : NULL;
    if (ask) {
        oracle_note_faults(o);
        ask->written = json_incref(message);
        judge_wait(o, ask, message);
    } else if (member) {
        member->written = json_incref(message);
    }
    json_decref(message);
}

void written_check_sent(struct oracle *o, const struct ask *ask, const json_t *message)
{
    if (!json_equal(ask->written, message))
        world_fail(o->w, "request %lld is answered otherwise than it was at first", ask->id);
}

static size_t length_of(const struct outbox *outbox)
{
    return outbox->output ? outbox->output->out.len + outbox->output->later.len : 0;
}

/* The linker puts it in the place of the daemon's outbox_answer(). The id of a wait that is over is
 * text by then. */
void __real_outbox_answer(struct outbox *outbox, const struct call *call, const struct reply *reply,
                          bool in_batch);
void __wrap_outbox_answer(struct outbox *outbox, const struct call *call, const struct reply *reply,
                          bool in_batch);
void __wrap_outbox_answer(struct outbox *outbox, const struct call *call, const struct reply *reply,
                          bool in_batch)
{
    struct connection *c = container_of(outbox, struct connection, session.outbox);
    struct oracle *o = c->world->oracle;
    struct talk *t = talk_of(o, c);
    const size_t before = length_of(outbox);
    __real_outbox_answer(outbox, call, reply, in_batch);
    if (t->n_waits == 0 || !call || call->id.kind != VALUE_RAW || c->world->is_killed ||
        length_of(outbox) <= before)
        return;
    const struct output *output = outbox->output;
    const struct writer *w = output->in_batch && !in_batch ? &output->later : &output->out;
    const size_t n = length_of(outbox) - before;
    fake_memory_pause();
    hear(o, t, w->data + w->len - n, n);
    fake_memory_resume();
}

/* The same of batch_answer(): the answers of a batch of which a member waits are gathered. */
void __real_batch_answer(struct batch *batch, size_t index, const struct call *call,
                         const struct reply *reply);
void __wrap_batch_answer(struct batch *batch, size_t index, const struct call *call,
                         const struct reply *reply);
void __wrap_batch_answer(struct batch *batch, size_t index, const struct call *call,
                         const struct reply *reply)
{
    struct connection *c = container_of(batch->outbox, struct connection, session.outbox);
    const struct writer *w = &batch->answers[index];
    __real_batch_answer(batch, index, call, reply);
    if (c->world->is_killed || w->len == 0)
        return;
    fake_memory_pause();
    hear(c->world->oracle, talk_of(c->world->oracle, c), w->data, w->len);
    fake_memory_resume();
}
