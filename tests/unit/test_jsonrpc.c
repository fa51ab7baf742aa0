/* SPDX-License-Identifier: MIT */
/*
 * The envelope: what each request, batch and clumsy message is answered, byte for byte. A message
 * goes through decode, check, call and reply as a session takes it, with one fixed result for
 * every call that is good. Linked with --wrap=realloc, so that a reply's growth can fail.
 */
#include "tests/unit/support.h"

#include <errno.h>
#include <jansson.h>

#include "protocol/jsonrpc.h"
#include "protocol/limits.h"

/* How many more calls of realloc succeed; negative: all. */
static int reallocs_left = -1;

void *__real_realloc(void *old, size_t size);
void *__wrap_realloc(void *old, size_t size);

void *__wrap_realloc(void *old, size_t size)
{
    if (reallocs_left == 0)
        return NULL;
    if (reallocs_left > 0)
        reallocs_left--;
    return __real_realloc(old, size);
}

static int memory_is_back(void **state)
{
    (void)state;
    reallocs_left = -1;
    return 0;
}

static void *no_memory(size_t size)
{
    (void)size;
    return NULL;
}

#define RESULT "{\"event_serial\":7}"

static const struct reply good_reply = {.kind = REPLY_SUBSCRIBED, .u.event_serial = 7};

static void refuse(struct writer *w, const struct call *call, const struct failure *f,
                   bool in_batch)
{
    const struct reply reply = {.kind = REPLY_FAILURE, .u.failure = *f};
    jsonrpc_dialect.reply(w, call, &reply, in_batch);
}

static void answer_call(struct writer *w, const struct call *call, bool in_batch)
{
    if (!call->answered)
        return;
    if (call->failed)
        refuse(w, call, &call->failure, in_batch);
    else
        jsonrpc_dialect.reply(w, call, &good_reply, in_batch);
}

/* Appends what MESSAGE is answered. */
static void answer(struct writer *w, const struct message *m)
{
    struct failure f;
    if (jsonrpc_dialect.check(m, &f) < 0) {
        refuse(w, NULL, &f, false);
        return;
    }
    bool batch = message_is_batch(m), begun = false;
    for (size_t i = 0; i < message_calls(m); i++) {
        struct call call;
        memset(&call, 0xAA, sizeof(call));
        jsonrpc_dialect.call(m, i, &call);
        if (!call.answered)
            continue;
        if (batch && !begun)
            jsonrpc_dialect.batch_begin(w);
        begun = true;
        answer_call(w, &call, batch);
    }
    if (batch && begun)
        jsonrpc_dialect.batch_end(w);
}

/* Appends what TEXT is answered by way of the decoder. */
static void serve_decoded(struct writer *w, const char *text)
{
    struct message m;
    struct failure f;
    int r = message_decode(text, strlen(text), &m, &f);
    if (r < 0) {
        struct call call = {.answered = true};
        if (f.error != PROTOCOL_ERROR_PARSE)
            call.id = jsonrpc_dialect.find_id(text, strlen(text));
        refuse(w, &call, &f, false);
        return;
    }
    answer(w, &m);
    message_free(&m);
}

/* The same, but what is plain is read apart, as a session does it. */
static void serve(struct writer *w, const char *text)
{
    struct call call;
    char *copy = strdup(text);
    assert_non_null(copy);
    if (jsonrpc_dialect.take_plain(copy, strlen(copy), &call) > 0)
        answer_call(w, &call, false);
    else
        serve_decoded(w, text);
    free(copy);
}

/* The answer is WANT, whether or not plain requests are read apart. */
static void check(const char *text, const char *want)
{
    void (*const both[])(struct writer *, const char *) = {serve, serve_decoded};
    for (size_t i = 0; i < 2; i++) {
        struct writer w;
        writer_init(&w);
        both[i](&w, text);
        assert_false(w.failed);
        assert_text(w.data, w.len, want);
        writer_deinit(&w);
    }
}

#define ENVELOPE(id) "{\"jsonrpc\":\"2.0\",\"id\":" id ","
#define GOOD(id)     ENVELOPE(id) "\"result\":" RESULT "}"
#define BAD(id, code, message)                                                                     \
    ENVELOPE(id) "\"error\":{\"code\":" code ",\"message\":\"" message "\"}}"
