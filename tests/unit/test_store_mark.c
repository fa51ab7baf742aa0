/*
 * The mark: a state that has all that was acknowledged is trusted, however the process ended, and
 * one that lacks something is not, whatever became of its log. Linked with --wrap for pwrite, by
 * which the store writes the mark and nothing else.
 */
#include "tests/unit/store_fixture.h"

static bool pwrites_fail;
static void (*before_pwrite)(void);

ssize_t __real_pwrite(int fd, const void *data, size_t n, off_t at);
ssize_t __wrap_pwrite(int fd, const void *data, size_t n, off_t at);

ssize_t __wrap_pwrite(int fd, const void *data, size_t n, off_t at)
{
    if (before_pwrite)
        before_pwrite();
    if (!pwrites_fail)
        return __real_pwrite(fd, data, n, at);
    errno = ENOSPC;
    return -1;
}

/* The files of a store while it is open. */
struct files {
    char *db, *log, *mark;
    size_t db_len, log_len, mark_len;
};

static struct files read_files(void)
{
    struct files f;
    f.db = read_bytes(in_dir("state.db"), &f.db_len);
    f.log = read_bytes(in_dir("state.db-wal"), &f.log_len);
    f.mark = read_bytes(in_dir("state.db-mark"), &f.mark_len);
    return f;
}

static void free_files(struct files *f)
{
    free(f->db);
    free(f->log);
    free(f->mark);
}

/* As after SIGKILL, in a directory with nothing else. */
static void write_files(const struct files *f)
{
    empty_dir();
    write_bytes(in_dir("state.db"), f->db, f->db_len);
    write_bytes(in_dir("state.db-wal"), f->log, f->log_len);
    write_bytes(in_dir("state.db-mark"), f->mark, f->mark_len);
}

static void assert_not_trusted(const char *part)
{
    size_t db_len, log_len;
    char *db = read_bytes(in_dir("state.db"), &db_len), *log = NULL;
    if (access(in_dir("state.db-wal"), F_OK) == 0)
        log = read_bytes(in_dir("state.db-wal"), &log_len);
    struct store_sqlite *st = NULL;
    struct store_opening opening;
    assert_int_equal(store_sqlite_open(dir, &here, &st, &opening), 0);
    assert_int_equal(opening.opened, STORE_SET_ASIDE);
    assert_contains(opening.reason, part);
    assert_holds(st, 0);
    store_sqlite_close(st);
    /* It is kept as it was found. */
    size_t kept_len;
    char *kept = read_bytes(in_dir(opening.set_aside), &kept_len);
    assert_int_equal(kept_len, db_len);
    assert_memory_equal(kept, db, db_len);
    free(kept);
    if (log) {
        char name[128];
        snprintf(name, sizeof(name), "%s-wal", opening.set_aside);
        kept = read_bytes(in_dir(name), &kept_len);
        assert_int_equal(kept_len, log_len);
        assert_memory_equal(kept, log, log_len);
        free(kept);
    }
    free(db);
    free(log);
}

static void assert_trusted(size_t count)
{
    struct store_sqlite *st = open_as(&here, STORE_KEPT);
    assert_holds(st, count);
    store_sqlite_close(st);
}

/* Records 1 to RECORDS, and the files as SIGKILL leaves them then. */
static struct files killed(void)
{
    struct store_sqlite *st = open_as(&here, STORE_NEW);
    for (uint64_t i = 1; i <= RECORDS; i++)
        put(st, i, NULL);
    struct files f = read_files();
    store_sqlite_close(st);
    return f;
}

TEST(a_log_with_damage_is_not_trusted)
{
    struct files f = killed();
    write_files(&f);
    assert_trusted(RECORDS);
    random_state = 7;
    for (int i = 0; i < 300; i++) {
        size_t at = next_random() % f.log_len;
        char was = f.log[at];
        f.log[at] ^= (char)(1 + next_random() % 255);
        write_files(&f);
        assert_not_trusted("lacks changes that were acknowledged");
        f.log[at] = was;
    }
    for (size_t i = 0; i < f.log_len; i++)
        f.log[i] = (char)next_random();
    write_files(&f);
    assert_not_trusted("lacks changes that were acknowledged");
    free_files(&f);
}

