/* SPDX-License-Identifier: MIT */
/*
 * The client's requests are what the daemon's side decodes, and it reads back what that writes;
 * what is neither a reply nor an event is refused.
 */
#include "tests/unit/support.h"

#include <jansson.h>

#include "protocol/jsonrpc.h"
#include "protocol/jsonrpc_client.h"

static const struct label labels[] = {{"k", "v"}};
static const struct wire_holder holders[] = {{.pid = 7, .uid = 8, .comm = "c", .since_at_ms = 9}};
static const struct wire_segment segment = {
    .serial = 17,
    .name = "frames",
    .shmid = 3,
    .size = 4096,
    .mode = 0640,
    .state = STATE_READY,
    .holders = 1,
    .labels = labels,
    .n_labels = 1,
    .managed = true,
};

/* What the daemon answers to request 5, decoded; W owns the text. */
static void answer(const struct reply *reply, struct writer *w, struct client_message *ret)
{
    json_t *id = json_integer(5);
    const struct call call = {.id = value_of_json(id), .answered = true};
    writer_init(w);
    jsonrpc_dialect.reply(w, &call, reply, false);
    json_decref(id);
    assert_false(w->failed);
    assert_int_equal(jsonrpc_client_decode(w->data, w->len - 1, ret), 0);
    assert_true(ret->has_id);
    assert_int_equal(ret->id, 5);
}

TEST(a_request_is_decoded_to_the_same)
{
    const union params params = {.wait = {.name = "frames", .timeout_ms = {true, 0}}};
    struct writer w;
    struct message m;
    struct failure failure;
    struct call call;
    writer_init(&w);
    jsonrpc_client_request(&w, 42, METHOD_WAIT, &params);
    assert_text(w.data, w.len,
                "{\"jsonrpc\":\"2.0\",\"id\":42,\"method\":\"wait\","
                "\"params\":{\"name\":\"frames\",\"timeout_ms\":0}}\n");
    assert_int_equal(message_decode(w.data, w.len, &m, &failure), 0);
    jsonrpc_dialect.call(&m, 0, &call);
    assert_false(call.failed);
    assert_int_equal(call.method, METHOD_WAIT);
    assert_string_equal(call.params.wait.name, "frames");
    message_free(&m);
    writer_deinit(&w);
}

TEST(a_request_as_text_stays_one_request)
{
    static const char *const bad[] = {"", "{", "{}}", "{},\"id\":9", "{} {}", "{\"a\":1", "nul"};
    struct writer w;
    writer_init(&w);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(jsonrpc_client_request_text(&w, 1, "stat", bad[i]), -EINVAL);
        assert_int_equal(w.len, 0);
    }
    assert_int_equal(jsonrpc_client_request_text(&w, 1, "sta\"t", "{\"name\": \"x\"}"), 0);
    assert_text(
        w.data, w.len,
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"sta\\\"t\",\"params\":{\"name\": \"x\"}}\n");
    writer_deinit(&w);
    assert_int_equal(jsonrpc_client_request_text(&w, 2, "info", NULL), 0);
    assert_text(w.data, w.len, "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"info\"}\n");
    writer_deinit(&w);
}

TEST(segments_come_back)
{
    struct reply reply = {.kind = REPLY_CREATED, .u.one = {segment, true}};
    struct client_message m;
    struct client_segment read;
    struct writer w;
    bool created = false;
    reply.u.one.segment.holder_list = holders;
    answer(&reply, &w, &m);
    assert_int_equal(m.kind, CLIENT_RESULT);
    assert_memory_equal(m.text.text, "{\"segment\":{", 12);
    assert_int_equal(m.text.text[m.text.len - 1], '}');
    assert_int_equal(m.text.text + m.text.len + 2 - w.data, w.len);
    assert_int_equal(jsonrpc_client_created(&m, &created), 0);
    assert_true(created);
    assert_int_equal(jsonrpc_client_segment(&m, &read), 0);
    assert_int_equal(read.wire.serial, 17);
    assert_string_equal(read.wire.labels[0].value, "v");
    assert_string_equal(read.wire.holder_list[0].comm, "c");
    client_segment_free(&read);
    client_segment_free(&read);
    jsonrpc_client_free(&m);
    writer_deinit(&w);
}

