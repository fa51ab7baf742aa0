/* SPDX-License-Identifier: MIT */
/*
 * Each outcome of the core becomes the error of the contract, with the parameters the contract
 * lists and a sentence that says what to do; nothing that a number could be gets lost or wraps.
 */
#include "tests/unit/support.h"

#include <errno.h>

#include "daemon/rpc/outcome_to_error.h"
#include "protocol/reply.h"

static struct failure f;

/* The parameters as they go on the wire. */
static void becomes(int outcome, const struct outcome_detail *detail, const struct target *target,
                    const char *name, enum protocol_error error, const char *params)
{
    struct writer w;
    outcome_to_failure(outcome, detail, target, name, &f);
    assert_int_equal(f.error, error);
    assert_true(strlen(failure_message(&f)) > 10);
    writer_init(&w);
    writer_object_begin(&w);
    reply_write_failure_params(&w, &f);
    writer_object_end(&w);
    assert_text(w.data, w.len, params);
    writer_deinit(&w);
}

#define DETAIL(...) (&(const struct outcome_detail){__VA_ARGS__})

static const struct target nobody = {.name = "frames"};

TEST(segments)
{
    const struct target all = {
        .name = "a", .shmid = {true, 7}, .key = {true, -2}, .serial = {true, INT64_MAX}};
    becomes(OUTCOME_NO_SUCH_SEGMENT, DETAIL(.used = 1), &nobody, NULL,
            PROTOCOL_ERROR_NO_SUCH_SEGMENT, "{\"name\":\"frames\"}");
    becomes(OUTCOME_NO_SUCH_SEGMENT, DETAIL(.used = 1), &all, NULL, PROTOCOL_ERROR_NO_SUCH_SEGMENT,
            "{\"name\":\"a\",\"shmid\":7,\"key\":4294967294,\"serial\":9223372036854775807}");
    becomes(OUTCOME_NO_SUCH_SEGMENT, DETAIL(.used = 1), NULL, NULL, PROTOCOL_ERROR_NO_SUCH_SEGMENT,
            "{}");
    becomes(OUTCOME_NOT_MANAGED, DETAIL(.used = 1), &nobody, NULL, PROTOCOL_ERROR_NO_SUCH_SEGMENT,
            "{\"name\":\"frames\",\"hint\":\"adopt it first, or use ipcs and ipcrm\"}");
    assert_contains(failure_message(&f), "adopt");
    becomes(OUTCOME_SEGMENT_EXISTS, DETAIL(.serial = UINT64_MAX, .shmid = 5), &nobody, NULL,
            PROTOCOL_ERROR_SEGMENT_EXISTS, "{\"serial\":9223372036854775807,\"shmid\":5}");
    becomes(OUTCOME_SEGMENT_EXISTS, DETAIL(.serial = 3, .shmid = 5, .hint = "use that one"), NULL,
            NULL, PROTOCOL_ERROR_SEGMENT_EXISTS, "{\"serial\":3,\"shmid\":5}");
    assert_string_equal(failure_message(&f), "the segment exists already: use that one");
    becomes(OUTCOME_SEGMENT_EXISTS,
            DETAIL(.serial = 3, .shmid = 5, .key = 0xBEEF, .hint = "use that one"), NULL, NULL,
            PROTOCOL_ERROR_SEGMENT_EXISTS, "{\"serial\":3,\"shmid\":5,\"key\":48879}");
    assert_string_equal(failure_message(&f),
                        "the key 0x0000beef belongs to segment 5: use that one");
    becomes(OUTCOME_SIZE_MISMATCH, DETAIL(.size = 4096, .requested = 8192), NULL, NULL,
            PROTOCOL_ERROR_SIZE_MISMATCH, "{\"size\":4096,\"requested\":8192}");
    assert_contains(failure_message(&f), "4096");
    assert_contains(failure_message(&f), "8192");
    assert_contains(failure_message(&f), "replace");
    becomes(OUTCOME_SEGMENT_BUSY, DETAIL(.nattch = 2), NULL, NULL, PROTOCOL_ERROR_SEGMENT_BUSY,
            "{\"nattch\":2}");
    becomes(OUTCOME_STALE_SEGMENT, DETAIL(.serial = 9), &nobody, NULL, PROTOCOL_ERROR_STALE_SEGMENT,
            "{\"serial\":9}");
    becomes(OUTCOME_KEY_IN_USE, DETAIL(.key = UINT32_MAX, .shmid = -1), NULL, NULL,
            PROTOCOL_ERROR_KEY_IN_USE, "{\"key\":4294967295,\"shmid\":-1}");
    becomes(OUTCOME_NOT_HOLDABLE, DETAIL(.what = "process", .hint = "it is going"), &nobody, NULL,
            PROTOCOL_ERROR_NOT_HOLDABLE, "{\"lifetime\":\"process\"}");
    assert_string_equal(failure_message(&f), "it is going");
}

