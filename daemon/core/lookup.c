/* SPDX-License-Identifier: MIT */
#include "daemon/core/lookup.h"

#include <errno.h>

struct looked_up lookup_record(const struct core *core, struct segment *record)
{
    struct looked_up found = {.segment = record};
    if (record)
        found.sight = kernel_look(core, record);
    else
        found.sight.verdict = VERDICT_GONE;
    return found;
}

struct looked_up lookup_name(const struct core *core, const char *name)
{
    return lookup_record(core, registry_by_name(&core->registry, name));
}

struct looked_up lookup_key(const struct core *core, uint32_t key)
{
    return lookup_record(core, registry_by_key(&core->registry, key));
}

/* Of a segment that is not managed: the result R of asking the kernel. */
static enum verdict foreign_verdict(int r)
{
    return r == 0 ? VERDICT_MATCH : r == -ENOENT ? VERDICT_GONE : VERDICT_INDETERMINATE;
}

static struct looked_up lookup_shmid(const struct core *core, int32_t shmid)
{
    const struct sysv *sysv = &core->on.sysv;
    struct looked_up found = {.segment = registry_by_shmid(&core->registry, shmid)};
    if (found.segment)
        return lookup_record(core, found.segment);
    int r = sysv->ops->stat(sysv->context, shmid, &found.sight.kernel);
    found.sight.verdict = foreign_verdict(r);
    found.sight.error = r;
    return found;
}

/* By what the records have; else by what the kernel has. */
static struct looked_up lookup_any_key(const struct core *core, uint32_t key)
{
    const struct sysv *sysv = &core->on.sysv;
    int32_t shmid;
    struct looked_up found = lookup_key(core, key);
    if (found.segment)
        return found;
    int r = sysv->ops->find(sysv->context, key, &shmid);
    if (r == 0)
        return lookup_shmid(core, shmid);
    found.sight.verdict = foreign_verdict(r);
    found.sight.error = r;
    return found;
}

struct looked_up lookup_target(const struct core *core, const struct target *target)
{
    if (target->name)
        return lookup_name(core, target->name);
    if (target->shmid.given)
        return lookup_shmid(core, (int32_t)target->shmid.value);
    if (target->key.given)
        return lookup_any_key(core, (uint32_t)target->key.value);
    return lookup_record(core, registry_by_serial(&core->registry, (uint64_t)target->serial.value));
}
