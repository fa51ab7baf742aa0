/*
 * A state directory of its own for each test, an example record, and what a store holds.
 */
#ifndef SHMD_TESTS_UNIT_STORE_FIXTURE_H
#define SHMD_TESTS_UNIT_STORE_FIXTURE_H

#include "tests/unit/support.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/store/store_sqlite.h"

static char dir[64];
static const struct store_scope here = {"11111111-2222-3333-4444-555555555555", 4026531839};

static inline int make_dir(void **state)
{
    (void)state;
    snprintf(dir, sizeof(dir), "/tmp/shmd-store-XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static inline int remove_dir(void **state)
{
    (void)state;
    DIR *d = opendir(dir);
    for (struct dirent *entry; d && (entry = readdir(d));) {
        if (unlinkat(dirfd(d), entry->d_name, 0) < 0)
            (void)unlinkat(dirfd(d), entry->d_name, AT_REMOVEDIR);
    }
    if (d)
        closedir(d);
    (void)rmdir(dir); /* a test may have done it */
    return 0;
}

/* Nothing is in it any more. */
static inline void empty_dir(void)
{
    assert_int_equal(remove_dir(NULL), 0);
    assert_int_equal(mkdir(dir, 0700), 0);
}

#define STORE_TEST(name) cmocka_unit_test_setup_teardown(name, make_dir, remove_dir)

/* DIR/NAME, valid until the call after the next. */
static inline const char *in_dir(const char *name)
{
    static char paths[2][512];
    static unsigned turn;
    char *path = paths[turn++ % 2];
    snprintf(path, sizeof(paths[0]), "%s/%s", dir, name);
    return path;
}

/* How many names in the directory hold PART. */
static inline unsigned count_names(const char *part)
{
    unsigned n = 0;
    DIR *d = opendir(dir);
    assert_non_null(d);
    for (struct dirent *entry; (entry = readdir(d));)
        n += strstr(entry->d_name, part) != NULL;
    closedir(d);
    return n;
}

static inline char *read_bytes(const char *path, size_t *ret_len)
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    char *bytes = malloc(1 << 20);
    assert_non_null(bytes);
    *ret_len = fread(bytes, 1, 1 << 20, file);
    fclose(file);
    return bytes;
}

static inline void write_bytes(const char *path, const void *bytes, size_t len)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
}

/* Changes the database with SQLite's own means; nobody else may have it open. */
static inline void run_sql(const char *sql)
{
    sqlite3 *db;
    char *why = NULL;
    assert_int_equal(sqlite3_open(in_dir("state.db"), &db), SQLITE_OK);
    (void)sqlite3_exec(db, "PRAGMA locking_mode = EXCLUSIVE", NULL, NULL, NULL);
    if (sqlite3_exec(db, sql, NULL, NULL, &why) != SQLITE_OK)
        print_error("%s: %s\n", sql, why);
    assert_null(why);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static inline struct store_sqlite *open_as(const struct store_scope *scope, enum store_opened want)
{
    struct store_sqlite *st = NULL;
    struct store_opening opening;
    int r = store_sqlite_open(dir, scope, &st, &opening);
    if (r != 0 || opening.opened != want)
        print_error("%d, opened %d: %s\n", r, (int)opening.opened, opening.reason);
    assert_int_equal(r, 0);
    assert_int_equal(opening.opened, want);
    assert_int_equal(opening.reason[0] != '\0', want == STORE_DROPPED || want == STORE_SET_ASIDE);
    assert_int_equal(opening.set_aside[0] != '\0', want == STORE_SET_ASIDE);
    return st;
}

/* What SERIAL's record is in these tests; NAME is borrowed. */
static inline struct segment example(uint64_t serial, char *name)
{
    return (struct segment){
        .serial = serial,
        .name = name,
        .shmid = (int32_t)serial,
        .cpid = 100,
        .cuid = 990,
        .size = 4096,
        .creator = {.uid = 1000, .gid = 1000, .pid = 4711, .comm = "producer"},
        .state = STATE_READY,
        .created_at_ms = 1700000000000,
    };
}

static inline int commit(struct store_sqlite *st, const struct store_change *changes, size_t n,
                         uint64_t last_serial, uint64_t event_serial, const char **ret_reason)
{
    const struct store_meta meta = {last_serial, event_serial};
    return store_sqlite_ops.commit(st, changes, n, &meta, ret_reason);
}

static inline void must_commit(struct store_sqlite *st, const struct store_change *changes,
                               size_t n, uint64_t last_serial, uint64_t event_serial)
{
    const char *reason = "";
    int r = commit(st, changes, n, last_serial, event_serial, &reason);
    if (r != 0)
        print_error("%d: %s\n", r, reason);
    assert_int_equal(r, 0);
}

/* Puts the example with that serial and name. */
static inline void put(struct store_sqlite *st, uint64_t serial, char *name)
{
    struct segment s = example(serial, name);
    must_commit(st, &(struct store_change){.serial = serial, .segment = &s}, 1, serial, 0);
}

enum { HELD_MAX = 64 };

/* What a store holds. */
struct held {
    struct segment *segments[HELD_MAX];
    struct stored_tie ties[HELD_MAX][4];
    size_t n_ties[HELD_MAX];
    size_t n_segments, n_daemons;
    struct store_daemon daemons[HELD_MAX];
    struct store_meta meta;
};

static inline int hold_segment(void *context, struct segment *segment,
                               const struct stored_tie *ties, size_t n_ties)
{
    struct held *held = context;
    assert_true(held->n_segments < HELD_MAX && n_ties <= 4);
    if (n_ties > 0)
        memcpy(held->ties[held->n_segments], ties, n_ties * sizeof(ties[0]));
    held->n_ties[held->n_segments] = n_ties;
    held->segments[held->n_segments++] = segment;
    return 0;
}

static inline int hold_daemon(void *context, const struct store_daemon *daemon)
{
    struct held *held = context;
    assert_true(held->n_daemons < HELD_MAX);
    held->daemons[held->n_daemons++] = *daemon;
    return 0;
}

static inline void load(struct store_sqlite *st, struct held *ret)
{
    const struct store_visitor visitor = {hold_segment, hold_daemon, ret};
    *ret = (struct held){0};
    assert_int_equal(store_sqlite_ops.load(st, &visitor, &ret->meta), 0);
}

static inline void forget(struct held *held)
{
    for (size_t i = 0; i < held->n_segments; i++)
        segment_free(held->segments[i]);
}

/* The store holds the serials 1 to COUNT. */
static inline void assert_holds(struct store_sqlite *st, size_t count)
{
    struct held held;
    load(st, &held);
    assert_int_equal(held.n_segments, count);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(held.segments[i]->serial, i + 1);
    forget(&held);
}

enum { RECORDS = 20 };

/* A database with RECORDS records, closed. */
static inline void fill(void)
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

/* The same in each run. */
static uint32_t random_state;

static inline uint32_t next_random(void)
{
    random_state = random_state * 1664525 + 1013904223;
    return random_state >> 8;
}

#endif