#define INVALID(id, message) BAD(id, "-32600", message)
#define BAD_PARAMETER(id, parameter, reason)                                                       \
    ENVELOPE(id)                                                                                   \
    "\"error\":{\"code\":-32602,\"message\":\"parameter " parameter ": " reason "\",\"data\":{"    \
    "\"error\":\"org.varlink.service.InvalidParameter\",\"parameter\":\"" parameter "\","          \
    "\"reason\":\"" reason "\"}}}"
#define NO_METHOD(id, method)                                                                      \
    ENVELOPE(id)                                                                                   \
    "\"error\":{\"code\":-32601,\"message\":\"no such method: PROTOCOL.md lists them\",\"data\":{" \
    "\"error\":\"org.varlink.service.MethodNotFound\",\"method\":\"" method "\"}}}"

#define NOT_2_0    "jsonrpc must be exactly \\\"2.0\\\""
#define NOT_OBJECT "a request must be an object with jsonrpc, method and params"
#define NO_STRING  "method must be a string"
#define BAD_ID     "id must be a string, a number or null"
#define NO_SIZE    "missing: create needs it"
#define BEYOND     "a number beyond the range of a 64-bit integer is no request"

/* A request with that id. */
#define INFO(id) "{\"jsonrpc\":\"2.0\",\"id\":" id ",\"method\":\"info\"}"

TEST(a_request)
{
    check(INFO("1"), GOOD("1") "\n");
    check("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"stat\",\"params\":{\"name\":\"x\"}}",
          GOOD("1") "\n");
    /* Members in any order; those of others are not ours to judge. */
    check("{\"x\":[1],\"params\":{},\"method\":\"list\",\"id\":1,\"meta\":null,"
          "\"jsonrpc\":\"2.0\"}",
          GOOD("1") "\n");
}

TEST(ids_are_echoed)
{
    check(INFO("0"), GOOD("0") "\n");
    check(INFO("-1"), GOOD("-1") "\n");
    check(INFO("9223372036854775807"), GOOD("9223372036854775807") "\n");
    check(INFO("-9223372036854775808"), GOOD("-9223372036854775808") "\n");
    check(INFO("9007199254740993"), GOOD("9007199254740993") "\n");
    check(INFO("1.5"), GOOD("1.5") "\n");
    check(INFO("-0.25"), GOOD("-0.25") "\n");
    check(INFO("1e300"), GOOD("1e300") "\n");
    check(INFO("1.0"), GOOD("1.0") "\n");
    check(INFO("-0.0"), GOOD("-0.0") "\n");
    check(INFO("1.1"), GOOD("1.1") "\n");
    check(INFO("0.30000000000000004"), GOOD("0.30000000000000004") "\n");
    check(INFO("\"\""), GOOD("\"\"") "\n");
    check(INFO("\"a-1\""), GOOD("\"a-1\"") "\n");
    check(INFO("\"\\\"\\\\\\n\\u0001\xC3\xA9\\u20ac\""),
          GOOD("\"\\\"\\\\\\n\\u0001\xC3\xA9\xE2\x82\xAC\"") "\n");
    /* null is a request, too. */
    check(INFO("null"), GOOD("null") "\n");
}

TEST(a_real_id_comes_back_as_the_same_number)
{
    static const char *const ids[] = {
        "0.1",    "1.1",          "3.141592653589793", "1e-300", "1.7976931348623157e308",
        "5e-324", "123456789.125"};
    for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
        struct writer w;
        writer_init(&w);
        char *text = text_of("{\"jsonrpc\":\"2.0\",\"id\":%s,\"method\":\"info\"}", ids[i]);
        serve(&w, text);
        json_t *reply = json_loadb(w.data, w.len, 0, NULL);
        assert_non_null(reply);
        double got = json_real_value(json_object_get(reply, "id")), want = strtod(ids[i], NULL);
        assert_memory_equal(&got, &want, sizeof(want));
        json_decref(reply);
        free(text);
        writer_deinit(&w);
    }
}

TEST(a_long_id_is_echoed_whole)
{
    char *id = repeat("i", 60000);
    char *text = text_of(INFO("\"%s\""), id), *want = text_of(GOOD("\"%s\"") "\n", id);
    check(text, want);
    free(id);
    free(text);
    free(want);
}

TEST(ids_of_other_kinds)
{
    check(INFO("{}"), INVALID("null", BAD_ID) "\n");
    check(INFO("[]"), INVALID("null", BAD_ID) "\n");
    check(INFO("[1]"), INVALID("null", BAD_ID) "\n");
    check(INFO("true"), INVALID("null", BAD_ID) "\n");
    check(INFO("false"), INVALID("null", BAD_ID) "\n");
}

