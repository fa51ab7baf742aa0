#include "daemon/core/lookup.h"

#include <errno.h>

#include "daemon/core/anchor.h"
#include "daemon/core/removal.h"
#include "daemon/core/verdict.h"

int lookup_verify(struct core *core, struct segment *segment, struct sysv_stat *ret)
{
    const struct sysv *sysv = &core->on.sysv;
    struct found found = {.segment = segment};
    int r = sysv->ops->stat(sysv->context, segment->shmid, &found.kernel);
    switch (verdict_of(segment, r, &found.kernel)) {
    case VERDICT_MATCH: break;
    case VERDICT_GONE:
        removal_noticed(core, segment, removal_reason_of_gone(segment));
        return OUTCOME_NO_SUCH_SEGMENT;
    case VERDICT_RECYCLED:
        removal_noticed(core, segment, REASON_RECYCLED);
        return OUTCOME_STALE_SEGMENT;
    case VERDICT_DYING:
        removal_begun_elsewhere(core, &found);
        if (segment->state == STATE_REMOVED)
            return OUTCOME_NO_SUCH_SEGMENT;
        break;
    case VERDICT_INDETERMINATE: return r < 0 ? r : -EIO;
    }
    segment->seen.uid = found.kernel.uid;
    segment->seen.gid = found.kernel.gid;
    segment->seen.mode = found.kernel.mode;
    if (anchor_release_if_attached(core, segment, &found.kernel)) {
        if (segment->state == STATE_REMOVED)
            return OUTCOME_NO_SUCH_SEGMENT;
        found.kernel.nattch--;
    }
    *ret = found.kernel;
    return 0;
}

/* Also when it fails RET's segment is the record that was looked at. */
static int look(struct core *core, struct segment *segment, struct found *ret)
{
    if (!segment)
        return OUTCOME_NO_SUCH_SEGMENT;
    ret->segment = segment;
    return lookup_verify(core, segment, &ret->kernel);
}

int lookup_name(struct core *core, const char *name, struct found *ret)
{
    struct segment *segment = registry_by_name(&core->registry, name);
    int r = look(core, segment, ret);
    /* Somebody removed it just now: it is attached still, and has no name any more. */
    return r == 0 && segment->state == STATE_REMOVING ? OUTCOME_NO_SUCH_SEGMENT : r;
}

int lookup_key(struct core *core, uint32_t key, struct found *ret)
{
    struct segment *segment = registry_by_key(&core->registry, key);
    int r = look(core, segment, ret);
    return r == 0 && segment->state == STATE_REMOVING ? OUTCOME_NO_SUCH_SEGMENT : r;
}

static int find_shmid(struct core *core, int32_t shmid, struct found *ret)
{
    const struct sysv *sysv = &core->on.sysv;
    struct segment *segment = registry_by_shmid(&core->registry, shmid);
    if (segment)
        return look(core, segment, ret);
    int r = sysv->ops->stat(sysv->context, shmid, &ret->kernel);
    if (r < 0)
        return r == -ENOENT ? OUTCOME_NO_SUCH_SEGMENT : r;
    ret->segment = NULL;
    return 0;
}

static int find_key(struct core *core, uint32_t key, struct found *ret)
{
    const struct sysv *sysv = &core->on.sysv;
    int r = lookup_key(core, key, ret);
    if (r <= 0)
        return r;
    int32_t shmid;
    r = sysv->ops->find(sysv->context, key, &shmid);
    if (r < 0)
        return r == -ENOENT ? OUTCOME_NO_SUCH_SEGMENT : r;
    return find_shmid(core, shmid, ret);
}

/* What TARGET's serial beside another denotes must be what the other does. */
static int check_guard(struct core *core, const struct target *target, int r,
                       const struct found *found, struct outcome_detail *detail)
{
    uint64_t serial = (uint64_t)target->serial.value;
    if (!target->serial.given || r < 0)
        return r;
    if (r == 0 ? found->segment && found->segment->serial == serial
               : !registry_by_serial(&core->registry, serial))
        return r;
    *detail = (struct outcome_detail){.serial = serial};
    return OUTCOME_STALE_SEGMENT;
}

int lookup_target(struct core *core, const struct target *target, struct found *ret,
                  struct outcome_detail *detail)
{
    struct found found = {0};
    int r;
    if (target->name) {
        r = lookup_name(core, target->name, &found);
    } else if (target->shmid.given) {
        r = find_shmid(core, (int32_t)target->shmid.value, &found);
    } else if (target->key.given) {
        r = find_key(core, (uint32_t)target->key.value, &found);
    } else {
        struct segment *segment =
            registry_by_serial(&core->registry, (uint64_t)target->serial.value);
        r = look(core, segment, &found);
    }
    *detail = (struct outcome_detail){0};
    if (r == OUTCOME_STALE_SEGMENT)
        detail->serial = found.segment->serial;
    else
        r = check_guard(core, target, r, &found, detail);
    if (r == 0)
        *ret = found;
    return r;
}
