/* SPDX-License-Identifier: MIT */
/*
 * What the end of a segment means for its record, its ties, its charge and its name; all of it is
 * here and nothing of it elsewhere.
 */
#ifndef SHMD_CORE_REMOVAL_H
#define SHMD_CORE_REMOVAL_H

#include "daemon/core/core.h"

/* Frees a segment that never was in the registry, with all that was got for it. */
void removal_discard(struct core *core, struct segment *segment);

/*
 * Removes FOUND's segment, which was looked at in this very request: from the kernel now, from the
 * records when the last process has detached. Its name is free at once. FOUND's kernel part is
 * brought up to date. 0, or a negative errno when the kernel refused; then nothing has changed.
 */
int removal_do(struct core *core, struct found *found, enum reason reason) MUST_CHECK;

/* Before what cannot be taken back: OUTCOME_PERMISSION_DENIED when the kernel would refuse the
 * removal, else 0. */
int removal_check(const struct core *core, const struct found *found,
                  struct outcome_detail *ret_detail) MUST_CHECK;
int removal_denied(struct outcome_detail *ret_detail);

/* The part of removal_do() that follows IPC_RMID: FOUND's segment has been marked for destruction.
 */
void removal_follow(struct core *core, struct found *found, enum reason reason);

/* The record of SEGMENT as it is once its removal has begun. It borrows from SEGMENT. */
struct segment removal_record(const struct segment *segment);

/* removal_do() for a segment whose record says already that it is being removed: it cannot fail.
 * What the kernel refuses is tried again by removal_finish(). Facts have room: ledger_reserve(). */
void removal_do_recorded(struct core *core, struct found *found, enum reason reason);

/* SEGMENT's record says that it is being removed, and KERNEL shows that it has not been marked for
 * destruction: the daemon was killed in between, or the kernel had refused. */
void removal_finish(struct core *core, struct segment *segment, const struct sysv_stat *kernel);

/* SEGMENT, whose record is gone from the store, leaves the daemon's care. The kernel keeps it. */
void removal_let_go(struct core *core, struct segment *segment);

/* The kernel has no such segment any more, or another one has its shmid: the record goes. */
void removal_noticed(struct core *core, struct segment *segment, enum reason reason);

/* Why a segment is gone that the daemon has not removed. */
enum reason removal_reason_of_gone(const struct segment *segment);

/* Lets go of the anchor of an `attached` segment. When nobody else has attached it, that ends the
 * segment: its state is STATE_REMOVED then. */
void removal_release_anchor(struct core *core, struct segment *segment);
/* The same if KERNEL shows that a client has attached: whether it does. */
bool removal_release_if_attached(struct core *core, struct segment *segment,
                                 const struct sysv_stat *kernel);

/* Frees the segments that have left the registry. Nothing may point to them any more. */
void removal_bury_dead(struct core *core);

#endif
