/* SPDX-License-Identifier: MIT */
#include "daemon/core/disown.h"

#include <errno.h>

#include "daemon/core/declaration.h"
#include "daemon/core/kernel.h"
#include "daemon/core/removal.h"

/* Whether FOUND's segment is gone as soon as the daemon lets go of it. That may have been set since
 * the last sweep: 1, 0 or a negative errno. */
static int would_be_gone(const struct core *core, const struct found *found)
{
    const struct sysv *sysv = &core->on.sysv;
    struct sysv_limits limits;
    if (segment_attachments(found->segment, &found->kernel) > 0)
        return 0;
    int r = sysv->ops->limits(sysv->context, &limits);
    return r < 0 ? r : limits.shm_rmid_forced;
}

static int check(const struct core *core, const struct caller *caller, const struct found *found,
                 struct outcome_detail *detail)
{
    const struct access *a = &core->settings.access;
    const struct segment *s = found->segment;
    int gone = would_be_gone(core, found);
    if (gone < 0)
        return gone;
    if (s->state == STATE_REMOVING)
        return outcome_being_removed(detail, NULL);
    *detail = (struct outcome_detail){0};
    if (s->lifetime == LIFETIME_ATTACHED)
        detail->what = "disown of an attached segment: the kernel frees it at the last detach";
    else if (declaration_of(&core->declarations, s->name, s->key))
        detail->what = "disown of a declared segment, which the next sweep would create again: "
                       "take it out of its file and reload first";
    else if (gone)
        detail->what = "disown while kernel.shm_rmid_forced is 1 and nobody has attached the "
                       "segment: it would be gone at once";
    if (detail->what)
        return OUTCOME_NOT_SUPPORTED;
    const bool was_declared = s->creator.uid == a->own_uid || s->creator.only_pays;
    if (was_declared && !access_is_admin(a, caller))
        return outcome_denied(
            detail, "admin",
            "the daemon's own user made the segment, as for a file in segments.d: an admin may "
            "disown it; its owner may remove it");
    return 0;
}

static int give_back(struct core *core, const struct found *found, struct outcome_detail *detail)
{
    const struct sysv *sysv = &core->on.sysv;
    const struct segment *s = found->segment;
    int r =
        sysv->ops->set(sysv->context, s->shmid, s->creator.uid, s->creator.gid, found->kernel.mode);
    if (r == -EPERM || r == -EACCES)
        return outcome_denied(detail, "the daemon as owner",
                              "the segment's creator has taken it back");
    return r == -ENOENT ? OUTCOME_NO_SUCH_SEGMENT : r;
}

/* What the daemon has locked the kernel charges to the daemon, for as long as it stays locked. */
static void unlock(struct core *core, const struct segment *s)
{
    const struct sysv *sysv = &core->on.sysv;
    const struct sight now = kernel_look(core, s);
    if (now.verdict == VERDICT_MATCH && now.kernel.locked)
        (void)!sysv->ops->lock(sysv->context, s->shmid, false); /* its creator has taken it back */
}

/* The daemon created the segment, so it can put the owner back. */
static int disown_created(struct core *core, const struct found *found,
                          struct outcome_detail *detail)
{
    int r = give_back(core, found, detail);
    if (r != 0)
        return r;
    r = ledger_write_gone(core, found->segment, detail);
    if (r == 0) {
        unlock(core, found->segment);
        return 0;
    }
    int back = kernel_put_back(core, found->segment, &found->kernel);
    return back < 0 && back != -ESTALE ? -EIO : r;
}

/* Its creator handed the segment over: once it is given back, the daemon has no more rights to it.
 * So the record goes first; the creator could give himself the rest. */
static int disown_adopted(struct core *core, const struct found *found,
                          struct outcome_detail *detail)
{
    int r = ledger_write_gone(core, found->segment, detail);
    if (r != 0)
        return r;
    unlock(core, found->segment);
    if (give_back(core, found, detail) != 0)
        *detail = (struct outcome_detail){0}; /* its creator has taken it back himself */
    return 0;
}

int core_disown(struct core *core, const struct caller *caller, struct found *found,
                struct outcome_detail *detail)
{
    struct segment *s = found->segment;
    int r = check(core, caller, found, detail);
    if (r == 0)
        r = s->adopted ? disown_adopted(core, found, detail) : disown_created(core, found, detail);
    if (r != 0)
        return r;
    const struct sight now = kernel_look(core, s);
    if (now.verdict == VERDICT_MATCH)
        found->kernel = now.kernel;
    found->kernel.nattch = segment_attachments(s, &found->kernel);
    news_add_disowned(core, s, &found->kernel);
    removal_let_go(core, s);
    found->segment = NULL;
    return 0;
}
