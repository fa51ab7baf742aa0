/* SPDX-License-Identifier: MIT */
/* `remove`. */
#ifndef SHMD_CORE_REMOVE_H
#define SHMD_CORE_REMOVE_H

#include "daemon/core/core.h"

/* 0, OUTCOME_SEGMENT_BUSY, OUTCOME_PERMISSION_DENIED, OUTCOME_STORE_FAILURE (of an `attached`
 * segment that is in use) or a negative errno. FOUND's kernel part is brought up to date. */
int core_remove(struct core *core, const struct remove_params *params, struct found *found,
                struct outcome_detail *ret_detail) MUST_CHECK;

#endif
