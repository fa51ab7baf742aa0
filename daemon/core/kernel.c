/* SPDX-License-Identifier: MIT */
#include "daemon/core/kernel.h"

#include <errno.h>

struct sight kernel_look(const struct core *core, const struct segment *segment)
{
    const struct sysv *sysv = &core->on.sysv;
    struct sight sight = {0};
    int r = sysv->ops->stat(sysv->context, segment->shmid, &sight.kernel);
    sight.verdict = verdict_of(segment, r, &sight.kernel);
    if (sight.verdict == VERDICT_INDETERMINATE)
        sight.error = r < 0 ? r : -EIO;
    return sight;
}

int kernel_put_back(const struct core *core, const struct segment *segment,
                    const struct sysv_stat *before)
{
    const struct sysv *sysv = &core->on.sysv;
    const struct sight now = kernel_look(core, segment);
    int r = 0;
    if (now.verdict == VERDICT_INDETERMINATE)
        return now.error;
    if (now.verdict == VERDICT_GONE || now.verdict == VERDICT_RECYCLED)
        return -ESTALE;
    if (now.kernel.uid != before->uid || now.kernel.gid != before->gid ||
        now.kernel.mode != before->mode)
        r = sysv->ops->set(sysv->context, segment->shmid, before->uid, before->gid, before->mode);
    if (r == 0 && now.kernel.locked != before->locked)
        r = sysv->ops->lock(sysv->context, segment->shmid, before->locked);
    return r;
}

void kernel_destroy(const struct core *core, const struct segment *segment)
{
    const struct sysv *sysv = &core->on.sysv;
    if (kernel_look(core, segment).verdict != VERDICT_MATCH)
        return;
    int r = sysv->ops->remove(sysv->context, segment->shmid);
    (void)r; /* what stays is listed as foreign */
}
