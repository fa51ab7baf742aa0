/* SPDX-License-Identifier: MIT */
#include "client/cli/orphans.h"

#include <errno.h>
#include <stdlib.h>

static const struct {
    const char *word, *reason;
} classes[GC_CLASSES] =
    {
        [GC_LEAKED] = {"leaked", "creator dead, and nobody used it after its creator"},
        [GC_LEFT] = {"left", "creator dead, but others have used it"},
        [GC_UNDECIDED] = {"undecided", "its creator is in another pid namespace and may live"},
        [GC_LOST] = {"lost", "may be the daemon's, from before its records began, or "
                             "was disowned"},
        [GC_GUARDED] = {"guarded", "may be another daemon's"},
        [GC_ATTACHED] = {"attached", "a process has it attached"},
        [GC_CREATOR_LIVES] = {"creator-lives", "its creator lives, or another process has its pid"},
        [GC_MANAGED] = {"managed", "the daemon manages it"},
},
  results[GC_RESULTS] = {
      [GC_KEPT] = {"kept", ""},
      [GC_REMOVED] = {"removed", "removed"},
      [GC_REMOVING] = {"removing", "removed; its memory goes with the last process that has it "
                                   "attached"},
      [GC_GONE] = {"gone", "somebody else removed it"},
      [GC_CHANGED] = {"changed", "kept: it has changed, or somebody has used it meanwhile"},
      [GC_UNANSWERED] = {"unanswered", "kept: the daemon did not say whether it manages it"},
      [GC_NOT_PERMITTED] = {"not-permitted",
                            "kept: only its owner, its creator and root may remove "
                            "it"},
      [GC_FAILED] = {"failed", "kept: the kernel refuses to remove it"},
      [GC_REFUSED] = {"refused", "kept: the daemon did not remove it"},
};

const char *gc_class_word(enum gc_class class)
{
    return classes[class].word;
}

const char *gc_class_reason(enum gc_class class)
{
    return classes[class].reason;
}

const char *gc_result_word(enum gc_result result)
{
    return results[result].word;
}

const char *gc_result_reason(enum gc_result result)
{
    return results[result].reason;
}

/* --- what is known of daemons */

int orphan_guard(struct orphan_knowledge *k, const struct guard *guard)
{
    for (size_t i = 0; i < k->n_guards; i++) {
        if (k->guards[i].uid != guard->uid)
            continue;
        if (guard->serves && !k->guards[i].serves)
            k->guards[i] = *guard;
        return 0;
    }
    struct guard *more = reallocarray(k->guards, k->n_guards + 1, sizeof(*more));
    if (!more)
        return -ENOMEM;
    k->guards = more;
    k->guards[k->n_guards++] = *guard;
    return 0;
}

/* A daemon is the creator of what it made for others, and the owner of what it adopted. */
static bool could_manage(uint32_t uid, const struct kernel_segment *s)
{
    return uid == s->cuid || uid == s->uid;
}

const struct guard *orphan_guard_of(const struct orphan_knowledge *k,
                                    const struct kernel_segment *s)
{
    for (size_t i = 0; i < k->n_guards; i++)
        if (could_manage(k->guards[i].uid, s))
            return &k->guards[i];
    return NULL;
}

void orphan_knowledge_deinit(struct orphan_knowledge *k)
{
    free(k->foreign);
    free(k->guards);
    *k = (struct orphan_knowledge){0};
}

static int compare_foreign(const void *a, const void *b)
{
    int x = ((const struct foreign_segment *)a)->shmid;
    int y = ((const struct foreign_segment *)b)->shmid;
    return (x > y) - (x < y);
}

/* NULL: the daemon manages it, or was not asked. */
static const struct foreign_segment *find_foreign(const struct orphan_knowledge *k, int shmid)
{
    const struct foreign_segment wanted = {.shmid = shmid};
    if (!k->asked || k->n_foreign == 0)
        return NULL;
    return bsearch(&wanted, k->foreign, k->n_foreign, sizeof(wanted), compare_foreign);
}

struct foreign_segment foreign_segment_of(const struct shmd_segment *s)
{
    struct foreign_segment told = {
        .shmid = s->shmid,
        .creator = PROCESS_UNKNOWN,
        .cpid = s->creator.pid,
        .lpid = s->last_pid,
    };
    if (s->orphaned)
        told.creator = PROCESS_DEAD;
    else if (s->creator.pid != 0 && s->nattch == 0)
        told.creator = PROCESS_ALIVE;
    return told;
}

/* --- decisions */

/* What is seen from here, and where the creator cannot be seen from here, what the daemon sees. */
static enum orphan_class classify(const struct kernel_segment *s, enum process_state creator,
                                  const struct foreign_segment *told)
{
    struct orphan_facts facts = {
        .creator = creator,
        .cpid = s->cpid,
        .lpid = s->lpid,
        .nattch = s->nattch,
        .atime = s->atime,
    };
    if (creator == PROCESS_UNKNOWN && told && told->creator != PROCESS_UNKNOWN) {
        facts.creator = told->creator;
        facts.cpid = told->cpid;
        facts.lpid = told->lpid;
    }
    return orphan_classify(&facts);
}

/* It is the daemon's by its uid, and was there before the daemon's records. The kernel counts
 * whole seconds; a change of mode or owner makes it look younger. What the daemon made for another
 * user is lost or disowned, however young: its creator is the daemon for the kernel, so that the
 * end of the daemon's process says nothing of the program that asked for it. */
