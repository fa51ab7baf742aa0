/* SPDX-License-Identifier: MIT */
/* Each result's members, byte for byte: they are the contract. */
#include "tests/unit/support.h"

#include "protocol/reply.h"

static const struct wire_segment small = {
    .serial = 1,
    .shmid = 2,
    .key = 3,
    .size = 4,
    .mode = 0600,
    .state = STATE_READY,
    .managed = true,
};

#define SMALL                                                                                      \
    "{\"serial\":1,\"shmid\":2,\"key\":3,\"size\":4,\"mode\":\"0600\",\"uid\":0,\"gid\":0,"        \
    "\"nattch\":0,\"last_pid\":0,\"creator\":{\"uid\":0,\"gid\":0,\"pid\":0},"                     \
    "\"state\":\"ready\",\"lifetime\":\"persistent\",\"holders\":0,\"locked\":false,"              \
    "\"huge_page_size\":0,\"noreserve\":false,\"labels\":{},\"managed\":true,"                     \
    "\"declared\":false}"

static void check(const struct reply *reply, const char *want)
{
    struct writer w;
    writer_init(&w);
    reply_write_result(&w, reply);
    assert_text(w.data, w.len, want);
    writer_deinit(&w);
}

TEST(info)
{
    static const struct info_limit limits[] = {{"max_segments", 5, true, 3},
                                               {"max_bytes", UINT64_MAX, true, 4},
                                               {"max_message_bytes", 6, false, 0}};
    static const uint64_t huge[] = {2097152, 1073741824};
    struct reply reply = {
        .kind = REPLY_INFO,
        .u.info = {.version = "0.1.0",
                   .pid = 10,
                   .uid = 11,
                   .started_at_ms = 1700000000000,
                   .boot_id = "b",
                   .ipc_namespace = 4026531839,
                   .kernel = {.shmmax = 18446744073692774399U,
                              .shmall = 18446744073692774399U,
                              .shmmni = 4096,
                              .segments = 5,
                              .bytes = 6,
                              .shm_rmid_forced = true},
                   .limits = limits,
                   .n_limits = 3,
                   .usage_segments = 7,
                   .usage_bytes = 8,
                   .huge_page_sizes = huge,
                   .n_huge_page_sizes = 2,
                   .durable = true},
    };
    check(&reply,
          "{\"version\":\"0.1.0\",\"protocol\":2,\"pid\":10,\"uid\":11,"
          "\"started_at_ms\":1700000000000,\"boot_id\":\"b\",\"ipc_namespace\":4026531839,"
          "\"kernel\":{\"shmmni\":4096,\"segments\":5,\"bytes\":6,\"shm_rmid_forced\":true},"
          "\"limits\":{\"max_segments\":{\"used\":3,\"max\":5},\"max_bytes\":{\"used\":4},"
          "\"max_message_bytes\":{\"max\":6}},"
          "\"usage\":{\"segments\":7,\"bytes\":8},"
          "\"huge_page_sizes\":[2097152,1073741824],\"durable\":true}");

    reply.u.info.kernel.shmmax = INT64_MAX;
    reply.u.info.kernel.shmall = 5;
    reply.u.info.records_since_at_ms = 1700000000001;
    reply.u.info.store_failure = "full";
    reply.u.info.n_limits = 0;
    reply.u.info.n_huge_page_sizes = 0;
    struct writer w;
    writer_init(&w);
    reply_write_result(&w, &reply);
    writer_bytes(&w, "", 1);
    assert_contains(w.data, "\"kernel\":{\"shmmax\":9223372036854775807,\"shmall\":5,\"shmmni\"");
    assert_contains(
        w.data,
        "\"durable\":true,\"records_since_at_ms\":1700000000001,\"store_failure\":\"full\"}");
    assert_contains(w.data, "\"limits\":{},");
    assert_contains(w.data, "\"huge_page_sizes\":[],");
    writer_deinit(&w);
}

TEST(segment)
{
    struct reply reply = {.kind = REPLY_SEGMENT, .u.one = {.segment = small, .created = true}};
    check(&reply, "{\"segment\":" SMALL "}");
}

TEST(created)
{
    struct reply reply = {.kind = REPLY_CREATED, .u.one = {.segment = small, .created = true}};
    check(&reply, "{\"segment\":" SMALL ",\"created\":true}");
    reply.u.one.created = false;
    check(&reply, "{\"segment\":" SMALL ",\"created\":false}");
}

TEST(list)
{
    const struct wire_segment two[] = {small, small};
    struct reply reply = {.kind = REPLY_LIST, .u.list = {.segments = NULL, .count = 0}};
    check(&reply, "{\"segments\":[]}");
    reply.u.list.segments = two;
    reply.u.list.count = 2;
    check(&reply, "{\"segments\":[" SMALL "," SMALL "]}");
    strcpy(reply.u.list.cursor, "17");
    reply.u.list.count = 1;
    check(&reply, "{\"segments\":[" SMALL "],\"cursor\":\"17\"}");
}

