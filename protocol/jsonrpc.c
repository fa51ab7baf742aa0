/* SPDX-License-Identifier: MIT */
#include "protocol/jsonrpc.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/json_check.h"
#include "protocol/json_number.h"
#include "protocol/json_slice.h"
#include "protocol/limits.h"
#include "protocol/plain.h"

static int jsonrpc_check(const struct message *m, struct failure *f)
{
    size_t members = message_calls(m);
    if (members > 0 && (members <= BATCH_MEMBERS_MAX || !message_is_batch(m)))
        return 0;
    failure_init(f, PROTOCOL_ERROR_INVALID_REQUEST);
    failure_set_message(f, "a batch must have 1 to %d members, not %zu", BATCH_MEMBERS_MAX,
                        members);
    return -EINVAL;
}

static void refuse(struct call *call, enum protocol_error error, const char *why)
{
    call->answered = true;
    call->failed = true;
    failure_init(&call->failure, error);
    call->failure.message = why;
}

/* In place of VALUE an integer beyond int64 was sent: nothing can give it back as it came. */
static bool is_widened(const struct message *m, const json_t *value)
{
    return m->widened && value_is_beyond_int64(value);
}

/* 0 when METHOD is one of ours, which is written into RET then. */
static int find_method(const struct value *method, struct call *ret)
{
    int found = method_find(method->text, method->len);
    if (found < 0) {
        ret->failed = true;
        failure_init(&ret->failure, PROTOCOL_ERROR_METHOD_NOT_FOUND);
        failure_add_string(&ret->failure, "method", method->text);
        return -ENOENT;
    }
    ret->method = (enum method)found;
    return 0;
}

static size_t jsonrpc_take_plain(char *text, size_t len, struct call *ret)
{
    struct plain request;
    size_t taken = plain_take(text, len, &request);
    if (taken == 0)
        return 0;
    ret->id = request.id;
    ret->answered = request.id.kind != VALUE_NONE;
    ret->failed = false;
    if (find_method(&request.method, ret) == 0)
        ret->failed = params_decode_plain(ret->method, &request, &ret->params, &ret->failure) < 0;
    return taken;
}

/* The id of a request is its id too when it is refused, unless it is of a kind that none may be. */
static struct value id_of_text(struct json_slice text)
{
    struct json_facts facts;
    struct json_fault unused;
    const struct value none = {.kind = VALUE_NONE};
    struct json_number n = json_number_read(text.text, text.len);
    char number[64] = "";
    if (n.is_number && n.len == text.len) {
        if (n.is_beyond_int64 || n.len >= sizeof(number))
            return none;
        memcpy(number, text.text, n.len);
        if (!isfinite(strtod(number, NULL)))
            return none;
    } else if (text.len == 0 || *text.text != '"' ||
               json_check(text.text, text.len, &facts, &unused) < 0 || facts.has_nul) {
        return none;
    }
    return (struct value){.kind = VALUE_RAW, .text = text.text, .len = text.len};
}

static struct value jsonrpc_find_id(const char *text, size_t len)
{
    struct json_walk walk = json_walk_begin((struct json_slice){text, len});
    struct json_slice name, value, id = {"", 0};
    size_t found = 0;
    while (walk.in_object && json_walk_next(&walk, &name, &value)) {
        if (json_slice_is_key(name, "id")) {
            id = value;
            found++;
        }
    }
    return found == 1 ? id_of_text(id) : (struct value){.kind = VALUE_NONE};
}

/* Whether PARAMS may be a request's at all. */
static bool may_be_params(const json_t *params)
{
    return !params || json_is_null(params) || json_is_object(params) || json_is_array(params);
}

static void jsonrpc_call(const struct message *m, size_t index, struct call *ret)
{
    const json_t *request = json_is_array(m->root) ? json_array_get(m->root, index) : m->root;
    ret->id = (struct value){.kind = VALUE_NONE};
    ret->failed = false;
    if (is_widened(m, request)) {
        refuse(ret, PROTOCOL_ERROR_PARSE,
               "a number beyond the range of a 64-bit integer is no request");
        return;
    }
    if (!json_is_object(request)) {
        refuse(ret, PROTOCOL_ERROR_INVALID_REQUEST,
               "a request must be an object with jsonrpc, method and params");
        return;
    }
    const json_t *id = json_object_get(request, "id");
    if (id && !json_is_string(id) && !json_is_number(id) && !json_is_null(id)) {
        refuse(ret, PROTOCOL_ERROR_INVALID_REQUEST, "id must be a string, a number or null");
        return;
    }
    if (is_widened(m, id)) {
        refuse(ret, PROTOCOL_ERROR_PARSE, "id is beyond the range of a 64-bit integer");
        return;
    }
    ret->id = value_of_json(id);
    const char *version = json_string_value(json_object_get(request, "jsonrpc"));
    if (!version || strcmp(version, "2.0") != 0) {
        refuse(ret, PROTOCOL_ERROR_INVALID_REQUEST, "jsonrpc must be exactly \"2.0\"");
        return;
    }
    const struct value method = value_of_json(json_object_get(request, "method"));
    if (method.kind != VALUE_STRING) {
        refuse(ret, PROTOCOL_ERROR_INVALID_REQUEST, "method must be a string");
        return;
    }
    const json_t *params = json_object_get(request, "params");
    if (!id && !may_be_params(params)) {
        refuse(ret, PROTOCOL_ERROR_INVALID_REQUEST, "params must be an object");
        return;
    }
    ret->answered = id != NULL;
    if (find_method(&method, ret) == 0)
        ret->failed = params_decode(ret->method, params, &ret->params, &ret->failure) < 0;
}

