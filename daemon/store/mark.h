/*
 * The number of the last commit that was acknowledged, in a file beside the database, which has the
 * number of its last commit in it.
 *
 * SQLite takes a log that was damaged, cut off or deleted for one that ends there, and goes on with
 * an older state as if nothing had been. What the daemon would then miss in its records it would
 * remove from the kernel: so an older state has to be known for one.
 */
#ifndef SHMD_STORE_MARK_H
#define SHMD_STORE_MARK_H

#include "daemon/store/database.h"

/* Opens or makes PATH for the database's mark; what it says stays. 0, or a negative errno with a
 * reason. */
int mark_open(struct store_sqlite *st, const char *path) MUST_CHECK;
void mark_close(struct store_sqlite *st);

/* Whether the database has all that was acknowledged: 0, -EBADMSG with a reason, or what kept it
 * from finding out. */
int mark_check(struct store_sqlite *st) MUST_CHECK;

/* What is committed may be acknowledged: 0, or a negative errno with a reason. After a failure the
 * mark says less than is true, which harms nobody. */
int mark_put(struct store_sqlite *st);

#endif
