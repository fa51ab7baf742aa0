/* SPDX-License-Identifier: MIT */
#include "daemon/core/set.h"

#include <errno.h>
#include <string.h>

#include "daemon/core/anchor.h"
#include "daemon/core/charge.h"
#include "daemon/core/declaration.h"
#include "daemon/core/ends.h"
#include "daemon/core/find.h"
#include "daemon/core/kernel.h"
#include "daemon/core/kernel_refusal.h"
#include "daemon/core/new_name.h"
#include "daemon/core/segment_charge.h"

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
        return outcome_denied(detail, "admin",
                              "only an admin may use a group that the caller is not in");
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
        return not_supported(detail, "another lifetime for an attached segment: the kernel frees "
                                     "it at the last detach");
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

static int check_name(struct core *core, const struct caller *caller, const struct set_params *p,
                      const struct segment *s, struct outcome_detail *detail)
{
    struct found other;
    if (!p->new_name || (s->name && strcmp(p->new_name, s->name) == 0))
        return 0;
    if (s->replaces)
        return outcome_invalid(detail, "new_name",
                               "the segment gets the name of the one it replaces at ready: set "
                               "another name then");
    int r = new_name_check_prefix(core, caller, p->new_name, detail);
    if (r != 0)
        return r;
    r = find_name(core, p->new_name, &other);
    if (r > 0)
        return new_name_check_declared(core, caller, p->new_name, 0, detail);
    return r < 0 ? r : find_exists(core, caller, &other, NULL, detail);
}

/* What is being removed has no name any more, and its end is settled. All else still has its
 * effect: whoever knows the id can attach it, as owner and mode let him. */
static int check_state(const struct set_params *p, const struct segment *s,
                       struct outcome_detail *detail)
{
    const struct {
        bool is_given;
        const char *name;
    } settled[] = {
        {p->new_name, "new_name"},
        {p->lifetime.given, "lifetime"},
        {p->ttl_ms.given, "ttl_ms"},
        {p->idle_ttl_ms.given, "idle_ttl_ms"},
    };
    for (size_t i = 0; s->state == STATE_REMOVING && i < sizeof(settled) / sizeof(*settled); i++)
        if (settled[i].is_given)
            return outcome_being_removed(detail, settled[i].name);
    return 0;
}

static int check(struct core *core, const struct caller *caller, const struct set_params *p,
                 const struct found *found, struct outcome_detail *detail)
{
    int r = check_state(p, found->segment, detail);
    if (r == 0)
        r = check_owner(core, caller, p, found->segment, detail);
    if (r == 0)
        r = check_lifetime(p, found, detail);
    if (r == 0)
        r = check_name(core, caller, p, found->segment, detail);
    return r;
}

static int refused_owner(int r, struct outcome_detail *detail)
{
    if (r == -EPERM || r == -EACCES)
        return outcome_denied(detail, "the daemon as owner",
                              "the segment's creator has taken it back");
    return r == -ENOENT ? OUTCOME_NO_SUCH_SEGMENT : r;
}

static int set_lock(struct core *core, const struct caller *caller, bool locked,
                    struct found *found, struct outcome_detail *detail)
{
    const struct sysv *sysv = &core->on.sysv;
    int r = locked ? charge_lock(core, caller, found->segment, detail) : 0;
    if (r != 0)
        return r;
    r = sysv->ops->lock(sysv->context, found->segment->shmid, locked);
    segment_charge_follow_lock(&core->quota, found->segment,
                               r == 0 ? locked : found->kernel.locked);
    if (r == -EPERM && !access_daemon_may_change(&core->settings.access, &found->kernel))
        return refused_owner(r, detail);
    if (r == -EPERM && !locked)
        return outcome_denied(detail, "CAP_IPC_LOCK", "the daemon may not unlock what root locked");
    if (r == -ENOENT)
        return OUTCOME_NO_SUCH_SEGMENT;
    if (r < 0)
        return kernel_refusal_of_lock(core, found->segment->size, r, detail);
    found->kernel.locked = locked;
    return 0;
}

/* What P asks for that the kernel keeps. On failure part of it may have been done. */
static int set_kernel(struct core *core, const struct caller *caller, const struct set_params *p,
                      struct found *found, struct outcome_detail *detail)
{
    const struct sysv *sysv = &core->on.sysv;
    struct sysv_stat *k = &found->kernel;
    int r = 0;
    if (p->locked.given && p->locked.value != k->locked)
        r = set_lock(core, caller, p->locked.value, found, detail);
    if (r != 0 || !(p->mode.given || p->uid.given || p->gid.given))
        return r;
    uint32_t uid = p->uid.given ? (uint32_t)p->uid.value : k->uid;
    uint32_t gid = p->gid.given ? (uint32_t)p->gid.value : k->gid;
    uint32_t mode = p->mode.given ? (uint32_t)p->mode.value : k->mode;
    r = sysv->ops->set(sysv->context, k->shmid, uid, gid, mode);
    if (r < 0)
        return refused_owner(r, detail);
    k->uid = uid;
    k->gid = gid;
    k->mode = mode;
    return 0;
}

