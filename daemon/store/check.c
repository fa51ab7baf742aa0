/*
 * Whether SQLite finds a database whole. Its check tells a page that it could not read, or had no
 * memory for, in the same way as one that is damaged: before a finding counts, what else it may
 * come from is ruled out.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "daemon/store/database.h"

enum { SCRATCH = 65536 };

/* Reads FILE from end to end: SQLite's code. */
static int read_through(sqlite3_file *file, char scratch[static SCRATCH])
{
    sqlite3_int64 size = 0;
    if (!file || !file->pMethods)
        return SQLITE_OK;
    int code = file->pMethods->xFileSize(file, &size);
    for (sqlite3_int64 at = 0; code == SQLITE_OK && at < size; at += SCRATCH) {
        code = file->pMethods->xRead(file, scratch, SCRATCH, at);
        if (code == SQLITE_IOERR_SHORT_READ)
            code = SQLITE_OK;
    }
    return code;
}

/* Whether there is memory, and what is stored can be read: SQLite's code. */
static int rule_out(sqlite3 *db)
{
    char *scratch = sqlite3_malloc(SCRATCH);
    if (!scratch)
        return SQLITE_NOMEM;
    static const int files[] = {SQLITE_FCNTL_FILE_POINTER, SQLITE_FCNTL_JOURNAL_POINTER};
    int code = SQLITE_OK;
    for (size_t i = 0; code == SQLITE_OK && i < sizeof(files) / sizeof(files[0]); i++) {
        sqlite3_file *file = NULL;
        code = sqlite3_file_control(db, "main", files[i], &file);
        if (code == SQLITE_OK)
            code = read_through(file, scratch);
    }
    sqlite3_free(scratch);
    return code;
}

int database_check(struct store_sqlite *st)
{
    static const char what[] = "checking";
    char found[256];
    for (int time = 0; time < 2; time++) {
        int r = database_ask(st, what, "PRAGMA quick_check(1)", found, sizeof(found));
        if (r < 0 || strcmp(found, "ok") == 0)
            return r;
        int code = rule_out(st->db);
        if (code != SQLITE_OK) {
            snprintf(st->reason, sizeof(st->reason), "%s: %s", what, sqlite3_errstr(code));
            return database_errno(st->db, code);
        }
    }
    for (char *at = found; (at = strchr(at, '\n'));)
        *at = ' ';
    snprintf(st->reason, sizeof(st->reason), "%s: %s", what, found);
    return -EBADMSG;
}
