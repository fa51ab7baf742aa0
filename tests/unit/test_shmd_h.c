/* SPDX-License-Identifier: MIT */
/*
 * The installed header stands alone, so it spells out the table of errors: here they are compared,
 * row by row, in both directions.
 */
#include "tests/unit/support.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/shmd.h"
#include "protocol/errors.h"
#include "protocol/terms.h"

static const struct {
    int public;
    enum protocol_error error;
} rows[] = {
#define ROW(name)                                                                                  \
    {                                                                                              \
        SHMD_ERROR_##name, PROTOCOL_ERROR_##name                                                   \
    }
    ROW(NO_SUCH_SEGMENT),
    ROW(SEGMENT_EXISTS),
    ROW(PERMISSION_DENIED),
    ROW(SIZE_MISMATCH),
    ROW(LIMIT_REACHED),
    ROW(QUOTA_EXCEEDED),
    ROW(SEGMENT_BUSY),
    ROW(STALE_SEGMENT),
    ROW(INITIALISER_DIED),
    ROW(TIMED_OUT),
    ROW(KEY_IN_USE),
    ROW(NOT_HOLDABLE),
    ROW(STORE_FAILURE),
    ROW(SHUTTING_DOWN),
    ROW(NOT_SUPPORTED),
    ROW(INVALID_CONFIGURATION),
    ROW(INVALID_REQUEST),
    ROW(METHOD_NOT_FOUND),
    ROW(INVALID_PARAMETER),
    ROW(INTERNAL),
    ROW(PARSE),
};

TEST(the_numbers_are_those_of_the_table)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_int_equal(rows[i].public, abs(error_row(rows[i].error)->code));
}

TEST(no_error_of_the_table_is_left_out)
{
    for (int error = 0; error < PROTOCOL_ERROR_COUNT; error++) {
        bool found = error == PROTOCOL_ERROR_EXPECTED_MORE; /* of another dialect */
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
            found = found || (int)rows[i].error == error;
        if (!found)
            fail_msg("client/shmd.h lacks the error number %d of protocol/errors.h", error);
    }
}

TEST(every_code_has_its_sentence)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_string_equal(shmd_strerror(rows[i].public), error_row(rows[i].error)->message);
    assert_string_equal(shmd_strerror(0), "success");
    assert_string_equal(shmd_strerror(-ENOENT), "No such file or directory");
    assert_contains(shmd_strerror(SHMD_ERROR_UNKNOWN), "newer");
    assert_string_equal(shmd_strerror(99), "not an error of shmd");
    assert_string_equal(shmd_strerror(32601 + 50), "not an error of shmd");
}

TEST(words_are_those_of_the_wire)
{
    for (int i = 0; i < STATE_COUNT; i++)
        assert_string_equal(shmd_state_word((enum shmd_state)(i + 1)), state_words[i]);
    for (int i = 0; i < LIFETIME_COUNT; i++)
        assert_string_equal(shmd_lifetime_word((enum shmd_lifetime)(i + 1)), lifetime_words[i]);
    for (int i = 0; i < EVENT_KINDS; i++)
        assert_string_equal(shmd_event_word((enum shmd_event_kind)(1 << i)), event_words[i]);
    for (int i = 0; i < REASON_COUNT; i++)
        assert_string_equal(shmd_reason_word((enum shmd_reason)(i + 1)), reason_words[i]);
    assert_string_equal(shmd_event_word(SHMD_EVENT_GAP), "gap");
    assert_null(shmd_state_word((enum shmd_state)0));
    assert_null(shmd_state_word((enum shmd_state)(STATE_COUNT + 1)));
    assert_null(shmd_lifetime_word((enum shmd_lifetime)(LIFETIME_COUNT + 1)));
    assert_null(shmd_reason_word((enum shmd_reason)(REASON_COUNT + 1)));
    assert_null(shmd_event_word((enum shmd_event_kind)3));
    assert_null(shmd_event_word((enum shmd_event_kind)0));
}

/* An ordinary user's PATH often has no daemon: these tests have one there. */
static char path_directory[] = "/tmp/shmd-unit-path-XXXXXX", path_program[64];

static int put_into_path(void)
{
    if (!mkdtemp(path_directory))
        return -1;
    snprintf(path_program, sizeof(path_program), "%s/shmd", path_directory);
    FILE *program = fopen(path_program, "w");
    if (!program || fclose(program) != 0 || chmod(path_program, 0755) < 0)
        return -1;
    return setenv("PATH", path_directory, 1);
}

static int take_out_of_path(void)
{
    return unlink(path_program) < 0 ? -1 : rmdir(path_directory);
}

static void check_unreachable(const char *path, int code, const char *want)
{
    char text[256], cut[4];
    size_t length = shmd_unreachable_text(path, code, text, sizeof(text));
    assert_string_equal(text, want);
    assert_int_equal(length, strlen(want));
    assert_int_equal(shmd_unreachable_text(path, code, cut, sizeof(cut)), length);
    assert_int_equal(strlen(cut), sizeof(cut) - 1);
}

