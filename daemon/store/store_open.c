/*
 * Opening the store: whose it is, whether it is good, and what becomes of one that is not. Only
 * -EBADMSG moves a file aside; a full disk, a lock or a lack of memory leaves all as it is.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "daemon/store/mark.h"
#include "daemon/store/row.h"

#define FILE_NAME "state.db"
#define MARK      "-mark"
static const char *const suffixes[] = {"", "-wal", "-journal", "-shm", MARK};
enum { N_SUFFIXES = sizeof(suffixes) / sizeof(suffixes[0]) };

/* DIR/NAME and a suffix, on the heap. */
static char *path_of(const char *dir, const char *name, const char *suffix)
{
    char *path = NULL;
    return asprintf(&path, "%s/%s%s", dir, name, suffix) < 0 ? NULL : path;
}

static bool is_there(const char *dir, const char *name, const char *suffix, struct stat *ret)
{
    char *path CLEANUP(cleanup_free) = path_of(dir, name, suffix);
    return path && lstat(path, ret) == 0;
}

/* A name that no file of a database set aside has. */
static int free_name(const char *dir, char *ret, size_t size)
{
    long long now = time(NULL);
    for (int try = 0; try < 1000; try++) {
        if (try == 0)
            snprintf(ret, size, FILE_NAME ".corrupt-%lld", now);
        else
            snprintf(ret, size, FILE_NAME ".corrupt-%lld.%d", now, try);
        bool taken = false;
        struct stat ignored;
        for (int i = 0; i < N_SUFFIXES; i++)
            taken |= is_there(dir, ret, suffixes[i], &ignored);
        if (!taken)
            return 0;
    }
    return -EEXIST;
}

/*
 * Moves what is there under the database's name, if it is still WAS. The database goes first: a log
 * that is left alone does no harm, a database without its log would pass for an older state.
 */
static int set_aside(const char *dir, const struct stat *was, struct store_opening *opening)
{
    struct stat st;
    bool there = is_there(dir, FILE_NAME, "", &st);
    if (there && (st.st_dev != was->st_dev || st.st_ino != was->st_ino))
        return -EBUSY; /* somebody else was quicker */
    char name[sizeof(opening->set_aside)];
    int r = free_name(dir, name, sizeof(name));
    if (r < 0)
        return r;
    for (int i = 0; i < N_SUFFIXES; i++) {
        char *from CLEANUP(cleanup_free) = path_of(dir, FILE_NAME, suffixes[i]);
        char *to CLEANUP(cleanup_free) = path_of(dir, name, suffixes[i]);
        if (!from || !to)
            return -ENOMEM;
        if (rename(from, to) < 0) {
            if (errno != ENOENT)
                return -errno;
            continue;
        }
        snprintf(opening->set_aside, sizeof(opening->set_aside), "%s", name);
    }
    return 0;
}

static bool differs(const char *stored, const char *now)
{
    return *stored && *now && strcmp(stored, now) != 0;
}

