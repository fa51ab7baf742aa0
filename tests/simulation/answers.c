/* SPDX-License-Identifier: MIT */
#include "tests/simulation/oracle_state.h"

#include <stdlib.h>
#include <string.h>

/* How long the value at TEXT is; 0: it is not whole. */
static size_t value_length(const char *text, size_t n)
{
    int depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < n; i++) {
        const char c = text[i];
        if (in_string) {
            if (c == '\\')
                i++;
            else if (c == '"')
                in_string = false;
        } else if (c == '"') {
            in_string = true;
        } else if (c == '{' || c == '[') {
            depth++;
        } else if ((c == '}' || c == ']') && --depth == 0) {
            return i + 1;
        }
    }
    return 0;
}

static struct ask *find_ask(struct talk *t, long long id, bool *ret_waits)
{
    for (size_t i = 0; i < t->n_waits; i++)
        if (t->waits[i].id == id) {
            *ret_waits = true;
            return &t->waits[i];
        }
    *ret_waits = false;
    for (size_t i = t->n_done; i < t->n_asks; i++)
        if (t->asks[i].is_answered && t->asks[i].id == id &&
            (t->asks[i].message || t->asks[i].is_bad))
            return &t->asks[i];
    return NULL;
}

/* Asks before ASK were executed earlier: those of them that are not answered yet never will be, but
 * for waits. */
static void pass_to(struct oracle *o, struct talk *t, const struct ask *ask)
{
    for (size_t i = t->n_done; &t->asks[i] != ask; i++) {
        struct ask *earlier = &t->asks[i];
        if (!earlier->is_answered && earlier->message && !earlier->is_bad) {
            oracle_execute_unheard(o, earlier);
            json_decref(earlier->message);
            earlier->message = NULL;
        }
        if (earlier->is_deferred || !earlier->is_answered ||
            (!earlier->message && !earlier->is_bad))
            continue;
        if (earlier->method == METHOD_WAIT && !earlier->is_bad) {
            if (!earlier->is_judged)
                judge_answer(o, earlier, NULL, o->faults_seen);
            continue;
        }
        world_fail(o->w, "connection %d: request %lld was answered before request %lld",
                   t->connection->label, ask->id, earlier->id);
        return;
    }
}

static void forget_wait(struct talk *t, struct ask *ask)
{
    json_decref(ask->message);
    json_decref(ask->written);
    *ask = t->waits[--t->n_waits];
}

static int code_of(const json_t *message)
{
    const json_t *error = json_object_get(message, "error");
    return error ? (int)model_int(error, "code", 0) : CODE_OK;
}

static void hear_bad(struct oracle *o, struct talk *t, struct ask *ask, const json_t *message)
{
    int code = code_of(message);
    if (code != ask->code && !(o->faults_seen && code == CODE_INTERNAL))
        world_fail(o->w, "connection %d: a bad request was answered %d instead of %d",
                   t->connection->label, code, ask->code);
    ask->is_answered = false;
}

/* The first bad request whose answer names no id. */
static struct ask *first_without_id(struct talk *t)
{
    for (size_t i = t->n_done; i < t->n_asks; i++)
        if (t->asks[i].is_bad && t->asks[i].is_answered && t->asks[i].id < 0)
            return &t->asks[i];
    return NULL;
}

static void check_envelope(struct oracle *o, const json_t *m)
{
    const char *version = json_string_value(json_object_get(m, "jsonrpc"));
    const bool has_error = json_object_get(m, "error"), has_result = json_object_get(m, "result");
    if (!version || strcmp(version, "2.0") != 0 || has_error == has_result)
        world_fail(o->w, "an answer is no answer of JSON-RPC 2.0");
    if (has_error && !json_string_value(json_object_get(json_object_get(m, "error"), "message")))
        world_fail(o->w, "an error without a sentence");
}

/* There was no memory to read what is first, before BAD: it was answered as one, and nothing of it
 * was done. */
static bool hear_of_unread(struct oracle *o, struct talk *t, const struct ask *bad, const json_t *m)
{
    const size_t end = bad ? (size_t)(bad - t->asks) : t->n_asks;
    const size_t i = t->n_done;
    if (!o->faults_seen || code_of(m) != CODE_INTERNAL || i == end || !t->asks[i].message)
        return false;
    json_decref(t->asks[i].message);
    t->asks[i].message = NULL;
    while (t->asks[i].batch != 0 && i + 1 < t->n_asks && t->asks[i + 1].batch == t->asks[i].batch) {
        json_decref(t->asks[i + 1].message);
        t->n_asks--;
        memmove(&t->asks[i + 1], &t->asks[i + 2], (t->n_asks - i - 1) * sizeof(t->asks[0]));
    }
    return true;
}