/* The hint for the socket NAME in DIRECTORY is FORMAT, with the path in place of each @. */
static void check_start(const char *directory, const char *name, const char *format)
{
    char path[128], want[512] = "No such file or directory; is it running? Start it";
    snprintf(path, sizeof(path), "%s/%s", directory, name);
    for (const char *at = format; *at; at++)
        snprintf(want + strlen(want), sizeof(want) - strlen(want), "%.*s",
                 *at == '@' ? (int)strlen(path) : 1, *at == '@' ? path : at);
    char text[512];
    shmd_unreachable_text(path, -ENOENT, text, sizeof(text));
    assert_string_equal(text, want);
}

/* What is typed as it stands starts a daemon: it keeps its state beside its socket only where
 * nobody else may write. */
TEST(how_a_daemon_is_started_at_a_socket)
{
    char directory[] = "/tmp/shmd-unit-XXXXXX";
    assert_non_null(mkdtemp(directory));
    check_start(directory, "s", " (shmd --socket @)");
    check_start(directory, "a b", " (shmd --socket '@')");
    check_start(directory, "a\nb", " (shmd --socket PATH, with that path for PATH)");
    static const mode_t shared[] = {0770, 0702, 01777};
    for (size_t i = 0; i < sizeof(shared) / sizeof(shared[0]); i++) {
        assert_int_equal(chmod(directory, shared[i]), 0);
        check_start(directory, "s", " (shmd --socket @ --state-dir @.state)");
        check_start(directory, "a b", " (shmd --socket '@' --state-dir '@.state')");
    }
    char text[512], want[512];
    snprintf(want, sizeof(want), "(shmd --socket '%s/x'\\''y' --state-dir '%s/x'\\''y.state')",
             directory, directory);
    char path[128];
    snprintf(path, sizeof(path), "%s/x'y", directory);
    shmd_unreachable_text(path, -ENOENT, text, sizeof(text));
    assert_contains(text, want);
    snprintf(want, sizeof(want), "(mkdir -p -m 755 %s/x/y && shmd --socket %s/x/y/s)", directory,
             directory);
    snprintf(path, sizeof(path), "%s/x/y/s", directory);
    shmd_unreachable_text(path, -ENOENT, text, sizeof(text));
    assert_contains(text, want);
    if (geteuid() != 0) { /* root may write everywhere */
        assert_int_equal(chmod(directory, 0500), 0);
        snprintf(want, sizeof(want), "(as a user who may write to %s: shmd --socket %s/x/y/s)",
                 directory, directory);
        shmd_unreachable_text(path, -ECONNREFUSED, text, sizeof(text));
        assert_contains(text, want);
    }
    assert_int_equal(rmdir(directory), 0);
}

TEST(a_daemon_that_is_not_in_the_path_is_named_by_its_own)
{
    static const char *const without[] = {"", ":", "/nonexistent:/proc/self"};
    char text[512];
    for (size_t i = 0; i < sizeof(without) / sizeof(without[0]); i++) {
        setenv("PATH", without[i], 1);
        shmd_unreachable_text("/tmp/s", -ENOENT, text, sizeof(text));
        assert_contains(text, "/shmd --socket /tmp/s");
        assert_contains(text, "(/");
    }
    unsetenv("PATH");
    shmd_unreachable_text("/tmp/s", -ENOENT, text, sizeof(text));
    assert_contains(text, "/shmd --socket /tmp/s");
    setenv("PATH", path_directory, 1);
}

TEST(why_a_daemon_cannot_be_reached)
{
    const char *nowhere = "/nonexistent/shmd.sock";
    check_unreachable("/run/shmd/shmd.sock", -ECONNREFUSED,
                      geteuid() == 0
                          ? "Connection refused; is it running? Start it (systemctl start "
                            "shmd.socket)"
                          : "Connection refused; is it running? Start it (as root: systemctl start "
                            "shmd.socket)");
    setenv("XDG_RUNTIME_DIR", "/nonexistent", 1);
    check_unreachable("/nonexistent/shmd/shmd.sock", -ENOENT,
                      "No such file or directory; is it running? Start it (systemctl --user start "
                      "shmd.socket, or shmd)");
    check_unreachable("/run/shmd/shmd.sock", -ETIMEDOUT, "it did not answer in time");
    check_unreachable(
        nowhere, -EACCES,
        "Permission denied; the mode and the group of the socket say who may connect");
    check_unreachable("/proc/self/exe", -ECONNREFUSED, "it is not a socket");
    check_unreachable(nowhere, -ENXIO, "XDG_RUNTIME_DIR is not set, so its socket cannot be found");
    check_unreachable(nowhere, -ENAMETOOLONG,
                      "the path of the socket is longer than a socket's can be");
    check_unreachable(nowhere, -EMFILE, "Too many open files");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_numbers_are_those_of_the_table),
        cmocka_unit_test(no_error_of_the_table_is_left_out),
        cmocka_unit_test(every_code_has_its_sentence),
        cmocka_unit_test(words_are_those_of_the_wire),
        cmocka_unit_test(how_a_daemon_is_started_at_a_socket),
        cmocka_unit_test(a_daemon_that_is_not_in_the_path_is_named_by_its_own),
        cmocka_unit_test(why_a_daemon_cannot_be_reached),
    };
    if (put_into_path() != 0)
        return 1;
    int failed = RUN_TESTS(tests);
    return take_out_of_path() == 0 ? failed : 1;
}
