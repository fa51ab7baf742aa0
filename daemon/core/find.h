/* SPDX-License-Identifier: MIT */
/*
 * The segment that a request means, as it is now. Each look may show that a segment has ended
 * behind the daemon's back: then what that means is done first, and the segment is not found.
 */
#ifndef SHMD_CORE_FIND_H
#define SHMD_CORE_FIND_H

#include "daemon/core/core.h"
#include "protocol/params.h"

/*
 * Looks at SEGMENT once more. 0; or, when the record's segment has ended and the record is gone
 * too, OUTCOME_NO_SUCH_SEGMENT (it is gone) or OUTCOME_STALE_SEGMENT (another segment has its
 * shmid); or a negative errno when the kernel did not tell, and the record stays. SEGMENT itself is
 * there until the turn ends.
 */
int find_again(struct core *core, struct segment *segment, struct sysv_stat *ret) MUST_CHECK;

/* The managed segment that has NAME, or KEY: as find_again(), and OUTCOME_NO_SUCH_SEGMENT when
 * there is none. */
int find_name(struct core *core, const char *name, struct found *ret) MUST_CHECK;
int find_key(struct core *core, uint32_t key, struct found *ret) MUST_CHECK;

/* The segment that TARGET denotes, managed or not. 0, OUTCOME_NO_SUCH_SEGMENT,
 * OUTCOME_STALE_SEGMENT or a negative errno. */
int find_target(struct core *core, const struct target *target, struct found *ret,
                struct outcome_detail *ret_detail) MUST_CHECK;

/* OUTCOME_PERMISSION_DENIED, for CALLER may not read FOUND's segment. */
int find_unreadable(const struct core *core, const struct caller *caller, const struct found *found,
                    struct outcome_detail *ret_detail);

/* OUTCOME_SEGMENT_EXISTS, for FOUND's segment is in CALLER's way. Which segment it is, is for those
 * who may read it. HINT may be NULL. */
int find_exists(const struct core *core, const struct caller *caller, const struct found *found,
                const char *hint, struct outcome_detail *ret_detail);

#endif
