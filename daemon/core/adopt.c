/* SPDX-License-Identifier: MIT */
#include "daemon/core/adopt.h"

#include <errno.h>
#include <string.h>

#include "daemon/core/anchor.h"
#include "daemon/core/charge.h"
#include "daemon/core/ends.h"
#include "daemon/core/find.h"
#include "daemon/core/kernel.h"
#include "daemon/core/kernel_refusal.h"
#include "daemon/core/new_name.h"
#include "daemon/core/new_segment.h"
#include "daemon/core/segment_charge.h"

static int find(struct core *core, const struct caller *caller, const struct adopt_params *p,
                struct found *ret, struct outcome_detail *detail)
{
    const struct target target = {.shmid = p->shmid, .key = p->key};
    int r = find_target(core, &target, ret, detail);
    if (r == OUTCOME_STALE_SEGMENT) /* the old record is gone: now it is a foreign segment */
        r = find_target(core, &target, ret, detail);
    if (r != 0 || !ret->segment)
        return r;
    if (!access_may_change(&core->settings.access, caller, ret->segment, &ret->kernel))
        return outcome_denied(detail, "owner or creator", NULL);
    /* Which segment it is, is for those who may read it. */
    if (!access_may_read(&core->settings.access, caller, &ret->kernel))
        return find_unreadable(core, caller, ret, detail);
    *detail = (struct outcome_detail){.serial = ret->segment->serial,
                                      .shmid = ret->segment->shmid,
                                      .hint = "shmd manages it, so there is nothing to adopt"};
    return OUTCOME_SEGMENT_EXISTS;
}

static int check_attached(const struct adopt_params *p, const struct sysv_stat *kernel,
                          struct outcome_detail *detail)
{
    if (!p->lifetime.given || p->lifetime.value != LIFETIME_ATTACHED)
        return 0;
    if (kernel->key != 0)
        return outcome_invalid(
            detail, "lifetime",
            "a segment with a key cannot become attached: the kernel takes its key away");
    if (!(kernel->mode & 0400))
        return outcome_invalid(detail, "lifetime",
                               "an attached segment needs read permission for its owner: set its "
                               "mode first");
    return 0;
}

/* No other record may have the name or the key. One whose segment is gone goes by the look. */
static int check_names(struct core *core, const struct caller *caller, const struct adopt_params *p,
                       const struct sysv_stat *kernel, struct outcome_detail *detail)
{
    struct found other;
    int r = p->name ? find_name(core, p->name, &other) : OUTCOME_NO_SUCH_SEGMENT;
    if (r > 0 && kernel->key != 0)
        r = find_key(core, kernel->key, &other);
    if (r > 0)
        return new_name_check_declared(core, caller, p->name, 0, detail);
    return r < 0 ? r : find_exists(core, caller, &other, NULL, detail);
}

static int check(struct core *core, const struct caller *caller, const struct adopt_params *p,
                 const struct sysv_stat *kernel, struct outcome_detail *detail)
{
    const struct access *a = &core->settings.access;
    if (!access_may_adopt(a, caller, kernel))
        return outcome_denied(detail, "owner or creator", NULL);
    if (kernel->destroyed)
        return outcome_invalid(detail, p->shmid.given ? "shmid" : "key",
                               "the segment is marked for destruction: it goes at the last detach");
    if (!access_daemon_may_change(a, kernel))
        return outcome_denied(
            detail, "the daemon as owner",
            "its creator hands the segment over first: IPC_SET its uid to the daemon's (`info` "
            "tells it); shmdctl adopt, run by the creator, does both");
    int r = kernel_refusal_of_size(kernel->size, detail);
    if (r == 0)
        r = check_attached(p, kernel, detail);
    if (r == 0)
        r = new_name_check_prefix(core, caller, p->name, detail);
    if (r != 0)
        return r;
    return check_names(core, caller, p, kernel, detail);
}

static int fill_record(struct core *core, const struct caller *caller, const struct adopt_params *p,
                       const struct sysv_stat *kernel, struct segment *s)
{
    const struct access *a = &core->settings.access;
    /* The daemon made it and its record was lost: its owner is the client that asked for it. */
    bool was_ours = kernel->cuid == a->own_uid && kernel->uid != a->own_uid;
    s->shmid = kernel->shmid;
    s->key = kernel->key;
    s->size = kernel->size;
    s->cpid = kernel->cpid;
    s->cuid = kernel->cuid;
    s->seen.uid = kernel->uid;
    s->seen.gid = kernel->gid;
    s->seen.mode = kernel->mode;
    s->adopted = true;
    s->creator.uid = was_ours ? kernel->uid : kernel->cuid;
    s->creator.gid = was_ours ? kernel->gid : kernel->cgid;
    s->creator.pid = was_ours ? 0 : kernel->cpid;
    if (s->creator.pid == caller->pid)
        memcpy(s->creator.comm, caller->comm, sizeof(s->creator.comm));
    /* Only what the kernel keeps for ever says who made it: the owner can set everything else. */
    s->creator.was_admin = !was_ours && kernel->cuid == 0;
    s->state = STATE_READY;
    s->lifetime = p->lifetime.given ? (enum lifetime)p->lifetime.value : LIFETIME_PERSISTENT;
    s->created_at_ms = core_realtime_ms(core);
    s->ttl_ms = p->ttl_ms.value;
    s->expires_at_ms = ends_after(core, s->ttl_ms);
    if (p->name && !(s->name = strdup(p->name)))
        return -ENOMEM;
    s->n_labels = p->labels.count;
    return segment_copy_labels(p->labels.items, p->labels.count, &s->labels);
}

int core_adopt(struct core *core, struct caller *caller, const struct adopt_params *p,
               struct found *ret, struct outcome_detail *detail)
{
    struct found found;
    int r = find(core, caller, p, &found, detail);
    if (r == 0)
        r = check(core, caller, p, &found.kernel, detail);
    if (r != 0)
        return r;
    struct segment *s = found.segment = segment_new();
    struct new_segment n = {.segment = s};
    if (!s)
        return -ENOMEM;
    r = fill_record(core, caller, p, &found.kernel, s);
    if (r == 0)
        r = new_segment_prepare(core, caller, &n, detail);
    if (r == 0 && s->lifetime == LIFETIME_ATTACHED)
        r = charge_anchor(core, caller, s, detail);
    if (r == 0 && s->lifetime == LIFETIME_ATTACHED)
        r = anchor_take(core, s, detail);
    if (r == 0)
        r = new_segment_record(core, &n, NULL, detail);
    if (r != 0) {
        new_segment_discard(core, &n);
        return r;
    }
    segment_charge_follow_lock(&core->quota, s, found.kernel.locked);
    anchor_follow_lifetime(core, s, &found.kernel);
    if (s->anchor) {
        /* The anchor is left out of the count, so the count must have it. */
        const struct sight now = kernel_look(core, s);
        if (now.verdict == VERDICT_MATCH)
            found.kernel = now.kernel;
    }
    new_segment_enter(core, &n, &found.kernel);
    news_add(core, s, &found.kernel, EVENT_ADOPTED, REASON_REQUEST);
    *ret = found;
    return 0;
}
