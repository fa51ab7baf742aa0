/* SPDX-License-Identifier: MIT */
/* `hold` and `release`: the holders of a segment, which lives as long as it has one. */
#ifndef SHMD_CORE_HOLD_H
#define SHMD_CORE_HOLD_H

#include "daemon/core/core.h"

/* CALLER holds FOUND's segment; holding it twice is holding it once. 0, OUTCOME_NOT_HOLDABLE,
 * OUTCOME_QUOTA_EXCEEDED, OUTCOME_STORE_FAILURE or a negative errno. */
int core_hold(struct core *core, struct caller *caller, struct found *found,
              struct outcome_detail *ret_detail) MUST_CHECK;

/* Whether CALLER holds SEGMENT: 1, 0 or a negative errno. */
int core_holds(struct core *core, struct caller *caller, const struct segment *segment) MUST_CHECK;

/* CALLER holds FOUND's segment no more; the segment is removed with its last holder. 0,
 * OUTCOME_NOT_HOLDABLE, OUTCOME_STORE_FAILURE or a negative errno. */
int core_release(struct core *core, struct caller *caller, struct found *found,
                 struct outcome_detail *ret_detail) MUST_CHECK;

/* The same as core_hold() where FOUND's segment has holders; else nothing is done. For the verbs
 * that find a segment and hold it in one step. */
int core_hold_if_holdable(struct core *core, struct caller *caller, struct found *found,
                          struct outcome_detail *ret_detail) MUST_CHECK;

#endif