static bool is_lost(const struct orphan_knowledge *k, const struct kernel_segment *s)
{
    if (!k->asked || !could_manage(k->daemon_uid, s))
        return false;
    if (s->cuid == k->daemon_uid && s->uid != k->daemon_uid)
        return true;
    return k->records_since_at_ms == 0 || s->ctime <= k->records_since_at_ms / 1000;
}

static enum gc_class judge(const struct kernel_segment *s, enum process_state creator,
                           const struct foreign_segment *told, const struct orphan_knowledge *k)
{
    enum orphan_class class = classify(s, creator, told);
    switch (class) {
    case ORPHAN_ATTACHED: return GC_ATTACHED;
    case ORPHAN_CREATOR_LIVES: return GC_CREATOR_LIVES;
    case ORPHAN_UNDECIDED:
    case ORPHAN_LEAKED:
    case ORPHAN_LEFT: break;
    }
    if (orphan_guard_of(k, s))
        return GC_GUARDED;
    if (is_lost(k, s))
        return GC_LOST;
    if (class == ORPHAN_UNDECIDED)
        return GC_UNDECIDED;
    return class == ORPHAN_LEFT ? GC_LEFT : GC_LEAKED;
}

enum gc_class orphan_judge(const struct kernel_segment *s, enum process_state creator,
                           const struct orphan_knowledge *k)
{
    const struct foreign_segment *told = find_foreign(k, s->shmid);
    if (k->asked && !told)
        return GC_MANAGED;
    return judge(s, creator, told, k);
}

enum orphan_class orphan_class_of_listed(const struct shmd_segment *segment)
{
    struct foreign_segment told = foreign_segment_of(segment);
    struct kernel_segment s = {
        .cpid = told.cpid,
        .lpid = told.lpid,
        .nattch = segment->nattch,
        .atime = segment->attached_at_ms / 1000,
    };
    struct kernel_segment now;
    if (told.creator != PROCESS_UNKNOWN || segment->nattch > 0)
        return classify(&s, told.creator, NULL);
    /* The daemon cannot see the creator. Perhaps this process can, if it is the same segment: in
     * another IPC namespace the id may denote another one. */
    bool is_same = kernel_segment_stat(segment->shmid, &now) == 0 && now.size == segment->size &&
                   now.key == segment->key && now.cuid == segment->creator.uid &&
                   now.ctime == segment->changed_at_ms / 1000;
    return is_same ? classify(&now, process_look(now.cpid), NULL) : ORPHAN_UNDECIDED;
}

int64_t orphan_idle_since(const struct kernel_segment *s)
{
    int64_t last = s->ctime;
    if (s->atime > last)
        last = s->atime;
    return s->dtime > last ? s->dtime : last;
}

/* The id alone says nothing: the kernel gives it out again. Its owner is compared, too, because the
 * kernel's clock of changes has seconds only, and a change of owner is a segment handed over. */
static bool is_same(const struct kernel_segment *a, const struct kernel_segment *b)
{
    return a->shmid == b->shmid && a->key == b->key && a->size == b->size && a->uid == b->uid &&
           a->gid == b->gid && a->cuid == b->cuid && a->cgid == b->cgid && a->cpid == b->cpid &&
           a->mode == b->mode && a->ctime == b->ctime;
}

/* Somebody had it attached meanwhile: it is not idle. */
static bool is_used_since(const struct kernel_segment *before, const struct kernel_segment *now)
{
    return before->atime != now->atime || before->dtime != now->dtime;
}

static struct gc_outcome outcome_of_error(enum gc_class class, int r)
{
    if (r == -ENOENT)
        return (struct gc_outcome){class, GC_GONE, 0};
    if (r == -EPERM || r == -EACCES)
        return (struct gc_outcome){class, GC_NOT_PERMITTED, 0};
    return (struct gc_outcome){class, GC_FAILED, r};
}

struct gc_outcome orphan_remove(const struct orphan_ops *ops, void *context,
                                const struct kernel_segment *listed, enum gc_class class,
                                const struct orphan_knowledge *k, bool by_decision)
{
    struct foreign_segment told = {.shmid = -1};
    struct kernel_segment now;
    int r = ops->is_foreign(context, listed->shmid, &told);
    if (r < 0)
        return r == -ENOENT ? outcome_of_error(class, r)
                            : (struct gc_outcome){class, GC_UNANSWERED, r};
    if (r == 0)
        return (struct gc_outcome){GC_MANAGED, GC_KEPT, 0};
    r = ops->stat(context, listed->shmid, &now);
    if (r < 0)
        return outcome_of_error(class, r);
    if (!is_same(listed, &now))
        return (struct gc_outcome){class, GC_CHANGED, 0};
    enum gc_class class_now =
        judge(&now, ops->look(context, now.cpid), told.shmid < 0 ? NULL : &told, k);
    if (!by_decision && class_now != class)
        return (struct gc_outcome){class_now, GC_KEPT, 0};
    if (!by_decision && is_used_since(listed, &now))
        return (struct gc_outcome){class, GC_CHANGED, 0};
    r = ops->remove(context, listed->shmid);
    if (r < 0)
        return outcome_of_error(class_now, r);
    return (struct gc_outcome){class_now, now.nattch > 0 ? GC_REMOVING : GC_REMOVED, 0};
}
