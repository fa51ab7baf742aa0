/* SPDX-License-Identifier: MIT */
/*
 * A line of the log leaves in one write, whole, with the journal's priority where the journal
 * listens, and not at all above the level. Standard error is a socket that keeps writes apart. What
 * is sent to the journal itself is seen where log.c calls the kernel.
 */
#include "tests/unit/support.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/util/journal_entry.h"
#include "daemon/util/log.h"

static int written_end = -1, old_stderr = -1;

/* A journal that keeps what it is sent; without it a call goes to the kernel. */
static struct {
    bool is_there;
    unsigned takes;   /* entries, and then no more */
    unsigned calls;   /* of sendmmsg */
    unsigned n_taken; /* entries */
    char taken[128][1024];
    size_t len[128];
} journal;
static unsigned looks_for_journal;

int __real_sendmmsg(int fd, struct mmsghdr *messages, unsigned n, int flags);
int __wrap_sendmmsg(int fd, struct mmsghdr *messages, unsigned n, int flags);
int __wrap_sendmmsg(int fd, struct mmsghdr *messages, unsigned n, int flags)
{
    unsigned taken = 0;
    if (!journal.is_there)
        return __real_sendmmsg(fd, messages, n, flags);
    journal.calls++;
    for (; taken < n && journal.takes > 0; taken++, journal.takes--) {
        const struct msghdr *m = &messages[taken].msg_hdr;
        assert_string_equal(((const struct sockaddr_un *)m->msg_name)->sun_path, JOURNAL_SOCKET);
        assert_int_equal(m->msg_iovlen, 1);
        assert_true(journal.n_taken < 128 && m->msg_iov->iov_len <= sizeof(journal.taken[0]));
        journal.len[journal.n_taken] = m->msg_iov->iov_len;
        memcpy(journal.taken[journal.n_taken++], m->msg_iov->iov_base, m->msg_iov->iov_len);
    }
    if (taken > 0)
        return (int)taken;
    errno = EAGAIN;
    return -1;
}

char *__real_getenv(const char *name);
char *__wrap_getenv(const char *name);
char *__wrap_getenv(const char *name)
{
    looks_for_journal += strcmp(name, "JOURNAL_STREAM") == 0;
    return __real_getenv(name);
}

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

static bool is_sent(const struct journal_entry *entry, int fd, const char *path)
{
    const struct iovec whole = {(char *)entry->bytes, entry->len};
    return journal_entries_send(&whole, 1, fd, path) == 1;
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
    assert_true(is_sent(&entry, by, address.sun_path));
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
    while (is_sent(&entry, by, address.sun_path))
        taken++;
    assert_true(taken > 0);
    assert_true(recv(fd, got, sizeof(got), 0) > 0);
    while (taken-- > 1)
        assert_true(recv(fd, got, sizeof(got), 0) > 0);
    assert_true(is_sent(&entry, by, address.sun_path));
    close(fd);
    assert_false(is_sent(&entry, by, address.sun_path)); /* it is not there any more */
    unlink(address.sun_path);
    assert_false(is_sent(&entry, by, address.sun_path));
    close(by);
    rmdir(directory);
}

/* From now on standard error is the stream of a journal that takes so many entries. */
static void begin_journal(unsigned takes)
{
    struct stat st;
    char stream[64];
    assert_int_equal(fstat(STDERR_FILENO, &st), 0);
    snprintf(stream, sizeof(stream), "%llu:%llu", (unsigned long long)st.st_dev,
             (unsigned long long)st.st_ino);
    setenv("JOURNAL_STREAM", stream, 1);
    log_set_level(LOG_LEVEL_INFO);
    memset(&journal, 0, sizeof(journal));
    journal.is_there = true;
    journal.takes = takes;
    looks_for_journal = 0;
}

static int end_journal(void **state)
{
    log_release();
    journal.is_there = false;
    unsetenv("JOURNAL_STREAM");
    log_set_level(LOG_LEVEL_INFO);
    return hang_up(state);
}

/* The I-th entry has that text, of one digit or two, and that priority. */
static void check_taken(unsigned i, int number, char priority)
{
    char want[128];
    const int digits = number < 10 ? 1 : 2;
    assert_true(i < journal.n_taken);
    memset(want, 0, sizeof(want));
    memcpy(want, "MESSAGE\n", 8);
    want[8] = (char)digits;
    snprintf(want + 16, sizeof(want) - 16, "%d\nPRIORITY\n\1", number);
    const size_t at = 16 + (size_t)digits + 10;
    want[at + 8] = priority;
    want[at + 9] = '\n';
    assert_true(journal.len[i] >= at + 10);
    assert_memory_equal(journal.taken[i], want, at + 10);
}

