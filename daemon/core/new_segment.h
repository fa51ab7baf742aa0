/* SPDX-License-Identifier: MIT */
/*
 * A segment that comes under the daemon's care, by `create` or `adopt`. All that can be lacking is
 * got first; then it is recorded; then it enters the registry, which cannot fail.
 */
#ifndef SHMD_CORE_NEW_SEGMENT_H
#define SHMD_CORE_NEW_SEGMENT_H

#include "daemon/core/core.h"

struct new_segment {
    struct segment *segment; /* owned until it has entered */
    /* Owned and not bound until then. NULL: the segment has none of the kind. */
    struct tie *of_lifetime; /* its first holder, or the process that is to attach it */
    struct tie *initialiser;
};

/*
 * Charges the creator of record, ties CALLER to the segment as its lifetime and state want it, and
 * makes room for all the rest, and for noting two facts. 0, OUTCOME_QUOTA_EXCEEDED or a negative
 * errno.
 */
int new_segment_prepare(struct core *core, struct caller *caller, struct new_segment *n,
                        struct outcome_detail *ret_detail) MUST_CHECK;

/* Gives it its serial and records it, and in the same write the end of REPLACED, whose place it
 * takes (NULL: of none). As ledger_write(). */
int new_segment_record(struct core *core, struct new_segment *n, const struct segment *replaced,
                       struct outcome_detail *ret_detail) MUST_CHECK;

/* The recorded segment, as KERNEL has it, enters the registry, and is watched. */
void new_segment_enter(struct core *core, struct new_segment *n, const struct sysv_stat *kernel);

/* It has failed: all is given back, and freed. */
void new_segment_discard(struct core *core, struct new_segment *n);

#endif