TEST(ids_beyond_int64)
{
    /* Such an id cannot be given back as it came. */
    check(INFO("9223372036854775808"),
          BAD("null", "-32700", "id is beyond the range of a 64-bit integer") "\n");
    check(INFO("-99999999999999999999"),
          BAD("null", "-32700", "id is beyond the range of a 64-bit integer") "\n");
}

TEST(integers_beyond_int64)
{
    check("{\"jsonrpc\":\"2.0\",\"id\":9223372036854775807,\"method\":\"create\",\"params\":"
          "{\"name\":\"x\",\"size\":9223372036854775808}}",
          BAD_PARAMETER("9223372036854775807", "size",
                        "is beyond the range of a 64-bit integer") "\n");
    check("{\"jsonrpc\":\"2.0\",\"id\":\"a\",\"method\":\"stat\",\"params\":"
          "{\"shmid\":-123456789012345678901234567890}}",
          BAD_PARAMETER("\"a\"", "shmid", "is beyond the range of a 64-bit integer") "\n");
    /* Beside what nobody looks at it does no harm. */
    check("{\"jsonrpc\":\"2.0\",\"id\":1.5,\"method\":\"info\",\"x\":99999999999999999999}",
          GOOD("1.5") "\n");
    /* Of one that is all there is, no id is known. */
    check("9223372036854775808", BAD("null", "-32700", BEYOND) "\n");
    check("-9223372036854775809", BAD("null", "-32700", BEYOND) "\n");
    check("99999999999999999999", BAD("null", "-32700", BEYOND) "\n");
    check("[99999999999999999999," INFO("1") ",5]",
          "[" BAD("null", "-32700", BEYOND) "," GOOD("1") "," INVALID("null", NOT_OBJECT) "]\n");
    check("[-9223372036854775809]", "[" BAD("null", "-32700", BEYOND) "]\n");
    /* The greatest, reals, and what has one inside are no requests. */
    check("9223372036854775807", INVALID("null", NOT_OBJECT) "\n");
    check("1e300", INVALID("null", NOT_OBJECT) "\n");
    check("[[99999999999999999999],1.5]",
          "[" INVALID("null", NOT_OBJECT) "," INVALID("null", NOT_OBJECT) "]\n");
    check("{\"jsonrpc\":99999999999999999999,\"id\":1}", INVALID("1", NOT_2_0) "\n");
}

TEST(notifications_are_never_answered)
{
    check("{\"jsonrpc\":\"2.0\",\"method\":\"info\"}", "");
    check("{\"jsonrpc\":\"2.0\",\"method\":\"stat\",\"params\":{\"name\":\"x\"}}", "");
    /* Nor their errors. */
    check("{\"jsonrpc\":\"2.0\",\"method\":\"nosuch\"}", "");
    check("{\"jsonrpc\":\"2.0\",\"method\":\"create\"}", "");
    check("{\"jsonrpc\":\"2.0\",\"method\":\"create\",\"params\":[1]}", "");
}

TEST(a_notification_is_a_call)
{
    static const char text[] = "{\"jsonrpc\":\"2.0\",\"method\":\"remove\",\"params\":{\"key\":5}}";
    struct message m;
    struct failure f;
    struct call call;
    assert_int_equal(message_decode(text, strlen(text), &m, &f), 0);
    jsonrpc_dialect.call(&m, 0, &call);
    assert_false(call.answered);
    assert_false(call.failed);
    assert_int_equal(call.method, METHOD_REMOVE);
    assert_int_equal(call.params.remove.target.key.value, 5);
    message_free(&m);
}

TEST(jsonrpc_is_exactly_2_0)
{
    static const char *const bad[] = {"\"1.0\"", "\"2\"", "\"2.00\"", "\"2.0 \"", "\"\"",
                                      "2.0",     "2",     "null",     "true",     "[\"2.0\"]"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char *text = text_of("{\"jsonrpc\":%s,\"id\":\"x\",\"method\":\"info\"}", bad[i]);
        check(text, INVALID("\"x\"", NOT_2_0) "\n");
        free(text);
    }
    check("{\"id\":5,\"method\":\"info\"}", INVALID("5", NOT_2_0) "\n");
    check("{\"id\":null,\"method\":\"info\"}", INVALID("null", NOT_2_0) "\n");
    /* What is no request is no notification either. */
    check("{\"method\":\"info\"}", INVALID("null", NOT_2_0) "\n");
    check("{}", INVALID("null", NOT_2_0) "\n");
}

