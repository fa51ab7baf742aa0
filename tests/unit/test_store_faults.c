/*
 * What goes wrong below the store. A disk that is full or fails, memory that runs out: nothing is
 * lost, nothing is moved aside, and it works again when the cause is gone - at every single write,
 * read and allocation. SQLite is given a file system and an allocator that fail on cue.
 */
#include "tests/unit/store_fixture.h"

/* --- a file system that fails */

enum { READS = 1, WRITES = 2 };

static struct {
    sqlite3_vfs vfs;
    sqlite3_vfs *real;
    sqlite3_io_methods methods;
    unsigned which;                 /* READS, WRITES */
    long left;                      /* how many of them succeed; negative: all */
    int code;                       /* what the others give */
    bool for_ever;                  /* not only the first */
    unsigned failed;                /* how many did */
    sqlite3_int64 bad_from, bad_to; /* bytes that cannot be read */
} disk;

struct disk_file {
    sqlite3_file base;
    sqlite3_file *real; /* behind this struct */
};

static bool fails(unsigned kind)
{
    if (!(disk.which & kind) || disk.left < 0)
        return false;
    if (disk.left-- > 0)
        return false;
    disk.left = disk.for_ever ? 0 : -1;
    disk.failed++;
    return true;
}

#define REAL(file) (((struct disk_file *)(file))->real)
#define PASS(call) return REAL(file)->pMethods->call

static int disk_close(sqlite3_file *file)
{
    PASS(xClose(REAL(file)));
}

static int disk_read(sqlite3_file *file, void *to, int n, sqlite3_int64 at)
{
    if (fails(READS))
        return SQLITE_IOERR_READ;
    if (at < disk.bad_to && at + n > disk.bad_from) {
        disk.failed++;
        return SQLITE_IOERR_READ;
    }
    PASS(xRead(REAL(file), to, n, at));
}

static int disk_write(sqlite3_file *file, const void *from, int n, sqlite3_int64 at)
{
    if (fails(WRITES))
        return disk.code;
    PASS(xWrite(REAL(file), from, n, at));
}

static int disk_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    if (fails(WRITES))
        return SQLITE_IOERR_TRUNCATE;
    PASS(xTruncate(REAL(file), size));
}

static int disk_sync(sqlite3_file *file, int flags)
{
    PASS(xSync(REAL(file), flags));
}

static int disk_size(sqlite3_file *file, sqlite3_int64 *ret)
{
    if (fails(READS))
        return SQLITE_IOERR_FSTAT;
    PASS(xFileSize(REAL(file), ret));
}

static int disk_lock(sqlite3_file *file, int lock)
{
    PASS(xLock(REAL(file), lock));
}

static int disk_unlock(sqlite3_file *file, int lock)
{
    PASS(xUnlock(REAL(file), lock));
}

static int disk_reserved(sqlite3_file *file, int *ret)
{
    PASS(xCheckReservedLock(REAL(file), ret));
}

static int disk_control(sqlite3_file *file, int op, void *arg)
{
    PASS(xFileControl(REAL(file), op, arg));
}

static int disk_sector(sqlite3_file *file)
{
    PASS(xSectorSize(REAL(file)));
}

static int disk_character(sqlite3_file *file)
{
    PASS(xDeviceCharacteristics(REAL(file)));
}

static int disk_open(sqlite3_vfs *vfs, sqlite3_filename name, sqlite3_file *file, int flags,
                     int *ret_flags)
{
    (void)vfs;
    struct disk_file *f = (struct disk_file *)file;
    f->real = (sqlite3_file *)(f + 1);
    f->base.pMethods = NULL;
    if (fails(WRITES))
        return SQLITE_CANTOPEN;
    int code = disk.real->xOpen(disk.real, name, f->real, flags, ret_flags);
    if (code == SQLITE_OK)
        f->base.pMethods = &disk.methods;
    return code;
}

