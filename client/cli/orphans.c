#include "client/cli/orphans.h"

#include <errno.h>
#include <stdlib.h>

static const struct {
    const char *word, *reason;
} texts[] = {
    [ORPHAN] = {"orphaned", "creator dead, nobody attached"},
    [ORPHAN_REMOVED] = {"removed", "removed"},
    [KEPT_ATTACHED] = {"attached", "kept: a process has it attached"},
    [KEPT_CREATOR_LIVES] = {"creator-lives", "kept: its creator's pid is in use"},
    [KEPT_CREATOR_UNKNOWN] = {"creator-unknown",
                              "kept: its creator is in another pid namespace, so it may still "
                              "live"},
    [KEPT_MANAGED] = {"managed", "kept: shmd manages it"},
    [KEPT_GUARDED] = {"guarded", "kept: a shmd that does not answer may manage it"},
    [KEPT_LOST] = {"lost", "kept: made by a daemon that has no record of it: adopt it (shmdctl "
                           "adopt), or remove it by its id (ipcrm -m)"},
    [KEPT_UNASKED] = {"unasked", "kept: a shmd that was not asked may manage it: name its socket "
                                 "with --socket"},
    [KEPT_GONE] = {"gone", "another process removed it"},
    [KEPT_CHANGED] = {"changed", "kept: its id is another segment now, or it has another owner"},
    [KEPT_UNANSWERED] = {"unanswered", "kept: the daemon did not say whether it manages it"},
    [KEPT_NOT_PERMITTED] = {"not-permitted",
                            "kept: only its owner, its creator and root may remove it"},
    [KEPT_FAILED] = {"failed", "kept: the kernel refuses to remove it"},
};

const char *orphan_reason(enum orphan_verdict verdict)
{
    return texts[verdict].reason;
}

const char *orphan_word(enum orphan_verdict verdict)
{
    return texts[verdict].word;
}

/* --- what is known of daemons */

void orphan_guard(struct orphan_knowledge *k, uint32_t uid)
{
    for (size_t i = 0; i < k->n_guarded; i++)
        if (k->guarded[i] == uid)
            return;
    if (k->n_guarded == GUARDED_UIDS_MAX)
        k->guards_all = true;
    else
        k->guarded[k->n_guarded++] = uid;
}

void orphan_guard_running(struct orphan_knowledge *k, struct running_daemon daemon)
{
    if (k->n_unasked == GUARDED_UIDS_MAX)
        k->guards_all = true;
    else
        k->unasked[k->n_unasked++] = daemon;
}

/* A daemon is the creator of what it made for others, and the owner of what it adopted. */
static bool could_manage(uint32_t uid, const struct kernel_segment *s)
{
    return uid == s->cuid || uid == s->uid;
}

bool orphan_is_lost(const struct orphan_knowledge *k, const struct kernel_segment *s)
{
    if (!k->asked || !could_manage(k->daemon_uid, s))
        return false;
    /* A user who has a daemon of one's own has other segments, too: those are one's own both ways.
     */
    return s->cuid != s->uid || k->daemon_uid_alone;
}

bool orphan_is_guarded(const struct orphan_knowledge *k, const struct kernel_segment *s)
{
    for (size_t i = 0; i < k->n_guarded; i++)
        if (could_manage(k->guarded[i], s))
            return true;
    return k->guards_all;
}

int32_t orphan_unasked(const struct orphan_knowledge *k, const struct kernel_segment *s)
{
    for (size_t i = 0; i < k->n_unasked; i++)
        if (could_manage(k->unasked[i].uid, s))
            return k->unasked[i].pid;
    return 0;
}

void orphan_knowledge_deinit(struct orphan_knowledge *k)
{
    free(k->foreign);
    *k = (struct orphan_knowledge){0};
}

static int compare_ids(const void *a, const void *b)
{
    int x = *(const int *)a, y = *(const int *)b;
    return (x > y) - (x < y);
}

static bool is_managed(const struct orphan_knowledge *k, int shmid)
{
    return k->asked && (k->n_foreign == 0 ||
                        !bsearch(&shmid, k->foreign, k->n_foreign, sizeof(shmid), compare_ids));
}

/* --- decisions */

enum orphan_verdict orphan_judge(const struct kernel_segment *s, enum process_state creator,
                                 const struct orphan_knowledge *k)
{
    if (s->nattch > 0)
        return KEPT_ATTACHED;
    if (is_managed(k, s->shmid))
        return KEPT_MANAGED;
    if (creator == PROCESS_ALIVE)
        return KEPT_CREATOR_LIVES;
    if (creator == PROCESS_UNKNOWN)
        return KEPT_CREATOR_UNKNOWN;
    if (orphan_unasked(k, s) > 0)
        return KEPT_UNASKED;
    if (orphan_is_guarded(k, s))
        return KEPT_GUARDED;
    return orphan_is_lost(k, s) ? KEPT_LOST : ORPHAN;
}

int64_t orphan_idle_since(const struct kernel_segment *s)
{
    int64_t last = s->ctime;
    if (s->atime > last)
        last = s->atime;
    return s->dtime > last ? s->dtime : last;
}

/* The id alone says nothing: the kernel gives it out again. What was used since is not idle,
 * either. Its owner is compared, too, because the kernel's clock of changes has seconds only, and a
 * change of owner is a segment handed over. */
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

enum orphan_verdict orphan_remove(const struct orphan_ops *ops, void *context,
                                  const struct kernel_segment *listed,
                                  const struct orphan_knowledge *k, int *ret_error)
{
    struct kernel_segment now;
    int r = ops->is_foreign(context, listed->shmid);
    if (r < 0) {
        *ret_error = r;
        return r == -ENOENT ? KEPT_GONE : KEPT_UNANSWERED;
    }
    if (r == 0)
        return KEPT_MANAGED;
    r = ops->stat(context, listed->shmid, &now);
    if (r == 0 && !is_same(listed, &now))
        return KEPT_CHANGED;
    if (r == 0) {
        enum orphan_verdict verdict = orphan_judge(&now, ops->look(context, now.cpid), k);
        if (verdict == ORPHAN && is_used_since(listed, &now))
            verdict = KEPT_CHANGED;
        if (verdict != ORPHAN)
            return verdict;
        r = ops->remove(context, listed->shmid);
    }
    if (r == 0)
        return ORPHAN_REMOVED;
    *ret_error = r;
    if (r == -ENOENT)
        return KEPT_GONE;
    return r == -EPERM || r == -EACCES ? KEPT_NOT_PERMITTED : KEPT_FAILED;
}