/* The record as it will be, and the tie that a new lifetime has. */
struct change {
    struct segment next; /* its name and labels are owned where they are new, else the record's */
    struct tie *tie;     /* owned; not bound yet */
    bool renames, relabels, begins_lifetime;
    struct account
        *heir; /* of a declared segment that is renamed: charged with one more till then */
};

static void change_free(struct core *core, struct change *c)
{
    if (c->renames)
        free(c->next.name);
    if (c->relabels)
        free(c->next.labels);
    tie_free(&core->parties, c->tie);
    if (c->heir)
        quota_give(&core->quota, c->heir, QUOTA_SEGMENTS, 1);
}

/* The name of a declared segment is for the next one, and this one is its owner's. */
static int change_heir(struct core *core, const struct caller *caller, const struct segment *s,
                       struct change *c)
{
    const struct declarations *d = &core->declarations;
    uint32_t uid;
    /* By its key it may be the declared one still; and an admin knows what he does. */
    if (declaration_of(d, c->next.name, s->key) == declaration_of(d, s->name, s->key) ||
        access_is_admin(&core->settings.access, caller))
        return 0;
    if (!declaration_heir(d, s, core->settings.access.own_uid, &uid))
        return 0;
    c->next.creator.uid = uid;
    c->next.creator.gid = s->seen.gid;
    c->next.creator.was_admin = false;
    c->next.creator.only_pays = true;
    return quota_add(&core->quota, uid, QUOTA_SEGMENTS, 1, &c->heir);
}

static int change_name(struct core *core, const char *name, struct change *c)
{
    char *copy = strdup(name);
    if (!copy)
        return -ENOMEM;
    c->next.name = copy;
    c->renames = true;
    return registry_reserve_name(&core->registry);
}

static int change_labels(const struct labels *labels, struct change *c)
{
    struct label *copy;
    int r = segment_copy_labels(labels->items, labels->count, &copy);
    if (r < 0)
        return r;
    c->next.labels = copy;
    c->next.n_labels = labels->count;
    c->relabels = true;
    return 0;
}

static int change_lifetime(struct core *core, struct caller *caller, enum lifetime lifetime,
                           struct change *c, struct outcome_detail *detail)
{
    const enum tie_role role = lifetime == LIFETIME_ATTACHED ? TIE_ATTACHER : TIE_HOLDER;
    c->begins_lifetime = true;
    c->next.lifetime = lifetime;
    if (lifetime == LIFETIME_PERSISTENT)
        return 0;
    int r =
        tie_new_of(&core->parties, caller, lifetime, role, core_realtime_ms(core), &c->tie, detail);
    if (r == 0)
        c->next.has_unseen |= tie_is_unseen(c->tie);
    return r;
}

static bool is_other(const struct opt_int *wanted, uint64_t now)
{
    return wanted->given && (uint64_t)wanted->value != now;
}

/* Gets all memory that the change of S needs, so that nothing fails for it after the kernel's part.
 */
static int change_prepare(struct core *core, struct caller *caller, const struct set_params *p,
                          const struct segment *s, struct change *c, struct outcome_detail *detail)
{
    *c = (struct change){.next = *s};
    int r = ledger_reserve(core, s);
    if (r == 0)
        r = deadlines_reserve(&core->deadlines, 2);
    if (r == 0 && p->new_name && (!s->name || strcmp(p->new_name, s->name) != 0))
        r = change_name(core, p->new_name, c);
    if (r == 0 && c->renames)
        r = change_heir(core, caller, s, c);
    if (r == 0 && p->labels.given)
        r = change_labels(&p->labels, c);
    if (p->ttl_ms.given) {
        c->next.ttl_ms = p->ttl_ms.value;
        c->next.expires_at_ms = ends_after(core, c->next.ttl_ms);
    }
    if (is_other(&p->idle_ttl_ms, (uint64_t)s->idle_ttl_ms)) {
        c->next.idle_ttl_ms = p->idle_ttl_ms.value;
        c->next.idle_since_ms = core_boottime_ms(core);
    }
    if (r == 0 && p->lifetime.given && (enum lifetime)p->lifetime.value != s->lifetime)
        r = change_lifetime(core, caller, (enum lifetime)p->lifetime.value, c, detail);
    if (r != 0)
        change_free(core, c);
    return r;
}

static int change_record(struct core *core, const struct segment *s, const struct change *c,
                         struct outcome_detail *detail)
{
    const struct ledger_change change = {.record = &c->next,
                                         .added = {c->tie},
                                         .dropped_roles =
                                             c->begins_lifetime ? 1U << TIE_HOLDER : 0};
    return ledger_write(core, s, &change, detail);
}

