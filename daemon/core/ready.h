/* SPDX-License-Identifier: MIT */
/* `ready`: a segment's initialiser has filled it. */
#ifndef SHMD_CORE_READY_H
#define SHMD_CORE_READY_H

#include "daemon/core/core.h"

/*
 * FOUND's segment is filled. One that waits to replace another takes the name from whichever
 * segment has it now, in the same change; its owner must have the right to remove that one, and
 * CALLER to give that name. 0, OUTCOME_PERMISSION_DENIED, OUTCOME_STORE_FAILURE or a negative
 * errno; on failure it stays as it is.
 */
int core_ready(struct core *core, const struct caller *caller, struct found *found,
               struct outcome_detail *ret_detail) MUST_CHECK;

#endif
