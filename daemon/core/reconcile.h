/* SPDX-License-Identifier: MIT */
/*
 * A sweep compares the records with the kernel: at the start, periodically, and when a reload asks
 * for it. At the start there is one thing more: a segment that a former daemon was about to create.
 * Doubt never removes anything.
 */
#ifndef SHMD_CORE_RECONCILE_H
#define SHMD_CORE_RECONCILE_H

#include "daemon/core/core.h"

/* One look at every record and at kernel.shm_rmid_forced, however long it takes: for the start. A
 * segment that needs an anchor gets it; attachments and detachments since the last sweep become
 * events. */
void reconcile_sweep(struct core *core, struct sweep_result *ret);

/* Asks for a sweep in parts. It begins now, or behind the one that is under way, which has passed
 * some records already; sweep.swept is told what it found. */
void reconcile_ask(struct core *core);

/* A sweep in parts, periodic or asked for. */
bool reconcile_is_under_way(const struct core *core);
void reconcile_go_on(struct core *core);

/* Somebody subscribes to what only a sweep finds, or does so no more: while there is one, a sweep
 * comes every 200 ms. */
void reconcile_listen(struct core *core);
void reconcile_unlisten(struct core *core);

/* Sees to it that a sweep is due while there are segments: to be called when there is a new one. */
void reconcile_watch(struct core *core);

/*
 * Removes the one segment that a former daemon made and nobody was told of: it ended between
 * shmget() and the record. Such a segment is nobody's record, nobody has it attached, our uid and
 * the pid of INTENT made it with INTENT's key and size, and it is not older than INTENT. When
 * several are like this, none of them is touched.
 */
void reconcile_unacknowledged(struct core *core, const struct store_intent *intent,
                              struct unacknowledged *ret);

#endif