TEST(limits_say_what_is_missing)
{
    becomes(OUTCOME_LIMIT_REACHED,
            DETAIL(.what = "kernel.shmall", .used = 8, .max = 10, .requested = 3, .unit = "pages",
                   .unit_bytes = 4096, .hint = "raise it"),
            NULL, NULL, PROTOCOL_ERROR_LIMIT_REACHED,
            "{\"limit\":\"kernel.shmall\",\"used\":8,\"max\":10,\"requested\":3,\"missing\":1,"
            "\"hint\":\"raise it\"}");
    assert_string_equal(failure_message(&f),
                        "the limit kernel.shmall is reached (8 of 10 in use); asked for: 3 pages "
                        "(12288 bytes), missing: 1 pages (4096 bytes): raise it");
    /* What the kernel does not tell is not made up, and no sum wraps. */
    becomes(OUTCOME_LIMIT_REACHED,
            DETAIL(.what = "memory", .used = OUTCOME_UNKNOWN, .max = OUTCOME_UNKNOWN,
                   .requested = UINT64_MAX, .unit = "pages", .unit_bytes = 4096,
                   .hint = "ask less"),
            NULL, NULL, PROTOCOL_ERROR_LIMIT_REACHED,
            "{\"limit\":\"memory\",\"requested\":9223372036854775807,\"hint\":\"ask less\"}");
    assert_string_equal(failure_message(&f),
                        "the limit memory is reached; asked for: 18446744073709551615 pages: ask "
                        "less");
}

TEST(rights)
{
    becomes(OUTCOME_PERMISSION_DENIED,
            DETAIL(.what = "owner", .has_uid = true, .uid = 7, .hint = "choose another"), NULL,
            NULL, PROTOCOL_ERROR_PERMISSION_DENIED, "{\"needs\":\"owner\",\"uid\":7}");
    assert_string_equal(failure_message(&f),
                        "permission denied: the segment belongs to uid 7: choose another");
    becomes(OUTCOME_PERMISSION_DENIED, DETAIL(.what = "read"), &nobody, NULL,
            PROTOCOL_ERROR_PERMISSION_DENIED, "{\"needs\":\"read\"}");
    assert_contains(failure_message(&f), "needs read");
    becomes(OUTCOME_PERMISSION_DENIED, DETAIL(.what = "admin", .hint = "only an admin may"), NULL,
            NULL, PROTOCOL_ERROR_PERMISSION_DENIED, "{\"needs\":\"admin\"}");
    assert_string_equal(failure_message(&f), "permission denied: only an admin may");
}

TEST(limits)
{
    becomes(OUTCOME_LIMIT_REACHED,
            DETAIL(.what = "kernel.shmmni", .used = 4096, .max = 4096, .hint = "raise it"), NULL,
            NULL, PROTOCOL_ERROR_LIMIT_REACHED,
            "{\"limit\":\"kernel.shmmni\",\"used\":4096,\"max\":4096,\"hint\":\"raise it\"}");
    assert_contains(failure_message(&f), "4096 of 4096");
    becomes(OUTCOME_LIMIT_REACHED,
            DETAIL(.what = "RLIMIT_MEMLOCK", .used = OUTCOME_UNKNOWN, .max = OUTCOME_UNKNOWN,
                   .requested = 10, .hint = "raise it"),
            NULL, NULL, PROTOCOL_ERROR_LIMIT_REACHED,
            "{\"limit\":\"RLIMIT_MEMLOCK\",\"requested\":10,\"hint\":\"raise it\"}");
    /* The kernel's default shmmax does not fit the wire. */
    becomes(OUTCOME_LIMIT_REACHED,
            DETAIL(.what = "kernel.shmmax", .used = OUTCOME_UNKNOWN, .max = UINT64_MAX - (1 << 24),
                   .hint = "ask for less"),
            NULL, NULL, PROTOCOL_ERROR_LIMIT_REACHED,
            "{\"limit\":\"kernel.shmmax\",\"hint\":\"ask for less\"}");
    becomes(OUTCOME_QUOTA_EXCEEDED,
            DETAIL(.what = "max_bytes_per_uid", .used = 10, .max = UINT64_MAX), NULL, NULL,
            PROTOCOL_ERROR_QUOTA_EXCEEDED,
            "{\"quota\":\"max_bytes_per_uid\",\"used\":10,\"max\":9223372036854775807}");
    assert_string_equal(
        failure_message(&f),
        "max_bytes_per_uid leaves too little (10 of 18446744073709551615 in use): ask "
        "for less, remove what is not needed, or have the administrator raise it "
        "in shmd.conf");
}

TEST(ways_out_of_a_quota)
{
    static const char *const ways[][2] = {
        {"max_segments", ": remove what is not needed, or have"},
        {"max_segments_per_uid", ": remove what is not needed, or have"},
        {"max_bytes", ": remove what is not needed, or have"},
        {"max_connections", ": close connections that are idle, or try again later, or have"},
        {"max_connections_per_uid", ": close connections that are idle, or try again later, or"},
        {"max_waiters", ": try again later, or ask by stat whether it is there, or have"},
        {"max_holders_per_segment", ": have a holder release it, or have the administrator"},
    };
    for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
        outcome_to_failure(OUTCOME_QUOTA_EXCEEDED,
                           DETAIL(.what = ways[i][0], .used = 1000000, .max = 1000000), NULL, NULL,
                           &f);
        assert_contains(failure_message(&f), ways[i][1]);
        assert_contains(failure_message(&f), " raise it in shmd.conf");
    }
}

