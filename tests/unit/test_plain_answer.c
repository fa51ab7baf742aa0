/* SPDX-License-Identifier: MIT */
/*
 * Answers with a segment are read without a tree, and must mean the same as through one: each
 * answer here, whole and with any byte of it changed, left out or doubled, is either left to the
 * decoder or understood as it does.
 */
#include "tests/unit/support.h"

#include "protocol/jsonrpc_client.h"

#define ANSWER(result) "{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{" result "}}"
#define SEGMENT                                                                                    \
    "\"serial\":17,\"name\":\"frames\",\"shmid\":3,\"key\":4294967295,\"size\":4096,"              \
    "\"mode\":\"0640\",\"uid\":1000,\"gid\":1000,\"nattch\":2,\"last_pid\":71,"                    \
    "\"creator\":{\"uid\":1000,\"gid\":1000,\"pid\":70,\"comm\":\"load er\"},"                     \
    "\"state\":\"ready\",\"lifetime\":\"process\","
#define REST                                                                                       \
    "\"locked\":false,\"huge_page_size\":0,\"noreserve\":true,"                                    \
    "\"created_at_ms\":1700000000000,\"changed_at_ms\":-1,"
#define HOLDERS                                                                                    \
    "\"holders\":2,\"holder_list\":[{\"pid\":9,\"uid\":8,\"comm\":\"a\",\"since_at_ms\":5},"       \
    "{\"pid\":7,\"uid\":6}],"
#define LABELS "\"labels\":{\"app\":\"x\",\"by\":\"\"},"
#define ENDS   "\"managed\":true,\"declared\":false"

static const char *const plain[] = {
    ANSWER("\"segment\":{" SEGMENT HOLDERS REST LABELS "\"rss\":4096,\"swap\":0," ENDS
           "},\"created\":true"),
    ANSWER("\"segment\":{" SEGMENT "\"holders\":0,\"holder_list\":[]," REST "\"labels\":{}," ENDS
           "}"),
    ANSWER("\"segment\":{" SEGMENT "\"former_name\":\"old\",\"replaces\":5," ENDS "}"),
    ANSWER("\"segment\":{\"shmid\":3,\"size\":1,\"mode\":\"0000\",\"state\":\"removing\","
           "\"managed\":false,\"orphaned\":true,\"used_by_others\":true}"),
    ANSWER("\"segment\":{ \"mode\" : \"0777\",\t\"size\":1 ,\"state\":\"ready\",\"shmid\":0}"),
};
enum { N_PLAIN = sizeof(plain) / sizeof(plain[0]) };

static const char *const others[] = {
    "",
    "{}",
    ANSWER(""),
    ANSWER("\"segments\":[]"),
    ANSWER("\"segment\":{}"),
    ANSWER("\"segment\":{" SEGMENT ENDS ",\"more\":1}"),
    ANSWER("\"segment\":{" SEGMENT ENDS ",\"serial\":17}"),
    ANSWER("\"segment\":{" SEGMENT ENDS "},\"more\":1"),
    ANSWER("\"segment\":{" SEGMENT ENDS ",\"drift\":[\"mode\"]}"),
    ANSWER("\"segment\":{" SEGMENT ENDS ",\"labels\":{\"a\":\"\",\"a\":\"\"}}"),
    ANSWER("\"segment\":{" SEGMENT ENDS ",\"labels\":{\"a\":\"\\u00e9\"}}"),
    ANSWER("\"segment\":{" SEGMENT ENDS ",\"holders\":1,\"holder_list\":[]}"),
    ANSWER("\"segment\":{" SEGMENT ENDS ",\"holders\":1,\"holder_list\":[{\"uid\":1}]}"),
    ANSWER("\"segment\":{\"size\":1,\"mode\":\"0000\",\"state\":\"ready\"}"),
    ANSWER("\"segment\":{\"shmid\":1,\"size\":1,\"mode\":\"0000\",\"state\":\"strange\"}"),
    ANSWER("\"segment\":{\"shmid\":2147483648,\"size\":1,\"mode\":\"0000\",\"state\":\"ready\"}"),
    ANSWER("\"segment\":{\"shmid\":1,\"size\":1,\"mode\":\"0000\",\"state\":\"ready\","
           "\"managed\":true}"),
    "{\"jsonrpc\":\"2.0\",\"id\":7,\"error\":{\"code\":1,\"message\":\"no\"}}",
    "{\"jsonrpc\":\"2.0\",\"method\":\"event\",\"params\":{\"kind\":\"gap\",\"missed\":1}}",
};
enum { N_OTHERS = sizeof(others) / sizeof(others[0]) };