TEST(methods)
{
    check("{\"jsonrpc\":\"2.0\",\"id\":1}", INVALID("1", NO_STRING) "\n");
    check("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":5}", INVALID("1", NO_STRING) "\n");
    check("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":null}", INVALID("1", NO_STRING) "\n");
    check("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":[\"info\"]}", INVALID("1", NO_STRING) "\n");
    check("{\"jsonrpc\":\"2.0\"}", INVALID("null", NO_STRING) "\n");
    check("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"nosuch\"}", NO_METHOD("1", "nosuch") "\n");
    check("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\"}", NO_METHOD("1", "") "\n");
    check("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"Info\"}", NO_METHOD("1", "Info") "\n");
    check("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"io.shmd.Info\"}",
          NO_METHOD("1", "io.shmd.Info") "\n");
    check("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"a\\n\\\"\xC3\xA9\"}",
          NO_METHOD("1", "a\\n\\\"\xC3\xA9") "\n");
    /* The method is looked at before its parameters. */
    check("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"nosuch\",\"params\":5}",
          NO_METHOD("1", "nosuch") "\n");
}

TEST(each_method_is_found)
{
    for (int i = 0; i < METHOD_COUNT; i++) {
        char *text = text_of("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"%s\",\"params\":5}",
                             method_word((enum method)i));
        struct message m;
        struct failure f;
        struct call call;
        assert_int_equal(message_decode(text, strlen(text), &m, &f), 0);
        jsonrpc_dialect.call(&m, 0, &call);
        assert_int_equal(call.method, i);
        assert_true(call.answered);
        message_free(&m);
        free(text);
    }
}

TEST(parameters)
{
    static const char *const none[] = {"", ",\"params\":{}", ",\"params\":[]", ",\"params\":null"};
    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
        char *text = text_of("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"info\"%s}", none[i]);
        check(text, GOOD("1") "\n");
        free(text);
        text = text_of("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"create\"%s}", none[i]);
        check(text, BAD_PARAMETER("1", "size", NO_SIZE) "\n");
        free(text);
    }
    static const char *const bad[] = {"[1]", "[{}]", "[[]]", "[null]", "5", "\"x\"", "true"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char *text =
            text_of("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"info\",\"params\":%s}", bad[i]);
        check(text, BAD_PARAMETER("1", "params", "must be an object: parameters go by name") "\n");
        free(text);
    }
    check("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"info\",\"params\":{\"verbose\":true}}",
          BAD_PARAMETER("1", "verbose", "unknown; info takes: none") "\n");
}

TEST(what_is_no_request)
{
    static const char *const others[] = {"5", "-1.5", "true", "false", "null", "\"info\""};
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        check(others[i], INVALID("null", NOT_OBJECT) "\n");
}

TEST(what_is_not_json)
{
    check("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":nope}",
          BAD("null", "-32700", "not JSON: not a value, at byte 33") "\n");
    check("[" INFO("1") ",nope]", BAD("null", "-32700", "not JSON: not a value, at byte 42") "\n");
}

#define DUPLICATE(key, at)                                                                         \
    "duplicate key \\\"" key "\\\", at byte " at ": an object may have each key once"

/* A request with ID, which is refused for one of its parameters, wherever its id stands. */
static void check_not_ours(const char *id, const char *want_id)
{
    static const char *const forms[] = {
        "{\"jsonrpc\":\"2.0\",\"id\":%,\"method\":\"info\",\"params\":{\"a\":\"\\u0000\"}}",
        ("{\"params\":{\"id\":5,\"a\":\"\\u0000\"},\"method\":\"info\",\"jsonrpc\":\"2.0\",\"id\":%"
         "}"),
        "{\"jsonrpc\":\"2.0\",\"\\u0069\\u0064\":%,\"method\":\"info\",\"params\":[\"\\u0000\"]}",
    };
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        char text[256];
        const char *gap = strchr(forms[i], '%');
        snprintf(text, sizeof(text), "%.*s%s%s", (int)(gap - forms[i]), forms[i], id, gap + 1);
        char *want =
            text_of("{\"jsonrpc\":\"2.0\",\"id\":%s,\"error\":{\"code\":-32600,\"message\":"
                    "\"\\\\u0000 in a string, at byte ",
                    want_id);
        struct writer w;
        writer_init(&w);
        serve(&w, text);
        assert_int_equal(strncmp(w.data, want, strlen(want)), 0);
        writer_deinit(&w);
        free(want);
    }
}

