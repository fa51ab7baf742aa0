/* SPDX-License-Identifier: MIT */
#include "daemon/core/create.h"

#include <errno.h>
#include <string.h>

#include "daemon/core/anchor.h"
#include "daemon/core/charge.h"
#include "daemon/core/ends.h"
#include "daemon/core/find.h"
#include "daemon/core/hold.h"
#include "daemon/core/kernel.h"
#include "daemon/core/kernel_refusal.h"
#include "daemon/core/new_name.h"
#include "daemon/core/new_segment.h"
#include "daemon/core/removal.h"

static uint32_t mode_of(const struct create_params *p)
{
    return p->mode.given ? (uint32_t)p->mode.value : 0600;
}

static enum lifetime lifetime_of(const struct create_params *p)
{
    return p->lifetime.given ? (enum lifetime)p->lifetime.value : LIFETIME_PERSISTENT;
}

static int check_rights(const struct core *core, const struct caller *caller,
                        const struct create_params *p, struct outcome_detail *detail)
{
    const struct access *a = &core->settings.access;
    if (p->uid.given && !access_may_give_uid(a, caller, (uint32_t)p->uid.value))
        return outcome_denied(detail, "admin",
                              "only an admin may create a segment for another uid");
    if (p->gid.given && !access_may_give_gid(a, caller, (uint32_t)p->gid.value))
        return outcome_denied(detail, "admin",
                              "only an admin may use a group that the caller is not in");
    return 0;
}

static int check_sense(const struct core *core, const struct create_params *p,
                       struct outcome_detail *detail)
{
    int r = kernel_refusal_of_size((uint64_t)p->size.value, detail);
    if (r != 0)
        return r;
    if (lifetime_of(p) == LIFETIME_ATTACHED) {
        if (p->key.value != 0)
            return outcome_invalid(
                detail, "key",
                "an attached segment has none: the kernel takes it away when the "
                "segment is marked for destruction");
        if (!(mode_of(p) & 0400))
            return outcome_invalid(detail, "mode",
                                   "an attached segment needs read permission for its owner");
    }
    if (p->huge_page_size.value == 0 ||
        machine_has_huge_pages(core->machine, (uint64_t)p->huge_page_size.value))
        return 0;
    return outcome_invalid(detail, "huge_page_size",
                           "this kernel has no pages of that size: info lists huge_page_sizes");
}

/* The record there is of that name or key. 0, OUTCOME_NO_SUCH_SEGMENT or a negative errno. */
static int find_existing(struct core *core, const struct create_params *p, struct found *ret)
{
    int r = OUTCOME_NO_SUCH_SEGMENT;
    if (p->name)
        r = find_name(core, p->name, ret);
    if (r > 0 && p->key.value != 0)
        r = find_key(core, (uint32_t)p->key.value, ret);
    /* A stale record is gone by now: its name and key can be used again. */
    return r > 0 ? OUTCOME_NO_SUCH_SEGMENT : r;
}

static int key_in_use(const struct core *core, uint32_t key, struct outcome_detail *detail)
{
    const struct sysv *sysv = &core->on.sysv;
    *detail = (struct outcome_detail){.key = key};
    /* One that is adopted is not what is declared: another has made it. */
    if (declaration_of(&core->declarations, NULL, key))
        detail->hint = "have that segment's owner or root remove it, and the daemon makes the one "
                       "that a file in its segments.d declares, or change the file";
    if (sysv->ops->find(sysv->context, key, &detail->shmid) < 0)
        detail->shmid = -1;
    return OUTCOME_KEY_IN_USE;
}

/* FOUND's segment has the name or the key that was asked for, and not both. The answer names the
 * segment that has the key, if there is one. */
static int name_and_key_differ(struct core *core, const struct caller *caller, uint32_t key,
                               const struct found *found, struct outcome_detail *detail)
{
    struct found with_key;
    int r = find_key(core, key, &with_key);
    if (r < 0)
        return r;
    if (r == 0) {
        r = find_exists(core, caller, &with_key,
                        "name and key do not belong to one segment: use the one there is by its "
                        "key alone, or choose another key",
                        detail);
        detail->key = key;
        return r;
    }
    (void)key_in_use(core, key, detail);
    if (detail->shmid >= 0)
        return OUTCOME_KEY_IN_USE;
    return find_exists(core, caller, found,
                       "the segment of that name does not have that key: leave the key out, or "
                       "choose another name",
                       detail);
}

/* What is told of a segment that CALLER may not read is that it has the name, or the key. */
static int not_to_be_read(const struct core *core, const struct caller *caller,
                          const struct create_params *p, const struct found *found,
                          struct outcome_detail *detail)
{
    int r = find_unreadable(core, caller, found, detail);
    if (!detail->hint)
        detail->hint = p->name ? "the name belongs to a segment that you may not read: choose "
                                 "another name"
                               : "the key belongs to a segment that you may not read: choose "
                                 "another key";
    return r;
}

