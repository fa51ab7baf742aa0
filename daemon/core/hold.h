/*
 * Who keeps a segment: `hold`, `release`, and `ready`, by which its initialiser lets go of it.
 */
#ifndef SHMD_CORE_HOLD_H
#define SHMD_CORE_HOLD_H

#include "daemon/core/core.h"

/* Ties SEGMENT to CALLER - to the connection when the lifetime is that and the role is to hold,
 * else to the process. 0 or a negative errno. */
int hold_tie(struct core *core, struct caller *caller, struct segment *segment,
             enum tie_role role) MUST_CHECK;

/* CALLER holds FOUND's segment; once more is no more. 0, OUTCOME_NOT_HOLDABLE,
 * OUTCOME_QUOTA_EXCEEDED or a negative errno. */
int core_hold(struct core *core, struct caller *caller, struct found *found,
              struct outcome_detail *ret_detail) MUST_CHECK;

/* Whether CALLER holds SEGMENT: 1, 0 or a negative errno. */
int core_holds(struct core *core, struct caller *caller, const struct segment *segment) MUST_CHECK;

/* CALLER holds it no more; the segment goes with its last holder. 0, OUTCOME_NOT_HOLDABLE or a
 * negative errno. */
int core_release(struct core *core, struct caller *caller, struct found *found,
                 struct outcome_detail *ret_detail) MUST_CHECK;

/* The segment is filled: 0 or a negative errno. */
int core_ready(struct core *core, struct found *found) MUST_CHECK;

#endif
