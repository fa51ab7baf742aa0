/* SPDX-License-Identifier: MIT */
/*
 * A line of the log leaves in one write, whole, with the journal's priority where the journal
 * listens, and not at all above the level. Standard error is a socket that keeps writes apart.
 */
#include "tests/unit/support.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/util/journal_entry.h"
#include "daemon/util/log.h"

static int written_end = -1, old_stderr = -1;

static int listen_in(void **state)
{
    (void)state;
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, pair) < 0)
        return -1;
    old_stderr = dup(STDERR_FILENO);
    dup2(pair[1], STDERR_FILENO);
    close(pair[1]);
    written_end = pair[0];
    unsetenv("JOURNAL_STREAM");
    log_set_level(LOG_LEVEL_INFO);
    return 0;
}

static int hang_up(void **state)
{
    (void)state;
    dup2(old_stderr, STDERR_FILENO);
    close(old_stderr);
    close(written_end);
    return 0;
}

/* The next write was WANT; NULL: there was none. */
static void check(const char *want)
{
    char line[4096];
    ssize_t n = recv(written_end, line, sizeof(line), 0);
    if (!want) {
        assert_int_equal(n, -1);
        return;
    }
    assert_true(n >= 0);
    assert_text(line, (size_t)n, want);
}

TEST(a_line)
{
    log_info("%s is %d", "it", 5);
    check("shmd: it is 5\n");
    log_error("%s", "");
    check("shmd: \n");
    check(NULL);
}

static void on_full_pipe(void)
{
    int ends[2];
    assert_int_equal(pipe2(ends, O_NONBLOCK), 0);
    char page[4096] = "";
    while (write(ends[1], page, sizeof(page)) > 0)
        ;
    /* The daemon's end waits, as it would under a shell. */
    assert_int_equal(fcntl(ends[1], F_SETFL, 0), 0);
    int before = dup(STDERR_FILENO);
    dup2(ends[1], STDERR_FILENO);
    const uint64_t lost = log_lost();
    log_info("%d", 1);
    log_info("%d", 2);
    assert_int_equal(log_lost(), lost + 2);
    while (read(ends[0], page, sizeof(page)) > 0)
        ;
    log_info("%d", 3);
    ssize_t n = read(ends[0], page, sizeof(page));
    dup2(before, STDERR_FILENO);
    close(before);
    close(ends[0]);
    close(ends[1]);
    assert_true(n > 0);
    assert_text(page, (size_t)n,
                "shmd: lines lost because standard error did not take them: 2\nshmd: 3\n");
    assert_int_equal(log_lost(), lost + 2);
}

TEST(a_full_pipe)
{
    on_full_pipe();
    check(NULL);
}

TEST(lines_that_are_held_leave_in_one_write)
{
    log_hold();
    log_info("%d", 1);
    log_info("%d", 2);
    check(NULL);
    log_release();
    check("shmd: 1\nshmd: 2\n");
    log_release();
    check(NULL);
    log_info("%d", 3);
    check("shmd: 3\n");
}

TEST(more_lines_than_can_be_held)
{
    char *text = repeat("x", 994), lines[4096 + 1]; /* a line has 1,001 bytes */
    log_hold();
    for (int i = 0; i < 5; i++)
        log_info("%s", text);
    assert_int_equal(recv(written_end, lines, sizeof(lines), 0), 4004);
    log_release();
    assert_int_equal(recv(written_end, lines, sizeof(lines), 0), 1001);
    check(NULL);
    free(text);
}

TEST(held_lines_are_lost_one_by_one)
{
    const uint64_t lost = log_lost();
    close(written_end);
    log_hold();
    log_info("%d", 1);
    log_info("%d", 2);
    log_release();
    assert_int_equal(log_lost(), lost + 2);
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, pair), 0);
    dup2(pair[1], STDERR_FILENO);
    close(pair[1]);
    written_end = pair[0];
    log_error("found");
    check("shmd: lines lost because standard error did not take them: 2\n");
    check("shmd: found\n");
}

/* The way that a pipe is written to is not that of the file before it. */
TEST(a_file)
{
    FILE *file = tmpfile();
    assert_non_null(file);
    int before = dup(STDERR_FILENO);
    dup2(fileno(file), STDERR_FILENO);
    log_info("%d", 1);
    log_info("%d", 2);
    dup2(before, STDERR_FILENO);
    close(before);
    char text[64];
    assert_text(text, (size_t)pread(fileno(file), text, sizeof(text), 0), "shmd: 1\nshmd: 2\n");
    fclose(file);
    log_set_level(LOG_LEVEL_INFO);
    on_full_pipe();
}