static int use_existing(struct core *core, struct caller *caller, const struct create_params *p,
                        struct found *found, struct outcome_detail *detail)
{
    const struct access *a = &core->settings.access;
    const struct segment *s = found->segment;
    uint32_t other;
    bool is_other = (p->name && (!s->name || strcmp(p->name, s->name) != 0)) ||
                    (p->key.value != 0 && (uint32_t)p->key.value != s->key);
    if (is_other)
        return name_and_key_differ(core, caller, (uint32_t)p->key.value, found, detail);
    if (p->exclusive.value)
        return find_exists(core, caller, found, NULL, detail);
    if (!access_may_read(a, caller, &found->kernel))
        return not_to_be_read(core, caller, p, found, detail);
    if (!p->any_owner.value && !access_is_of(a, caller->uid, s, &found->kernel, &other))
        return outcome_not_owner(
            detail, "any_owner", other,
            "choose another name or key, or set any_owner if you trust that user");
    if ((uint64_t)p->size.value > s->size) {
        *detail = (struct outcome_detail){.size = s->size, .requested = (uint64_t)p->size.value};
        return OUTCOME_SIZE_MISMATCH;
    }
    /* In the same step, so that the last holder's exit cannot take the segment away in between. */
    bool holds = !p->hold.given || p->hold.value;
    return holds ? core_hold_if_holdable(core, caller, found, detail) : 0;
}

static int check_replace(const struct core *core, const struct caller *caller,
                         const struct found *found, struct outcome_detail *detail)
{
    if (access_may_change(&core->settings.access, caller, found->segment, &found->kernel))
        return removal_check(core, found, detail);
    return outcome_denied(detail, "owner, creator or admin",
                          "the segment of that name is not the caller's to replace");
}

/* What a new segment is called, and whose place it takes. OLD: what it replaces; NULL: nothing. A
 * segment that is not ready yet takes the name only then. 0 or -ENOMEM. */
static int fill_name(const struct create_params *p, const struct segment *old, struct segment *s)
{
    char **name = &s->name;
    if (!p->name)
        return 0;
    if (old && s->state == STATE_INITIALISING) {
        name = &s->other_name;
        s->replaces = old->serial;
    }
    *name = strdup(p->name);
    return *name ? 0 : -ENOMEM;
}

/* The record, before anything is done in the kernel: 0 or -ENOMEM. */
static int fill_record(struct core *core, const struct caller *caller,
                       const struct create_params *p, const struct segment *old, struct segment *s)
{
    s->key = (uint32_t)p->key.value;
    s->size = (uint64_t)p->size.value;
    /* What the kernel will show of a segment that the daemon makes. */
    s->cpid = core->own_pid;
    s->cuid = core->settings.access.own_uid;
    s->creator.uid = caller->uid;
    s->creator.gid = caller->gid;
    s->creator.pid = caller->pid;
    memcpy(s->creator.comm, caller->comm, sizeof(s->creator.comm));
    s->creator.was_admin = access_is_admin(&core->settings.access, caller);
    s->state = p->ready.given && !p->ready.value ? STATE_INITIALISING : STATE_READY;
    s->lifetime = lifetime_of(p);
    s->noreserve = p->noreserve.value;
    s->huge_page_size = (uint64_t)p->huge_page_size.value;
    s->created_at_ms = core_realtime_ms(core);
    s->ttl_ms = p->ttl_ms.value;
    s->expires_at_ms = ends_after(core, s->ttl_ms);
    s->idle_ttl_ms = p->idle_ttl_ms.value;
    s->idle_since_ms = core_boottime_ms(core);
    int r = fill_name(p, old, s);
    s->n_labels = p->labels.count;
    return r < 0 ? r : segment_copy_labels(p->labels.items, p->labels.count, &s->labels);
}

/* The kernel has given out a shmid that a record has: the record's segment is gone. */
static void drop_stale_record(struct core *core, int32_t shmid)
{
    struct segment *stale = registry_by_shmid(&core->registry, shmid);
    if (stale)
        removal_noticed(core, stale, removal_reason_of_gone(stale));
}

static int make_segment(struct core *core, struct segment *s, struct outcome_detail *detail)
{
    const struct sysv *sysv = &core->on.sysv;
    const struct sysv_create args = {s->key, s->size, s->huge_page_size, s->noreserve};
    int r = sysv->ops->create(sysv->context, &args, &s->shmid);
    if (r == -EEXIST)
        return key_in_use(core, s->key, detail);
    if (r < 0)
        return kernel_refusal_of_create(core, &args, r, detail);
    drop_stale_record(core, s->shmid);
    return 0;
}

