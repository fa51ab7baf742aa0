/* SPDX-License-Identifier: MIT */
/* The journal in a real directory: that the host does what the tests' host does, and the dump. */
#include "tests/unit/support.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/store/host_linux.h"
#include "daemon/store/journal.h"

static char dir[64];
static char said[4096];
static const struct store_ops *const ops = &journal_ops;

static int make_dir(void **state)
{
    (void)state;
    snprintf(dir, sizeof(dir), "/tmp/shmd-journal-XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
    (void)state;
    DIR *d = opendir(dir);
    for (struct dirent *entry; d && (entry = readdir(d));) {
        if (unlinkat(dirfd(d), entry->d_name, 0) < 0)
            (void)unlinkat(dirfd(d), entry->d_name, AT_REMOVEDIR);
    }
    if (d)
        closedir(d);
    return rmdir(dir);
}

#define HOST_TEST(name) cmocka_unit_test_setup_teardown(name, make_dir, remove_dir)

/* DIR/NAME, valid until the call after the next. */
static const char *in_dir(const char *name)
{
    static char paths[2][512];
    static unsigned turn;
    char *path = paths[turn++ % 2];
    snprintf(path, sizeof(paths[0]), "%s/%s", dir, name);
    return path;
}

static void note(void *context, enum log_level level, const char *sentence)
{
    (void)context;
    (void)level;
    size_t len = strlen(said);
    snprintf(said + len, sizeof(said) - len, "%s\n", sentence);
}

struct real {
    struct host_linux host;
    struct journal *journal;
};

static const struct host_ops *real_ops = &host_linux_ops;

static int open_real(struct real *r, size_t *ret_segments)
{
    struct store_contents contents;
    said[0] = '\0';
    r->journal = NULL;
    host_linux_init(&r->host, dir);
    const struct journal_options options = {.host = {real_ops, &r->host},
                                            .directory = dir,
                                            .boot_id = "a-boot",
                                            .ipc_namespace = 7,
                                            .own_uid = geteuid(),
                                            .log = note};
    int result = journal_open(&options, &r->journal);
    if (result < 0) {
        host_linux_deinit(&r->host);
        return result;
    }
    assert_int_equal(ops->load(r->journal, &contents), 0);
    *ret_segments = contents.n_segments;
    store_contents_deinit(&contents);
    return 0;
}

static void close_real(struct real *r)
{
    journal_close(r->journal);
    host_linux_deinit(&r->host);
}

static void must_open(struct real *r, size_t segments)
{
    size_t n = 0;
    int result = open_real(r, &n);
    if (result < 0)
        print_error("%s", said);
    assert_int_equal(result, 0);
    assert_int_equal(n, segments);
}

static int put(struct real *r, uint64_t serial)
{
    const char *reason;
    const struct stored_segment segment = {.serial = serial,
                                           .name = serial == 1 ? "frames" : NULL,
                                           .shmid = (int32_t)serial,
                                           .size = 4096,
                                           .creator.comm = "maker",
                                           .labels = &(struct label){"k", "v\"\xC3\xA9"},
                                           .n_labels = 1};
    const struct store_record record = {
        .type = STORE_SEGMENT, .serial = serial, .segment = &segment};
    return ops->write(r->journal, &record, 1, &reason);
}

static void write_file(const char *name, const void *bytes, size_t n)
{
    FILE *file = fopen(in_dir(name), "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, n, file), n);
    assert_int_equal(fclose(file), 0);
}

TEST(it_keeps_what_was_written)
{
    struct real r;
    struct stat st;
    must_open(&r, 0);
    assert_int_equal(put(&r, 1), 0);
    assert_int_equal(stat(in_dir("state.journal"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(st.st_nlink, 1);
    close_real(&r);
    assert_int_equal(chmod(in_dir("state.journal"), 0666), 0);
    must_open(&r, 1);
    assert_int_equal(stat(in_dir("state.journal"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_string_equal(said, "");
    close_real(&r);
}

TEST(a_second_one_is_refused_and_touches_nothing)
{
    struct real first, second;
    size_t n;
    must_open(&first, 0);
    assert_int_equal(put(&first, 1), 0);
    write_file("state.journal.new", "a compaction that is under way", 30);
    assert_int_equal(open_real(&second, &n), -EBUSY);
    assert_contains(said, "another shmd");
    assert_int_equal(access(in_dir("state.journal.new"), F_OK), 0);
    assert_int_equal(put(&first, 2), 0);
    close_real(&first);
    must_open(&second, 2);
    assert_int_equal(access(in_dir("state.journal.new"), F_OK), -1);
    close_real(&second);
}

TEST(what_is_no_regular_file_is_set_aside)
{
    struct real r;
    for (int i = 0; i < 3; i++) {
        if (i == 0)
            assert_int_equal(mkdir(in_dir("state.journal"), 0700), 0);
        else if (i == 1)
            assert_int_equal(symlink("/etc/passwd", in_dir("state.journal")), 0);
        else
            assert_int_equal(mkfifo(in_dir("state.journal"), 0600), 0);
        must_open(&r, 0);
        assert_contains(said, "not a regular file");
        assert_contains(said, "corrupt-");
        close_real(&r);
        assert_int_equal(unlink(in_dir("state.journal")), 0);
    }
}

TEST(a_directory_that_is_not_fit_is_refused)
{
    struct real r;
    size_t n;
    static const struct {
        mode_t mode;
        const char *said;
    } modes[] = {{0720, "mode 0720"}, {0702, "mode 0702"}, {0757, "mode 0757"}};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(chmod(dir, modes[i].mode), 0);
        assert_int_equal(open_real(&r, &n), -EPERM);
        assert_contains(said, modes[i].said);
        assert_int_equal(access(in_dir("state.journal"), F_OK), -1);
    }
    assert_int_equal(chmod(dir, 0755), 0);
    must_open(&r, 0);
    close_real(&r);
}

TEST(what_is_in_the_way_of_a_new_file_is_named)
{
    struct real r;
    size_t n;
    assert_int_equal(mkdir(in_dir("state.journal.new"), 0700), 0);
    assert_int_equal(open_real(&r, &n), -EISDIR);
    assert_contains(
        said, "state.journal.new cannot be made: Is a directory: move away what has that name");
}

/* Another daemon's compaction ends between the look at the name and the lock. */
static int lock_what_was_replaced(void *context, int file)
{
    if (access(in_dir("newer"), F_OK) == 0)
        assert_int_equal(rename(in_dir("newer"), in_dir("state.journal")), 0);
    return host_linux_ops.lock(context, file);
}

TEST(a_file_that_is_replaced_while_it_is_opened)
{
    struct real r;
    struct host_ops racing = host_linux_ops;
    must_open(&r, 0);
    assert_int_equal(put(&r, 1), 0);
    close_real(&r);
    assert_int_equal(rename(in_dir("state.journal"), in_dir("newer")), 0);
    must_open(&r, 0);
    close_real(&r);
    racing.lock = lock_what_was_replaced;
    real_ops = &racing;
    must_open(&r, 1);
    real_ops = &host_linux_ops;
    close_real(&r);
}

/* Somebody else has put the file back from a copy. */
TEST(a_file_that_the_daemon_may_not_write_to_is_refused)
{
    struct real r;
    size_t n;
    must_open(&r, 0);
    close_real(&r);
    if (geteuid() != 0) {
        print_message("# skipped: only root can give a file away\n");
        return; /* cmocka's skip() says `not ok` */
    }
    assert_int_equal(chown(in_dir("state.journal"), 7, 7), 0);
    assert_int_equal(chmod(in_dir("state.journal"), 0644), 0);
    assert_int_equal(chown(dir, 8, 8), 0);
    assert_int_equal(seteuid(8), 0);
    int opened = open_real(&r, &n);
    assert_int_equal(seteuid(0), 0);
    assert_int_equal(opened, -EACCES);
    assert_contains(said,
                    "state.journal belongs to uid 7, has mode 0644, and the daemon, uid 8, cannot");
    assert_contains(said, "run `chown 8` and `chmod 600` on it, or move it away");
}

/* Nothing is written where a link leads to. */
TEST(a_link_in_the_way_of_a_new_file_is_not_followed)
{
    struct real r;
    size_t n;
    assert_int_equal(symlink("elsewhere", in_dir("state.journal.new")), 0);
    assert_int_equal(open_real(&r, &n), -ELOOP);
    assert_contains(
        said, "state.journal.new cannot be made: Too many levels of symbolic links: move away");
    assert_int_equal(access(in_dir("elsewhere"), F_OK), -1);
}

TEST(a_directory_that_is_not_there_is_refused)
{
    struct real r;
    size_t n;
    assert_int_equal(rmdir(dir), 0);
    assert_int_equal(open_real(&r, &n), -ENOENT);
    assert_contains(said, "cannot be opened: No such file");
    assert_int_equal(mkdir(dir, 0700), 0);
}

static int nothing_lives(void *context, uint64_t after, struct stored *ret)
{
    (void)context;
    (void)after;
    (void)ret;
    return 0;
}

TEST(a_file_that_was_deleted_or_replaced_is_written_anew)
{
    struct real r;
    const struct store_source source = {nothing_lives, NULL};
    must_open(&r, 0);
    assert_int_equal(unlink(in_dir("state.journal")), 0);
    assert_int_equal(put(&r, 1), -ESTALE); /* what lives is not known yet */
    ops->follow(r.journal, &source);
    assert_int_equal(put(&r, 1), 0);
    assert_contains(said, "deleted under the daemon");
    write_file("other", "x", 1);
    assert_int_equal(rename(in_dir("other"), in_dir("state.journal")), 0);
    assert_int_equal(put(&r, 2), 0);
    assert_contains(said, "replaced under the daemon");
    assert_int_equal(truncate(in_dir("state.journal"), 10), 0);
    assert_int_equal(put(&r, 3), 0);
    assert_contains(said, "cut short under the daemon");
    assert_int_equal(unlink(in_dir("state.journal")), 0);
    assert_int_equal(rmdir(dir), 0);
    assert_true(put(&r, 4) < 0);
    assert_int_equal(mkdir(dir, 0700), 0);
    assert_int_equal(put(&r, 4), 0);
    close_real(&r);
    must_open(&r, 1);
    close_real(&r);
}

/* Another directory stood in its place for a while, and was refused. */
TEST(a_directory_that_is_put_back)
{
    struct real r;
    char away[sizeof(dir) + 8];
    const struct store_source source = {nothing_lives, NULL};
    snprintf(away, sizeof(away), "%s-away", dir);
    must_open(&r, 0);
    ops->follow(r.journal, &source);
    assert_int_equal(put(&r, 1), 0);
    assert_int_equal(rename(dir, away), 0);
    assert_int_equal(mkdir(dir, 0700), 0);
    assert_int_equal(chmod(dir, 0777), 0);
    assert_int_equal(put(&r, 2), -EPERM);
    assert_int_equal(rmdir(dir), 0);
    assert_int_equal(rename(away, dir), 0);
    assert_int_equal(put(&r, 2), 0);
    /* What goes by name does, too. */
    assert_int_equal(truncate(in_dir("state.journal"), 10), 0);
    assert_int_equal(put(&r, 3), 0);
    assert_contains(said, "cut short under the daemon");
    close_real(&r);
    must_open(&r, 1);
    close_real(&r);
}

TEST(a_file_that_another_daemon_took_is_left_alone)
{
    struct real r;
    const struct store_source source = {nothing_lives, NULL};
    must_open(&r, 0);
    ops->follow(r.journal, &source);
    write_file("other", "another's", 9);
    int fd = open(in_dir("other"), O_RDWR);
    assert_true(fd >= 0);
    assert_int_equal(flock(fd, LOCK_EX), 0);
    assert_int_equal(rename(in_dir("other"), in_dir("state.journal")), 0);
    assert_int_equal(put(&r, 1), -EBUSY);
    close(fd);
    assert_int_equal(put(&r, 1), 0);
    close_real(&r);
}

/* --- the dump */

static char *dump(const char *name, int expected)
{
    char *text = NULL, *errors = NULL;
    size_t size, errors_size;
    FILE *out = open_memstream(&text, &size), *err = open_memstream(&errors, &errors_size);
    assert_non_null(out);
    assert_non_null(err);
    int r = journal_dump(in_dir(name), out, err);
    fclose(out);
    fclose(err);
    if (r != expected)
        print_error("%s%s", text, errors);
    assert_int_equal(r, expected);
    if (r != 0 && r != -EBADMSG)
        assert_true(strlen(errors) > 10);
    free(errors);
    return text;
}

static size_t count_lines(const char *text)
{
    size_t n = 0;
    for (; *text; text++)
        n += *text == '\n';
    return n;
}

static void make_one_to_dump(void)
{
    struct real r;
    const char *reason;
    const struct store_intent intent = {.key = 5, .size = 77, .pid = 9, .at_s = 3};
    struct store_record records[] = {
        {.type = STORE_TIE, .serial = 1, .tie = {TIE_HOLDER, {7, UINT64_MAX, 2}, 5, "held", 4}},
        {.type = STORE_UNTIE, .serial = 1, .tie = {TIE_HOLDER, {7, UINT64_MAX, 2}, 0, "", 0}},
        {.type = STORE_COUNTERS, .counters = {3, 4}},
        {.type = STORE_DAEMON, .daemon = {9, 8, 1}},
        {.type = STORE_GONE, .serial = 1},
        {.type = STORE_IDLE, .serial = 1, .idle = {17, 18, -19, 20}},
    };
    must_open(&r, 0);
    assert_int_equal(put(&r, 1), 0);
    assert_int_equal(ops->write(r.journal, records, 6, &reason), 0);
    assert_int_equal(ops->intend(r.journal, &intent, &reason), 0);
    /* As a kill would leave it. */
    assert_int_equal(link(in_dir("state.journal"), in_dir("kept")), 0);
    char *text = dump("kept", 0);
    free(text);
    FILE *from = fopen(in_dir("kept"), "rb"), *to = fopen(in_dir("copy"), "wb");
    assert_true(from && to);
    for (int c; (c = fgetc(from)) != EOF;)
        fputc(c, to);
    fclose(from);
    fclose(to);
    close_real(&r);
}

TEST(a_dump_shows_every_record)
{
    make_one_to_dump();
    char *text = dump("copy", 0);
    static const char *const parts[] = {
        "{\"at\":0,\"type\":\"header\",\"format\":1,\"boot_id\":\"a-boot\",\"ipc_namespace\":7,",
        "\"intent\":{\"key\":5,\"size\":77,\"pid\":9,\"at_s\":3}}",
        "\"type\":\"segment\",\"sum\":\"right\",\"acknowledged\":true,\"goes_on\":false,\"serial\":"
        "1,"
        "\"name\":\"frames\"",
        "\"labels\":{\"k\":\"v\\\"\xC3\xA9\"}}",
        /* clang takes the end of a line for a missing comma. */
        ("\"type\":\"tie\",\"sum\":\"right\",\"acknowledged\":true,\"goes_on\":true,\"serial\":1,"
         "\"role\":\"holder\",\"pid\":7,\"pidfd_inode\":\"18446744073709551615\","),
        "\"comm\":\"held\"",
        "\"type\":\"untie\"",
        "\"type\":\"counters\"",
        "\"last_serial\":3,\"event_serial\":4}",
        "\"pid\":9,\"pid_namespace\":8,\"started_at_s\":1}",
        "\"type\":\"gone\"",
        ("\"type\":\"idle\",\"sum\":\"right\",\"acknowledged\":true,\"goes_on\":false,\"serial\":1,"
         "\"idle_since_ms\":17,\"attached_at_s\":18,\"detached_at_s\":-19,\"last_pid\":20}"),
        "\"type\":\"end\",\"records\":8,\"damages\":0}",
    };
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
        assert_contains(text, parts[i]);
    assert_int_equal(count_lines(text), 10);
    free(text);
}

TEST(a_dump_of_a_damaged_file_says_where)
{
    make_one_to_dump();
    struct stat st;
    assert_int_equal(stat(in_dir("copy"), &st), 0);
    size_t size = (size_t)st.st_size;
    uint8_t *bytes = malloc(size);
    FILE *file = fopen(in_dir("copy"), "rb");
    assert_true(bytes && file);
    assert_int_equal(fread(bytes, 1, size, file), size);
    fclose(file);
    /* In one record's payload: the others are still right. */
    bytes[200] ^= 4;
    write_file("copy", bytes, size);
    char *text = dump("copy", -EBADMSG);
    assert_contains(text, "\"sum\":\"wrong\"");
    assert_contains(text, "\"records\":8,\"damages\":1}");
    free(text);
    bytes[200] ^= 4;
    for (size_t i = 0; i < size; i += 3) {
        bytes[i] ^= 0x10;
        write_file("copy", bytes, size);
        text = dump("copy", -EBADMSG);
        assert_true(strstr(text, "damage") != NULL);
        free(text);
        bytes[i] ^= 0x10;
    }
    for (size_t n = 0; n < size; n += 5) {
        write_file("copy", bytes, n);
        text = dump("copy", -EBADMSG);
        assert_contains(text, n < 128 ? "header alone" : "\"damage\"");
        free(text);
    }
    uint8_t torn[4096 + 9] = {40};
    memcpy(torn, bytes, size);
    memcpy(torn + size, bytes + 128, 9);
    write_file("copy", torn, size + 9);
    text = dump("copy", -EBADMSG);
    assert_contains(text, "was not written whole; it was not acknowledged");
    free(text);
    free(bytes);
}

TEST(a_dump_of_what_cannot_be_read)
{
    assert_int_equal(mkfifo(in_dir("fifo"), 0600), 0);
    free(dump("nothing", -ENOENT));
    free(dump("fifo", -EINVAL));
    free(dump(".", -EINVAL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        HOST_TEST(it_keeps_what_was_written),
        HOST_TEST(a_second_one_is_refused_and_touches_nothing),
        HOST_TEST(what_is_no_regular_file_is_set_aside),
        HOST_TEST(a_directory_that_is_not_fit_is_refused),
        HOST_TEST(what_is_in_the_way_of_a_new_file_is_named),
        HOST_TEST(a_file_that_is_replaced_while_it_is_opened),
        HOST_TEST(a_file_that_the_daemon_may_not_write_to_is_refused),
        HOST_TEST(a_link_in_the_way_of_a_new_file_is_not_followed),
        HOST_TEST(a_directory_that_is_not_there_is_refused),
        HOST_TEST(a_file_that_was_deleted_or_replaced_is_written_anew),
        HOST_TEST(a_directory_that_is_put_back),
        HOST_TEST(a_file_that_another_daemon_took_is_left_alone),
        HOST_TEST(a_dump_shows_every_record),
        HOST_TEST(a_dump_of_a_damaged_file_says_where),
        HOST_TEST(a_dump_of_what_cannot_be_read),
    };
    return RUN_TESTS(tests);
}
