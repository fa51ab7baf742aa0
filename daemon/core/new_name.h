/* SPDX-License-Identifier: MIT */
/*
 * Whether a caller may give a name to a segment: the rules for create, set, adopt and ready. Each
 * returns 0 or OUTCOME_PERMISSION_DENIED; NAME may be NULL, for none; an admin may give any.
 */
#ifndef SHMD_CORE_NEW_NAME_H
#define SHMD_CORE_NEW_NAME_H

#include "daemon/core/core.h"

/* Whether NAME begins as a prefix that is reserved for others than CALLER. */
int new_name_check_prefix(const struct core *core, const struct caller *caller, const char *name,
                          struct outcome_detail *ret_detail) MUST_CHECK;

/* Whether a file declares a segment of NAME, or of KEY (0: none), which no segment has now: it was
 * removed, and the next sweep makes it again. Who opens it by that expects the daemon's. */
int new_name_check_declared(const struct core *core, const struct caller *caller, const char *name,
                            uint32_t key, struct outcome_detail *ret_detail) MUST_CHECK;

#endif
