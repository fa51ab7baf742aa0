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
    static const struct info_limit limits[] = {{"max_segments", 0}, {"max_bytes", UINT64_MAX}};
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
                   .n_limits = 2,
                   .usage_segments = 7,
                   .usage_bytes = 8,
                   .huge_page_sizes = huge,
                   .n_huge_page_sizes = 2,
                   .durable = true},
    };
    check(&reply, "{\"version\":\"0.1.0\",\"protocol\":1,\"pid\":10,\"uid\":11,"
                  "\"started_at_ms\":1700000000000,\"boot_id\":\"b\",\"ipc_namespace\":4026531839,"
                  "\"kernel\":{\"shmmax\":9223372036854775807,\"shmall\":9223372036854775807,"
                  "\"shmmni\":4096,\"segments\":5,\"bytes\":6,\"shm_rmid_forced\":true},"
                  "\"limits\":{\"max_segments\":0,\"max_bytes\":9223372036854775807},"
                  "\"usage\":{\"segments\":7,\"bytes\":8},"
                  "\"huge_page_sizes\":[2097152,1073741824],\"durable\":true}");

    reply.u.info.n_limits = 0;
    reply.u.info.n_huge_page_sizes = 0;
    struct writer w;
    writer_init(&w);
    reply_write_result(&w, &reply);
    writer_bytes(&w, "", 1);
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
        cmocka_unit_test(info),    cmocka_unit_test(segment),
        cmocka_unit_test(created), cmocka_unit_test(list),
        cmocka_unit_test(a_failure_has_no_result), cmocka_unit_test(failure_parameters),
    };
    return RUN_TESTS(tests);
}
