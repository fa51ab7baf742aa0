#include "daemon/core/adopt.h"

#include <errno.h>
#include <string.h>

#include "daemon/core/anchor.h"
#include "daemon/core/charge.h"
#include "daemon/core/expiry.h"
#include "daemon/core/hold.h"
#include "daemon/core/lookup.h"
#include "daemon/core/set.h"

static int find(struct core *core, const struct adopt_params *p, struct found *ret,
                struct outcome_detail *detail)
{
    const struct target target = {.shmid = p->shmid, .key = p->key};
    int r = lookup_target(core, &target, ret, detail);
    if (r == OUTCOME_STALE_SEGMENT) /* the old record is dropped: now it is a foreign one */
        r = lookup_target(core, &target, ret, detail);
    if (r != 0 || !ret->segment)
        return r;
    *detail = (struct outcome_detail){.serial = ret->segment->serial,
                                      .shmid = ret->segment->shmid,
                                      .hint = "the segment is managed already"};
    return OUTCOME_SEGMENT_EXISTS;
}

static int check(struct core *core, const struct caller *caller, const struct adopt_params *p,
                 const struct sysv_stat *kernel, struct outcome_detail *detail)
{
    const struct access *a = &core->settings.access;
    struct found other;
    if (!access_may_adopt(a, caller, kernel))
        return outcome_denied(detail, "owner or creator", NULL);
    if (kernel->destroyed)
        return outcome_invalid(detail, p->shmid.given ? "shmid" : "key",
                               "the segment is marked for destruction: it goes at the last detach");
    if (a->own_uid != 0 && kernel->uid != a->own_uid && kernel->cuid != a->own_uid)
        return outcome_denied(
            detail, "the daemon as owner",
            "its creator hands the segment over first: IPC_SET its uid to the daemon's (`info` "
            "tells it); shmdctl adopt, run by the creator, does both");
    if (p->lifetime.given && p->lifetime.value == LIFETIME_ATTACHED && kernel->key != 0)
        return outcome_invalid(
            detail, "lifetime",
            "a segment with a key cannot become attached: the kernel takes its key away");
    int r = p->name ? lookup_name(core, p->name, &other) : OUTCOME_NO_SUCH_SEGMENT;
    if (r != 0)
        return r < 0 ? r : 0;
    *detail =
        (struct outcome_detail){.serial = other.segment->serial, .shmid = other.segment->shmid};
    return OUTCOME_SEGMENT_EXISTS;
}

static int fill_record(struct core *core, const struct caller *caller, const struct adopt_params *p,
                       const struct sysv_stat *kernel, struct segment *s)
{
    const struct access *a = &core->settings.access;
    /* Of a segment of our own whose record was lost the kernel's owner is who asked for it. */
    bool was_ours = kernel->cuid == a->own_uid && kernel->uid != a->own_uid;
    s->shmid = kernel->shmid;
    s->key = kernel->key;
    s->size = kernel->size;
    s->cpid = kernel->cpid;
    s->cuid = kernel->cuid;
    s->seen.uid = kernel->uid;
    s->seen.gid = kernel->gid;
    s->seen.mode = kernel->mode;
    s->seen.nattch = kernel->nattch;
    s->adopted = true;
    s->creator.uid = was_ours ? kernel->uid : kernel->cuid;
    s->creator.gid = was_ours ? kernel->gid : kernel->cgid;
    s->creator.pid = was_ours ? 0 : kernel->cpid;
    if (s->creator.pid == caller->pid)
        memcpy(s->creator.comm, caller->comm, sizeof(s->creator.comm));
    const struct caller creator = {.uid = s->creator.uid, .gid = s->creator.gid};
    s->creator.was_admin = access_is_admin(a, &creator);
    s->state = STATE_READY;
    s->lifetime = LIFETIME_PERSISTENT; /* until the caller is tied to it */
    s->created_at_ms = core_realtime_ms(core);
    if (p->name && !(s->name = strdup(p->name)))
        return -ENOMEM;
    s->n_labels = p->labels.count;
    int r = segment_copy_labels(p->labels.items, p->labels.count, &s->labels);
    return r < 0 ? r : expiry_set(core, s, expiry_after(core, p->ttl_ms.value));
}

static int take_up(struct core *core, struct caller *caller, const struct adopt_params *p,
                   struct found *found)
{
    struct segment *s = found->segment;
    int r = registry_add(&core->registry, s);
    if (r < 0)
        return r;
    if (p->lifetime.given)
        s->lifetime = (enum lifetime)p->lifetime.value;
    if (s->lifetime == LIFETIME_PROCESS || s->lifetime == LIFETIME_CONNECTION)
        r = hold_tie(core, caller, s, TIE_HOLDER);
    else if (s->lifetime == LIFETIME_ATTACHED)
        r = set_attached(core, caller, s);
    if (r < 0)
        registry_take(&core->registry, s);
    return r;
}

int core_adopt(struct core *core, struct caller *caller, const struct adopt_params *p,
               struct found *ret, struct outcome_detail *detail)
{
    struct found found;
    int r = find(core, p, &found, detail);
    if (r == 0)
        r = check(core, caller, p, &found.kernel, detail);
    if (r != 0)
        return r;
    struct segment *s = found.segment = segment_new();
    if (!s)
        return -ENOMEM;
    r = turn_remember(core, s, &found.kernel);
    if (r == 0)
        r = fill_record(core, caller, p, &found.kernel, s);
    if (r == 0)
        r = charge_segment(core, s->creator.uid, found.kernel.size, &s->charge, detail);
    if (r == 0)
        r = turn_reserve(core);
    if (r == 0)
        r = take_up(core, caller, p, &found);
    if (r != 0) {
        anchor_drop(core, s);
        deadlines_clear(&core->deadlines, &s->expiry);
        while (s->ties)
            tie_drop(&core->holders, s->ties);
        quota_release(&core->quota, &s->charge);
        turn_forget(s);
        segment_free(s);
        return r;
    }
    core_watch_segments(core);
    turn_created(core, s);
    turn_tell(core, s, &found.kernel, EVENT_ADOPTED, REASON_REQUEST);
    *ret = found;
    return 0;
}
