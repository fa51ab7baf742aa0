/* SPDX-License-Identifier: MIT */
/*
 * Why the kernel would not: an errno of shmget() or shmctl() says little (ENOSPC is two limits and
 * no disk, ENOMEM three), so the limit that was hit is looked for and named with its numbers.
 */
#ifndef SHMD_CORE_KERNEL_REFUSAL_H
#define SHMD_CORE_KERNEL_REFUSAL_H

#include "daemon/core/core.h"

/* For a creation of ARGS that failed with R (negative): OUTCOME_LIMIT_REACHED,
 * OUTCOME_PERMISSION_DENIED, OUTCOME_INVALID_PARAMETER, or R itself when nothing explains it. */
int kernel_refusal_of_create(const struct core *core, const struct sysv_create *args, int r,
                             struct outcome_detail *ret_detail);

/* For SHM_LOCK of SIZE bytes that failed with R. */
int kernel_refusal_of_lock(const struct core *core, uint64_t size, int r,
                           struct outcome_detail *ret_detail);

/* Whether a process can attach a segment of SIZE bytes at all: 0 or OUTCOME_LIMIT_REACHED. */
int kernel_refusal_of_size(uint64_t size, struct outcome_detail *ret_detail);

#endif