/* Real numbers are written with a fraction or an exponent, so that they come back as reals. */
static void write_decimal(struct writer *w, const char *digits)
{
    char text[64];
    size_t len = 0;
    for (const char *c = digits; *c && len + 3 < sizeof(text); c++)
        if (*c != '+') /* 1e+300 */
            text[len++] = *c;
    if (!strpbrk(digits, ".e")) {
        text[len++] = '.';
        text[len++] = '0';
    }
    writer_value(w, text, len);
}

/* The least digits that are the same number: 1.1 is to come back as 1.1. Not by jansson, which
 * would allocate. */
static void write_real(struct writer *w, double value)
{
    char digits[40] = "";
    for (int precision = 15; precision <= 17; precision++) {
        snprintf(digits, sizeof(digits), "%.*g", precision, value);
        double back = strtod(digits, NULL);
        if (memcmp(&back, &value, sizeof(value)) == 0)
            break;
    }
    write_decimal(w, digits);
}

static void write_id(struct writer *w, const struct value *id)
{
    if (id && id->kind == VALUE_STRING)
        writer_string_n(w, id->text, id->len);
    else if (id && id->kind == VALUE_INT)
        writer_int(w, id->integer);
    else if (id && json_is_real(id->json))
        write_real(w, json_real_value(id->json));
    else if (id && id->kind == VALUE_RAW)
        writer_value(w, id->text, id->len);
    else
        writer_null(w);
}

static void write_error(struct writer *w, const struct failure *f)
{
    const struct error_row *row = error_row(f->error);
    writer_key(w, "error");
    writer_object_begin(w);
    writer_member_int(w, "code", row->code);
    writer_member_string(w, "message", failure_message(f));
    if (row->name) {
        writer_key(w, "data");
        writer_object_begin(w);
        writer_member_string(w, "error", row->name);
        reply_write_failure_params(w, f);
        writer_object_end(w);
    }
    writer_object_end(w);
}

static bool jsonrpc_calls(const struct message *m, enum method method)
{
    for (size_t i = 0; i < message_calls(m); i++) {
        const char *word = json_string_value(json_object_get(message_member(m, i), "method"));
        if (word && strcmp(word, method_word(method)) == 0)
            return true;
    }
    return false;
}

static void jsonrpc_id(struct writer *w, const struct call *call)
{
    write_id(w, &call->id);
}

static void jsonrpc_reply(struct writer *w, const struct call *call, const struct reply *reply,
                          bool in_batch)
{
    if (!in_batch)
        writer_restart(w);
    writer_opening(w, "{\"jsonrpc\":\"2.0\",\"id\":");
    write_id(w, call ? &call->id : NULL);
    if (reply->kind == REPLY_FAILURE) {
        write_error(w, &reply->u.failure);
    } else {
        writer_key(w, "result");
        reply_write_result(w, reply);
    }
    writer_object_end(w);
    if (!in_batch)
        writer_bytes(w, "\n", 1);
}

static void jsonrpc_event(struct writer *w, const struct wire_event *event)
{
    writer_restart(w);
    writer_opening(w, "{\"jsonrpc\":\"2.0\",\"method\":\"event\",\"params\":");
    reply_write_event(w, event);
    writer_object_end(w);
    writer_bytes(w, "\n", 1);
}

static void jsonrpc_batch_begin(struct writer *w)
{
    writer_restart(w);
    writer_array_begin(w);
}

static void jsonrpc_batch_end(struct writer *w)
{
    writer_array_end(w);
    writer_bytes(w, "\n", 1);
}

const struct dialect jsonrpc_dialect = {
    .check = jsonrpc_check,
    .call = jsonrpc_call,
    .take_plain = jsonrpc_take_plain,
    .calls = jsonrpc_calls,
    .id = jsonrpc_id,
    .find_id = jsonrpc_find_id,
    .reply = jsonrpc_reply,
    .event = jsonrpc_event,
    .batch_begin = jsonrpc_batch_begin,
    .batch_end = jsonrpc_batch_end,
};
