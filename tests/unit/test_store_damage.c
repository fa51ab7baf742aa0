/*
 * A file that is no good, or no longer what was written, is kept under another name, byte for byte.
 */
#include "tests/unit/store_fixture.h"

#include "daemon/store/mark.h"

/* How many databases were set aside. */
static unsigned count_set_aside(void)
{
    return count_names("corrupt") - count_names("-mark") - count_names("-wal") +
           (access(in_dir("state.db-mark"), F_OK) == 0) +
           (access(in_dir("state.db-wal"), F_OK) == 0);
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
        empty_dir();
    }
}

/* --- damage at many places; the same in each run */

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
    empty_dir();
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
        empty_dir();
    }
    static const char *const others[] = {
        "UPDATE segment SET creator_comm = 'other' WHERE serial = 7",
        "UPDATE segment SET name = 'other' WHERE serial = 7",
        "UPDATE segment SET labels = x'61006200' WHERE serial = 7",
        "UPDATE segment SET labels = NULL WHERE serial = 7",
        ("UPDATE segment SET serial = 1000 WHERE serial = 20; "
         "UPDATE tie SET serial = 1000 WHERE serial = 20"),
    };
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        fill();
        run_sql(others[i]);
        assert_set_aside("not as it was written");
        empty_dir();
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
    const struct CMUnitTest tests[] = {
        STORE_TEST(what_is_no_database_is_set_aside_under_a_free_name),
        STORE_TEST(what_is_no_file_is_set_aside),
        STORE_TEST(a_log_without_its_database_is_set_aside),
        STORE_TEST(a_database_of_another_program_or_a_newer_daemon_is_set_aside),
        STORE_TEST(a_row_that_we_would_not_have_written_spoils_it),
        STORE_TEST(a_truncated_database),
        STORE_TEST(random_bytes_in_a_database),
        STORE_TEST(a_record_that_has_changed_spoils_it),
    };
    return RUN_TESTS(tests);
}
