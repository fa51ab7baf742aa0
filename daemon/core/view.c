/* SPDX-License-Identifier: MIT */
#include "daemon/core/view.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/core/declaration.h"

static void view_kernel(const struct sysv_stat *kernel, struct wire_segment *s)
{
    s->shmid = kernel->shmid;
    s->key = kernel->key;
    s->size = kernel->size;
    s->mode = kernel->mode;
    s->uid = kernel->uid;
    s->gid = kernel->gid;
    s->nattch = kernel->nattch;
    s->last_pid = kernel->lpid;
    s->locked = kernel->locked;
    s->attached_at_ms = kernel->atime * 1000;
    s->detached_at_ms = kernel->dtime * 1000;
    s->changed_at_ms = kernel->ctime * 1000;
}

/* The daemon's own attachment is not shown. */
static void leave_out_anchor(const struct core *core, const struct segment *segment,
                             struct wire_segment *s)
{
    if (segment->anchor && s->nattch > 0)
        s->nattch--;
    if (s->last_pid != core->own_pid)
        return;
    /* Our own attach or detach has overwritten lpid and dtime. */
    s->last_pid = 0;
    s->detached_at_ms = 0;
    if (s->nattch == 0 && s->attached_at_ms == segment->anchored_at_s * 1000)
        s->attached_at_ms = 0;
}

/* The kernel counts whole seconds, and nothing happened to a segment before there was one. */
static void not_before_creation(const struct segment *segment, int64_t *at_ms)
{
    if (*at_ms != 0 && *at_ms < segment->created_at_ms && !segment->adopted)
        *at_ms = segment->created_at_ms;
}

/* When it is removed if all stays as it is (boot clock); 0: never. */
static int64_t end_of(const struct segment *segment, const struct sysv_stat *kernel)
{
    int64_t at = segment->expires_at_ms;
    if (segment->idle_ttl_ms == 0 || segment_attachments(segment, kernel) > 0)
        return at;
    int64_t idle = segment->idle_since_ms + segment->idle_ttl_ms;
    return at == 0 || idle < at ? idle : at;
}

static void view_declaration(const struct core *core, const struct segment *segment,
                             const struct sysv_stat *kernel, struct wire_segment *ret)
{
    const struct declaration *d = declaration_of(&core->declarations, segment->name, segment->key);
    if (!d)
        return;
    ret->declared = true;
    ret->drift = declaration_drift(d, segment, kernel, core->settings.access.own_uid,
                                   core_boottime_ms(core));
}

void view_segment(const struct core *core, const struct segment *segment,
                  const struct sysv_stat *kernel, struct wire_segment *ret)
{
    *ret = (struct wire_segment){0};
    view_kernel(kernel, ret);
    ret->serial = segment->serial;
    ret->name = segment->name;
    ret->replaces = segment->replaces;
    ret->former_name = segment->replaces ? NULL : segment->other_name;
    ret->shmid = segment->shmid;
    ret->size = segment->size;
    leave_out_anchor(core, segment, ret);
    if (segment->adopted)
        ret->uid = segment->creator.uid; /* the kernel's owner is the daemon, by the hand-over */
    ret->creator.uid = segment->creator.uid;
    ret->creator.gid = segment->creator.gid;
    ret->creator.pid = segment->creator.pid;
    ret->creator.comm = segment->creator.comm[0] ? segment->creator.comm : NULL;
    ret->state = segment->state;
    ret->lifetime = segment->lifetime;
    ret->holders = segment->n_holders;
    ret->huge_page_size = segment->huge_page_size;
    ret->noreserve = segment->noreserve;
    ret->created_at_ms = segment->created_at_ms;
    not_before_creation(segment, &ret->attached_at_ms);
    not_before_creation(segment, &ret->detached_at_ms);
    not_before_creation(segment, &ret->changed_at_ms);
    int64_t ends_at_ms = end_of(segment, kernel);
    if (ends_at_ms)
        ret->expires_at_ms = core_realtime_ms(core) + ends_at_ms - core_boottime_ms(core);
    ret->labels = segment->labels;
    ret->n_labels = segment->n_labels;
    ret->managed = true;
    view_declaration(core, segment, kernel, ret);
}

static struct orphan_facts facts_of(const struct sysv_stat *kernel, enum process_state creator)
{
    return (struct orphan_facts){
        .creator = creator,
        .cpid = kernel->cpid,
        .lpid = kernel->lpid,
        .nattch = kernel->nattch,
        .atime = kernel->atime,
    };
}

bool view_is_orphaned(const struct core *core, const struct sysv_stat *kernel)
{
    const struct processes *p = &core->on.processes;
    char comm[COMM_MAX];
    if (kernel->nattch > 0)
        return false; /* without asking for the process */
    const struct orphan_facts facts =
        facts_of(kernel, p->ops->look(p->context, kernel->cpid, comm));
    return orphan_is_orphaned(&facts);
}

void view_foreign(const struct core *core, const struct sysv_stat *kernel, struct wire_segment *ret)
{
    const struct processes *p = &core->on.processes;
    *ret = (struct wire_segment){0};
    view_kernel(kernel, ret);
    const struct orphan_facts facts =
        facts_of(kernel, p->ops->look(p->context, kernel->cpid, ret->creator.comm_now));
    ret->creator.uid = kernel->cuid;
    ret->creator.gid = kernel->cgid;
    ret->creator.pid = kernel->cpid;
    ret->state = kernel->destroyed ? STATE_REMOVING : STATE_READY;
    ret->orphaned = orphan_is_orphaned(&facts);
    ret->used_by_others = orphan_is_used_by_others(&facts);
    /* Its key is that of a declared segment, which therefore cannot be created. */
    ret->declared = declaration_of(&core->declarations, NULL, kernel->key);
    ret->drift = ret->declared ? 1U << DRIFT_MANAGED : 0;
}

void view_found(const struct core *core, const struct found *found, struct wire_segment *ret)
{
    if (found->segment)
        view_segment(core, found->segment, &found->kernel, ret);
    else
        view_foreign(core, &found->kernel, ret);
}

enum { REFRESHED_MAX = 64 }; /* names that one request reads: each costs three system calls */

void view_refresh_names(const struct core *core, struct segment *segment)
{
    const struct processes *p = &core->on.processes;
    char comm[COMM_MAX];
    int n = 0;
    struct tie *tie;
    LIST_FOREACH (tie, &segment->ties, of_segment) {
        struct party *party = tie->party;
        if (party->is_connection)
            continue; /* it does not say whether the process that made it still lives */
        if (n++ == REFRESHED_MAX)
            return;
        p->ops->comm(p->context, party->identity.pid, comm);
        if (!comm[0])
            continue;
        memcpy(party->comm, comm, sizeof(comm));
        if (party->identity.pid == segment->creator.pid && party->uid == segment->creator.uid)
            memcpy(segment->creator.comm, comm, sizeof(comm));
    }
}

struct wire_holder *view_holders(const struct segment *segment)
{
    struct wire_holder *list = calloc(segment->n_holders + 1, sizeof(*list));
    if (!list)
        return NULL;
    /* The newest tie stands first. */
    uint32_t at = segment->n_holders;
    const struct tie *tie;
    LIST_FOREACH (tie, &segment->ties, of_segment) {
        if (tie->role != TIE_HOLDER)
            continue;
        const struct party *party = tie->party;
        list[--at] = (struct wire_holder){party->identity.pid, party->uid,
                                          party->comm[0] ? party->comm : NULL, tie->since_at_ms};
    }
    return list;
}
