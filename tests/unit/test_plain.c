/* SPDX-License-Identifier: MIT */
/*
 * Plain requests are read apart from all others, and must end and mean the same as to the scanner
 * and the decoder of all of them: each request here, whole and with any byte of it changed, left
 * out or doubled, is either left to these, untouched, or understood as they do.
 */
#include "tests/unit/support.h"

#include "protocol/jsonrpc.h"
#include "protocol/message.h"
#include "protocol/params.h"
#include "protocol/plain.h"
#include "protocol/scanner.h"

#define REQUEST(method, params)                                                                    \
    "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"" method "\",\"params\":" params "}"

static const char *const plain[] = {
    REQUEST("info", "{}"),
    REQUEST("stat", "{\"name\":\"frames/1\"}"),
    REQUEST("create", "{\"name\":\"a\",\"size\":4096,\"mode\":\"0640\",\"ready\":false}"),
    REQUEST("create", "{\"key\":-2147483648,\"size\":999999999999999999,\"locked\":true}"),
    REQUEST("set", "{\"serial\":10,\"shmid\":0,\"lifetime\":\"process\",\"ttl_ms\":0}"),
    REQUEST("list", "{\"limit\":1000,\"cursor\":\"abc\",\"scope\":\"all\"}"),
    REQUEST("nosuch", "{\"a\":1}"),
    REQUEST("stat", "{\"nosuch\":true}"),
    "{\"jsonrpc\":\"2.0\",\"method\":\"remove\",\"params\":{\"key\":5}}",
    "{\"method\":\"info\",\"id\":\"\",\"jsonrpc\":\"2.0\"}",
    " {\t\"id\" :\r\n-7 , \"jsonrpc\": \"2.0\",\"method\":\"list\" , \"params\" : { } } \n",
};
enum { N_PLAIN = sizeof(plain) / sizeof(plain[0]) };

static const char *const others[] = {
    "",
    "{}",
    "[]",
    "1",
    "\"jsonrpc\"",
    "{\"jsonrpc\":\"2.0\",\"id\":1}",
    "{\"method\":\"info\",\"id\":1}",
    "{\"jsonrpc\":\"1.0\",\"id\":1,\"method\":\"info\"}",
    "{\"jsonrpc\":2.0,\"id\":1,\"method\":\"info\"}",
    "{\"jsonrpc\":\"2.0\",\"id\":true,\"method\":\"info\"}",
    "{\"jsonrpc\":\"2.0\",\"id\":null,\"method\":\"info\"}",
    "{\"jsonrpc\":\"2.0\",\"id\":1.0,\"method\":\"info\"}",
    "{\"jsonrpc\":\"2.0\",\"id\":1e1,\"method\":\"info\"}",
    "{\"jsonrpc\":\"2.0\",\"id\":1E1,\"method\":\"info\"}",
    "{\"jsonrpc\":\"2.0\",\"id\":-0,\"method\":\"info\"}",
    "{\"jsonrpc\":\"2.0\",\"id\":01,\"method\":\"info\"}",
    "{\"jsonrpc\":\"2.0\",\"id\":-,\"method\":\"info\"}",
    "{\"jsonrpc\":\"2.0\",\"id\":1000000000000000000,\"method\":\"info\"}",
    "{\"jsonrpc\":\"2.0\",\"id\":1,\"id\":1,\"method\":\"info\"}",
    "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":1}",
    "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"info\",\"more\":1}",
    "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"info\",}",
    "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"in\\u0066o\"}",
    "{\"jsonrpc\":\"2.0\",\"id\":\"\xC3\xA9\",\"method\":\"info\"}",
    "{\"jsonrpc\":\"2.0\",\"id\":\"\xFF\",\"method\":\"info\"}",
    "{\"jsonrpc\":\"2.0\",\"id\":\"\n\",\"method\":\"info\"}",
    REQUEST("info", "[]"),
    REQUEST("info", "null"),
    REQUEST("info", "\"\""),
    REQUEST("stat", "{\"name\":null}"),
    REQUEST("stat", "{\"name\":[]}"),
    REQUEST("stat", "{\"name\":\"a\",\"name\":\"a\"}"),
    REQUEST("stat", "{\"name\":\"a\",}"),
    REQUEST("stat", "{\"shmid\":tru}"),
    REQUEST("create", "{\"size\":1,\"labels\":{}}"),
    REQUEST("create", "{\"a\":1,\"b\":1,\"c\":1,\"d\":1,\"e\":1,\"f\":1,\"g\":1,\"h\":1,\"i\":1}"),
};
enum { N_OTHERS = sizeof(others) / sizeof(others[0]) };

/* All that a call says, as text. */
static void describe(struct writer *w, const struct call *call)
{
    struct reply reply = {.kind = REPLY_FAILURE};
    writer_bool(w, call->answered);
    if (call->failed) {
        reply.u.failure = call->failure;
    } else {
        writer_string(w, method_word(call->method));
        params_encode(w, call->method, &call->params);
        failure_init(&reply.u.failure, PROTOCOL_ERROR_INTERNAL);
    }
    /* With the id. */
    jsonrpc_dialect.reply(w, call, &reply, false);
    assert_false(w->failed);
}

