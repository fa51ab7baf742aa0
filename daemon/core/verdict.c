/* SPDX-License-Identifier: MIT */
#include "daemon/core/verdict.h"

#include <errno.h>

enum verdict verdict_of(const struct segment *segment, int r, const struct sysv_stat *kernel)
{
    if (r == -ENOENT)
        return VERDICT_GONE;
    if (r < 0)
        return VERDICT_INDETERMINATE;
    if (kernel->shmid != segment->shmid || kernel->cuid != segment->cuid ||
        kernel->size != segment->size)
        return VERDICT_RECYCLED;
    /* Only the mark for destruction takes a key away. */
    if (segment->is_unnumbered && kernel->key != segment->key && !kernel->destroyed)
        return VERDICT_RECYCLED;
    if (!segment->is_unnumbered && kernel->cpid != segment->cpid)
        /* 0: the creator's pid has no number here, as when the daemon's pid namespace is new. */
        return kernel->cpid == 0 ? VERDICT_INDETERMINATE : VERDICT_RECYCLED;
    bool expected = segment->lifetime == LIFETIME_ATTACHED || segment->state == STATE_REMOVING;
    return kernel->destroyed && !expected ? VERDICT_DYING : VERDICT_MATCH;
}
