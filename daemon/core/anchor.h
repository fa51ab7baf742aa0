/* SPDX-License-Identifier: MIT */
/*
 * Anchors: the daemon's own read-only attachments, which touch no page and do not count in any
 * answer.
 *
 * An `attached` segment is marked for destruction when it is made, so that the kernel frees it at
 * the last detach, also when the daemon is dead. Until a client has attached, an anchor keeps it.
 *
 * Under kernel.shm_rmid_forced the kernel removes what nobody has attached; there an anchor keeps
 * every other segment for as long as the daemon lives.
 */
#ifndef SHMD_CORE_ANCHOR_H
#define SHMD_CORE_ANCHOR_H

#include "daemon/core/outcome.h"
#include "daemon/sys/sysv.h"
#include "daemon/util/cleanup.h"

struct core;
struct segment;

/* Attaches, and charges SEGMENT for it unless that is done: 0, OUTCOME_QUOTA_EXCEEDED with
 * RET_DETAIL, or a negative errno. Nothing is done when there is an anchor. */
int anchor_take(struct core *core, struct segment *segment,
                struct outcome_detail *ret_detail) MUST_CHECK;
/* Takes another in the place of the one that SEGMENT has: what the kernel has noted since then
 * shows whether a client has come. 0 or a negative errno; on failure the old one stays. */
int anchor_renew(struct core *core, struct segment *segment) MUST_CHECK;
/* Detaches, and waits for no client any more. */
void anchor_drop(struct core *core, struct segment *segment);
/* The same of a segment that stays as it is: that the daemon has detached it is told nobody. 0 with
 * RET, as it is then, or a negative errno. */
int anchor_let_go(struct core *core, struct segment *segment, struct sysv_stat *ret) MUST_CHECK;

/*
 * Does to SEGMENT in the kernel what can only follow the record of its lifetime, for it cannot be
 * taken back: an `attached` one is marked for destruction, another is anchored where it needs that.
 * KERNEL was looked at just now. What fails here is done by the next sweep.
 */
void anchor_follow_lifetime(struct core *core, struct segment *segment,
                            const struct sysv_stat *kernel);

#endif
