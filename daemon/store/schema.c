/*
 * The schema, as the steps that lead to it: a database of version N has gone through the first N.
 * A step that was released is never changed; a new version is a new step.
 */
#include <errno.h>
#include <stdio.h>

#include "daemon/store/mark.h"

/* "shmd": tells our databases from others'. */
#define APPLICATION_ID 0x73686d64

static const char *const steps[] = {
    /* 1 */
    "CREATE TABLE meta (boot_id TEXT NOT NULL, ipc_namespace INTEGER NOT NULL,"
    " last_serial INTEGER NOT NULL, event_serial INTEGER NOT NULL);"
    "INSERT INTO meta VALUES ('', 0, 0, 0);"
    "CREATE TABLE segment (serial INTEGER PRIMARY KEY, name TEXT, key INTEGER NOT NULL,"
    " shmid INTEGER NOT NULL, cpid INTEGER NOT NULL, cuid INTEGER NOT NULL, size INTEGER NOT NULL,"
    " creator_uid INTEGER NOT NULL, creator_gid INTEGER NOT NULL, creator_pid INTEGER NOT NULL,"
    " creator_comm TEXT NOT NULL, creator_was_admin INTEGER NOT NULL, state INTEGER NOT NULL,"
    " lifetime INTEGER NOT NULL, noreserve INTEGER NOT NULL, adopted INTEGER NOT NULL,"
    " huge_page_size INTEGER NOT NULL, created_at_ms INTEGER NOT NULL,"
    " expires_at_ms INTEGER NOT NULL, labels BLOB);"
    "CREATE TABLE tie (serial INTEGER NOT NULL, place INTEGER NOT NULL, role INTEGER NOT NULL,"
    " pid INTEGER NOT NULL, inode INTEGER NOT NULL, uid INTEGER NOT NULL, comm TEXT NOT NULL,"
    " since_at_ms INTEGER NOT NULL, PRIMARY KEY (serial, place)) WITHOUT ROWID;",

    /* 2: processes are found again on kernels without pidfs, and former daemons are known */
    "ALTER TABLE tie ADD COLUMN started_at INTEGER NOT NULL DEFAULT 0;"
    "CREATE TABLE daemon (pid INTEGER NOT NULL, started_at_s INTEGER NOT NULL,"
    " PRIMARY KEY (pid, started_at_s)) WITHOUT ROWID;",

    /* 3: an older state is known for one (mark.h), and so is a record that has changed (row.h) */
    "ALTER TABLE meta ADD COLUMN commits INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE segment ADD COLUMN sum INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE tie ADD COLUMN sum INTEGER NOT NULL DEFAULT 0;",
};

enum { VERSION = sizeof(steps) / sizeof(steps[0]) };

/* The one integer that SQL gives. */
static int ask(struct store_sqlite *st, const char *sql, int64_t *ret)
{
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(st->db, sql, -1, &statement, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_step(statement);
    int r = 0;
    if (code == SQLITE_ROW)
        *ret = sqlite3_column_int64(statement, 0);
    else
        r = database_fail(st, "reading the schema", code == SQLITE_DONE ? SQLITE_CORRUPT : code);
    sqlite3_finalize(statement);
    return r;
}

static int identify(struct store_sqlite *st, int64_t *ret_version)
{
    int64_t version = 0, application = 0, tables = 0;
    int r = ask(st, "PRAGMA user_version", &version);
    if (r == 0)
        r = ask(st, "PRAGMA application_id", &application);
    if (r == 0)
        r = ask(st, "SELECT count(*) FROM sqlite_master", &tables);
    if (r != 0)
        return r;
    if (version == 0 && application == 0 && tables == 0) {
        *ret_version = 0;
        return 0;
    }
    if (application != APPLICATION_ID || version < 1) {
        snprintf(st->reason, sizeof(st->reason), "it is a database of something else");
        return -EBADMSG;
    }
    if (version > VERSION) {
        snprintf(st->reason, sizeof(st->reason),
                 "its schema is version %lld, newer than this daemon's %d", (long long)version,
                 VERSION);
        return -EBADMSG;
    }
    *ret_version = version;
    return 0;
}

int schema_migrate(struct store_sqlite *st)
{
    int64_t version;
    int r = identify(st, &version);
    if (r != 0 || version == VERSION)
        return r;
    st->is_new = version == 0;
    r = st->is_new ? mark_check(st) : 0; /* it may be one whose log is lost */
    if (r == 0)
        r = database_exec(st, "starting a transaction", "BEGIN IMMEDIATE");
    for (; r == 0 && version < VERSION; version++)
        r = database_exec(st, "bringing the schema up to date", steps[version]);
    char sql[96];
    snprintf(sql, sizeof(sql), "PRAGMA application_id = %d; PRAGMA user_version = %d",
             APPLICATION_ID, VERSION);
    if (r == 0)
        r = database_exec(st, "recording the schema's version", sql);
    if (r == 0)
        r = database_exec(st, "committing the schema", "COMMIT");
    if (r < 0)
        database_rollback(st);
    return r;
}