TEST(what_is_json_and_not_ours_is_answered_with_its_id)
{
    static const char *const ids[] = {
        "1",     "-7",   "0",    "9223372036854775807", "1.5",
        "1e300", "null", "\"\"", "\"a\\n\\u00e9\\\"\"", "\"\xC3\xA9\""};
    static const char *const untold[] = {"true", "{}", "[1]", "\"\\u0000\"", "9223372036854775808",
                                         "1e400"};
    for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++)
        check_not_ours(ids[i], ids[i]);
    for (size_t i = 0; i < sizeof(untold) / sizeof(untold[0]); i++)
        check_not_ours(untold[i], "null");
    check("{\"jsonrpc\":\"2.0\",\"id\":1,\"id\":2,\"method\":\"info\"}",
          INVALID("null", DUPLICATE("id", "25")) "\n");
    check("{\"jsonrpc\":\"2.0\",\"id\":1,\"\\u0069d\":2,\"method\":\"info\"}",
          INVALID("null", DUPLICATE("\\\\u0069d", "25")) "\n");
    check("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"info\",\"method\":\"info\"}",
          INVALID("1", DUPLICATE("method", "41")) "\n");
    check("{\"jsonrpc\":\"2.0\",\"method\":\"info\",\"params\":{\"a\":1,\"a\":1}}",
          INVALID("null", DUPLICATE("a", "50")) "\n");
    /* Of several requests it is nobody's. */
    check("[" INFO("1") ",{\"a\":1,\"a\":1}]", INVALID("null", DUPLICATE("a", "50")) "\n");
    check("\"\\u0000\"",
          INVALID("null", "\\\\u0000 in a string, at byte 1: the character U+0000 is "
                          "not allowed") "\n");
}

TEST(an_id_is_told_of_what_may_be_anything)
{
    /* The text need not be JSON: what cannot be told is not told, and nothing beyond it is read. */
    static const char text[] =
        "{\"jsonrpc\":\"2.0\",\"x\":[{\"id\":1}],\"id\":\"\xC3\xA9\\n\",\"y\":1.5}";
    for (size_t len = 0; len < sizeof(text); len++) {
        for (size_t at = 0; at < len; at++) {
            static const char bytes[] = "\0\"\\{}[],:x1\xFF";
            char *copy = exact_copy(text, len);
            copy[at] = bytes[at % sizeof(bytes)];
            struct value id = jsonrpc_dialect.find_id(copy, len);
            if (id.kind == VALUE_RAW) {
                json_t *decoded = json_loadb(id.text, id.len, JSON_DECODE_ANY, NULL);
                assert_non_null(decoded);
                json_decref(decoded);
            } else {
                assert_int_equal(id.kind, VALUE_NONE);
            }
            free(copy);
        }
    }
}

TEST(no_memory_for_a_request)
{
    /* The answer has the request's id, which is told without memory. */
    struct writer w;
    char *text = text_of("%s", INFO("\"x\""));
    writer_init(&w);
    json_set_alloc_funcs(no_memory, free);
    serve_decoded(&w, text);
    json_set_alloc_funcs(malloc, free);
    assert_text(w.data, w.len,
                BAD("\"x\"", "-32603", "the daemon is out of memory; try again") "\n");
    writer_deinit(&w);
    free(text);
}

TEST(no_request_and_no_notification)
{
    static const char *const methods[] = {"5", "null", "true", "[\"info\"]", "{}"};
    static const char *const params[] = {"5", "1.5", "\"x\"", "true", "false"};
    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
        char *text = text_of("{\"jsonrpc\":\"2.0\",\"method\":%s}", methods[i]);
        check(text, INVALID("null", NO_STRING) "\n");
        free(text);
    }
    for (size_t i = 0; i < sizeof(params) / sizeof(params[0]); i++) {
        char *text = text_of("{\"jsonrpc\":\"2.0\",\"method\":\"info\",\"params\":%s}", params[i]);
        check(text, INVALID("null", "params must be an object") "\n");
        free(text);
    }
    check("{\"jsonrpc\":\"2.0\",\"method\":\"nosuch\",\"params\":5}",
          INVALID("null", "params must be an object") "\n");
    check("{\"jsonrpc\":\"2.0\",\"method\":\"info\",\"params\":null}", "");
}

