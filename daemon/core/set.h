/* SPDX-License-Identifier: MIT */
/* `set`: another mode, owner, name, lifetime, time to live, lock or labels. */
#ifndef SHMD_CORE_SET_H
#define SHMD_CORE_SET_H

#include "daemon/core/core.h"

/* All that is given, or nothing: 0 with FOUND brought up to date, a named outcome, or a negative
 * errno. */
int core_set(struct core *core, struct caller *caller, const struct set_params *params,
             struct found *found, struct outcome_detail *ret_detail) MUST_CHECK;

/* Whether anything of FOUND would be other than it is; a time to live begins anew in any case. */
bool set_would_change(const struct set_params *params, const struct found *found);

#endif