TEST(pages_come_back)
{
    const struct wire_segment two[] = {segment, {.shmid = 9, .mode = 0600}};
    struct reply reply = {.kind = REPLY_LIST, .u.list = {two, 2, "next"}};
    struct client_message m;
    struct client_segment read;
    struct writer w;
    size_t count;
    const char *cursor;
    answer(&reply, &w, &m);
    assert_int_equal(jsonrpc_client_list(&m, &count, &cursor), 0);
    assert_int_equal(count, 2);
    assert_string_equal(cursor, "next");
    assert_int_equal(jsonrpc_client_list_item(&m, 1, &read), 0);
    assert_int_equal(read.wire.shmid, 9);
    client_segment_free(&read);
    assert_int_equal(jsonrpc_client_list_item(&m, 2, &read), -EBADMSG);
    assert_int_equal(jsonrpc_client_segment(&m, &read), -EBADMSG);
    jsonrpc_client_free(&m);
    writer_deinit(&w);

    reply.u.list.cursor[0] = '\0';
    answer(&reply, &w, &m);
    assert_int_equal(jsonrpc_client_list(&m, &count, &cursor), 0);
    assert_null(cursor);
    jsonrpc_client_free(&m);
    writer_deinit(&w);
}

TEST(info_comes_back)
{
    const struct info_limit limits[] = {{"max_segments", 5, true, 3},
                                        {"max_bytes", UINT64_MAX, true, 4},
                                        {"max_message_bytes", 6, false, 0}};
    const uint64_t sizes[] = {2097152, 1073741824};
    const struct reply reply = {.kind = REPLY_INFO,
                                .u.info = {.version = "1.2",
                                           .pid = 3,
                                           .uid = 4,
                                           .started_at_ms = 5,
                                           .boot_id = "b",
                                           .ipc_namespace = 4026531839,
                                           .kernel = {6, 7, 8, 9, 10, true},
                                           .limits = limits,
                                           .n_limits = 3,
                                           .usage_segments = 11,
                                           .usage_bytes = 12,
                                           .huge_page_sizes = sizes,
                                           .n_huge_page_sizes = 2,
                                           .durable = true,
                                           .store_failure = "the disk is full"}};
    struct client_message m;
    struct client_info c;
    struct writer w;
    answer(&reply, &w, &m);
    assert_int_equal(jsonrpc_client_info(&m, &c), 0);
    assert_string_equal(c.info.version, "1.2");
    assert_int_equal(c.protocol, PROTOCOL_VERSION);
    assert_int_equal(c.info.pid, 3);
    assert_int_equal(c.info.uid, 4);
    assert_int_equal(c.info.started_at_ms, 5);
    assert_int_equal(c.info.ipc_namespace, 4026531839);
    assert_memory_equal(&c.info.kernel, &reply.u.info.kernel, sizeof(c.info.kernel));
    assert_int_equal(c.info.n_limits, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_string_equal(c.info.limits[i].name, limits[i].name);
        assert_int_equal(c.info.limits[i].max, limits[i].max);
        assert_int_equal(c.info.limits[i].is_counted, limits[i].is_counted);
        assert_int_equal(c.info.limits[i].used, limits[i].used);
    }
    assert_int_equal(c.info.usage_segments, 11);
    assert_int_equal(c.info.usage_bytes, 12);
    assert_int_equal(c.info.huge_page_sizes[1], 1073741824);
    assert_true(c.info.durable);
    assert_string_equal(c.info.store_failure, "the disk is full");
    jsonrpc_client_free(&m);
    writer_deinit(&w);
}

TEST(failures_come_back)
{
    struct reply reply = {.kind = REPLY_FAILURE};
    struct client_message m;
    struct client_failure f;
    struct writer w;
    failure_init(&reply.u.failure, PROTOCOL_ERROR_QUOTA_EXCEEDED);
    failure_add_string(&reply.u.failure, "quota", "max_segments");
    failure_add_int(&reply.u.failure, "used", 7);
    answer(&reply, &w, &m);
    assert_int_equal(m.kind, CLIENT_FAILURE);
    assert_int_equal(jsonrpc_client_failure(&m, &f), 0);
    assert_int_equal(f.error, PROTOCOL_ERROR_QUOTA_EXCEEDED);
    assert_string_equal(f.name, "io.shmd.QuotaExceeded");
    assert_string_equal(f.message, error_row(PROTOCOL_ERROR_QUOTA_EXCEEDED)->message);
    assert_string_equal(f.params, "{\"quota\":\"max_segments\",\"used\":7}");
    free(f.params);
    jsonrpc_client_free(&m);
    writer_deinit(&w);
}

static int decode(const char *text, struct client_message *ret)
{
    return jsonrpc_client_decode(text, strlen(text), ret);
}

TEST(a_failure_of_a_newer_daemon_is_told_as_unknown)
{
    struct client_message m;
    struct client_failure f;
    assert_int_equal(
        decode("{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":99,\"message\":\"m\","
               "\"data\":{\"error\":\"io.shmd.Newer\",\"x\":[1]}}}",
               &m),
        0);
    assert_false(m.has_id);
    assert_int_equal(jsonrpc_client_failure(&m, &f), 0);
    assert_int_equal(f.error, -1);
    assert_string_equal(f.params, "{\"x\":[1]}");
    free(f.params);
    jsonrpc_client_free(&m);
}

