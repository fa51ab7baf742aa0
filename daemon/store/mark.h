/*
 * How far the database's log reached when the last commit was acknowledged, in a file beside it.
 *
 * SQLite takes a log that was damaged, cut off or deleted for one that ends there, and goes on with
 * an older state as if nothing had been. What the daemon would then miss in its records it would
 * remove from the kernel: so an older state has to be known for one.
 */
#ifndef SHMD_STORE_MARK_H
#define SHMD_STORE_MARK_H

#include <stdint.h>

#include "daemon/store/database.h"

/* Opens or makes PATH for the database's mark; what it says stays. 0 or a negative errno. */
int mark_open(struct store_sqlite *st, const char *path) MUST_CHECK;
void mark_close(struct store_sqlite *st);

/* Whether the log holds all that the mark tells of: 0, -EBADMSG with a reason, or what kept it from
 * finding out. MUST_BE_THERE: a mark that was not written yet is no good either. */
int mark_check(struct store_sqlite *st, bool must_be_there) MUST_CHECK;

/* All that was committed is in the database itself: 0 or a negative errno. */
int mark_reset(struct store_sqlite *st) MUST_CHECK;

/* Follows the log from now on, and keeps it short. */
void mark_follow(struct store_sqlite *st);

/* The log reaches as far as the last commit left it. Where that cannot be written the mark is
 * spoilt: the next start will not trust the records, and loses nothing else by it. */
void mark_put(struct store_sqlite *st);

#endif