static void describe_decoded(struct writer *w, const char *text, size_t len)
{
    struct message m;
    struct call call;
    struct failure f;
    assert_int_equal(message_decode(text, len, &m, &f), 0);
    assert_int_equal(message_calls(&m), 1);
    assert_false(message_is_batch(&m));
    assert_int_equal(jsonrpc_dialect.check(&m, &f), 0);
    jsonrpc_dialect.call(&m, 0, &call);
    describe(w, &call);
    message_free(&m);
}

/* Where the value at the start of TEXT ends by the scanner's word. */
static size_t end_of_value(const char *text, size_t len)
{
    struct scanner s;
    size_t taken;
    scanner_init(&s, PLAIN_TEXT_MAX);
    assert_int_equal(scanner_scan(&s, text, len, &taken), SCAN_VALUE);
    scanner_deinit(&s);
    return taken;
}

/* How many bytes of TEXT are taken as plain; if any, they mean the same to both. */
static size_t compare(const char *text, size_t len)
{
    struct call call;
    struct writer one, other;
    char *copy = malloc(len > 0 ? len : 1);
    assert_non_null(copy);
    memcpy(copy, text, len);
    size_t taken = jsonrpc_dialect.take_plain(copy, len, &call);
    if (taken == 0) {
        assert_memory_equal(copy, text, len);
        free(copy);
        return 0;
    }
    writer_init(&one);
    writer_init(&other);
    size_t end = end_of_value(text, len);
    assert_in_range(end, 1, taken);
    for (size_t i = end; i < taken; i++)
        assert_non_null(memchr(" \t\r\n", text[i], 4));
    describe(&one, &call);
    describe_decoded(&other, text, end);
    assert_int_equal(one.len, other.len);
    assert_memory_equal(one.data, other.data, one.len);
    writer_deinit(&one);
    writer_deinit(&other);
    free(copy);
    return taken;
}

TEST(what_is_plain)
{
    for (size_t i = 0; i < N_PLAIN; i++)
        assert_int_equal(compare(plain[i], strlen(plain[i])), strlen(plain[i]));
}

TEST(what_is_not)
{
    for (size_t i = 0; i < N_OTHERS; i++)
        assert_int_equal(compare(others[i], strlen(others[i])), 0);
}

TEST(what_follows_is_left)
{
    static const char request[] = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"info\"}";
    static const char *const tails[] = {"}", "1", "{", "\"", "{}", "\xFF", "x"};
    for (size_t i = 0; i < sizeof(tails) / sizeof(tails[0]); i++) {
        char text[100];
        snprintf(text, sizeof(text), "%s \n%s", request, tails[i]);
        assert_int_equal(compare(text, strlen(text)), strlen(request) + 2);
    }
}

TEST(no_longer_than_it_may_be)
{
    for (size_t blanks = PLAIN_TEXT_MAX - 60; blanks < PLAIN_TEXT_MAX - 40; blanks++) {
        char text[PLAIN_TEXT_MAX + 2];
        int len =
            snprintf(text, sizeof(text), "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"info\"%*s}",
                     (int)blanks, "");
        assert_int_equal(compare(text, (size_t)len), len <= PLAIN_TEXT_MAX ? len : 0);
    }
}

TEST(a_cut_request_is_left)
{
    for (size_t i = 0; i < N_PLAIN; i++)
        for (size_t len = 0; len < strlen(plain[i]) - 3; len++)
            assert_int_equal(compare(plain[i], len), 0);
}

TEST(any_byte_changed)
{
    static const char bytes[] = "\0\x01 \t\n\"\\/{}[],:.-+019aetfnE\x7f\x80\xC3\xFF";
    size_t taken = 0;
    for (size_t i = 0; i < N_PLAIN; i++) {
        size_t len = strlen(plain[i]);
        char *text = malloc(len + 1);
        assert_non_null(text);
        for (size_t at = 0; at < len; at++) {
            for (size_t b = 0; b < sizeof(bytes) - 1; b++) {
                memcpy(text, plain[i], len);
                text[at] = bytes[b];
                taken += compare(text, len) > 0;
                /* And one more. */
                memcpy(text + at + 1, plain[i] + at, len - at);
                taken += compare(text, len + 1) > 0;
            }
            memcpy(text, plain[i], at);
            memcpy(text + at, plain[i] + at + 1, len - at - 1);
            taken += compare(text, len - 1) > 0;
        }
        free(text);
    }
    assert_true(taken > 1000); /* names, blanks and digits may change */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_plain),         cmocka_unit_test(what_is_not),
        cmocka_unit_test(what_follows_is_left),  cmocka_unit_test(no_longer_than_it_may_be),
        cmocka_unit_test(a_cut_request_is_left), cmocka_unit_test(any_byte_changed),
    };
    return RUN_TESTS(tests);
}
