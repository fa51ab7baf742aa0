/* SPDX-License-Identifier: MIT */
/* `disown`: a segment leaves the daemon's care, and lives on as its creator's. */
#ifndef SHMD_CORE_DISOWN_H
#define SHMD_CORE_DISOWN_H

#include "daemon/core/core.h"

/* FOUND's segment is from now on its creator's alone, as shmget() would have made it, and FOUND is
 * a segment that is not the daemon's. 0, OUTCOME_NOT_SUPPORTED, OUTCOME_INVALID_PARAMETER,
 * OUTCOME_PERMISSION_DENIED, OUTCOME_STORE_FAILURE or a negative errno. What the daemon has made of
 * itself, for a file, only an admin may disown: nobody else could remove it then. */
int core_disown(struct core *core, const struct caller *caller, struct found *found,
                struct outcome_detail *ret_detail) MUST_CHECK;

#endif
