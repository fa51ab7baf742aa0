#include "daemon/core/set.h"

#include <errno.h>
#include <string.h>

#include "daemon/core/anchor.h"
#include "daemon/core/expiry.h"
#include "daemon/core/hold.h"
#include "daemon/core/kernel_refusal.h"
#include "daemon/core/lookup.h"

static int not_supported(struct outcome_detail *detail, const char *what)
{
    *detail = (struct outcome_detail){.what = what};
    return OUTCOME_NOT_SUPPORTED;
}

static int check_owner(const struct core *core, const struct caller *caller,
                       const struct set_params *p, const struct segment *s,
                       struct outcome_detail *detail)
{
    const struct access *a = &core->settings.access;
    if (p->uid.given && !access_may_give_uid(a, caller, (uint32_t)p->uid.value))
        return outcome_denied(detail, "admin", "only an admin may give a segment to another uid");
    if (p->gid.given && !access_may_give_gid(a, caller, (uint32_t)p->gid.value))
        return outcome_denied(detail, "admin", "only an admin may use a group that is not his own");
    if (p->uid.given && s->adopted && a->own_uid != 0)
        return not_supported(detail, "another uid for an adopted segment: the daemon owns it so as "
                                     "to manage it");
    return 0;
}

static int check_lifetime(const struct set_params *p, const struct found *found,
                          struct outcome_detail *detail)
{
    const struct segment *s = found->segment;
    if (!p->lifetime.given || (enum lifetime)p->lifetime.value == s->lifetime)
        return 0;
    if (s->lifetime == LIFETIME_ATTACHED)
        return not_supported(detail, "another lifetime for an attached segment: the kernel will "
                                     "free it at the last detach, come what may");
    if ((enum lifetime)p->lifetime.value != LIFETIME_ATTACHED)
        return 0;
    if (s->key != 0)
        return outcome_invalid(detail, "lifetime",
                               "a segment with a key cannot become attached: the "
                               "kernel takes its key away");
    uint32_t mode = p->mode.given ? (uint32_t)p->mode.value : found->kernel.mode;
    if (!(mode & 0400))
        return outcome_invalid(detail, "mode",
                               "an attached segment needs read permission for its owner");
    return 0;
}

static int check_name(struct core *core, const struct set_params *p, const struct segment *s,
                      struct outcome_detail *detail)
{
    struct found other;
    if (!p->new_name || (s->name && strcmp(p->new_name, s->name) == 0))
        return 0;
    int r = lookup_name(core, p->new_name, &other);
    if (r != 0)
        return r < 0 ? r : 0;
    *detail =
        (struct outcome_detail){.serial = other.segment->serial, .shmid = other.segment->shmid};
    return OUTCOME_SEGMENT_EXISTS;
}

static int check(struct core *core, const struct caller *caller, const struct set_params *p,
                 const struct found *found, struct outcome_detail *detail)
{
    if (found->segment->state == STATE_REMOVING && (p->new_name || p->lifetime.given))
        return outcome_invalid(detail, p->new_name ? "new_name" : "lifetime",
                               "the segment is being removed: it goes at the last detach");
    int r = check_owner(core, caller, p, found->segment, detail);
    if (r == 0)
        r = check_lifetime(p, found, detail);
    if (r == 0)
        r = check_name(core, p, found->segment, detail);
    return r;
}

/* What is in the kernel. On failure it is as it was. */
static int set_kernel(struct core *core, const struct set_params *p, struct found *found,
                      struct outcome_detail *detail)
{
    const struct sysv *sysv = &core->on.sysv;
    const struct sysv_stat before = found->kernel;
    struct sysv_stat *k = &found->kernel;
    bool owner = p->mode.given || p->uid.given || p->gid.given;
    int r = 0;
    if (p->locked.given && p->locked.value != before.locked) {
        r = sysv->ops->lock(sysv->context, k->shmid, p->locked.value);
        if (r == -EPERM && !p->locked.value)
            return outcome_denied(detail, "CAP_IPC_LOCK",
                                  "the daemon may not unlock what root locked");
        if (r == -ENOENT)
            return OUTCOME_NO_SUCH_SEGMENT;
        if (r < 0)
            return kernel_refusal_of_lock(core, k->size, r, detail);
        k->locked = p->locked.value;
    }
    if (owner) {
        k->uid = p->uid.given ? (uint32_t)p->uid.value : k->uid;
        k->gid = p->gid.given ? (uint32_t)p->gid.value : k->gid;
        k->mode = p->mode.given ? (uint32_t)p->mode.value : k->mode;
        r = sysv->ops->set(sysv->context, k->shmid, k->uid, k->gid, k->mode);
    }
    if (r == 0)
        return 0;
    if (k->locked != before.locked && sysv->ops->lock(sysv->context, k->shmid, before.locked) < 0)
        k->locked = !before.locked; /* nothing more can be done; the answer is the error */
    if (r == -EPERM || r == -EACCES)
        return outcome_denied(detail, "the daemon as owner",
                              "the segment's creator has taken it back");
    return r == -ENOENT ? OUTCOME_NO_SUCH_SEGMENT : r;
}

/* For a failure R after the kernel's part: returns R, or -EIO when that could not be undone. */
static int set_kernel_back(const struct sysv *sysv, const struct sysv_stat *before,
                           const struct sysv_stat *now, int r)
{
    int back = sysv->ops->set(sysv->context, before->shmid, before->uid, before->gid, before->mode);
    if (back == 0 && now->locked != before->locked)
        back = sysv->ops->lock(sysv->context, before->shmid, before->locked);
    return back < 0 ? -EIO : r;
}

