/*
 * What goes wrong below the store. A disk that is full or fails, memory that runs out: nothing is
 * lost, nothing is moved aside, and it works again when the cause is gone - at every single write,
 * read and allocation. A file that is no good: it is kept under another name, byte for byte.
 * SQLite is given a file system and an allocator that fail on cue.
 */
#include "tests/unit/store_fixture.h"

#include "daemon/store/mark.h"

/* --- the mark is written by the store itself */

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

enum { RECORDS = 20 };

/* A database with RECORDS records, closed. */
static void fill(void)
{
    struct store_sqlite *st = open_as(&here, STORE_NEW);
    const struct stored_tie tie = {TIE_HOLDER, {4711, 1, 2}, 1000, "worker", 3};
    for (uint64_t i = 1; i <= RECORDS; i++) {
        struct segment s = example(i, NULL);
        struct label label = {"role", "a value that takes some room in its page"};
        s.labels = &label;
        s.n_labels = 1;
        must_commit(st, &(struct store_change){i, &s, &tie, 1}, 1, i, i);
    }
    assert_int_equal(store_sqlite_ops.enter(st, &(struct store_daemon){1, 2}), 0);
    store_sqlite_close(st);
}

/* How many databases were set aside. */
static unsigned count_set_aside(void)
{
    return count_names("corrupt") - count_names("-mark") - count_names("-wal") +
           (access(in_dir("state.db-mark"), F_OK) == 0) +
           (access(in_dir("state.db-wal"), F_OK) == 0);
}

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

/* Opens what is no good: it must be whole under its new name, and a new one must work. */
static void assert_set_aside(const char *part)
{
    struct store_sqlite *st = NULL;
    struct store_opening opening;
    assert_int_equal(store_sqlite_open(dir, &here, &st, &opening), 0);
    if (opening.opened != STORE_SET_ASIDE || !strstr(opening.reason, part))
        print_error("opened %d: \"%s\", not \"%s\"\n", (int)opening.opened, opening.reason, part);
    assert_int_equal(opening.opened, STORE_SET_ASIDE);
    assert_contains(opening.reason, part);
    struct stat s;
    assert_int_equal(strncmp(opening.set_aside, "state.db.corrupt-", 17), 0);
    assert_true(lstat(in_dir(opening.set_aside), &s) == 0 ||
                lstat(in_dir("state.db.corrupt-"), &s) < 0);
    assert_holds(st, 0);
    put(st, 1, NULL);
    store_sqlite_close(st);
    st = open_as(&here, STORE_KEPT);
    assert_holds(st, 1);
    store_sqlite_close(st);
}

TEST(what_is_no_database_is_set_aside_under_a_free_name)
{
    enum { TIMES = 5 };
    for (unsigned i = 1; i <= TIMES; i++) {
        write_bytes(in_dir("state.db"), "this is no database, however long it may be", 43);
        assert_set_aside("not a database");
        assert_int_equal(count_set_aside(), i);
    }
}

TEST(what_is_no_file_is_set_aside)
{
    assert_int_equal(mkdir(in_dir("state.db"), 0700), 0);
    assert_set_aside("regular file");
    assert_int_equal(unlink(in_dir("state.db")), 0);
    assert_int_equal(symlink("/etc/passwd", in_dir("state.db")), 0);
    assert_set_aside("regular file");
    assert_int_equal(unlink(in_dir("state.db")), 0);
    assert_int_equal(mkfifo(in_dir("state.db"), 0600), 0);
    assert_set_aside("regular file");
    assert_int_equal(count_set_aside(), 3);
}

TEST(a_log_without_its_database_is_set_aside)
{
    write_bytes(in_dir("state.db-wal"), "records", 7);
    assert_set_aside("log without");
    assert_int_equal(unlink(in_dir("state.db")), 0);
    write_bytes(in_dir("state.db"), "", 0);
    write_bytes(in_dir("state.db-wal"), "records", 7);
    assert_set_aside("log without");
    assert_int_equal(count_names("-wal"), 2);
    assert_int_equal(unlink(in_dir("state.db")), 0);
    assert_int_equal(unlink(in_dir("state.db-mark")), 0);
    write_bytes(in_dir("state.db"), "", 0); /* alone it is as good as none */
    store_sqlite_close(open_as(&here, STORE_NEW));
}

TEST(a_database_of_another_program_or_a_newer_daemon_is_set_aside)
{
    run_sql("CREATE TABLE t (x)");
    assert_set_aside("something else");
    run_sql("PRAGMA user_version = 4");
    assert_set_aside("newer than this daemon's 3");
    run_sql("PRAGMA application_id = 7");
    assert_set_aside("something else");
    assert_int_equal(count_set_aside(), 3);
}