TEST(subscribed)
{
    struct reply reply = {.kind = REPLY_SUBSCRIBED, .u.event_serial = 0};
    check(&reply, "{\"event_serial\":0}");
    reply.u.event_serial = 1025;
    check(&reply, "{\"event_serial\":1025}");
}

TEST(metrics)
{
    static const char text[] = "# HELP shmd_x \"x\"\nshmd_x 1\n# EOF\n";
    struct reply reply = {.kind = REPLY_METRICS, .u.metrics = {text, sizeof(text) - 1}};
    check(&reply, "{\"text\":\"# HELP shmd_x \\\"x\\\"\\nshmd_x 1\\n# EOF\\n\"}");
    /* The length counts, not a NUL. */
    reply.u.metrics.len = 3;
    check(&reply, "{\"text\":\"# H\"}");
    reply.u.metrics.len = 0;
    check(&reply, "{\"text\":\"\"}");
}

static void check_event(const struct wire_event *event, const char *want)
{
    struct writer w;
    writer_init(&w);
    reply_write_event(&w, event);
    assert_text(w.data, w.len, want);
    writer_deinit(&w);
}

TEST(events_of_every_kind)
{
    static const char *const kinds[] = {"created",  "ready",   "changed", "attached",
                                        "detached", "removed", "adopted"};
    assert_int_equal(sizeof(kinds) / sizeof(kinds[0]), EVENT_KINDS);
    for (int i = 0; i < EVENT_KINDS; i++) {
        /* A reason belongs to removals alone. */
        const struct wire_event event = {.event_serial = 12,
                                         .at_ms = 1700000000000,
                                         .kind = (enum event_kind)i,
                                         .reason = REASON_RECYCLED,
                                         .segment = &small};
        char *want = text_of("{\"event_serial\":12,\"at_ms\":1700000000000,\"kind\":\"%s\"%s,"
                             "\"segment\":" SMALL "}",
                             kinds[i], i == EVENT_REMOVED ? ",\"reason\":\"recycled\"" : "");
        check_event(&event, want);
        free(want);
    }
}

TEST(removals_for_every_reason)
{
    static const char *const reasons[] = {
        "request",     "expired",     "last-holder-exited", "connection-closed", "initialiser-died",
        "last-detach", "out-of-band", "recycled",           "replaced"};
    assert_int_equal(sizeof(reasons) / sizeof(reasons[0]), REASON_COUNT);
    for (int i = 0; i < REASON_COUNT; i++) {
        const struct wire_event event = {
            .event_serial = 1, .kind = EVENT_REMOVED, .reason = (enum reason)i, .segment = &small};
        char *want = text_of("{\"event_serial\":1,\"at_ms\":0,\"kind\":\"removed\","
                             "\"reason\":\"%s\",\"segment\":" SMALL "}",
                             reasons[i]);
        check_event(&event, want);
        free(want);
    }
}

TEST(a_gap_tells_how_many_and_nothing_else)
{
    struct wire_event event = {.missed = 1, .event_serial = 5, .at_ms = 6, .kind = EVENT_READY};
    check_event(&event, "{\"kind\":\"gap\",\"missed\":1}");
    event.missed = UINT64_MAX;
    check_event(&event, "{\"kind\":\"gap\",\"missed\":9223372036854775807}");
}

TEST(a_failure_has_no_result)
{
    struct reply reply = {.kind = REPLY_FAILURE};
    failure_init(&reply.u.failure, PROTOCOL_ERROR_INTERNAL);
    check(&reply, "");
}

TEST(failure_parameters)
{
    struct failure f;
    struct writer w;
    failure_init(&f, PROTOCOL_ERROR_LIMIT_REACHED);
    failure_add_string(&f, "limit", "kernel.shmmni");
    failure_add_int(&f, "max", -4096);
    failure_add_string(&f, "hint", "say \"sysctl\"");
    writer_init(&w);
    writer_object_begin(&w);
    reply_write_failure_params(&w, &f);
    writer_object_end(&w);
    assert_text(w.data, w.len,
                "{\"limit\":\"kernel.shmmni\",\"max\":-4096,\"hint\":\"say \\\"sysctl\\\"\"}");
    writer_deinit(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(info),
        cmocka_unit_test(segment),
        cmocka_unit_test(created),
        cmocka_unit_test(list),
        cmocka_unit_test(subscribed),
        cmocka_unit_test(metrics),
        cmocka_unit_test(events_of_every_kind),
        cmocka_unit_test(removals_for_every_reason),
        cmocka_unit_test(a_gap_tells_how_many_and_nothing_else),
        cmocka_unit_test(a_failure_has_no_result),
        cmocka_unit_test(failure_parameters),
    };
    return RUN_TESTS(tests);
}