/* The rest of a value was not read in time, and the connection is closed for that. */
static bool hear_of_delay(struct oracle *o, struct talk *t, const json_t *m)
{
    static const char text[] = "the value was not finished within ";
    const char *said = json_string_value(json_object_get(json_object_get(m, "error"), "message"));
    if (!said || strncmp(said, text, sizeof(text) - 1) != 0)
        return false;
    if (!t->connection->session.outbox.is_closed)
        world_fail(o->w, "connection %d is told that it is closed, and is not",
                   t->connection->label);
    return true;
}

static long long number_of(const json_t *id)
{
    return json_is_string(id) ? strtoll(json_string_value(id), NULL, 10) : json_integer_value(id);
}

static void hear_answer(struct oracle *o, struct talk *t, const json_t *m)
{
    const json_t *id = json_object_get(m, "id");
    bool waits = false;
    check_envelope(o, m);
    if (json_is_null(id) && hear_of_delay(o, t, m))
        return;
    struct ask *ask = json_is_null(id) ? first_without_id(t) : find_ask(t, number_of(id), &waits);
    if (json_is_null(id) && hear_of_unread(o, t, ask, m))
        return;
    if (!ask) {
        /* The last word before it closes. */
        if (json_is_null(id) && t->connection->session.outbox.is_closed)
            return;
        world_fail(o->w, "connection %d: an answer to nothing that was asked (id %lld)",
                   t->connection->label, number_of(id));
        return;
    }
    if (ask->is_bad) {
        pass_to(o, t, ask);
        hear_bad(o, t, ask, m);
        return;
    }
    if (waits) {
        written_check_sent(o, ask, m);
        forget_wait(t, ask);
        return;
    }
    pass_to(o, t, ask);
    if (o->w->has_failed)
        return;
    judge_answer(o, ask, m, o->faults_seen);
    json_decref(ask->message);
    ask->message = NULL;
}

static void hear(struct oracle *o, struct talk *t, const char *text, size_t n)
{
    json_error_t error;
    json_t *m = json_loadb(text, n, JSON_REJECT_DUPLICATES, &error);
    if (o->w->is_loud)
        printf("    %d hears %.*s\n", t->connection->label, (int)n, text);
    if (!m) {
        world_fail(o->w, "connection %d: an answer is not JSON (%s): %.*s", t->connection->label,
                   error.text, (int)(n < 300 ? n : 300), text);
        return;
    }
    if (json_object_get(m, "method"))
        events_heard(o, t, json_object_get(m, "params"));
    else
        hear_answer(o, t, m);
    json_decref(m);
}

/* What stands behind the answer of a batch is heard when it is given. */
static void hear_later(struct oracle *o, struct talk *t, const struct outbox *outbox)
{
    if (!outbox->output)
        return;
    const struct writer *later = &outbox->output->later;
    while (t->later_heard < later->len && !o->w->has_failed) {
        const char *text = later->data + t->later_heard;
        const size_t n = *text == '{' ? value_length(text, later->len - t->later_heard) : 0;
        if (n > 0)
            hear(o, t, text, n);
        t->later_heard += n > 0 ? n : 1;
    }
}

static void hear_all(struct oracle *o, struct talk *t)
{
    size_t at = 0;
    while (at < t->len && !o->w->has_failed) {
        const char c = t->text[at];
        if (c == '\n' && t->heard_twice > 0) {
            at += 1 + t->heard_twice;
            t->heard_twice = 0;
            continue;
        }
        if (c == ']') {
            t->heard_twice = t->later_heard;
            t->later_heard = 0;
        }
        if (c != '{') { /* between values: a line's end, and a batch's brackets and commas */
            if (!strchr("\n[],", c))
                world_fail(o->w, "connection %d: a stray byte 0x%02x between answers",
                           t->connection->label, (unsigned char)c);
            at++;
            continue;
        }
        size_t n = value_length(t->text + at, t->len - at);
        if (n == 0)
            break;
        hear(o, t, t->text + at, n);
        at += n;
    }
    memmove(t->text, t->text + at, t->len - at);
    t->len -= at;
}

static void read_sent(struct oracle *o, struct connection *c)
{
    struct talk *t = talk_of(o, c);
    const struct outbox *outbox = &c->session.outbox;
    uint64_t there = c->taken + outbox_unsent(outbox);
    t->connection = c;
    if (outbox->is_cut_off) /* what there was is thrown away, and what comes then is not sent */
        return;
    if (o->w->is_killed && there > c->kill_mark)
        there = c->kill_mark;
    if (there <= c->heard)
        return;
    size_t n = (size_t)(there - c->heard);
    if (t->text_capacity - t->len < n) {
        t->text_capacity = (t->len + n) * 2;
        t->text = realloc(t->text, t->text_capacity);
        if (!t->text)
            abort();
    }
    memcpy(t->text + t->len, outbox_bytes(outbox) + (c->heard - c->taken), n);
    t->len += n;
    c->heard = there;
    hear_all(o, t);
}

void answers_read(struct oracle *o, struct connection *c)
{
    read_sent(o, c);
    if (!o->w->is_killed && !c->session.outbox.is_closed)
        hear_later(o, talk_of(o, c), &c->session.outbox);
}
