/* SPDX-License-Identifier: MIT */
/*
 * A record's segment in the kernel. The kernel reuses shmids, so what has the shmid now may be
 * another segment: everything here compares the identity first, and touches nothing that is not
 * provably the record's.
 */
#ifndef SHMD_CORE_KERNEL_H
#define SHMD_CORE_KERNEL_H

#include "daemon/core/core.h"
#include "daemon/core/verdict.h"

/* What a look at a record's shmid has shown. */
struct sight {
    enum verdict verdict;
    int error;               /* why it is VERDICT_INDETERMINATE: a negative errno */
    struct sysv_stat kernel; /* what has the shmid; nothing when the verdict is GONE */
};

struct sight kernel_look(const struct core *core, const struct segment *segment);

/* Gives SEGMENT the owner, mode and lock of BEFORE: 0, -ESTALE when it is not the same any more, or
 * another negative errno. */
int kernel_put_back(const struct core *core, const struct segment *segment,
                    const struct sysv_stat *before) MUST_CHECK;

/* IPC_RMID of a segment that was never in an answer. One that is gone, going, or not the same any
 * more is left alone. */
void kernel_destroy(const struct core *core, const struct segment *segment);

#endif
