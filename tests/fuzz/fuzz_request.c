/*
 * Decoding, with jansson as the oracle: what jansson refuses we refuse (but for integers beyond
 * int64, which are refused by name), and what both accept means the same. Plain requests, which are
 * read without jansson, mean what they mean through it. A call that is accepted obeys its field
 * table, and encoded again it decodes to the same.
 */
#include <jansson.h>
#include <string.h>

#include "protocol/jsonrpc.h"
#include "protocol/params.h"
#include "protocol/reply.h"
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

/* All that a dialect makes of a message, as bytes: the parameters of what is accepted and the
 * answers to what is not. */
static void write_calls(struct writer *w, const struct message *m)
{
    struct failure f;
    if (jsonrpc_dialect.check(m, &f) < 0) {
        writer_string(w, failure_message(&f));
        return;
    }
    for (size_t i = 0; i < message_calls(m); i++) {
        struct call call;
        jsonrpc_dialect.call(m, i, &call);
        struct reply reply = {.kind = REPLY_FAILURE};
        writer_bool(w, call.answered);
        if (call.failed)
            reply.u.failure = call.failure;
        else
            failure_init(&reply.u.failure, PROTOCOL_ERROR_INTERNAL);
        jsonrpc_dialect.reply(w, &call, &reply, true);
        if (!call.failed)
            params_encode(w, call.method, &call.params);
    }
}

static void check_short_cut(const uint8_t *data, size_t size, const struct message *by_jansson)
{
    struct message m = {0};
    struct failure f;
    struct writer a, b;
    MUST(message_decode_request((const char *)data, size, &m, &f) == 0);
    writer_init(&a);
    writer_init(&b);
    write_calls(&a, by_jansson);
    write_calls(&b, &m);
    MUST(a.len == b.len && memcmp(a.data, b.data, a.len) == 0);
    writer_deinit(&a);
    writer_deinit(&b);
    message_free(&m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct message m = {0};
    struct failure f;
    json_error_t error;
    json_t *oracle =
        json_loadb((const char *)data, size, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    int r = message_decode((const char *)data, size, &m, &f);
    if (!oracle)
        MUST(r < 0 || json_error_code(&error) == json_error_numeric_overflow);
    if (oracle)
        MUST(r == 0 && !m.widened && json_equal(m.root, oracle));
    json_decref(oracle);
    if (r < 0) {
        /* The short cut refuses nothing, and takes nothing that is refused. */
        MUST(message_decode_request((const char *)data, size, &m, &f) < 0);
        return 0;
    }
    check_short_cut(data, size, &m);
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