/* Into memory, where there is room for all of it. What is new becomes the segment's. */
static void change_apply(struct core *core, struct segment *s, struct change *c)
{
    int r = 0;
    if (c->heir)
        (void)!segment_charge_give(&core->quota, s, c->next.creator.uid); /* has an account */
    if (c->renames)
        registry_rename(&core->registry, s, c->next.name);
    if (c->relabels) {
        free(s->labels);
        s->labels = c->next.labels;
        s->n_labels = c->next.n_labels;
    }
    c->renames = c->relabels = false;
    s->ttl_ms = c->next.ttl_ms;
    s->idle_since_ms = c->next.idle_since_ms;
    if (c->next.expires_at_ms != s->expires_at_ms || c->next.idle_ttl_ms != s->idle_ttl_ms) {
        s->expires_at_ms = c->next.expires_at_ms;
        s->idle_ttl_ms = c->next.idle_ttl_ms;
        r = ends_in_time(core, s);
    }
    if (!c->begins_lifetime)
        return;
    ties_free(&core->parties, s, 1U << TIE_HOLDER);
    s->lifetime = c->next.lifetime;
    s->has_unseen = c->next.has_unseen;
    if (c->tie)
        tie_bind(&core->parties, steal_pointer(&c->tie), s);
    if (r == 0 && s->lifetime == LIFETIME_ATTACHED)
        r = ends_unless_attached(core, s);
    (void)r; /* room for two deadlines was made */
}

/* S is to be `attached`: who came before does not count, under kernel.shm_rmid_forced either, where
 * it has an anchor already. */
static int anchor_for_lifetime(struct core *core, const struct caller *caller, struct segment *s,
                               struct outcome_detail *detail)
{
    int r = charge_anchor(core, caller, s, detail);
    if (r == 0)
        r = s->anchor ? anchor_renew(core, s) : anchor_take(core, s, detail);
    return r;
}

/* In the kernel and in the store, or in neither. */
static int make(struct core *core, const struct caller *caller, const struct set_params *p,
                struct found *found, const struct change *c, struct outcome_detail *detail)
{
    struct segment *s = found->segment;
    const struct sysv_stat before = found->kernel;
    const bool had_anchor = s->anchor;
    int r = set_kernel(core, caller, p, found, detail);
    /* Only now, for it may be the new mode that lets the daemon attach. */
    if (r == 0 && c->begins_lifetime && c->next.lifetime == LIFETIME_ATTACHED)
        r = anchor_for_lifetime(core, caller, s, detail);
    else if (r == 0 && s->is_anchor_charged)
        r = anchor_take(core, s, detail);
    if (r == 0)
        r = change_record(core, s, c, detail);
    if (r == 0)
        return 0;
    struct sysv_stat ignored;
    if (!had_anchor && s->anchor)
        (void)!anchor_let_go(core, s, &ignored);
    else if (!had_anchor)
        anchor_drop(core, s); /* what it would have cost */
    int back = kernel_put_back(core, s, &before);
    segment_charge_follow_lock(&core->quota, s, before.locked);
    return back < 0 && back != -ESTALE ? -EIO : r;
}

bool set_would_change(const struct set_params *p, const struct found *found)
{
    const struct segment *s = found->segment;
    const struct sysv_stat *k = &found->kernel;
    if (is_other(&p->mode, k->mode) || is_other(&p->uid, k->uid) || is_other(&p->gid, k->gid) ||
        is_other(&p->lifetime, s->lifetime))
        return true;
    if (p->ttl_ms.given || is_other(&p->idle_ttl_ms, (uint64_t)s->idle_ttl_ms))
        return true;
    if (p->locked.given && p->locked.value != k->locked)
        return true;
    if (p->new_name && (!s->name || strcmp(p->new_name, s->name) != 0))
        return true;
    return p->labels.given &&
           (p->labels.count != s->n_labels || !segment_has_labels(s, &p->labels));
}

static bool is_empty(const struct set_params *p)
{
    return !p->mode.given && !p->uid.given && !p->gid.given && !p->new_name && !p->labels.given &&
           !p->lifetime.given && !p->ttl_ms.given && !p->idle_ttl_ms.given && !p->locked.given;
}

int core_set(struct core *core, struct caller *caller, const struct set_params *p,
             struct found *found, struct outcome_detail *detail)
{
    struct segment *s = found->segment;
    struct change change;
    if (is_empty(p))
        return 0;
    int r = check(core, caller, p, found, detail);
    if (r == 0)
        r = change_prepare(core, caller, p, s, &change, detail);
    if (r != 0)
        return r;
    const bool had_anchor = s->anchor;
    r = make(core, caller, p, found, &change, detail);
    if (r == 0)
        change_apply(core, s, &change);
    const bool begins_lifetime = change.begins_lifetime;
    change_free(core, &change);
    if (r != 0)
        return r;
    if (begins_lifetime)
        anchor_follow_lifetime(core, s, &found->kernel);
    const struct sight now = kernel_look(core, s);
    if (now.verdict == VERDICT_MATCH)
        found->kernel = now.kernel; /* ctime, and the anchor */
    else if (s->anchor && !had_anchor)
        found->kernel.nattch++; /* it is left out of the count, so the count must have it */
    s->seen.uid = found->kernel.uid;
    s->seen.gid = found->kernel.gid;
    s->seen.mode = found->kernel.mode;
    news_add(core, s, &found->kernel, EVENT_CHANGED, REASON_REQUEST);
    return 0;
}
