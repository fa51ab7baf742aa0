#include "daemon/store/store_sqlite.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "daemon/store/mark.h"
#include "daemon/store/row.h"

/* A file that was deleted takes commits without a murmur, and nobody finds them again. */
static int check_place(struct store_sqlite *st)
{
    struct stat now;
    if (fstat(st->place, &now) == 0 && now.st_nlink > 0)
        return 0;
    snprintf(st->reason, sizeof(st->reason),
             "the database was deleted under the daemon, which must be restarted");
    return -ESTALE;
}

static int begin(struct store_sqlite *st)
{
    database_rollback(st); /* what a failed one could not */
    collection_deinit(&st->collection);
    int r = check_place(st);
    return r < 0 ? r : database_run(st, STATEMENT_BEGIN);
}

static int bind_serial(struct store_sqlite *st, enum statement which, uint64_t serial)
{
    int code = sqlite3_bind_int64(st->statements[which], 1, (sqlite3_int64)serial);
    return code == SQLITE_OK ? 0 : database_fail(st, "recording", code);
}

static int refuse(struct store_sqlite *st, uint64_t serial, const char *why)
{
    snprintf(st->reason, sizeof(st->reason), "the record of segment %llu cannot be stored: %s",
             (unsigned long long)serial, why);
    return -EINVAL;
}

static int put_segment(struct store_sqlite *st, const struct segment *segment)
{
    const char *why = row_check_segment(segment);
    if (why)
        return refuse(st, segment->serial, why);
    char labels_room[ROW_LABELS_MAX];
    sqlite3_stmt *statement = st->statements[STATEMENT_PUT_SEGMENT];
    int code = row_bind_segment(statement, segment, labels_room);
    if (code != SQLITE_OK)
        return database_fail(st, "recording a segment", code);
    int r = database_run(st, STATEMENT_PUT_SEGMENT);
    (void)sqlite3_clear_bindings(statement); /* they point to what is not ours */
    return r;
}

static int put_tie(struct store_sqlite *st, uint64_t serial, size_t place,
                   const struct stored_tie *tie)
{
    const char *why = row_check_tie(tie);
    if (why)
        return refuse(st, serial, why);
    sqlite3_stmt *statement = st->statements[STATEMENT_PUT_TIE];
    int code = row_bind_tie(statement, serial, place, tie);
    if (code != SQLITE_OK)
        return database_fail(st, "recording a holder", code);
    int r = database_run(st, STATEMENT_PUT_TIE);
    (void)sqlite3_clear_bindings(statement);
    return r;
}

/* Above HIGHEST there were no records, and no ties. */
static int drop_ties(struct store_sqlite *st, uint64_t serial, uint64_t highest)
{
    if (serial > highest)
        return 0;
    int r = bind_serial(st, STATEMENT_DROP_TIES, serial);
    return r < 0 ? r : database_run(st, STATEMENT_DROP_TIES);
}

static int apply(struct store_sqlite *st, const struct store_change *change, uint64_t *highest)
{
    int r = drop_ties(st, change->serial, *highest);
    if (r < 0)
        return r;
    if (!change->segment) {
        r = bind_serial(st, STATEMENT_DROP_SEGMENT, change->serial);
        return r < 0 ? r : database_run(st, STATEMENT_DROP_SEGMENT);
    }
    if (change->segment->serial != change->serial)
        return refuse(st, change->serial, "it is another segment's");
    r = put_segment(st, change->segment);
    if (change->serial > *highest)
        *highest = change->serial;
    for (size_t i = 0; r == 0 && i < change->n_ties; i++)
        r = put_tie(st, change->serial, i, &change->ties[i]);
    return r;
}

static int put_meta(struct store_sqlite *st, const struct store_meta *meta)
{
    sqlite3_stmt *statement = st->statements[STATEMENT_PUT_META];
    if (meta->last_serial > INT64_MAX || meta->event_serial > INT64_MAX ||
        st->commits == INT64_MAX) {
        snprintf(st->reason, sizeof(st->reason), "the counters are used up");
        return -EOVERFLOW;
    }
    int code = sqlite3_bind_int64(statement, 1, (sqlite3_int64)meta->last_serial);
    if (code == SQLITE_OK)
        code = sqlite3_bind_int64(statement, 2, (sqlite3_int64)meta->event_serial);
    if (code == SQLITE_OK)
        code = sqlite3_bind_int64(statement, 3, (sqlite3_int64)st->commits + 1);
    return code == SQLITE_OK ? database_run(st, STATEMENT_PUT_META)
                             : database_fail(st, "recording the counters", code);
}

static int store_commit(void *context, const struct store_change *changes, size_t n,
                        const struct store_meta *meta, const char **ret_reason)
{
    struct store_sqlite *st = context;
    uint64_t highest = st->highest;
    if (n == 0 && meta->last_serial == st->kept.last_serial &&
        meta->event_serial == st->kept.event_serial)
        return 0;
    int r = begin(st);
    for (size_t i = 0; r == 0 && i < n; i++)
        r = apply(st, &changes[i], &highest);
    if (r == 0)
        r = put_meta(st, meta);
    if (r == 0)
        r = database_run(st, STATEMENT_COMMIT);
    if (r < 0) {
        database_rollback(st);
        *ret_reason = st->reason;
        return r;
    }
    st->commits++;
    (void)mark_put(st);
    st->kept = *meta;
    st->highest = highest;
    return 0;
}

static int store_enter(void *context, const struct store_daemon *daemon)
{
    struct store_sqlite *st = context;
    sqlite3_stmt *statement = st->statements[STATEMENT_PUT_DAEMON];
    if (daemon->pid <= 0)
        return -EINVAL;
    int code = sqlite3_bind_int64(statement, 1, daemon->pid);
    if (code == SQLITE_OK)
        code = sqlite3_bind_int64(statement, 2, daemon->started_at_s);
    if (code != SQLITE_OK)
        return database_fail(st, "recording the daemon", code);
    int r = begin(st);
    if (r == 0)
        r = database_run(st, STATEMENT_PUT_DAEMON);
    if (r == 0)
        r = database_run(st, STATEMENT_COMMIT);
    if (r < 0)
        database_rollback(st);
    return r;
}

static int store_load(void *context, const struct store_visitor *visitor,
                      struct store_meta *ret_meta)
{
    struct store_sqlite *st = context;
    if (!st->collection.is_valid)
        return database_load(st, visitor, ret_meta);
    *ret_meta = st->kept;
    if (ret_meta->last_serial < st->highest)
        ret_meta->last_serial = st->highest;
    return collection_hand_over(&st->collection, visitor);
}

const struct store_ops store_sqlite_ops = {
    .load = store_load,
    .enter = store_enter,
    .commit = store_commit,
};

void store_sqlite_close(struct store_sqlite *st)
{
    if (!st)
        return;
    database_close(st);
    mark_close(st);
    if (st->place >= 0)
        close(st->place);
    collection_deinit(&st->collection);
    free(st);
}