static int read_scope(struct store_sqlite *st, char boot_id[static 64], int64_t *ret_namespace)
{
    static const char sql[] = "SELECT ipc_namespace, boot_id, commits FROM meta";
    int64_t commits = 0;
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(st->db, sql, -1, &statement, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_step(statement);
    int r = 0;
    if (code == SQLITE_ROW) {
        bool good = row_read_int(statement, 0, INT64_MIN, INT64_MAX, ret_namespace) &&
                    row_read_int(statement, 2, 0, INT64_MAX, &commits) &&
                    sqlite3_column_type(statement, 1) == SQLITE_TEXT;
        const char *text = good ? (const char *)sqlite3_column_text(statement, 1) : NULL;
        if (text)
            snprintf(boot_id, 64, "%s", text);
        else
            r = good ? -ENOMEM : -EBADMSG;
    } else if (code == SQLITE_DONE) {
        r = -EBADMSG;
    } else {
        r = database_fail(st, "reading", code);
    }
    if (r == -EBADMSG && !st->reason[0])
        snprintf(st->reason, sizeof(st->reason), "it does not say which boot it is of");
    sqlite3_finalize(statement);
    st->commits = (uint64_t)commits;
    return r;
}

/* All but the counters: a serial that somebody remembers shall denote nothing. */
static const char drop[] =
    "UPDATE meta SET last_serial = max(last_serial, (SELECT ifnull(max(serial), 0) FROM segment));"
    "DELETE FROM segment; DELETE FROM tie; DELETE FROM daemon;";

/* Records the scope, and drops the contents first when they are of another. */
static int settle_scope(struct store_sqlite *st, const struct store_scope *scope,
                        struct store_opening *opening)
{
    char boot_id[64] = "";
    int64_t ipc_namespace = 0, now_namespace = (int64_t)scope->ipc_namespace;
    int r = read_scope(st, boot_id, &ipc_namespace);
    if (r != 0)
        return r;
    bool other_boot = differs(boot_id, scope->boot_id);
    bool other_namespace = ipc_namespace && now_namespace && ipc_namespace != now_namespace;
    /* What is dropped need not be whole. */
    r = other_boot || other_namespace ? 0 : mark_check(st);
    if (r != 0)
        return r;
    const char *new_boot_id = *scope->boot_id ? scope->boot_id : boot_id;
    if (now_namespace == 0)
        now_namespace = ipc_namespace;
    if (strcmp(new_boot_id, boot_id) == 0 && now_namespace == ipc_namespace)
        return 0;
    char *sql = sqlite3_mprintf(
        "BEGIN IMMEDIATE; %s UPDATE meta SET boot_id = %Q, ipc_namespace = %lld; COMMIT",
        other_boot || other_namespace ? drop : "", new_boot_id, (long long)now_namespace);
    if (!sql)
        return -ENOMEM;
    r = database_exec(st, "recording the boot and the namespace", sql);
    sqlite3_free(sql);
    if (r < 0) {
        database_rollback(st);
        return r;
    }
    if (other_boot || other_namespace) {
        opening->opened = STORE_DROPPED;
        snprintf(opening->reason, sizeof(opening->reason), "its records were of another %s",
                 other_boot ? "boot" : "IPC namespace");
    }
    return 0;
}

static int open_good(const char *path, const struct store_scope *scope, struct store_sqlite *st,
                     struct store_opening *opening)
{
    int r = database_open(st, path);
    opening->opened = st->is_new ? STORE_NEW : STORE_KEPT;
    if (r == 0)
        r = settle_scope(st, scope, opening);
    if (r == 0)
        r = database_prepare(st);
    if (r == 0)
        r = database_check_unique(st);
    if (r == 0)
        r = database_collect(st);
    if (r == 0)
        r = mark_put(st);
    if (r == 0)
        database_keep_log(st, false);
    return r;
}

static int say(struct store_opening *opening, int r, const char *what)
{
    snprintf(opening->reason, sizeof(opening->reason), "%s: %s", what, strerror(-r));
    return r;
}

static int create_file(const char *path, struct stat *ret, struct store_opening *opening)
{
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    int r = fd >= 0 && fstat(fd, ret) == 0 ? 0 : -errno;
    if (fd >= 0)
        close(fd);
    return r < 0 ? say(opening, r, "making the database") : 0;
}

/* Sees to it that there is a file that only we can read: SQLite gives its log the same mode. An
 * empty one is as good as none, unless a log lies beside it. */
static int make_file(const char *dir, const char *path, struct stat *ret,
                     struct store_opening *opening)
{
    struct stat log;
    bool has_log = is_there(dir, FILE_NAME, "-wal", &log) && log.st_size > 0;
    bool is_file = lstat(path, ret) == 0;
    if (!is_file && errno != ENOENT)
        return say(opening, -errno, "looking for the database");
    if (is_file && !S_ISREG(ret->st_mode)) {
        snprintf(opening->reason, sizeof(opening->reason), "it is not a regular file");
        return -EBADMSG;
    }
    if (has_log && (!is_file || ret->st_size == 0)) {
        snprintf(opening->reason, sizeof(opening->reason), "there is a log without its database");
        return -EBADMSG;
    }
    if (is_file && ret->st_size > 0 && ret->st_size < 512) { /* SQLite would write over it */
        snprintf(opening->reason, sizeof(opening->reason), "it is not a database: it is too short");
        return -EBADMSG;
    }
    if (!is_file)
        return create_file(path, ret, opening);
    if ((ret->st_mode & 07777) != 0600 && chmod(path, 0600) < 0)
        return say(opening, -errno, "making the database its owner's alone");
    return 0;
}

static void close_store(struct store_sqlite **st)
{
    store_sqlite_close(*st);
}

static int open_once(const char *dir, const struct store_scope *scope, struct store_sqlite **ret,
                     struct stat *was, struct store_opening *opening)
{
    struct store_sqlite *st CLEANUP(close_store) = calloc(1, sizeof(*st));
    char *path CLEANUP(cleanup_free) = path_of(dir, FILE_NAME, "");
    char *mark CLEANUP(cleanup_free) = path_of(dir, FILE_NAME, MARK);
    if (st)
        st->place = st->mark = -1;
    if (!st || !path || !mark)
        return say(opening, -ENOMEM, "opening");
    int r = make_file(dir, path, was, opening);
    if (r < 0)
        return r;
    st->place = open(path, O_PATH | O_CLOEXEC | O_NOFOLLOW);
    if (st->place < 0)
        return say(opening, -errno, "looking for the database");
    r = mark_open(st, mark);
    if (r == 0)
        r = open_good(path, scope, st, opening);
    if (r == 0)
        *ret = steal_pointer(&st);
    else if (st->reason[0])
        snprintf(opening->reason, sizeof(opening->reason), "%s", st->reason);
    else
        say(opening, r, "opening");
    return r;
}

int store_sqlite_open(const char *state_dir, const struct store_scope *scope,
                      struct store_sqlite **ret, struct store_opening *ret_opening)
{
    struct stat was = {0};
    struct store_opening first = {.opened = STORE_NEW};
    int r = open_once(state_dir, scope, ret, &was, &first);
    if (r != -EBADMSG) {
        *ret_opening = first;
        return r;
    }
    r = set_aside(state_dir, &was, &first);
    *ret_opening = first;
    if (r < 0) {
        snprintf(ret_opening->reason, sizeof(ret_opening->reason), "%.200s; moving it aside: %s",
                 first.reason, strerror(-r));
        return r;
    }
    struct store_opening second = {.opened = STORE_NEW};
    r = open_once(state_dir, scope, ret, &was, &second);
    if (r < 0) {
        snprintf(ret_opening->reason, sizeof(ret_opening->reason), "%.150s; the new one: %.200s",
                 first.reason, second.reason);
        return r == -EBADMSG ? -EIO : r;
    }
    ret_opening->opened = STORE_SET_ASIDE;
    return 0;
}