TEST(batches)
{
    check("[" INFO("1") "]", "[" GOOD("1") "]\n");
    check("[" INFO("1") "," INFO("\"b\"") "," INFO("null") "]",
          "[" GOOD("1") "," GOOD("\"b\"") "," GOOD("null") "]\n");
    check("[]", INVALID("null", "a batch must have 1 to 64 members, not 0") "\n");
    check("[1]", "[" INVALID("null", NOT_OBJECT) "]\n");
    check("[1,\"x\",null,[],[" INFO("1") "]]",
          "[" INVALID("null", NOT_OBJECT) "," INVALID("null", NOT_OBJECT) "," INVALID(
              "null", NOT_OBJECT) "," INVALID("null", NOT_OBJECT) "," INVALID("null",
                                                                              NOT_OBJECT) "]\n");
    check("[{}]", "[" INVALID("null", NOT_2_0) "]\n");
    /* Notifications among requests leave no trace. */
    check(
        "[{\"jsonrpc\":\"2.0\",\"method\":\"info\"}," INFO(
            "1") ",{\"jsonrpc\":\"2.0\",\"method\":\"nosuch\"}," INFO("2") ",{\"jsonrpc\":\"2.0\","
                                                                           "\"method\":\"info\"}]",
        "[" GOOD("1") "," GOOD("2") "]\n");
    /* One bad member does not spoil the others. */
    check("[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"nosuch\"},"
          "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"create\"}," INFO("{}") "," INFO("4") "]",
          "[" NO_METHOD("1", "nosuch") "," BAD_PARAMETER("2", "size", NO_SIZE) "," INVALID(
              "null", BAD_ID) "," GOOD("4") "]\n");
}

TEST(a_batch_of_notifications_is_answered_nothing)
{
    check("[{\"jsonrpc\":\"2.0\",\"method\":\"info\"}]", "");
    check("[{\"jsonrpc\":\"2.0\",\"method\":\"info\"},"
          "{\"jsonrpc\":\"2.0\",\"method\":\"nosuch\"}]",
          "");
}

static char *batch_of(const char *member, size_t n)
{
    char *with_comma = text_of(",%s", member), *members = repeat(with_comma, n);
    char *text = text_of("[%s]", members + 1);
    free(with_comma);
    free(members);
    return text;
}

TEST(the_largest_batch)
{
    char *text = batch_of(INFO("1"), 64), *want = batch_of(GOOD("1"), 64);
    char *line = text_of("%s\n", want);
    check(text, line);
    free(line);
    free(want);
    free(text);
    text = batch_of(INFO("1"), 65);
    check(text, INVALID("null", "a batch must have 1 to 64 members, not 65") "\n");
    free(text);
    text = batch_of("1", 2000);
    check(text, INVALID("null", "a batch must have 1 to 64 members, not 2000") "\n");
    free(text);
    /* Also when nobody waits for an answer. */
    text = batch_of("{\"jsonrpc\":\"2.0\",\"method\":\"info\"}", 65);
    check(text, INVALID("null", "a batch must have 1 to 64 members, not 65") "\n");
    free(text);
}

TEST(replies_stand_one_after_the_other)
{
    struct writer w;
    writer_init(&w);
    serve(&w, INFO("1"));
    serve(&w, "[" INFO("2") "," INFO("3") "]");
    serve(&w, "{\"jsonrpc\":\"2.0\",\"method\":\"info\"}");
    serve(&w, "5");
    serve(&w, INFO("4"));
    assert_text(w.data, w.len,
                GOOD("1") "\n[" GOOD("2") "," GOOD("3") "]\n" INVALID("null", NOT_OBJECT) "\n" GOOD(
                    "4") "\n");
    writer_deinit(&w);
}

TEST(an_error_with_its_parameters)
{
    const json_t *id = json_integer(3);
    const struct call call = {.id = value_of_json(id), .answered = true};
    struct reply reply = {.kind = REPLY_FAILURE};
    struct writer w;
    writer_init(&w);
    failure_init(&reply.u.failure, PROTOCOL_ERROR_LIMIT_REACHED);
    failure_add_string(&reply.u.failure, "limit", "kernel.shmmni");
    failure_add_int(&reply.u.failure, "used", 4096);
    failure_add_string(&reply.u.failure, "hint", "sysctl \"x\"");
    failure_set_message(&reply.u.failure, "no\nmore");
    jsonrpc_dialect.reply(&w, &call, &reply, false);
    assert_text(w.data, w.len,
                ENVELOPE("3") "\"error\":{\"code\":5,\"message\":\"no\\nmore\",\"data\":{"
                              "\"error\":\"io.shmd.LimitReached\",\"limit\":\"kernel.shmmni\","
                              "\"used\":4096,\"hint\":\"sysctl \\\"x\\\"\"}}}\n");
    writer_deinit(&w);
    json_decref((json_t *)(uintptr_t)id);
}