static void disk_register(void)
{
    disk.real = sqlite3_vfs_find(NULL);
    disk.vfs = *disk.real;
    disk.vfs.zName = "failing";
    disk.vfs.szOsFile = (int)sizeof(struct disk_file) + disk.real->szOsFile;
    disk.vfs.xOpen = disk_open;
    disk.vfs.pNext = NULL;
    /* Version 1: without shared memory, which the store must not need. */
    disk.methods = (sqlite3_io_methods){
        .iVersion = 1,
        .xClose = disk_close,
        .xRead = disk_read,
        .xWrite = disk_write,
        .xTruncate = disk_truncate,
        .xSync = disk_sync,
        .xFileSize = disk_size,
        .xLock = disk_lock,
        .xUnlock = disk_unlock,
        .xCheckReservedLock = disk_reserved,
        .xFileControl = disk_control,
        .xSectorSize = disk_sector,
        .xDeviceCharacteristics = disk_character,
    };
    disk.left = -1;
    if (sqlite3_vfs_register(&disk.vfs, 1) != SQLITE_OK)
        abort();
}

static void break_disk(unsigned which, long after, int code, bool for_ever)
{
    disk.which = which;
    disk.left = after;
    disk.code = code;
    disk.for_ever = for_ever;
    disk.failed = 0;
}

static void mend_disk(void)
{
    disk.left = -1;
    disk.which = 0;
    disk.bad_from = disk.bad_to = 0;
}

/* --- memory that runs out */

static sqlite3_mem_methods real_memory;
static long allocations_left = -1; /* negative: no end */
static unsigned allocations_failed;

static bool is_used_up(void)
{
    if (allocations_left < 0 || allocations_left-- > 0)
        return false;
    allocations_left = 0; /* and stays so */
    allocations_failed++;
    return true;
}

static void *scarce_malloc(int size)
{
    return is_used_up() ? NULL : real_memory.xMalloc(size);
}

static void *scarce_realloc(void *old, int size)
{
    return is_used_up() ? NULL : real_memory.xRealloc(old, size);
}

static void memory_register(void)
{
    if (sqlite3_config(SQLITE_CONFIG_GETMALLOC, &real_memory) != SQLITE_OK)
        abort();
    sqlite3_mem_methods scarce = real_memory;
    scarce.xMalloc = scarce_malloc;
    scarce.xRealloc = scarce_realloc;
    if (sqlite3_config(SQLITE_CONFIG_MALLOC, &scarce) != SQLITE_OK)
        abort();
}

/* --- the tests */

/* Adds record SERIAL and drops the first. */
static int change_two(struct store_sqlite *st, uint64_t serial, const char **ret_reason)
{
    struct segment s = example(serial, NULL);
    const struct store_change changes[] = {{.serial = 1}, {serial, &s, NULL, 0}};
    return commit(st, changes, 2, serial, serial, ret_reason);
}

static void check_failing_commits(int code, bool for_ever, int want)
{
    fill();
    struct store_sqlite *st = open_as(&here, STORE_KEPT);
    bool failed = true;
    for (long n = 0; failed; n++) {
        assert_true(n < 1000);
        const char *reason = NULL;
        break_disk(WRITES, n, code, for_ever);
        int r = change_two(st, RECORDS + 1, &reason);
        failed = disk.failed > 0;
        mend_disk();
        assert_int_equal(r, failed ? want : 0);
        if (failed) {
            assert_true(strlen(reason) > 10);
            assert_holds(st, RECORDS);
        }
        /* Works again, and takes it back for the next round. */
        must_commit(st, NULL, 0, RECORDS + 1, (uint64_t)(100 + n));
    }
    struct held held;
    load(st, &held);
    assert_int_equal(held.n_segments, RECORDS);
    assert_int_equal(held.segments[0]->serial, 2);
    forget(&held);
    store_sqlite_close(st);
    store_sqlite_close(open_as(&here, STORE_KEPT));
}

TEST(a_full_disk_fails_the_commit_and_nothing_else)
{
    check_failing_commits(SQLITE_FULL, true, -ENOSPC);
}

TEST(a_write_that_fails_once)
{
    check_failing_commits(SQLITE_IOERR_WRITE, false, -EIO);
}

TEST(a_disk_that_can_only_be_read)
{
    check_failing_commits(SQLITE_READONLY, true, -EROFS);
}