/* Lock, anchor, owner and mode of the new segment. RET is then as the kernel shows it. */
static int hand_over(struct core *core, const struct caller *caller, const struct create_params *p,
                     struct segment *s, struct sysv_stat *ret, struct outcome_detail *detail)
{
    const struct sysv *sysv = &core->on.sysv;
    uint32_t uid = p->uid.given ? (uint32_t)p->uid.value : caller->uid;
    uint32_t gid = p->gid.given ? (uint32_t)p->gid.value : caller->gid;
    int r = 0;
    if (p->locked.value) {
        r = sysv->ops->lock(sysv->context, s->shmid, true);
        if (r < 0)
            return kernel_refusal_of_lock(core, s->size, r, detail);
    }
    if (s->is_anchor_charged)
        r = anchor_take(core, s, detail);
    if (r == 0)
        r = sysv->ops->set(sysv->context, s->shmid, uid, gid, mode_of(p));
    if (r == 0 && s->lifetime == LIFETIME_ATTACHED)
        r = sysv->ops->remove(sysv->context, s->shmid);
    if (r == 0)
        r = sysv->ops->stat(sysv->context, s->shmid, ret);
    if (r != 0)
        return r;
    s->cpid = ret->cpid;
    s->cuid = ret->cuid;
    s->seen.uid = ret->uid;
    s->seen.gid = ret->gid;
    s->seen.mode = ret->mode;
    return 0;
}

/* The segment that make_segment() has made goes again. */
static void destroy_new(struct core *core, struct segment *s)
{
    anchor_drop(core, s);
    kernel_destroy(core, s);
}

/* In the kernel and in the store, or in neither. */
static int make(struct core *core, const struct caller *caller, const struct create_params *p,
                const struct segment *replaced, struct new_segment *n, struct sysv_stat *ret,
                struct outcome_detail *detail)
{
    struct segment *s = n->segment;
    int r = ledger_intend(core, s->key, s->size, detail);
    if (r != 0)
        return r;
    r = make_segment(core, s, detail);
    if (r == 0) {
        r = hand_over(core, caller, p, s, ret, detail);
        if (r == 0)
            r = new_segment_record(core, n, replaced, detail);
        if (r != 0)
            destroy_new(core, s);
    }
    if (r != 0)
        ledger_abandon(core);
    return r;
}

static bool needs_anchor(const struct core *core, const struct segment *s)
{
    return s->lifetime == LIFETIME_ATTACHED || core->rmid_forced;
}

/* All that S, which is in NEW, charges; and memory for the rest. */
static int prepare(struct core *core, struct caller *caller, const struct create_params *p,
                   struct new_segment *n, struct outcome_detail *detail)
{
    struct segment *s = n->segment;
    int r = new_segment_prepare(core, caller, n, detail);
    if (r == 0 && p->locked.value)
        r = charge_lock(core, caller, s, detail);
    if (r == 0 && needs_anchor(core, s))
        r = charge_anchor(core, caller, s, detail);
    return r;
}

/* OLD: the segment that has the name and is to be replaced; NULL: none. */
static int create_new(struct core *core, struct caller *caller, const struct create_params *p,
                      struct found *old, struct found *ret, struct outcome_detail *detail)
{
    struct sysv_stat kernel;
    struct segment *s = segment_new();
    struct new_segment n = {.segment = s};
    if (!s)
        return -ENOMEM;
    int r = fill_record(core, caller, p, old ? old->segment : NULL, s);
    const bool replaces_now = old && s->name;
    if (r == 0)
        r = prepare(core, caller, p, &n, detail);
    if (r == 0)
        r = make(core, caller, p, replaces_now ? old->segment : NULL, &n, &kernel, detail);
    if (r != 0) {
        new_segment_discard(core, &n);
        return r;
    }
    if (replaces_now)
        removal_do_recorded(core, old, REASON_REPLACED);
    new_segment_enter(core, &n, &kernel);
    news_add(core, s, &kernel, EVENT_CREATED, REASON_REQUEST);
    *ret = (struct found){s, kernel};
    return 0;
}

int core_create(struct core *core, struct caller *caller, const struct create_params *p,
                struct found *ret, bool *ret_created, struct outcome_detail *detail)
{
    struct found existing;
    int r = check_rights(core, caller, p, detail);
    if (r != 0)
        return r;
    r = find_existing(core, p, &existing);
    if (r < 0)
        return r;
    const bool exists = r == 0;
    if (exists && !p->replace.value) {
        r = use_existing(core, caller, p, &existing, detail);
        if (r != 0)
            return r;
        *ret = existing;
        *ret_created = false;
        return 0;
    }
    r = new_name_check_prefix(core, caller, p->name, detail);
    if (r == 0)
        r = exists ? check_replace(core, caller, &existing, detail)
                   : new_name_check_declared(core, caller, p->name, (uint32_t)p->key.value, detail);
    if (r == 0)
        r = check_sense(core, p, detail);
    if (r == 0)
        r = create_new(core, caller, p, exists ? &existing : NULL, ret, detail);
    if (r == 0)
        *ret_created = true;
    return r;
}
