/*
 * Records to rows and back. What is written passes the same checks as what is read: nothing can be
 * stored that would make the next start take the database for corrupt.
 *
 * The last column is a sum of the others: SQLite does not see that a number has changed, and a
 * record that denotes another segment is one that is missed. 0, of older schemas, is none.
 */
#ifndef SHMD_STORE_ROW_H
#define SHMD_STORE_ROW_H

#include <sqlite3.h>

#include "daemon/core/store.h"
#include "daemon/util/cleanup.h"

/* The columns, in the order in which rows are written and read. */
#define SEGMENT_COLUMNS                                                                            \
    "serial, name, key, shmid, cpid, cuid, size, creator_uid, creator_gid, creator_pid, "          \
    "creator_comm, creator_was_admin, state, lifetime, noreserve, adopted, huge_page_size, "       \
    "created_at_ms, expires_at_ms, labels, sum"
#define SEGMENT_PLACES "?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?"
#define TIE_COLUMNS    "serial, place, role, pid, inode, started_at, uid, comm, since_at_ms, sum"
#define TIE_PLACES     "?,?,?,?,?,?,?,?,?,?"

/* NULL, or what is wrong with a record; static. */
const char *row_check_segment(const struct segment *segment);
const char *row_check_tie(const struct stored_tie *tie);

/* SQLite's code. LABELS_ROOM is used until the statement has run. */
enum { ROW_LABELS_MAX = SEGMENT_LABELS_MAX * (LABEL_KEY_MAX + LABEL_VALUE_MAX + 2) };
int row_bind_segment(sqlite3_stmt *statement, const struct segment *segment,
                     char labels_room[static ROW_LABELS_MAX]) MUST_CHECK;
int row_bind_tie(sqlite3_stmt *statement, uint64_t serial, size_t place,
                 const struct stored_tie *tie) MUST_CHECK;

/* The row that STATEMENT is at: 0, -ENOMEM, or -EBADMSG with RET_WHY (static). */
int row_read_segment(sqlite3_stmt *statement, struct segment **ret,
                     const char **ret_why) MUST_CHECK;
int row_read_tie(sqlite3_stmt *statement, struct stored_tie *ret, const char **ret_why) MUST_CHECK;
/* Column COLUMN if it is an integer from MIN to MAX. */
bool row_read_int(sqlite3_stmt *statement, int column, int64_t min, int64_t max, int64_t *ret);

#endif