TEST(a_log_that_is_cut_off_or_deleted_is_not_trusted)
{
    struct files f = killed();
    size_t whole = f.log_len;
    for (f.log_len = 0; f.log_len < whole; f.log_len += 1 + whole / 100) {
        write_files(&f);
        assert_not_trusted("lacks changes that were acknowledged");
    }
    f.log_len = whole - 1;
    write_files(&f);
    assert_not_trusted("lacks changes that were acknowledged");
    write_files(&f);
    assert_int_equal(unlink(in_dir("state.db-wal")), 0);
    assert_not_trusted("lacks changes that were acknowledged");
    free_files(&f);
}

TEST(a_log_that_goes_on_behind_the_mark_is_trusted)
{
    /* Killed between each commit and its mark; and within the next commit. */
    struct store_sqlite *st = open_as(&here, STORE_NEW);
    struct files all[4];
    for (uint64_t i = 1; i <= 4; i++) {
        put(st, i, NULL);
        all[i - 1] = read_files();
    }
    store_sqlite_close(st);
    for (size_t i = 0; i + 1 < 4; i++) {
        struct files f = all[i + 1];
        f.mark = all[i].mark;
        write_files(&f);
        assert_trusted(i + 2);
        f.mark = all[i + 1].mark;
        f.log = all[3].log;
        f.log_len = f.log_len + 1000 < all[3].log_len ? f.log_len + 1000 : all[3].log_len;
        write_files(&f);
        assert_trusted(i + 2);
    }
    for (size_t i = 0; i < 4; i++)
        free_files(&all[i]);
}

static struct files before_mark;

static void keep_files(void)
{
    free_files(&before_mark);
    before_mark = read_files();
}

TEST(a_log_that_is_begun_anew_is_trusted_at_each_commit)
{
    struct store_sqlite *st = open_as(&here, STORE_NEW);
    unsigned anew = 0;
    char salt[8] = {0};
    put(st, 1, NULL);
    for (unsigned i = 0; i < 700; i++) {
        before_pwrite = keep_files; /* killed between the commit and its mark, or behind that */
        must_commit(st, NULL, 0, 1, i + 1);
        before_pwrite = NULL;
        struct files after = read_files(), *both[] = {&before_mark, &after};
        bool is_anew = i > 0 && memcmp(salt, after.log + 16, 8) != 0;
        anew += is_anew;
        memcpy(salt, after.log + 16, 8);
        for (size_t k = 0; k < 2 && (is_anew || i % 50 == 0); k++) {
            char own[sizeof(dir)];
            memcpy(own, dir, sizeof(own));
            snprintf(dir, sizeof(dir), "/tmp/shmd-store-XXXXXX");
            assert_non_null(mkdtemp(dir));
            write_files(both[k]);
            struct store_sqlite *other = open_as(&here, STORE_KEPT);
            struct held held;
            load(other, &held);
            assert_int_equal(held.meta.event_serial, i + 1);
            forget(&held);
            store_sqlite_close(other);
            assert_int_equal(remove_dir(NULL), 0);
            memcpy(dir, own, sizeof(own));
        }
        free_files(&after);
    }
    free_files(&before_mark);
    before_mark = (struct files){0};
    assert_true(anew >= 1);
    store_sqlite_close(st);
}

/* In order, with records 1 and 2; and then the database as it was with record 1 alone. */
static void put_back_older(void)
{
    struct store_sqlite *st = open_as(&here, STORE_NEW);
    put(st, 1, NULL);
    store_sqlite_close(st);
    size_t len;
    char *older = read_bytes(in_dir("state.db"), &len);
    st = open_as(&here, STORE_KEPT);
    put(st, 2, NULL);
    store_sqlite_close(st);
    write_bytes(in_dir("state.db"), older, len);
    free(older);
}