TEST(entries_that_are_held_leave_in_one_call)
{
    begin_journal(100);
    log_hold();
    log_error("%d", 1);
    log_info("%d", 2);
    log_warning("%d", 3);
    assert_int_equal(journal.calls, 0);
    log_release();
    assert_int_equal(journal.calls, 1);
    assert_int_equal(journal.n_taken, 3);
    check_taken(0, 1, '3');
    check_taken(1, 2, '6');
    check_taken(2, 3, '4');
    log_release();
    assert_int_equal(journal.calls, 1);
    log_info("%d", 4);
    assert_int_equal(journal.calls, 2);
    check_taken(3, 4, '6');
    check(NULL);
}

TEST(whose_stream_it_is_is_looked_up_once)
{
    begin_journal(100);
    for (int i = 0; i < 10; i++)
        log_info("%d", i);
    assert_int_equal(journal.n_taken, 10);
    assert_int_equal(looks_for_journal, 1);
    log_set_level(LOG_LEVEL_INFO);
    log_info("%d", 10);
    assert_int_equal(looks_for_journal, 2);
}

TEST(more_entries_than_can_be_held)
{
    begin_journal(128);
    log_hold();
    for (int i = 0; i < 70; i++)
        log_info("%d", i);
    log_release();
    assert_int_equal(journal.n_taken, 70);
    for (int i = 0; i < 70; i++)
        check_taken((unsigned)i, i, '6');
    assert_int_equal(journal.calls, 3);
}

TEST(large_entries_are_held_while_they_have_room)
{
    char *text = repeat("x", 300), *value = repeat("y", 150);
    const struct log_field field = {.name = "NAME", .string = value};
    begin_journal(128);
    log_hold();
    for (int i = 0; i < 60; i++)
        log_entry(LOG_LEVEL_INFO, &field, 1, "%s", text);
    log_release();
    assert_int_equal(journal.n_taken, 60);
    for (unsigned i = 0; i < 60; i++) {
        assert_memory_equal(journal.taken[i] + 16, text, 300);
        assert_memory_equal(journal.taken[i] + journal.len[i] - 151, value, 150);
    }
    assert_true(journal.calls <= 3);
    free(text);
    free(value);
}

TEST(what_the_journal_does_not_take_its_stream_does)
{
    begin_journal(1);
    log_hold();
    log_error("%d", 1);
    log_info("%d", 2);
    log_warning("%d", 3);
    log_release();
    assert_int_equal(journal.n_taken, 1);
    check_taken(0, 1, '3');
    check("<6>2\n<4>3\n");
    journal.takes = 100;
    log_info("%d", 4); /* the journal reads again */
    check_taken(1, 4, '6');
    check(NULL);
}

TEST(what_the_stream_got_was_before_what_the_journal_gets)
{
    begin_journal(0);
    log_hold();
    for (int i = 0; i < 33; i++)
        log_info("%d", 5);
    char lines[4096]; /* 32 have left to make room for the last */
    assert_int_equal(recv(written_end, lines, sizeof(lines), 0), 32 * 5);
    journal.takes = 1;
    log_release();
    check_taken(0, 5, '6');
    check(NULL);
}

TEST(another_level_is_for_what_comes_then)
{
    begin_journal(100);
    log_hold();
    log_info("%d", 1);
    unsetenv("JOURNAL_STREAM");
    log_set_level(LOG_LEVEL_ERROR);
    check_taken(0, 1, '6');
    log_info("%d", 2);
    log_error("%d", 3);
    log_release();
    check("shmd: 3\n");
    check(NULL);
    assert_int_equal(journal.n_taken, 1);
}

int main(void)
{
#define LOG_TEST(name)     cmocka_unit_test_setup_teardown(name, listen_in, hang_up)
#define JOURNAL_TEST(name) cmocka_unit_test_setup_teardown(name, listen_in, end_journal)
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
        JOURNAL_TEST(entries_that_are_held_leave_in_one_call),
        JOURNAL_TEST(whose_stream_it_is_is_looked_up_once),
        JOURNAL_TEST(more_entries_than_can_be_held),
        JOURNAL_TEST(large_entries_are_held_while_they_have_room),
        JOURNAL_TEST(what_the_journal_does_not_take_its_stream_does),
        JOURNAL_TEST(what_the_stream_got_was_before_what_the_journal_gets),
        JOURNAL_TEST(another_level_is_for_what_comes_then),
    };
    return RUN_TESTS(tests);
}