TEST(a_row_that_we_would_not_have_written_spoils_it)
{
    static const struct {
        const char *sql, *part;
    } rows[] = {
        {"UPDATE segment SET serial = 0 WHERE serial = 1", "number is out of range"},
        {"UPDATE segment SET serial = -5 WHERE serial = 1", "number is out of range"},
        {"UPDATE segment SET name = '' WHERE serial = 3", "name is not one"},
        {"UPDATE segment SET name = 'a b' WHERE serial = 3", "segment 3: name is not one"},
        {"UPDATE segment SET name = x'61' WHERE serial = 3", "text is not one"},
        {"UPDATE segment SET name = 'a' || char(0) || 'b' WHERE serial = 3", "NUL"},
        {"UPDATE segment SET name = 'same', sum = 0 WHERE serial < 3", "the same name"},
        {"UPDATE segment SET shmid = 9, sum = 0 WHERE serial < 3", "the same shmid"},
        {"UPDATE segment SET key = 9, sum = 0 WHERE serial < 3", "the same key"},
        {"UPDATE segment SET key = -1 WHERE serial = 20", "segment 20: a number"},
        {"UPDATE segment SET key = 4294967296 WHERE serial = 2", "number"},
        {"UPDATE segment SET shmid = -1 WHERE serial = 2", "number"},
        {"UPDATE segment SET shmid = 'x' WHERE serial = 2", "number"},
        {"UPDATE segment SET cpid = 2147483648", "number"},
        {"UPDATE segment SET cuid = -1", "number"},
        {"UPDATE segment SET size = 0", "number"},
        {"UPDATE segment SET size = 4096.5", "number"},
        {"UPDATE segment SET creator_comm = 'sixteen chars...'", "name is too long"},
        {"UPDATE segment SET creator_comm = char(7)", "creator_comm"},
        {"UPDATE segment SET creator_was_admin = 2", "number"},
        {"UPDATE segment SET state = 3", "number"},
        {"UPDATE segment SET lifetime = 4", "number"},
        {"UPDATE segment SET noreserve = -1", "number"},
        {"UPDATE segment SET adopted = 2", "number"},
        {"UPDATE segment SET huge_page_size = 5", "power of two"},
        {"UPDATE segment SET expires_at_ms = -1", "number"},
        {"UPDATE segment SET labels = 'text'", "labels"},
        {"UPDATE segment SET labels = x''", "labels"},
        {"UPDATE segment SET labels = x'6100'", "labels"},
        {"UPDATE segment SET labels = x'61006200630064'", "labels"},
        {"UPDATE segment SET labels = x'61006200' || x'00'", "labels"},
        {"UPDATE segment SET labels = x'00620000'", "labels"},
        {"UPDATE segment SET labels = x'6100620061006200'", "twice"},
        {"UPDATE segment SET labels = x'6100FF00'", "value"},
        {"UPDATE segment SET labels = zeroblob(1000)", "labels"},
        {"DELETE FROM segment WHERE serial = 1", "not there"},
        {"DELETE FROM segment WHERE serial = 7", "not there"},
        {"DELETE FROM segment WHERE serial = 20", "not there"},
        {"UPDATE tie SET role = 3 WHERE serial = 7", "holder of segment 7: a number"},
        {"UPDATE tie SET pid = 0", "number"},
        {"UPDATE tie SET uid = 'root'", "number"},
        {"UPDATE tie SET comm = char(200)", "comm"},
        {"UPDATE tie SET serial = 'x' WHERE serial = 20", "not there"},
        {"INSERT INTO daemon VALUES (0, 1)", "former daemon"},
        {"DELETE FROM meta", "which boot"},
        {"INSERT INTO meta SELECT * FROM meta", "twice"},
        {"UPDATE meta SET last_serial = -1", "counters"},
        {"UPDATE meta SET event_serial = 'x'", "counters"},
        {"UPDATE meta SET boot_id = 5, ipc_namespace = 'x'", "which boot"},
        {"DROP TABLE meta", "no such table"},
        {"DROP TABLE daemon", "no such table"},
        {"ALTER TABLE segment DROP COLUMN labels", "labels"},
        {"PRAGMA writable_schema = 1; UPDATE sqlite_master SET rootpage = 999 WHERE name = 'tie'",
         "malformed"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        fill();
        run_sql(rows[i].sql);
        size_t len, kept_len;
        char *bytes = read_bytes(in_dir("state.db"), &len);
        struct store_sqlite *st = NULL;
        struct store_opening opening;
        assert_int_equal(store_sqlite_open(dir, &here, &st, &opening), 0);
        if (opening.opened != STORE_SET_ASIDE || !strstr(opening.reason, rows[i].part))
            print_error("%s: opened %d: %s\n", rows[i].sql, (int)opening.opened, opening.reason);
        assert_int_equal(opening.opened, STORE_SET_ASIDE);
        assert_contains(opening.reason, rows[i].part);
        char *kept = read_bytes(in_dir(opening.set_aside), &kept_len);
        assert_int_equal(kept_len, len);
        assert_memory_equal(kept, bytes, len);
        free(kept);
        free(bytes);
        store_sqlite_close(st);
        assert_int_equal(remove_dir(NULL), 0);
        assert_int_equal(mkdir(dir, 0700), 0);
    }
}

/* --- damage at many places; the same in each run */

static uint32_t random_state;

static uint32_t next_random(void)
{
    random_state = random_state * 1664525 + 1013904223;
    return random_state >> 8;
}

static int count_segment(void *context, struct segment *segment, const struct stored_tie *ties,
                         size_t n_ties)
{
    (void)ties, (void)n_ties;
    segment_free(segment);
    ++*(unsigned *)context;
    return 0;
}

static int no_daemon(void *context, const struct store_daemon *daemon)
{
    (void)context, (void)daemon;
    return 0;
}

/* A mark that says that nobody was told of anything. */
static void write_empty_mark(void)
{
    struct store_sqlite marking = {.mark = open(in_dir("state.db-mark"), O_CREAT | O_WRONLY, 0600)};
    assert_int_equal(mark_put(&marking), 0);
    mark_close(&marking);
}

/* A damaged database is used or set aside, and in neither case changed or lost. */
static enum store_opened open_damaged(const char *bytes, size_t len)
{
    write_bytes(in_dir("state.db"), bytes, len);
    write_empty_mark();
    struct store_sqlite *st = NULL;
    struct store_opening opening;
    int r = store_sqlite_open(dir, &here, &st, &opening);
    if (r != 0)
        print_error("%d: %s\n", r, opening.reason);
    assert_int_equal(r, 0);
    unsigned seen = 0;
    const struct store_visitor visitor = {count_segment, no_daemon, &seen};
    struct store_meta meta;
    for (int i = 0; i < 2; i++)
        assert_int_equal(store_sqlite_ops.load(st, &visitor, &meta), 0);
    if (opening.opened == STORE_SET_ASIDE) {
        size_t kept_len;
        char *kept = read_bytes(in_dir(opening.set_aside), &kept_len);
        assert_int_equal(kept_len, len);
        assert_memory_equal(kept, bytes, len);
        free(kept);
        assert_int_equal(seen, 0);
    }
    store_sqlite_close(st);
    assert_int_equal(remove_dir(NULL), 0);
    assert_int_equal(mkdir(dir, 0700), 0);
    return opening.opened;
}

TEST(a_truncated_database)
{
    fill();
    size_t len;
    char *bytes = read_bytes(in_dir("state.db"), &len);
    assert_int_equal(open_damaged(bytes, len), STORE_KEPT);
    for (size_t cut = 1; cut < len; cut += 1 + len / 150)
        assert_int_equal(open_damaged(bytes, cut), STORE_SET_ASIDE);
    free(bytes);
}

TEST(random_bytes_in_a_database)
{
    fill();
    size_t len;
    char *bytes = read_bytes(in_dir("state.db"), &len), *damaged = malloc(len);
    assert_non_null(damaged);
    unsigned outcomes[STORE_SET_ASIDE + 1] = {0};
    random_state = 20240229;
    for (int i = 0; i < 400; i++) {
        memcpy(damaged, bytes, len);
        for (uint32_t n = 1 + next_random() % 8; n > 0; n--)
            damaged[next_random() % len] = (char)next_random();
        outcomes[open_damaged(damaged, len)]++;
    }
    for (int i = 0; i < 50; i++) {
        memcpy(damaged, bytes, len);
        size_t from = next_random() % len;
        memset(damaged + from, (int)next_random(), (len - from) / 2);
        outcomes[open_damaged(damaged, len)]++;
    }
    for (size_t i = 0; i < len; i++)
        damaged[i] = (char)next_random();
    assert_int_equal(open_damaged(damaged, len), STORE_SET_ASIDE);
    /* Both ways were gone: some damage is in room that nothing uses. */
    assert_true(outcomes[STORE_KEPT] > 10 && outcomes[STORE_SET_ASIDE] > 10);
    free(damaged);
    free(bytes);
}

/* --- the log of a killed process: all that was acknowledged is in it, or it is not trusted */

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
    assert_int_equal(remove_dir(NULL), 0);
    assert_int_equal(mkdir(dir, 0700), 0);
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

TEST(an_older_database_is_not_trusted)
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
    assert_not_trusted("lacks changes that were acknowledged");
    /* Nor is none at all. */
    st = open_as(&here, STORE_KEPT);
    put(st, 1, NULL);
    store_sqlite_close(st);
    assert_int_equal(unlink(in_dir("state.db")), 0);
    struct store_opening opening;
    assert_int_equal(store_sqlite_open(dir, &here, &st, &opening), 0);
    assert_int_equal(opening.opened, STORE_SET_ASIDE);
    store_sqlite_close(st);
    free(older);
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
    store_sqlite_close(open_as(&other, STORE_DROPPED));
    st = open_as(&other, STORE_KEPT);
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
    assert_int_equal(remove_dir(NULL), 0);
    assert_int_equal(mkdir(dir, 0700), 0);
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
    assert_int_equal(remove_dir(NULL), 0);
    assert_int_equal(mkdir(dir, 0700), 0);
    struct store_opening opening;
    pwrites_fail = true;
    st = NULL;
    assert_int_equal(store_sqlite_open(dir, &here, &st, &opening), -ENOSPC);
    pwrites_fail = false;
    assert_contains(opening.reason, "mark");
    assert_null(st);
    store_sqlite_close(open_as(&here, STORE_KEPT));
}