TEST(an_older_database_is_not_trusted)
{
    put_back_older();
    assert_not_trusted("lacks changes that were acknowledged");
    /* Nor is none at all. */
    struct store_sqlite *st = open_as(&here, STORE_KEPT);
    put(st, 1, NULL);
    store_sqlite_close(st);
    assert_int_equal(unlink(in_dir("state.db")), 0);
    store_sqlite_close(open_as(&here, STORE_SET_ASIDE));
}

TEST(one_that_somebody_else_has_looked_at_is_trusted)
{
    /* Whose SQLite copied the log into it, and deleted it. */
    struct files f = killed();
    write_files(&f);
    run_sql("PRAGMA user_version; SELECT count(*) FROM segment");
    assert_int_equal(count_names("-wal"), 0);
    assert_trusted(RECORDS);
    free_files(&f);
}

TEST(of_another_boot_it_need_not_be_whole)
{
    static const struct store_scope other = {"99999999-2222-3333-4444-555555555555", 4026531839};
    put_back_older();
    store_sqlite_close(open_as(&other, STORE_DROPPED));
    struct store_sqlite *st = open_as(&other, STORE_KEPT);
    assert_holds(st, 0);
    store_sqlite_close(st);
}

TEST(a_mark_that_is_missing_or_damaged)
{
    struct files f = killed();
    write_files(&f);
    assert_int_equal(unlink(in_dir("state.db-mark")), 0);
    assert_not_trusted("mark beside it is missing");
    for (size_t i = 0; i < f.mark_len; i++) {
        f.mark[i] ^= 1;
        write_files(&f);
        assert_not_trusted("mark beside it is damaged");
        f.mark[i] ^= 1;
    }
    for (f.mark_len--; f.mark_len > 0; f.mark_len--) {
        write_files(&f);
        assert_not_trusted("mark beside it is damaged");
    }
    free_files(&f);
    /* With the log in the database it is missed all the same; what was closed in order needs no
     * log. */
    empty_dir();
    fill();
    assert_trusted(RECORDS);
    assert_int_equal(unlink(in_dir("state.db-mark")), 0);
    assert_not_trusted("mark beside it is missing");
}

TEST(a_mark_that_cannot_be_written)
{
    struct store_sqlite *st = open_as(&here, STORE_NEW);
    put(st, 1, NULL);
    pwrites_fail = true;
    put(st, 2, NULL); /* what is committed is committed */
    pwrites_fail = false;
    struct files f = read_files();
    put(st, 3, NULL);
    store_sqlite_close(st);
    write_files(&f);
    assert_trusted(2); /* it says less than is true */
    free_files(&f);
    /* Without one nothing is begun. */
    empty_dir();
    struct store_opening opening;
    pwrites_fail = true;
    st = NULL;
    assert_int_equal(store_sqlite_open(dir, &here, &st, &opening), -ENOSPC);
    pwrites_fail = false;
    assert_contains(opening.reason, "mark");
    assert_null(st);
    store_sqlite_close(open_as(&here, STORE_KEPT));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(a_log_with_damage_is_not_trusted),
        STORE_TEST(a_log_that_is_cut_off_or_deleted_is_not_trusted),
        STORE_TEST(a_log_that_goes_on_behind_the_mark_is_trusted),
        STORE_TEST(a_log_that_is_begun_anew_is_trusted_at_each_commit),
        STORE_TEST(an_older_database_is_not_trusted),
        STORE_TEST(one_that_somebody_else_has_looked_at_is_trusted),
        STORE_TEST(of_another_boot_it_need_not_be_whole),
        STORE_TEST(a_mark_that_is_missing_or_damaged),
        STORE_TEST(a_mark_that_cannot_be_written),
    };
    return RUN_TESTS(tests);
}
