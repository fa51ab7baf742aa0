/* SPDX-License-Identifier: MIT */
/*
 * Decoding, with jansson as the oracle: what is not JSON to jansson is not to us, what it refuses
 * though it is JSON we refuse as that (but for integers beyond int64, which are refused by name),
 * and what both accept means the same. Decoding takes less memory than is reserved for it. Plain
 * requests, which are read without scanner and jansson, end and mean what they do through these. A
 * call that is accepted obeys its field table, and encoded again it decodes to the same.
 */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/json_arena.h"
#include "protocol/json_check.h"
#include "protocol/jsonrpc.h"
#include "protocol/params.h"
#include "protocol/plain.h"
#include "protocol/reply.h"
#include "protocol/scanner.h"
#include "tests/fuzz/fuzz.h"

static void check_ranges(const struct call *call)
{
    const struct field_table *table = params_table(call->method);
    for (size_t i = 0; i < table->count; i++) {
        const struct field *f = &table->fields[i];
        const char *at = (const char *)&call->params + f->offset;
        const struct opt_int *number = (const void *)at;
        if (f->type == FIELD_INT && number->given)
            MUST(number->value >= f->min && number->value <= f->max);
        if (f->type == FIELD_MODE && number->given)
            MUST(number->value >= 0 && number->value <= 0777);
        if (f->type == FIELD_NAME && *(const char *const *)at)
            MUST(!params_check_name(*(const char *const *)at));
    }
}

static void check_round_trip(const struct call *call)
{
    struct writer w;
    struct failure f;
    struct message again;
    union params params;
    writer_init(&w);
    params_encode(&w, call->method, &call->params);
    MUST(!w.failed);
    MUST(message_decode(w.data, w.len, &again, &f) == 0);
    MUST(params_decode(call->method, again.root, &params, &f) == 0);
    struct writer v;
    writer_init(&v);
    params_encode(&v, call->method, &params);
    MUST(v.len == w.len && memcmp(v.data, w.data, w.len) == 0);
    writer_deinit(&v);
    message_free(&again);
    writer_deinit(&w);
}

/* Whatever a peer sent, what it is answered is JSON. */
static void check_answer(const struct call *call)
{
    struct writer w;
    struct reply reply = {.kind = REPLY_FAILURE, .u.failure = call->failure};
    if (!call->answered)
        return;
    if (!call->failed)
        failure_init(&reply.u.failure, PROTOCOL_ERROR_INTERNAL);
    writer_init(&w);
    jsonrpc_dialect.reply(&w, call, &reply, false);
    json_t *root = json_loadb(w.data, w.len, JSON_REJECT_DUPLICATES, NULL);
    MUST(root && json_is_object(json_object_get(root, "error")));
    json_decref(root);
    writer_deinit(&w);
}

/* What is not decoded is answered too, with its id if it has one that can be told. */
static void check_refusal(const uint8_t *data, size_t size, const struct failure *f)
{
    struct call call = {.answered = true, .failed = true, .failure = *f};
    call.id = jsonrpc_dialect.find_id((const char *)data, size);
    check_answer(&call);
}

/* What the fault is by jansson's word: a text may have several, and is not JSON if one is that. */
static enum protocol_error fault_of(const uint8_t *data, size_t size)
{
    json_error_t error;
    json_t *lenient =
        json_loadb((const char *)data, size,
                   JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL | JSON_ALLOW_NUL, &error);
    bool is_json = lenient || json_error_code(&error) == json_error_numeric_overflow ||
                   json_error_code(&error) == json_error_null_byte_in_key ||
                   json_error_code(&error) == json_error_stack_overflow;
    json_decref(lenient);
    return is_json ? PROTOCOL_ERROR_INVALID_REQUEST : PROTOCOL_ERROR_PARSE;
}