TEST(waiting)
{
    becomes(OUTCOME_INITIALISER_DIED, DETAIL(.used = 1), NULL, "frames",
            PROTOCOL_ERROR_INITIALISER_DIED, "{\"name\":\"frames\"}");
    becomes(OUTCOME_TIMED_OUT, DETAIL(.timeout_ms = 500), NULL, "frames", PROTOCOL_ERROR_TIMED_OUT,
            "{\"timeout_ms\":500}");
    becomes(OUTCOME_SHUTTING_DOWN, DETAIL(.used = 1), NULL, "frames", PROTOCOL_ERROR_SHUTTING_DOWN,
            "{}");
}

TEST(others)
{
    becomes(OUTCOME_STORE_FAILURE, DETAIL(.hint = "the disk is full"), NULL, NULL,
            PROTOCOL_ERROR_STORE_FAILURE, "{\"reason\":\"the disk is full\"}");
    assert_contains(failure_message(&f), "nothing was done: the disk is full");
    static const struct config_error errors[] = {
        {"/etc/shmd/shmd.conf", 3, "max_bytes", "max_bytes \"x\": must be a number"},
        {"/etc/a.json", 0, "", "is not a file"},
    };
    becomes(OUTCOME_INVALID_CONFIGURATION,
            DETAIL(.config_errors = errors, .n_config_errors = sizeof(errors) / sizeof(errors[0])),
            NULL, NULL, PROTOCOL_ERROR_INVALID_CONFIGURATION,
            "{\"errors\":[{\"file\":\"/etc/shmd/shmd.conf\",\"line\":3,\"key\":\"max_bytes\","
            "\"message\":\"max_bytes \\\"x\\\": must be a number\"},"
            "{\"file\":\"/etc/a.json\",\"line\":0,\"key\":\"\",\"message\":\"is not a file\"}]}");
    becomes(OUTCOME_NOT_SUPPORTED, DETAIL(.what = "that"), NULL, NULL, PROTOCOL_ERROR_NOT_SUPPORTED,
            "{\"what\":\"that\"}");
    assert_string_equal(failure_message(&f), "not supported: that");
    static const struct {
        struct target target;
        const char *parameter;
    } meant[] = {
        {{.name = "a", .serial = {true, 1}}, "name"},
        {{.shmid = {true, 0}, .serial = {true, 1}}, "shmid"},
        {{.key = {true, 3}, .serial = {true, 1}}, "key"},
        {{.serial = {true, 1}}, "serial"},
    };
    for (size_t i = 0; i < sizeof(meant) / sizeof(meant[0]); i++) {
        outcome_to_failure(OUTCOME_INVALID_PARAMETER, DETAIL(.hint = "is going"), &meant[i].target,
                           NULL, &f);
        assert_string_equal(f.params[0].name, "parameter");
        assert_string_equal(f.params[0].string, meant[i].parameter);
    }
    becomes(OUTCOME_INVALID_PARAMETER, DETAIL(.what = "mode", .hint = "must be 0600"), NULL, NULL,
            PROTOCOL_ERROR_INVALID_PARAMETER,
            "{\"parameter\":\"mode\",\"reason\":\"must be 0600\"}");
    assert_contains(failure_message(&f), "mode");
    assert_contains(failure_message(&f), "must be 0600");
}

TEST(errnos)
{
    becomes(-ENOMEM, DETAIL(.used = 1), &nobody, NULL, PROTOCOL_ERROR_INTERNAL, "{}");
    assert_contains(failure_message(&f), "out of memory");
    becomes(-EIO, DETAIL(.used = 1), &nobody, NULL, PROTOCOL_ERROR_INTERNAL, "{}");
    assert_contains(failure_message(&f), strerrordesc_np(EIO));
    becomes(-EMFILE, DETAIL(.used = 1), NULL, NULL, PROTOCOL_ERROR_LIMIT_REACHED,
            "{\"limit\":\"RLIMIT_NOFILE\",\"hint\":\"the daemon has no descriptor left: close idle "
            "connections, or raise LimitNOFILE of the service\"}");
    /* What is no result is no success either. */
    becomes(OUTCOME_WAITING, DETAIL(.used = 1), NULL, NULL, PROTOCOL_ERROR_INTERNAL, "{}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(segments),
        cmocka_unit_test(limits_say_what_is_missing),
        cmocka_unit_test(rights),
        cmocka_unit_test(limits),
        cmocka_unit_test(ways_out_of_a_quota),
        cmocka_unit_test(waiting),
        cmocka_unit_test(others),
        cmocka_unit_test(errnos),
    };
    return RUN_TESTS(tests);
}