/* Any value of any record. */
TEST(a_record_that_has_changed_spoils_it)
{
    static const struct {
        const char *table, *column, *change;
    } values[] = {
        {"segment", "key", "+ 1000"},
        {"segment", "shmid", "+ 1000"},
        {"segment", "cpid", "+ 1"},
        {"segment", "cuid", "+ 1"},
        {"segment", "size", "+ 1"},
        {"segment", "creator_uid", "+ 1"},
        {"segment", "creator_gid", "+ 1"},
        {"segment", "creator_pid", "+ 1"},
        {"segment", "creator_was_admin", "+ 1"},
        {"segment", "lifetime", "+ 1"},
        {"segment", "noreserve", "+ 1"},
        {"segment", "adopted", "+ 1"},
        {"segment", "created_at_ms", "+ 1"},
        {"segment", "expires_at_ms", "+ 1"},
        {"tie", "place", "+ 1"},
        {"tie", "role", "+ 1"},
        {"tie", "pid", "+ 1"},
        {"tie", "inode", "+ 1"},
        {"tie", "started_at", "+ 1"},
        {"tie", "uid", "+ 1"},
        {"tie", "since_at_ms", "+ 1"},
        {"tie", "comm", "|| 'x'"},
    };
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        char sql[128];
        snprintf(sql, sizeof(sql), "UPDATE %s SET %s = %s %s WHERE serial = 7", values[i].table,
                 values[i].column, values[i].column, values[i].change);
        fill();
        run_sql(sql);
        assert_set_aside("not as it was written");
        assert_int_equal(remove_dir(NULL), 0);
        assert_int_equal(mkdir(dir, 0700), 0);
    }
    static const char *const others[] = {
        "UPDATE segment SET creator_comm = 'other' WHERE serial = 7",
        "UPDATE segment SET name = 'other' WHERE serial = 7",
        "UPDATE segment SET labels = x'61006200' WHERE serial = 7",
        "UPDATE segment SET labels = NULL WHERE serial = 7",
        "UPDATE segment SET serial = 1000 WHERE serial = 20; UPDATE tie SET serial = 1000 WHERE "
        "serial = 20",
    };
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        fill();
        run_sql(others[i]);
        assert_set_aside("not as it was written");
        assert_int_equal(remove_dir(NULL), 0);
        assert_int_equal(mkdir(dir, 0700), 0);
    }
    /* One of an older schema has none. */
    fill();
    run_sql("UPDATE segment SET shmid = 1000, sum = 0 WHERE serial = 7");
    struct store_sqlite *st = open_as(&here, STORE_KEPT);
    assert_holds(st, RECORDS);
    store_sqlite_close(st);
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
        STORE_TEST(what_is_no_database_is_set_aside_under_a_free_name),
        STORE_TEST(what_is_no_file_is_set_aside),
        STORE_TEST(a_log_without_its_database_is_set_aside),
        STORE_TEST(a_database_of_another_program_or_a_newer_daemon_is_set_aside),
        STORE_TEST(a_row_that_we_would_not_have_written_spoils_it),
        STORE_TEST(a_truncated_database),
        STORE_TEST(random_bytes_in_a_database),
        STORE_TEST(a_log_with_damage_is_not_trusted),
        STORE_TEST(a_log_that_is_cut_off_or_deleted_is_not_trusted),
        STORE_TEST(a_log_that_goes_on_behind_the_mark_is_trusted),
        STORE_TEST(a_log_that_is_begun_anew_is_trusted_at_each_commit),
        STORE_TEST(a_mark_that_is_missing_or_damaged),
        STORE_TEST(an_older_database_is_not_trusted),
        STORE_TEST(one_that_somebody_else_has_looked_at_is_trusted),
        STORE_TEST(of_another_boot_it_need_not_be_whole),
        STORE_TEST(a_mark_that_cannot_be_written),
        STORE_TEST(a_record_that_has_changed_spoils_it),
    };
    return RUN_TESTS(tests);
}
