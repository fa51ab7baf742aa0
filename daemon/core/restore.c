/* SPDX-License-Identifier: MIT */
#include "daemon/core/restore.h"

#include <errno.h>

#include "daemon/core/ends.h"
#include "daemon/core/segment_charge.h"

/* The process that was recorded, unless it is known to have ended: 0, -ESRCH, or another negative
 * errno. A process that cannot be distinguished from it passes for it: the segment is kept longer
 * than it need be, and never removed under a process that lives. */
static int find_process(struct core *core, const struct stored_tie *stored, struct party **ret)
{
    const struct processes *p = &core->on.processes;
    struct process_identity now;
    int pidfd;
    int r = p->ops->open(p->context, stored->identity.pid, &pidfd);
    if (r < 0)
        return r;
    r = p->ops->identify(p->context, pidfd, stored->identity.pid, &now);
    if (r == 0 && process_is_other(&stored->identity, &now))
        r = -ESRCH;
    if (r < 0) {
        p->ops->close(p->context, pidfd);
        return r;
    }
    return parties_of_process(&core->parties, &now, pidfd, stored->uid, stored->comm, ret);
}

static int restore_tie(struct core *core, struct segment *segment, const struct stored_tie *stored,
                       bool is_foreign)
{
    struct party *party;
    if (stored->role == TIE_ATTACHER)
        return 0; /* the anchor went with the former daemon */
    if (is_foreign) {
        segment->has_unseen = segment->is_left_behind = true;
        return 0;
    }
    int r = find_process(core, stored, &party);
    if (r == -ESRCH)
        return 0; /* it has ended */
    if (r < 0)
        return r;
    struct tie *tie = tie_new(party, stored->role, stored->since_at_ms);
    if (!tie) {
        party_put(&core->parties, party);
        return -ENOMEM;
    }
    tie_bind(&core->parties, tie, segment);
    return 0;
}

/* Whether the pids in CONTENTS are another pid namespace's. */
static bool are_foreign(const struct core *core, const struct store_contents *contents)
{
    if (contents->n_daemons == 0 || core->machine->pid_namespace == 0)
        return false;
    const struct store_daemon *last = &contents->daemons[contents->n_daemons - 1];
    return last->pid_namespace != 0 && last->pid_namespace != core->machine->pid_namespace;
}

/* SEGMENT has been idle since it was recorded to be, unless the sweep of this start sees that it
 * was used meanwhile. The kernel's times are whole seconds: a use within the second of the last
 * detach does not show, so that second is added. */
static void go_on_idling(const struct core *core, struct segment *segment)
{
    const int64_t now = core_boottime_ms(core), since = segment->idle_since_ms + 1000;
    segment->idle_since_ms = segment->idle_since_ms == 0 || since > now ? now : since;
}

static int restore_segment(struct core *core, const struct stored *stored, bool is_foreign)
{
    struct segment *segment = segment_new_stored(&stored->segment);
    if (!segment)
        return -ENOMEM;
    /* Until it is looked at in the kernel. Should it be gone, its creator may hear of it. */
    segment->seen.uid =
        segment->creator.only_pays ? core->settings.access.own_uid : segment->creator.uid;
    segment->seen.gid = segment->creator.gid;
    segment->seen.mode = 0600;
    int r = registry_add(&core->registry, segment);
    if (r < 0) {
        segment_free(segment);
        return r;
    }
    r = segment_charge_found(&core->quota, segment);
    if (r == 0) {
        go_on_idling(core, segment);
        r = ends_in_time(core, segment);
    }
    for (size_t i = 0; r == 0 && i < stored->n_ties; i++)
        r = restore_tie(core, segment, &stored->ties[i], is_foreign);
    if (r == 0 && is_foreign) {
        segment->is_unnumbered = true;
        ledger_note_changed(core, segment);
    }
    return r;
}

/* At once, so that no table is filled again and again while it grows. */
static int make_room(struct core *core, const struct store_contents *contents)
{
    size_t n_names = 0, n_keys = 0;
    for (size_t i = 0; i < contents->n_segments; i++) {
        n_names += contents->segments[i].segment.name != NULL;
        n_keys += contents->segments[i].segment.key != 0;
    }
    return registry_reserve_many(&core->registry, contents->n_segments, n_names, n_keys);
}

int restore_segments(struct core *core, const struct store_contents *contents)
{
    const bool is_foreign = are_foreign(core, contents);
    core->ledger.has_foreign_pids = core->ledger.awaits_numbers = is_foreign;
    int r = make_room(core, contents);
    for (size_t i = 0; r == 0 && i < contents->n_segments; i++)
        r = restore_segment(core, &contents->segments[i], is_foreign);
    if (r == 0) /* those above the last segment's were given, too */
        core->registry.last_serial = contents->counters.last_serial;
    return r;
}
