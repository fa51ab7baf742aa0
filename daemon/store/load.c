/* Reading everything back. What is not as we would have written it makes the whole database bad. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "daemon/store/database.h"
#include "daemon/store/row.h"

__attribute__((format(printf, 2, 3))) static int refuse(struct store_sqlite *st, const char *format,
                                                        ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(st->reason, sizeof(st->reason), format, args);
    va_end(args);
    return -EBADMSG;
}

static void finalize(sqlite3_stmt **statement)
{
    sqlite3_finalize(*statement);
}

static int prepare(struct store_sqlite *st, const char *sql, sqlite3_stmt **ret)
{
    int code = sqlite3_prepare_v2(st->db, sql, -1, ret, NULL);
    return code == SQLITE_OK ? 0 : database_fail(st, "reading", code);
}

/* To the next row: 1, 0 when there is none, or a negative errno. */
static int step(struct store_sqlite *st, sqlite3_stmt *statement)
{
    int code = sqlite3_step(statement);
    if (code == SQLITE_ROW)
        return 1;
    return code == SQLITE_DONE ? 0 : database_fail(st, "reading", code);
}

/* The ties of one segment, in room that is used again for the next. */
struct tie_list {
    struct stored_tie *items;
    size_t count, capacity;
};

static void tie_list_deinit(struct tie_list *list)
{
    free(list->items);
}

/* Both statements are in the order of serials; TIES is at a row when *MORE is 1. */
static int read_ties(struct store_sqlite *st, sqlite3_stmt *ties, int *more, uint64_t serial,
                     struct tie_list *list)
{
    list->count = 0;
    while (*more == 1) {
        int64_t of = 0;
        if (!row_read_int(ties, 0, 1, INT64_MAX, &of) || (uint64_t)of < serial)
            return refuse(st, "a holder of a segment that is not there");
        if ((uint64_t)of > serial)
            return 0;
        if (list->count == list->capacity) {
            size_t capacity = list->capacity ? list->capacity * 2 : 16;
            struct stored_tie *items = reallocarray(list->items, capacity, sizeof(*items));
            if (!items)
                return -ENOMEM;
            list->items = items;
            list->capacity = capacity;
        }
        const char *why;
        int r = row_read_tie(ties, &list->items[list->count], &why);
        if (r == -EBADMSG)
            return refuse(st, "a holder of segment %lld: %s", (long long)of, why);
        if (r < 0)
            return r;
        list->count++;
        *more = step(st, ties);
    }
    return *more;
}

static int load_segments(struct store_sqlite *st, const struct store_visitor *visitor,
                         uint64_t *ret_last)
{
    sqlite3_stmt *segments CLEANUP(finalize) = NULL, *ties CLEANUP(finalize) = NULL;
    struct tie_list list CLEANUP(tie_list_deinit) = {0};
    int r = prepare(st, "SELECT " SEGMENT_COLUMNS " FROM segment ORDER BY serial", &segments);
    if (r == 0)
        r = prepare(st, "SELECT " TIE_COLUMNS " FROM tie ORDER BY serial, place", &ties);
    if (r < 0)
        return r;
    int more = step(st, ties);
    if (more < 0)
        return more;
    uint64_t last = 0;
    while ((r = step(st, segments)) == 1) {
        struct segment *segment;
        const char *why;
        r = row_read_segment(segments, &segment, &why);
        if (r == -EBADMSG)
            return refuse(st, "the record of segment %lld: %s",
                          (long long)sqlite3_column_int64(segments, 0), why);
        if (r < 0)
            return r;
        last = segment->serial;
        r = read_ties(st, ties, &more, last, &list);
        if (r < 0) {
            segment_free(segment);
            return r;
        }
        r = visitor->segment(visitor->context, segment, list.items, list.count);
        if (r < 0)
            return r;
    }
    if (r == 0 && more == 1)
        return refuse(st, "a holder of a segment that is not there");
    if (r == 0)
        *ret_last = last;
    return r;
}

static int load_daemons(struct store_sqlite *st, const struct store_visitor *visitor)
{
    sqlite3_stmt *daemons CLEANUP(finalize) = NULL;
    int r = prepare(st, "SELECT pid, started_at_s FROM daemon", &daemons);
    if (r < 0)
        return r;
    while ((r = step(st, daemons)) == 1) {
        int64_t pid, started_at_s;
        if (!row_read_int(daemons, 0, 1, INT32_MAX, &pid) ||
            !row_read_int(daemons, 1, INT64_MIN, INT64_MAX, &started_at_s))
            return refuse(st, "a former daemon's number is out of range");
        const struct store_daemon d = {(int32_t)pid, started_at_s};
        r = visitor->daemon(visitor->context, &d);
        if (r < 0)
            return r;
    }
    return r;
}

static int load_meta(struct store_sqlite *st, struct store_meta *ret)
{
    sqlite3_stmt *meta CLEANUP(finalize) = NULL;
    int r = prepare(st, "SELECT last_serial, event_serial FROM meta", &meta);
    if (r == 0)
        r = step(st, meta);
    if (r < 0)
        return r;
    int64_t last_serial, event_serial;
    if (r == 0 || !row_read_int(meta, 0, 0, INT64_MAX, &last_serial) ||
        !row_read_int(meta, 1, 0, INT64_MAX, &event_serial))
        return refuse(st, "the counters are not there or out of range");
    r = step(st, meta);
    if (r == 1)
        return refuse(st, "the counters are there twice");
    if (r == 0)
        *ret = (struct store_meta){(uint64_t)last_serial, (uint64_t)event_serial};
    return r;
}

int database_check_unique(struct store_sqlite *st)
{
    static const struct {
        const char *what, *sql;
    } checks[] = {
        {"name", "SELECT 1 FROM segment WHERE name IS NOT NULL GROUP BY name HAVING count(*) > 1"},
        {"shmid", "SELECT 1 FROM segment GROUP BY shmid HAVING count(*) > 1"},
        {"key", "SELECT 1 FROM segment WHERE key <> 0 GROUP BY key HAVING count(*) > 1"},
    };
    for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
        sqlite3_stmt *statement CLEANUP(finalize) = NULL;
        int r = prepare(st, checks[i].sql, &statement);
        if (r == 0)
            r = step(st, statement);
        if (r == 1)
            return refuse(st, "two records have the same %s", checks[i].what);
        if (r < 0)
            return r;
    }
    return 0;
}

int database_load(struct store_sqlite *st, const struct store_visitor *visitor,
                  struct store_meta *ret_meta)
{
    struct store_meta meta;
    uint64_t last = 0;
    database_rollback(st); /* only what was committed */
    int r = load_meta(st, &meta);
    if (r == 0)
        r = load_segments(st, visitor, &last);
    if (r == 0)
        r = load_daemons(st, visitor);
    if (r != 0)
        return r;
    st->kept = meta;
    if (meta.last_serial < last)
        meta.last_serial = last;
    st->highest = last;
    *ret_meta = meta;
    return 0;
}