int set_attached(struct core *core, struct caller *caller, struct segment *segment)
{
    int r = hold_tie(core, caller, segment, TIE_ATTACHER);
    if (r == 0)
        r = anchor_watch(core, segment);
    return r < 0 ? r : anchor_take(core, segment);
}

/* The new lifetime with its ties. The old ones are cut when nothing can fail any more. */
static int begin_lifetime(struct core *core, struct caller *caller, enum lifetime lifetime,
                          struct segment *s)
{
    s->lifetime = lifetime;
    if (lifetime == LIFETIME_ATTACHED)
        return set_attached(core, caller, s);
    return lifetime == LIFETIME_PERSISTENT ? 0 : hold_tie(core, caller, s, TIE_HOLDER);
}

static void take_lifetime_back(struct core *core, struct segment *s, enum lifetime before,
                               const struct tie *first_old)
{
    if (s->lifetime == LIFETIME_ATTACHED)
        anchor_unwatch(core, s);
    s->lifetime = before;
    while (s->ties != first_old)
        tie_drop(&core->holders, s->ties);
}

static void cut_holders(struct core *core, struct tie *first)
{
    for (struct tie *tie = first, *next; tie; tie = next) {
        next = tie->next_of_segment;
        if (tie->role == TIE_HOLDER)
            turn_cut(core, tie);
    }
}

/* What is in the record; all memory has been got, so that nothing fails after the kernel's part. */
struct prepared {
    char *name;
    struct label *labels;
};

static int prepare(struct core *core, const struct set_params *p, struct found *found,
                   struct prepared *ret)
{
    struct segment *s = found->segment;
    struct prepared made = {0};
    int r = turn_reserve(core);
    if (r == 0)
        r = turn_remember(core, s, &found->kernel);
    if (r == 0 && p->new_name && (!s->name || strcmp(p->new_name, s->name) != 0)) {
        made.name = strdup(p->new_name);
        r = made.name ? 0 : -ENOMEM;
    }
    if (r == 0 && p->labels.given)
        r = segment_copy_labels(p->labels.items, p->labels.count, &made.labels);
    if (r < 0) {
        free(made.name);
        free(made.labels);
        turn_forget(s);
        return r;
    }
    *ret = made;
    return 0;
}

static int set_record(struct core *core, struct caller *caller, const struct set_params *p,
                      struct segment *s, struct prepared *prepared)
{
    const int64_t old_expiry = s->expires_at_ms;
    const enum lifetime old_lifetime = s->lifetime;
    struct tie *const old_ties = s->ties;
    bool ends_lifetime = p->lifetime.given && (enum lifetime)p->lifetime.value != old_lifetime;
    int r = 0;
    if (p->ttl_ms.given)
        r = expiry_set(core, s, expiry_after(core, p->ttl_ms.value));
    if (r == 0 && ends_lifetime)
        r = begin_lifetime(core, caller, (enum lifetime)p->lifetime.value, s);
    if (r == 0 && prepared->name) {
        r = registry_rename(&core->registry, s, prepared->name);
        if (r == 0)
            prepared->name = NULL;
    }
    if (r < 0) {
        if (ends_lifetime)
            take_lifetime_back(core, s, old_lifetime, old_ties);
        /* To what it was there is always room. */
        int back = expiry_set(core, s, old_expiry);
        return back < 0 ? back : r;
    }
    if (ends_lifetime)
        cut_holders(core, old_ties);
    if (p->labels.given) {
        free(s->labels);
        s->labels = steal_pointer(&prepared->labels);
        s->n_labels = p->labels.count;
    }
    return 0;
}

static bool is_empty(const struct set_params *p)
{
    return !p->mode.given && !p->uid.given && !p->gid.given && !p->new_name && !p->labels.given &&
           !p->lifetime.given && !p->ttl_ms.given && !p->locked.given;
}

int core_set(struct core *core, struct caller *caller, const struct set_params *p,
             struct found *found, struct outcome_detail *detail)
{
    const struct sysv *sysv = &core->on.sysv;
    struct prepared prepared;
    if (is_empty(p))
        return 0;
    int r = check(core, caller, p, found, detail);
    if (r != 0)
        return r;
    r = prepare(core, p, found, &prepared);
    if (r < 0)
        return r;
    const struct sysv_stat before = found->kernel;
    r = set_kernel(core, p, found, detail);
    if (r == 0) {
        r = set_record(core, caller, p, found->segment, &prepared);
        if (r < 0)
            r = set_kernel_back(sysv, &before, &found->kernel, r);
    }
    free(prepared.name);
    free(prepared.labels);
    if (r != 0) {
        turn_forget(found->segment);
        return r;
    }
    struct segment *s = found->segment;
    struct sysv_stat now;
    if (sysv->ops->stat(sysv->context, s->shmid, &now) == 0)
        found->kernel = now; /* ctime */
    s->seen.uid = found->kernel.uid;
    s->seen.gid = found->kernel.gid;
    s->seen.mode = found->kernel.mode;
    turn_changed(core, s);
    turn_tell(core, s, &found->kernel, EVENT_CHANGED, REASON_REQUEST);
    return 0;
}
