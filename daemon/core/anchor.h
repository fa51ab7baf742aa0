/*
 * Anchors: the daemon's own read-only attachments, which touch no page and are counted for nobody.
 *
 * An `attached` segment is marked for destruction when it is made, so that the kernel frees it at
 * the last detach, whoever still lives then. Until a client has attached, an anchor keeps it.
 *
 * Under kernel.shm_rmid_forced the kernel removes what nobody has attached; there an anchor keeps
 * every other segment for as long as the daemon lives.
 */
#ifndef SHMD_CORE_ANCHOR_H
#define SHMD_CORE_ANCHOR_H

#include <stdbool.h>

#include "daemon/sys/sysv.h"
#include "daemon/util/cleanup.h"

struct core;
struct segment;

/* Attaches: 0 or a negative errno. Nothing is done when there is an anchor. */
int anchor_take(struct core *core, struct segment *segment) MUST_CHECK;
void anchor_drop(struct core *core, struct segment *segment);

/* Watches an `attached` segment's anchor until a client has come, or the time is over: 0 or
 * -ENOMEM. */
int anchor_watch(struct core *core, struct segment *segment) MUST_CHECK;
/* It is to be `attached` no more, and never was in the store: the anchor goes unless it has another
 * use. */
void anchor_unwatch(struct core *core, struct segment *segment);

/*
 * What must be done to SEGMENT in the kernel once its lifetime is recorded, for it cannot be taken
 * back: an `attached` one is marked for destruction, another is anchored where that keeps it. What
 * fails here is done by the next sweep.
 */
void anchor_settle(struct core *core, struct segment *segment, const struct sysv_stat *kernel);

/* Lets go of an `attached` segment's anchor; when nobody else had it, the segment is gone. */
void anchor_release(struct core *core, struct segment *segment);
/* Lets go if KERNEL shows that a client has come; true when it did. */
bool anchor_release_if_attached(struct core *core, struct segment *segment,
                                const struct sysv_stat *kernel);

#endif