static void describe(struct writer *w, const struct client_message *m)
{
    struct client_segment segment;
    bool created = false;
    assert_int_equal(m->kind, CLIENT_RESULT);
    assert_true(m->has_id);
    assert_int_equal(jsonrpc_client_segment(m, &segment), 0);
    writer_int(w, m->id);
    writer_value(w, m->text.text, m->text.len);
    writer_bool(w, segment.wire.holder_list);
    writer_bool(w, segment.wire.has_lifetime);
    segment_json_write(w, &segment.wire);
    writer_bool(w, jsonrpc_client_created(m, &created) == 0);
    writer_bool(w, created);
    client_segment_free(&segment);
}

/* Whether TEXT is read without a tree; if so, it means the same through one. */
static bool compare(const char *text, size_t len)
{
    struct client_message m, tree;
    struct writer one, other;
    char *copy = malloc(len > 0 ? len : 1);
    assert_non_null(copy);
    memcpy(copy, text, len);
    int r = jsonrpc_client_decode(copy, len, &m);
    bool is_plain = r == 0 && m.plain;
    if (is_plain) {
        assert_int_equal(jsonrpc_client_decode_tree(copy, len, &tree), 0);
        writer_init(&one);
        writer_init(&other);
        describe(&one, &m);
        describe(&other, &tree);
        assert_int_equal(one.len, other.len);
        assert_memory_equal(one.data, other.data, one.len);
        writer_deinit(&one);
        writer_deinit(&other);
        jsonrpc_client_free(&tree);
    }
    if (r == 0)
        jsonrpc_client_free(&m);
    free(copy);
    return is_plain;
}

TEST(what_is_plain)
{
    for (size_t i = 0; i < N_PLAIN; i++)
        assert_true(compare(plain[i], strlen(plain[i])));
}

TEST(what_is_not)
{
    for (size_t i = 0; i < N_OTHERS; i++)
        assert_false(compare(others[i], strlen(others[i])));
}

TEST(what_has_no_room_is_left)
{
    /* Holders and texts beyond the room that there is. */
    for (int n = 1; n < 20; n++) {
        char list[20 * 12] = "";
        for (int i = 0; i < n; i++)
            strcat(list, i == 0 ? "{\"pid\":1}" : ",{\"pid\":1}");
        char *text = text_of("{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"segment\":{" SEGMENT ENDS
                             ",\"holders\":%d,\"holder_list\":[%s]}}}",
                             n, list);
        assert_int_equal(compare(text, strlen(text)), n <= 8);
        free(text);
    }
    for (int n = 900; n < 1100; n++) {
        char *text = text_of("{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"segment\":{" SEGMENT ENDS
                             ",\"labels\":{\"a\":\"%0*d\"}}}}",
                             n, 0);
        /* frames, load er, a and the value, each with a NUL. */
        assert_int_equal(compare(text, strlen(text)), 7 + 8 + 2 + n + 1 <= 1024);
        free(text);
    }
}

TEST(any_byte_changed)
{
    static const char bytes[] = "\0\x01 \t\n\"\\/{}[],:.-+0189aetfnE\x7f\x80\xC3\xFF";
    size_t taken = 0;
    for (size_t i = 0; i < N_PLAIN; i++) {
        size_t len = strlen(plain[i]);
        char *text = malloc(len + 1);
        assert_non_null(text);
        for (size_t at = 0; at < len; at++) {
            for (size_t b = 0; b < sizeof(bytes) - 1; b++) {
                memcpy(text, plain[i], len);
                text[at] = bytes[b];
                taken += compare(text, len);
                memcpy(text + at + 1, plain[i] + at, len - at);
                taken += compare(text, len + 1);
            }
            memcpy(text, plain[i], at);
            memcpy(text + at, plain[i] + at + 1, len - at - 1);
            taken += compare(text, len - 1);
        }
        free(text);
    }
    assert_true(taken > 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_plain),
        cmocka_unit_test(what_is_not),
        cmocka_unit_test(what_has_no_room_is_left),
        cmocka_unit_test(any_byte_changed),
    };
    return RUN_TESTS(tests);
}
