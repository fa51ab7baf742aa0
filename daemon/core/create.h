/* SPDX-License-Identifier: MIT */
/* `create`: a new segment, or the one there is, as shmget() has it. */
#ifndef SHMD_CORE_CREATE_H
#define SHMD_CORE_CREATE_H

#include "daemon/core/core.h"

/* 0 with the segment, or a named outcome; on failure nothing was done. CALLER becomes the first
 * holder where the lifetime has holders. */
int core_create(struct core *core, struct caller *caller, const struct create_params *params,
                struct found *ret, bool *ret_created, struct outcome_detail *ret_detail) MUST_CHECK;

#endif
