/* SPDX-License-Identifier: MIT */
/* `adopt`: an existing segment comes under the daemon's care. */
#ifndef SHMD_CORE_ADOPT_H
#define SHMD_CORE_ADOPT_H

#include "daemon/core/core.h"

/* The creator has given the segment's `uid` to the daemon by IPC_SET before it asks. 0 with the
 * segment, or a named outcome; on failure nothing was done. */
int core_adopt(struct core *core, struct caller *caller, const struct adopt_params *params,
               struct found *ret, struct outcome_detail *ret_detail) MUST_CHECK;

#endif
