#include "daemon/store/database.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "daemon/store/row.h"

static const char *const texts[STATEMENT_COUNT] = {
    [STATEMENT_BEGIN] = "BEGIN IMMEDIATE",
    [STATEMENT_COMMIT] = "COMMIT",
    [STATEMENT_ROLLBACK] = "ROLLBACK",
    [STATEMENT_PUT_SEGMENT] =
        "INSERT OR REPLACE INTO segment (" SEGMENT_COLUMNS ") VALUES (" SEGMENT_PLACES ")",
    [STATEMENT_DROP_SEGMENT] = "DELETE FROM segment WHERE serial = ?",
    [STATEMENT_PUT_TIE] = "INSERT INTO tie (" TIE_COLUMNS ") VALUES (" TIE_PLACES ")",
    [STATEMENT_DROP_TIES] = "DELETE FROM tie WHERE serial = ?",
    [STATEMENT_PUT_META] = "UPDATE meta SET last_serial = ?, event_serial = ?, commits = ?",
    [STATEMENT_PUT_DAEMON] = "INSERT OR IGNORE INTO daemon (pid, started_at_s) VALUES (?, ?)",
};

static const char *const doing[STATEMENT_COUNT] = {
    [STATEMENT_BEGIN] = "starting a transaction",
    [STATEMENT_COMMIT] = "committing",
    [STATEMENT_ROLLBACK] = "taking back",
    [STATEMENT_PUT_SEGMENT] = "recording a segment",
    [STATEMENT_DROP_SEGMENT] = "removing a segment's record",
    [STATEMENT_PUT_TIE] = "recording a holder",
    [STATEMENT_DROP_TIES] = "removing holders",
    [STATEMENT_PUT_META] = "recording the counters",
    [STATEMENT_PUT_DAEMON] = "recording the daemon",
};

int database_errno(sqlite3 *db, int code)
{
    switch (code & 0xFF) {
    case SQLITE_OK: return 0;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_FORMAT:
    case SQLITE_ERROR: /* no such table or column */
    case SQLITE_SCHEMA:
    case SQLITE_CONSTRAINT:
    case SQLITE_MISMATCH:
    case SQLITE_TOOBIG: return -EBADMSG;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_PROTOCOL: return -EBUSY;
    case SQLITE_FULL: return -ENOSPC;
    case SQLITE_READONLY: return -EROFS;
    case SQLITE_NOMEM: return -ENOMEM;
    case SQLITE_PERM:
    case SQLITE_AUTH: return -EACCES;
    case SQLITE_CANTOPEN: {
        int errnum = db ? sqlite3_system_errno(db) : 0;
        return errnum > 0 ? -errnum : -EIO;
    }
    case SQLITE_IOERR: return code == SQLITE_IOERR_NOMEM ? -ENOMEM : -EIO;
    default: return -EIO;
    }
}

int database_fail(struct store_sqlite *st, const char *what, int code)
{
    int errnum = st->db ? sqlite3_system_errno(st->db) : 0;
    int base = code & 0xFF;
    bool system = errnum > 0 && (base == SQLITE_IOERR || base == SQLITE_CANTOPEN);
    snprintf(st->reason, sizeof(st->reason), "%s: %.200s%s%s", what,
             st->db ? sqlite3_errmsg(st->db) : sqlite3_errstr(code), system ? ": " : "",
             system ? strerror(errnum) : "");
    int r = database_errno(st->db, code);
    return r < 0 ? r : -EIO;
}

int database_exec(struct store_sqlite *st, const char *what, const char *sql)
{
    int code = sqlite3_exec(st->db, sql, NULL, NULL, NULL);
    return code == SQLITE_OK ? 0 : database_fail(st, what, code);
}

int database_run(struct store_sqlite *st, enum statement which)
{
    sqlite3_stmt *statement = st->statements[which];
    int code = sqlite3_step(statement);
    int r = code == SQLITE_DONE ? 0 : database_fail(st, doing[which], code);
    (void)sqlite3_reset(statement); /* gives the step's code again */
    return r;
}