/* The log is copied back by commits: that the copying fails is not the commit's failure. */
TEST(a_disk_that_is_full_now_and_then_loses_nothing)
{
    struct store_sqlite *st = open_as(&here, STORE_NEW);
    uint64_t put_serials = 0, failures = 0;
    for (uint64_t i = 1; i <= 3000; i++) {
        break_disk(WRITES, (long)(i * 7919 % 23), SQLITE_FULL, true);
        struct segment s = example(1, NULL);
        s.size = i;
        const char *reason;
        if (commit(st, &(struct store_change){1, &s, NULL, 0}, 1, 1, i, &reason) == 0)
            put_serials = i;
        else
            failures++;
        mend_disk();
    }
    assert_true(failures > 0 && put_serials > 0);
    for (int i = 0; i < 2; i++) {
        struct held held;
        load(st, &held);
        assert_int_equal(held.n_segments, 1);
        assert_int_equal(held.segments[0]->size, put_serials);
        forget(&held);
        store_sqlite_close(st);
        st = open_as(&here, STORE_KEPT);
    }
    store_sqlite_close(st);
}

/* Opens with a fault at each point until there is none; what is there must stay as it is. */
static void check_failing_opens(unsigned which, int code, bool for_ever, enum store_opened opened,
                                size_t holds)
{
    bool failed = true;
    for (long n = 0; failed; n++) {
        assert_true(n < 5000);
        struct store_sqlite *st = NULL;
        struct store_opening opening;
        break_disk(which, n, code, for_ever);
        int r = store_sqlite_open(dir, &here, &st, &opening);
        failed = disk.failed > 0;
        mend_disk();
        if (r < 0) {
            assert_true(failed);
            assert_true(strlen(opening.reason) > 5);
            assert_null(st);
        }
        if (count_names("corrupt") > 0)
            print_error("%ld: %s\n", n, opening.reason);
        assert_int_equal(count_names("corrupt"), 0);
        store_sqlite_close(st);
    }
    struct store_sqlite *st = open_as(&here, opened == STORE_NEW ? STORE_KEPT : opened);
    assert_holds(st, holds);
    store_sqlite_close(st);
}

TEST(opening_with_a_full_disk_moves_nothing_aside)
{
    fill();
    check_failing_opens(WRITES, SQLITE_FULL, true, STORE_KEPT, RECORDS);
}

TEST(making_one_on_a_full_disk)
{
    check_failing_opens(WRITES, SQLITE_FULL, true, STORE_NEW, 0);
}

TEST(opening_what_cannot_be_read_moves_nothing_aside)
{
    fill();
    check_failing_opens(READS, 0, true, STORE_KEPT, RECORDS);
}

/* Version 1, with pages that nothing uses: those are checked too. */
static void make_older(void)
{
    fill();
    run_sql("DROP TABLE daemon; ALTER TABLE tie DROP COLUMN started_at;"
            "ALTER TABLE tie DROP COLUMN sum; ALTER TABLE segment DROP COLUMN sum;"
            "ALTER TABLE meta DROP COLUMN commits; PRAGMA user_version = 1");
    assert_int_equal(unlink(in_dir("state.db-mark")), 0);
}

TEST(bringing_an_older_schema_up_to_date_on_a_bad_disk)
{
    make_older();
    check_failing_opens(READS | WRITES, SQLITE_IOERR_WRITE, true, STORE_KEPT, RECORDS);
}

TEST(a_read_that_fails_once_moves_nothing_aside)
{
    make_older();
    check_failing_opens(READS, 0, false, STORE_KEPT, RECORDS);
}

TEST(a_bad_sector_moves_nothing_aside)
{
    make_older();
    struct stat s;
    assert_int_equal(stat(in_dir("state.db"), &s), 0);
    assert_true(s.st_size > 5 * 1024);
    for (off_t at = 0; at < s.st_size; at += 1024) {
        struct store_sqlite *st = NULL;
        struct store_opening opening;
        break_disk(READS, -1, 0, true);
        disk.bad_from = at;
        disk.bad_to = at + 512;
        int r = store_sqlite_open(dir, &here, &st, &opening);
        assert_true(disk.failed > 0);
        mend_disk();
        if (r != -EIO)
            print_error("at %ld: %d, %s\n", (long)at, r, opening.reason);
        assert_int_equal(r, -EIO);
        assert_int_equal(count_names("corrupt"), 0);
    }
    struct store_sqlite *st = open_as(&here, STORE_KEPT);
    assert_holds(st, RECORDS);
    store_sqlite_close(st);
}