static void read_event(const struct wire_event *event, struct wire_event *ret,
                       struct client_segment *ret_segment, struct client_message *m)
{
    struct writer w;
    writer_init(&w);
    jsonrpc_dialect.event(&w, event);
    assert_int_equal(jsonrpc_client_decode(w.data, w.len - 1, m), 0);
    assert_int_equal(m->kind, CLIENT_EVENT);
    assert_int_equal(jsonrpc_client_event(m, ret, ret_segment), 0);
    writer_deinit(&w);
}

TEST(events_come_back)
{
    const struct wire_event removed = {.event_serial = 4,
                                       .at_ms = 5,
                                       .kind = EVENT_REMOVED,
                                       .reason = REASON_RECYCLED,
                                       .segment = &segment};
    struct wire_event r;
    struct client_segment read;
    struct client_message m;
    read_event(&removed, &r, &read, &m);
    assert_int_equal(r.missed, 0);
    assert_int_equal(r.event_serial, 4);
    assert_int_equal(r.at_ms, 5);
    assert_int_equal(r.kind, EVENT_REMOVED);
    assert_int_equal(r.reason, REASON_RECYCLED);
    assert_ptr_equal(r.segment, &read.wire);
    assert_string_equal(r.segment->name, "frames");
    client_segment_free(&read);
    jsonrpc_client_free(&m);

    const struct wire_event gap = {.missed = 3};
    read_event(&gap, &r, &read, &m);
    assert_int_equal(r.missed, 3);
    assert_null(r.segment);
    client_segment_free(&read);
    jsonrpc_client_free(&m);
}

TEST(what_is_no_message_is_refused)
{
    static const char *const bad[] = {
        "",
        "1",
        "[]",
        "{}",
        "nonsense",
        "{\"result\":{}}",                        /* to no request */
        "{\"id\":\"1\",\"result\":{}}",           /* we number ours */
        "{\"id\":1,\"result\":7}",                /* no object */
        "{\"id\":1,\"error\":\"no\"}",            /* no object */
        "{\"method\":\"event\"}",                 /* of nothing */
        "{\"method\":\"other\",\"params\":{}}",   /* no event */
        "{\"id\":1,\"\\u0072esult\":{}}",         /* ours is never escaped */
        "{\"id\":1,\"result\":{},\"result\":{}}", /* twice */
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct client_message m = {.id = 7};
        assert_int_equal(decode(bad[i], &m), -EBADMSG);
        assert_int_equal(m.id, 7);
    }
}

TEST(a_body_of_another_kind_is_refused)
{
    struct client_message m;
    struct client_segment read;
    struct client_info info;
    struct client_failure failure;
    struct wire_event event;
    uint64_t serial;
    size_t count;
    const char *text;
    bool created;
    assert_int_equal(decode("{\"id\":1,\"result\":{}}", &m), 0);
    assert_int_equal(jsonrpc_client_segment(&m, &read), -EBADMSG);
    assert_int_equal(jsonrpc_client_created(&m, &created), -EBADMSG);
    assert_int_equal(jsonrpc_client_list(&m, &count, &text), -EBADMSG);
    assert_int_equal(jsonrpc_client_info(&m, &info), -EBADMSG);
    assert_int_equal(jsonrpc_client_subscribed(&m, &serial), -EBADMSG);
    assert_int_equal(jsonrpc_client_metrics(&m, &text), -EBADMSG);
    assert_int_equal(jsonrpc_client_failure(&m, &failure), -EBADMSG);
    assert_int_equal(jsonrpc_client_event(&m, &event, &read), -EBADMSG);
    jsonrpc_client_free(&m);
    assert_int_equal(decode("{\"method\":\"event\",\"params\":{\"kind\":\"removed\"}}", &m), 0);
    assert_int_equal(jsonrpc_client_event(&m, &event, &read), -EBADMSG);
    jsonrpc_client_free(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_is_decoded_to_the_same),
        cmocka_unit_test(a_request_as_text_stays_one_request),
        cmocka_unit_test(segments_come_back),
        cmocka_unit_test(pages_come_back),
        cmocka_unit_test(info_comes_back),
        cmocka_unit_test(failures_come_back),
        cmocka_unit_test(a_failure_of_a_newer_daemon_is_told_as_unknown),
        cmocka_unit_test(events_come_back),
        cmocka_unit_test(what_is_no_message_is_refused),
        cmocka_unit_test(a_body_of_another_kind_is_refused),
    };
    return RUN_TESTS(tests);
}
