/*
 * What the files of the store share: the connection with its prepared statements, how SQLite's
 * failures become errnos and sentences, and the schema. -EBADMSG stands for a file that is no
 * good database of ours, and for nothing else.
 */
#ifndef SHMD_STORE_DATABASE_H
#define SHMD_STORE_DATABASE_H

#include <sqlite3.h>

#include "daemon/store/store_sqlite.h"

enum statement {
    STATEMENT_BEGIN,
    STATEMENT_COMMIT,
    STATEMENT_ROLLBACK,
    STATEMENT_PUT_SEGMENT,
    STATEMENT_DROP_SEGMENT,
    STATEMENT_PUT_TIE,
    STATEMENT_DROP_TIES,
    STATEMENT_PUT_META,
    STATEMENT_PUT_DAEMON,
    STATEMENT_COUNT
};

/* A record as it was read, with its ties behind it. */
struct collected {
    struct segment *segment; /* owned, until it is handed over */
    size_t first_tie, n_ties;
};

/* What opening read to see whether it is good, kept so that loading need not read it again. */
struct collection {
    bool is_valid; /* and the database still says the same */
    struct collected *segments;
    struct stored_tie *ties;
    struct store_daemon *daemons;
    size_t n_segments, n_ties, n_daemons;
};

struct store_sqlite {
    sqlite3 *db;
    int place; /* the database's file, only to see whether it is still there; -1: none */
    int mark;  /* mark.h; -1: none */
    sqlite3_stmt *statements[STATEMENT_COUNT];
    bool is_new;            /* there was nothing in it when it was opened */
    struct store_meta kept; /* as it stands in the database */
    uint64_t commits;       /* how many changed something, ever; it stands there, too */
    uint64_t highest;       /* no record has had a serial above it */
    struct collection collection;
    char reason[400]; /* why the last operation failed */
};

/* Opens PATH, which exists, and brings the database in it to the current schema: 0 or a negative
 * errno. */
int database_open(struct store_sqlite *st, const char *path) MUST_CHECK;
void database_close(struct store_sqlite *st);
/* Whether closing leaves the log as it is; else it is copied into the database. */
void database_keep_log(struct store_sqlite *st, bool on_close);
/* Prepares the statements of the current schema. */
int database_prepare(struct store_sqlite *st) MUST_CHECK;

/* The errno that is most like SQLite's CODE. */
int database_errno(sqlite3 *db, int code);
/* Says that WHAT failed as the connection's last call did; returns the errno. */
int database_fail(struct store_sqlite *st, const char *what, int code);
int database_exec(struct store_sqlite *st, const char *what, const char *sql) MUST_CHECK;
/* The first row's first column as a text: 0 with at most SIZE - 1 bytes of it, or an errno. */
int database_ask(struct store_sqlite *st, const char *what, const char *sql, char *ret,
                 size_t size) MUST_CHECK;
/* Runs a prepared statement that gives no rows. */
int database_run(struct store_sqlite *st, enum statement which) MUST_CHECK;
/* Takes back what an unfinished transaction did, if there is one. */
void database_rollback(struct store_sqlite *st);

/* Whether SQLite finds it whole: 0, -EBADMSG, or what kept it from finding out. */
int database_check(struct store_sqlite *st) MUST_CHECK;

/* Brings a database to the current version of the schema, in one transaction: -EBADMSG when it is
 * not one of ours, or newer than we know. */
int schema_migrate(struct store_sqlite *st) MUST_CHECK;

/* Whether names, shmids and keys denote one record each: 0, or -EBADMSG with a reason. */
int database_check_unique(struct store_sqlite *st) MUST_CHECK;
/* Reads everything into the collection. */
int database_collect(struct store_sqlite *st) MUST_CHECK;
/* Gives it all to VISITOR; it is empty then. 0, or what VISITOR ended it with. */
int collection_hand_over(struct collection *c, const struct store_visitor *visitor) MUST_CHECK;
void collection_deinit(struct collection *c);

/* Everything in it; -EBADMSG, with a reason, for what is not as we would have written it. */
int database_load(struct store_sqlite *st, const struct store_visitor *visitor,
                  struct store_meta *ret_meta) MUST_CHECK;

#endif