static void check_opens_without_memory(void)
{
    unsigned failed = 1;
    for (long n = 0; failed > 0; n++) {
        struct store_sqlite *st = NULL;
        struct store_opening opening;
        allocations_failed = 0;
        allocations_left = n;
        int r = store_sqlite_open(dir, &here, &st, &opening);
        allocations_left = -1;
        failed = allocations_failed;
        if (r < 0) {
            if (r != -ENOMEM)
                print_error("allocation %ld: %d, %s\n", n, r, opening.reason);
            assert_int_equal(r, -ENOMEM);
            assert_true(failed > 0);
        }
        assert_int_equal(count_names("corrupt"), 0);
        store_sqlite_close(st);
    }
    struct store_sqlite *st = open_as(&here, STORE_KEPT);
    assert_holds(st, RECORDS);
    store_sqlite_close(st);
}

TEST(memory_that_runs_out_while_opening)
{
    fill();
    check_opens_without_memory();
}

TEST(memory_that_runs_out_while_bringing_an_older_schema_up_to_date)
{
    make_older();
    check_opens_without_memory();
}

TEST(memory_that_runs_out_while_committing)
{
    fill();
    struct store_sqlite *st = open_as(&here, STORE_KEPT);
    unsigned failed = 1;
    for (long n = 0; failed > 0; n++) {
        const char *reason = NULL;
        allocations_failed = 0;
        allocations_left = n;
        int r = change_two(st, RECORDS + 1, &reason);
        allocations_left = -1;
        failed = allocations_failed;
        if (r < 0) {
            assert_int_equal(r, -ENOMEM);
            assert_true(strlen(reason) > 5);
        } else { /* SQLite made do without; back to what it was */
            struct segment first = example(1, NULL);
            const struct store_change back[] = {{.serial = RECORDS + 1}, {1, &first, NULL, 0}};
            must_commit(st, back, 2, RECORDS + 1, 0);
        }
        assert_holds(st, RECORDS);
    }
    store_sqlite_close(st);
}

TEST(a_database_that_is_deleted_takes_no_commits)
{
    struct store_sqlite *st = open_as(&here, STORE_NEW);
    put(st, 1, NULL);
    assert_int_equal(unlink(in_dir("state.db")), 0);
    assert_int_equal(unlink(in_dir("state.db-wal")), 0);
    assert_int_equal(unlink(in_dir("state.db-mark")), 0);
    assert_int_equal(rmdir(dir), 0);
    struct segment s = example(2, NULL);
    const char *reason = NULL;
    assert_int_equal(commit(st, &(struct store_change){2, &s, NULL, 0}, 1, 2, 0, &reason), -ESTALE);
    assert_contains(reason, "deleted");
    assert_int_equal(store_sqlite_ops.enter(st, &(struct store_daemon){1, 2}), -ESTALE);
    store_sqlite_close(st);
    struct store_opening opening;
    st = NULL;
    assert_int_equal(store_sqlite_open(dir, &here, &st, &opening), -ENOENT);
    assert_contains(opening.reason, "No such file");
    assert_null(st);
}

TEST(a_directory_that_takes_no_file)
{
    struct store_sqlite *st = NULL;
    struct store_opening opening;
    assert_true(store_sqlite_open("/proc", &here, &st, &opening) < 0);
    assert_null(st);
    assert_true(strlen(opening.reason) > 5);
}

int main(void)
{
    memory_register();
    disk_register();
    const struct CMUnitTest tests[] = {
        STORE_TEST(a_full_disk_fails_the_commit_and_nothing_else),
        STORE_TEST(a_write_that_fails_once),
        STORE_TEST(a_disk_that_can_only_be_read),
        STORE_TEST(a_disk_that_is_full_now_and_then_loses_nothing),
        STORE_TEST(opening_with_a_full_disk_moves_nothing_aside),
        STORE_TEST(making_one_on_a_full_disk),
        STORE_TEST(opening_what_cannot_be_read_moves_nothing_aside),
        STORE_TEST(bringing_an_older_schema_up_to_date_on_a_bad_disk),
        STORE_TEST(a_read_that_fails_once_moves_nothing_aside),
        STORE_TEST(a_bad_sector_moves_nothing_aside),
        STORE_TEST(memory_that_runs_out_while_opening),
        STORE_TEST(memory_that_runs_out_while_bringing_an_older_schema_up_to_date),
        STORE_TEST(memory_that_runs_out_while_committing),
        STORE_TEST(a_database_that_is_deleted_takes_no_commits),
        STORE_TEST(a_directory_that_takes_no_file),
    };
    return RUN_TESTS(tests);
}