void database_rollback(struct store_sqlite *st)
{
    if (sqlite3_get_autocommit(st->db))
        return;
    /* Prepared, for there may be no memory. A failure is made good by the next transaction, which
     * begins by trying again. */
    sqlite3_stmt *statement = st->statements[STATEMENT_ROLLBACK];
    if (statement) {
        (void)sqlite3_step(statement);
        (void)sqlite3_reset(statement);
    } else {
        (void)sqlite3_exec(st->db, "ROLLBACK", NULL, NULL, NULL);
    }
}

/* The first row's first column, a text: 0 with at most SIZE - 1 bytes of it, or a negative errno.
 */
int database_ask(struct store_sqlite *st, const char *what, const char *sql, char *ret, size_t size)
{
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(st->db, sql, -1, &statement, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_step(statement);
    int r = 0;
    const char *text = NULL;
    if (code != SQLITE_ROW)
        r = database_fail(st, what, code);
    else if (!(text = (const char *)sqlite3_column_text(statement, 0)))
        r = database_fail(st, what, SQLITE_NOMEM);
    else
        snprintf(ret, size, "%s", text);
    sqlite3_finalize(statement);
    return r;
}

/* SQLite opens what it may not write to for reading, and takes its header's word for it. */
static int check_writable(struct store_sqlite *st)
{
    if (sqlite3_db_readonly(st->db, "main") != 1)
        return 0;
    int errnum = access(sqlite3_db_filename(st->db, "main"), W_OK) < 0 ? errno : 0;
    snprintf(st->reason, sizeof(st->reason), "opening: it can only be read: %s",
             errnum ? strerror(errnum) : "so its header says");
    return errnum ? -errnum : -EBADMSG;
}

/* Under a lock, or where there can be none, the old mode stays in force without an error. */
static int use_log(struct store_sqlite *st)
{
    static const char what[] = "switching to a write-ahead log";
    char mode[16];
    int r = database_ask(st, what, "PRAGMA journal_mode = WAL", mode, sizeof(mode));
    if (r == 0)
        r = check_writable(st);
    if (r == 0 && strcmp(mode, "wal") != 0) {
        snprintf(st->reason, sizeof(st->reason), "%s: the mode stays \"%s\"", what, mode);
        return -EIO;
    }
    return r;
}

int database_open(struct store_sqlite *st, const char *path)
{
    int code = sqlite3_open_v2(path, &st->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
    if (code != SQLITE_OK)
        return database_fail(st, "opening", code);
    sqlite3_extended_result_codes(st->db, 1);
    database_keep_log(st, true); /* what is no good is left as it is found */
    int r = check_writable(st);
    if (r < 0)
        return r;
    /* Exclusive before anything is read: then there is never a -shm file. Cells are checked as they
     * are read, for what quick_check saw can still be damaged later. */
    r = database_exec(st, "opening",
                      "PRAGMA locking_mode = EXCLUSIVE; PRAGMA cell_size_check = ON;"
                      "PRAGMA trusted_schema = OFF; PRAGMA temp_store = MEMORY;"
                      "PRAGMA cache_size = -1024; PRAGMA synchronous = OFF;"
                      "PRAGMA page_size = 1024");
    if (r == 0)
        r = use_log(st);
    if (r == 0)
        r = database_check(st);
    if (r == 0)
        r = schema_migrate(st);
    /* Half a megabyte of log, copied back by the commit that fills it. It can grow while the disk
     * is full, and is cut later. */
    return r < 0 ? r
                 : database_exec(st, "opening",
                                 "PRAGMA wal_autocheckpoint = 512;"
                                 "PRAGMA journal_size_limit = 4194304");
}

int database_prepare(struct store_sqlite *st)
{
    for (int i = 0; i < STATEMENT_COUNT; i++) {
        int code = sqlite3_prepare_v3(st->db, texts[i], -1, SQLITE_PREPARE_PERSISTENT,
                                      &st->statements[i], NULL);
        if (code != SQLITE_OK)
            return database_fail(st, "preparing", code);
    }
    return 0;
}

void database_keep_log(struct store_sqlite *st, bool on_close)
{
    (void)sqlite3_db_config(st->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, on_close, NULL);
}

void database_close(struct store_sqlite *st)
{
    for (int i = 0; i < STATEMENT_COUNT; i++) {
        sqlite3_finalize(st->statements[i]);
        st->statements[i] = NULL;
    }
    sqlite3_close(st->db);
    st->db = NULL;
}