TEST(every_error_has_its_code_and_name)
{
    for (int i = 0; i < PROTOCOL_ERROR_COUNT; i++) {
        struct reply reply = {.kind = REPLY_FAILURE};
        struct writer w;
        writer_init(&w);
        failure_init(&reply.u.failure, (enum protocol_error)i);
        jsonrpc_dialect.reply(&w, NULL, &reply, false);
        json_t *json = json_loadb(w.data, w.len, JSON_REJECT_DUPLICATES, NULL);
        const json_t *error = json_object_get(json, "error");
        const struct error_row *row = error_row((enum protocol_error)i);
        assert_true(json_is_null(json_object_get(json, "id")));
        assert_int_equal(json_integer_value(json_object_get(error, "code")), row->code);
        assert_string_equal(json_string_value(json_object_get(error, "message")), row->message);
        const char *name =
            json_string_value(json_object_get(json_object_get(error, "data"), "error"));
        if (row->name)
            assert_string_equal(name, row->name);
        else
            assert_null(json_object_get(error, "data"));
        json_decref(json);
        writer_deinit(&w);
    }
}

static const struct wire_segment small = {
    .serial = 1,
    .name = "n",
    .shmid = 2,
    .key = 3,
    .size = 4,
    .mode = 0600,
    .state = STATE_REMOVED,
    .managed = true,
};

#define SMALL                                                                                      \
    "{\"serial\":1,\"name\":\"n\",\"shmid\":2,\"key\":3,\"size\":4,\"mode\":\"0600\",\"uid\":0,"   \
    "\"gid\":0,\"nattch\":0,\"last_pid\":0,\"creator\":{\"uid\":0,\"gid\":0,\"pid\":0},"           \
    "\"state\":\"removed\",\"lifetime\":\"persistent\",\"holders\":0,\"locked\":false,"            \
    "\"huge_page_size\":0,\"noreserve\":false,\"labels\":{},\"managed\":true,\"declared\":false}"

#define EVENT(params) "{\"jsonrpc\":\"2.0\",\"method\":\"event\",\"params\":" params "}\n"

TEST(events_are_notifications)
{
    struct writer w;
    writer_init(&w);
    struct wire_event e = {
        .event_serial = 9, .at_ms = 1700000000000, .kind = EVENT_READY, .segment = &small};
    jsonrpc_dialect.event(&w, &e);
    e.kind = EVENT_REMOVED;
    e.reason = REASON_EXPIRED;
    e.event_serial = 10;
    jsonrpc_dialect.event(&w, &e);
    /* The one before it leaves no comma, nor does a reply. */
    jsonrpc_dialect.reply(&w, NULL, &good_reply, false);
    e = (struct wire_event){.missed = 5};
    jsonrpc_dialect.event(&w, &e);
    assert_text(
        w.data, w.len,
        EVENT("{\"event_serial\":9,\"at_ms\":1700000000000,\"kind\":\"ready\",\"segment\":" SMALL
              "}") EVENT("{\"event_serial\":10,\"at_ms\":1700000000000,\"kind\":\"removed\","
                         "\"reason\":\"expired\",\"segment\":" SMALL "}")
            GOOD("null") "\n" EVENT("{\"kind\":\"gap\",\"missed\":5}"));
    writer_deinit(&w);
}