static void check_fault(const uint8_t *data, size_t size, const struct failure *f)
{
    json_error_t error;
    json_t *strict =
        json_loadb((const char *)data, size, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    /* What jansson takes: but for depth, and for a NUL behind a number. */
    if (strict)
        MUST(strstr(failure_message(f), "depth") || memchr(data, 0, size));
    json_decref(strict);
    enum protocol_error fault = fault_of(data, size);
    if (fault == PROTOCOL_ERROR_PARSE)
        MUST(f->error == PROTOCOL_ERROR_PARSE);
    if (f->error == PROTOCOL_ERROR_INVALID_REQUEST)
        MUST(fault == PROTOCOL_ERROR_INVALID_REQUEST);
}

/* All that a dialect makes of a call, as bytes: the parameters of what is accepted and the answer
 * to what is not. */
static void write_call(struct writer *w, const struct call *call)
{
    struct reply reply = {.kind = REPLY_FAILURE};
    writer_bool(w, call->answered);
    if (call->failed)
        reply.u.failure = call->failure;
    else
        failure_init(&reply.u.failure, PROTOCOL_ERROR_INTERNAL);
    jsonrpc_dialect.reply(w, call, &reply, true);
    if (!call->failed)
        params_encode(w, call->method, &call->params);
}

static size_t end_of_value(const uint8_t *data, size_t size)
{
    struct scanner s;
    size_t taken = 0;
    scanner_init(&s, PLAIN_TEXT_MAX);
    MUST(scanner_scan(&s, (const char *)data, size, &taken) == SCAN_VALUE);
    scanner_deinit(&s);
    return taken;
}

/* What is taken as plain ends where the scanner says, and means what the decoder says. */
static void check_plain(const uint8_t *data, size_t size)
{
    struct message m = {0};
    struct call plain, decoded;
    struct failure f;
    struct writer a, b;
    char *copy = malloc(size > 0 ? size : 1);
    MUST(copy);
    memcpy(copy, data, size);
    size_t taken = jsonrpc_dialect.take_plain(copy, size, &plain);
    if (taken == 0) {
        MUST(memcmp(copy, data, size) == 0);
        free(copy);
        return;
    }
    size_t end = end_of_value(data, size);
    MUST(end <= taken && taken <= size);
    for (size_t i = end; i < taken; i++)
        MUST(memchr(" \t\r\n", data[i], 4));
    MUST(message_decode((const char *)data, end, &m, &f) == 0 && !message_is_batch(&m));
    MUST(jsonrpc_dialect.check(&m, &f) == 0);
    jsonrpc_dialect.call(&m, 0, &decoded);
    writer_init(&a);
    writer_init(&b);
    write_call(&a, &plain);
    write_call(&b, &decoded);
    MUST(a.len == b.len && memcmp(a.data, b.data, a.len) == 0);
    writer_deinit(&a);
    writer_deinit(&b);
    message_free(&m);
    free(copy);
}

static void check_arena(const struct message *m, const uint8_t *data, size_t size)
{
    struct json_facts facts;
    struct json_fault fault;
    MUST(json_check((const char *)data, size, &facts, &fault) == 0);
    MUST(m->arena && json_arena_used(m->arena) <= json_arena_bound(&facts) / 4 * 3);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct message m = {0};
    struct failure f;
    json_arena_install();
    check_plain(data, size);
    int r = message_decode((const char *)data, size, &m, &f);
    if (r < 0) {
        MUST(r == -EBADMSG);
        check_fault(data, size, &f);
        check_refusal(data, size, &f);
        return 0;
    }
    json_error_t error;
    json_t *oracle =
        json_loadb((const char *)data, size, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (oracle)
        MUST(!m.widened && json_equal(m.root, oracle));
    else
        MUST(m.widened && json_error_code(&error) == json_error_numeric_overflow);
    json_decref(oracle);
    check_arena(&m, data, size);
    if (jsonrpc_dialect.check(&m, &f) == 0) {
        for (size_t i = 0; i < message_calls(&m); i++) {
            struct call call;
            jsonrpc_dialect.call(&m, i, &call);
            if (!call.failed) {
                check_ranges(&call);
                check_round_trip(&call);
            }
            check_answer(&call);
        }
    }
    message_free(&m);
    return 0;
}