TEST(levels)
{
    static const char *const words[] = {"error", "warning", "notice", "info", "debug"};
    for (int level = LOG_LEVEL_ERROR; level <= LOG_LEVEL_DEBUG; level++) {
        assert_string_equal(log_level_words[level], words[level]);
        log_set_level((enum log_level)level);
        for (int line = LOG_LEVEL_ERROR; line <= LOG_LEVEL_DEBUG; line++) {
            log_line((enum log_level)line, "x");
            check(line <= level ? "shmd: x\n" : NULL);
        }
    }
    assert_null(log_level_words[LOG_LEVEL_DEBUG + 1]);
}

TEST(the_journals_priorities)
{
    setenv("JOURNAL_STREAM", "8:1", 1);
    log_set_level(LOG_LEVEL_DEBUG);
    log_error("e");
    check("<3>e\n");
    log_warning("w");
    check("<4>w\n");
    log_notice("n");
    check("<5>n\n");
    log_info("i");
    check("<6>i\n");
    log_debug("d");
    check("<7>d\n");
    unsetenv("JOURNAL_STREAM");
}

TEST(a_line_too_long_is_cut_and_still_a_line)
{
    for (size_t len = 1000; len < 1040; len++) {
        char *text = repeat("x", len), line[4096];
        log_info("%s", text);
        ssize_t n = recv(written_end, line, sizeof(line), 0);
        size_t want = 6 + len < 1023 ? 6 + len : 1023;
        assert_int_equal(n, want + 1);
        assert_memory_equal(line, "shmd: x", 7);
        assert_int_equal(line[n - 2], 'x');
        assert_int_equal(line[n - 1], '\n');
        free(text);
    }
    check(NULL);
}

TEST(nobody_reads)
{
    close(written_end);
    log_error("lost");
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, pair), 0);
    dup2(pair[1], STDERR_FILENO);
    close(pair[1]);
    written_end = pair[0];
    log_error("found");
    check("shmd: lines lost because standard error did not take them: 1\n");
    check("shmd: found\n");
}

/* Listens in a directory of its own, as the journal does. */
static int listen_as_journal(char directory[], struct sockaddr_un *ret)
{
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_non_null(mkdtemp(directory));
    *ret = (struct sockaddr_un){.sun_family = AF_UNIX};
    snprintf(ret->sun_path, sizeof(ret->sun_path), "%s/s", directory);
    assert_int_equal(bind(fd, (const struct sockaddr *)ret, sizeof(*ret)), 0);
    return fd;
}

TEST(an_entry_of_the_journal)
{
    static const char want[] = "MESSAGE\n\5\0\0\0\0\0\0\0two\nl\n"
                               "PRIORITY\n\1\0\0\0\0\0\0\0"
                               "6\n";
    struct journal_entry entry = {.len = 0};
    char directory[] = "/tmp/shmd-test-XXXXXX", got[sizeof(entry.bytes)];
    struct sockaddr_un address;
    int fd = listen_as_journal(directory, &address), by = journal_entry_socket();
    journal_entry_add(&entry, "MESSAGE", "two\nl");
    journal_entry_add(&entry, "PRIORITY", "6");
    assert_true(journal_entry_send(&entry, by, address.sun_path));
    ssize_t n = recv(fd, got, sizeof(got), 0);
    assert_int_equal(n, sizeof(want) - 1);
    assert_memory_equal(got, want, sizeof(want) - 1);

    char *large = repeat("x", 8150);
    const size_t before = entry.len;
    journal_entry_add(&entry, "LARGE", large);
    assert_int_equal(entry.len, before);
    free(large);

    /* It does not read: what has no room is not waited for. */
    unsigned taken = 0;
    while (journal_entry_send(&entry, by, address.sun_path))
        taken++;
    assert_true(taken > 0);
    assert_true(recv(fd, got, sizeof(got), 0) > 0);
    while (taken-- > 1)
        assert_true(recv(fd, got, sizeof(got), 0) > 0);
    assert_true(journal_entry_send(&entry, by, address.sun_path));
    close(fd);
    assert_false(journal_entry_send(&entry, by, address.sun_path)); /* it is not there any more */
    unlink(address.sun_path);
    assert_false(journal_entry_send(&entry, by, address.sun_path));
    close(by);
    rmdir(directory);
}

int main(void)
{
#define LOG_TEST(name) cmocka_unit_test_setup_teardown(name, listen_in, hang_up)
    const struct CMUnitTest tests[] = {
        LOG_TEST(a_line),
        LOG_TEST(a_full_pipe),
        LOG_TEST(lines_that_are_held_leave_in_one_write),
        LOG_TEST(more_lines_than_can_be_held),
        LOG_TEST(held_lines_are_lost_one_by_one),
        LOG_TEST(a_file),
        LOG_TEST(levels),
        LOG_TEST(the_journals_priorities),
        LOG_TEST(a_line_too_long_is_cut_and_still_a_line),
        LOG_TEST(nobody_reads),
        LOG_TEST(an_entry_of_the_journal),
    };
    return RUN_TESTS(tests);
}