/* A reply of each shape, from ID 1 to the line's end. */
static void write_shape(struct writer *w, int shape)
{
    static const char text[] = "a text that is long enough to have \"escapes\"\nin its midst";
    struct reply reply = good_reply;
    struct wire_event event = {.event_serial = 1, .kind = EVENT_CREATED, .segment = &small};
    switch (shape) {
    case 0: jsonrpc_dialect.reply(w, NULL, &reply, false); return;
    case 1:
        reply = (struct reply){.kind = REPLY_CREATED, .u.one = {small, true}};
        jsonrpc_dialect.reply(w, NULL, &reply, false);
        return;
    case 2:
        reply = (struct reply){.kind = REPLY_FAILURE};
        failure_init(&reply.u.failure, PROTOCOL_ERROR_STORE_FAILURE);
        failure_add_string(&reply.u.failure, "reason", text);
        jsonrpc_dialect.reply(w, NULL, &reply, false);
        return;
    case 3:
        reply = (struct reply){.kind = REPLY_METRICS, .u.metrics = {text, strlen(text)}};
        jsonrpc_dialect.reply(w, NULL, &reply, false);
        return;
    case 4: jsonrpc_dialect.event(w, &event); return;
    default:
        jsonrpc_dialect.batch_begin(w);
        jsonrpc_dialect.reply(w, NULL, &reply, true);
        jsonrpc_dialect.reply(w, NULL, &reply, true);
        jsonrpc_dialect.batch_end(w);
    }
}

enum { SHAPES = 6 };

TEST(a_reply_grows_at_every_boundary)
{
    for (int shape = 0; shape < SHAPES; shape++) {
        struct writer whole;
        writer_init(&whole);
        write_shape(&whole, shape);
        for (size_t capacity = 1; capacity <= whole.len; capacity++) {
            struct writer w;
            writer_init(&w);
            w.data = malloc(capacity);
            w.capacity = capacity;
            write_shape(&w, shape);
            assert_false(w.failed);
            assert_int_equal(w.len, whole.len);
            assert_memory_equal(w.data, whole.data, whole.len);
            writer_deinit(&w);
        }
        writer_deinit(&whole);
    }
}

TEST(a_reply_that_has_no_memory_can_be_taken_back)
{
    for (int shape = 0; shape < SHAPES; shape++) {
        struct writer whole;
        writer_init(&whole);
        write_shape(&whole, shape);
        for (size_t room = 0; room < whole.len; room++) {
            /* A reply stands there already; ROOM bytes are left behind it. */
            struct writer w;
            writer_init(&w);
            serve(&w, INFO("1"));
            w.data = realloc(w.data, w.len + room);
            w.capacity = w.len + room;
            struct writer_mark mark = writer_mark(&w);
            reallocs_left = 0;
            write_shape(&w, shape);
            assert_true(w.failed);
            assert_true(w.len <= w.capacity);
            writer_rewind(&w, mark);
            assert_text(w.data, w.len, GOOD("1") "\n");
            reallocs_left = -1;
            write_shape(&w, shape);
            assert_false(w.failed);
            assert_int_equal(w.len, mark.len + whole.len);
            assert_memory_equal(w.data + mark.len, whole.data, whole.len);
            writer_deinit(&w);
        }
        writer_deinit(&whole);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request),
        cmocka_unit_test(ids_are_echoed),
        cmocka_unit_test(a_real_id_comes_back_as_the_same_number),
        cmocka_unit_test(a_long_id_is_echoed_whole),
        cmocka_unit_test(ids_of_other_kinds),
        cmocka_unit_test(ids_beyond_int64),
        cmocka_unit_test(integers_beyond_int64),
        cmocka_unit_test(notifications_are_never_answered),
        cmocka_unit_test(a_notification_is_a_call),
        cmocka_unit_test(jsonrpc_is_exactly_2_0),
        cmocka_unit_test(methods),
        cmocka_unit_test(each_method_is_found),
        cmocka_unit_test(parameters),
        cmocka_unit_test(what_is_no_request),
        cmocka_unit_test(what_is_not_json),
        cmocka_unit_test(what_is_json_and_not_ours_is_answered_with_its_id),
        cmocka_unit_test(an_id_is_told_of_what_may_be_anything),
        cmocka_unit_test(no_memory_for_a_request),
        cmocka_unit_test(no_request_and_no_notification),
        cmocka_unit_test(batches),
        cmocka_unit_test(a_batch_of_notifications_is_answered_nothing),
        cmocka_unit_test(the_largest_batch),
        cmocka_unit_test(replies_stand_one_after_the_other),
        cmocka_unit_test(an_error_with_its_parameters),
        cmocka_unit_test(every_error_has_its_code_and_name),
        cmocka_unit_test(events_are_notifications),
        cmocka_unit_test(a_reply_grows_at_every_boundary),
        cmocka_unit_test_teardown(a_reply_that_has_no_memory_can_be_taken_back, memory_is_back),
    };
    return RUN_TESTS(tests);
}
