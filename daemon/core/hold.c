#include "daemon/core/hold.h"

#include <errno.h>

#include "daemon/core/removal.h"

/*
 * A pidfd of the process at the other end. Where the kernel does not hand one out, the pid is
 * looked up; then the process may be another by now: it is not the peer if it began after the
 * connection.
 */
static int open_process(struct core *core, const struct caller *caller, int *ret_pidfd,
                        struct process_identity *ret)
{
    const struct processes *p = &core->on.processes;
    int pidfd;
    int r = p->ops->open_peer(p->context, caller->socket, &pidfd);
    if (r == 0) {
        r = p->ops->identify(p->context, pidfd, caller->pid, ret);
    } else if (r == -ENOPROTOOPT) {
        r = p->ops->open(p->context, caller->pid, &pidfd);
        if (r < 0)
            return r;
        r = p->ops->identify(p->context, pidfd, caller->pid, ret);
        if (r == 0 && ret->started_at > caller->since_ticks)
            r = -ESRCH;
    } else {
        return r;
    }
    if (r < 0) {
        p->ops->close(p->context, pidfd);
        return r;
    }
    *ret_pidfd = pidfd;
    return 0;
}

static int process_party(struct core *core, const struct caller *caller, struct party **ret)
{
    struct process_identity identity;
    int pidfd = -1; /* gcc does not see that it is set */
    int r = open_process(core, caller, &pidfd, &identity);
    if (r != 0)
        return r;
    return holders_process(&core->holders, &identity, pidfd, caller->uid, caller->comm, ret);
}

static int party_of(struct core *core, struct caller *caller, const struct segment *segment,
                    enum tie_role role, struct party **ret)
{
    if (role != TIE_HOLDER || segment->lifetime != LIFETIME_CONNECTION)
        return process_party(core, caller, ret);
    if (!caller->party)
        caller->party = party_new_connection(caller);
    if (!caller->party)
        return -ENOMEM;
    *ret = caller->party;
    return 0;
}

int hold_tie(struct core *core, struct caller *caller, struct segment *segment, enum tie_role role)
{
    struct party *party;
    int r = party_of(core, caller, segment, role, &party);
    if (r != 0)
        return r;
    struct tie *tie = tie_find(segment, party, role);
    if (tie)
        return 0;
    tie = tie_make(segment, party, role, core_realtime_ms(core));
    if (!tie) {
        party_put(&core->holders, party);
        return -ENOMEM;
    }
    tie->state = TIE_MADE;
    return 0;
}

static bool has_holders(const struct segment *segment)
{
    return segment->state != STATE_REMOVING &&
           (segment->lifetime == LIFETIME_PROCESS || segment->lifetime == LIFETIME_CONNECTION);
}

static int not_holdable(const struct segment *segment, struct outcome_detail *detail)
{
    *detail = (struct outcome_detail){
        .what = lifetime_words[segment->lifetime],
        .hint = segment->state == STATE_REMOVING ? "the segment is being removed" : NULL};
    return OUTCOME_NOT_HOLDABLE;
}

int core_hold(struct core *core, struct caller *caller, struct found *found,
              struct outcome_detail *detail)
{
    struct segment *segment = found->segment;
    if (!has_holders(segment))
        return not_holdable(segment, detail);
    uint64_t max = core->settings.limits.max_holders_per_segment;
    uint32_t before = segment->n_holders;
    int r = turn_reserve(core);
    if (r == 0)
        r = turn_remember(core, segment, &found->kernel);
    if (r == 0)
        r = hold_tie(core, caller, segment, TIE_HOLDER);
    if (r < 0 || segment->n_holders == before) {
        turn_forget(segment);
        return r; /* it failed, or it held it already */
    }
    if (before >= max) {
        tie_drop(&core->holders, segment->ties);
        turn_forget(segment);
        *detail =
            (struct outcome_detail){.what = "max_holders_per_segment", .used = before, .max = max};
        return OUTCOME_QUOTA_EXCEEDED;
    }
    turn_changed(core, segment);
    turn_tell(core, segment, &found->kernel, EVENT_CHANGED, REASON_REQUEST);
    return 0;
}

int core_holds(struct core *core, struct caller *caller, const struct segment *segment)
{
    struct party *party;
    if (!has_holders(segment))
        return 0;
    int r = party_of(core, caller, segment, TIE_HOLDER, &party);
    if (r != 0)
        return r;
    bool holds = tie_find(segment, party, TIE_HOLDER) != NULL;
    party_put(&core->holders, party);
    return holds;
}

int core_release(struct core *core, struct caller *caller, struct found *found,
                 struct outcome_detail *detail)
{
    struct segment *segment = found->segment;
    struct party *party;
    if (!has_holders(segment))
        return not_holdable(segment, detail);
    int r = turn_reserve(core);
    if (r == 0)
        r = party_of(core, caller, segment, TIE_HOLDER, &party);
    if (r != 0)
        return r;
    struct tie *tie = tie_find(segment, party, TIE_HOLDER);
    if (!tie) {
        party_put(&core->holders, party);
        return 0; /* it did not hold it */
    }
    if (segment->n_holders == 1) /* the last: it holds on if the kernel will not remove */
        return removal_do(core, found,
                          party->is_connection ? REASON_CONNECTION_CLOSED
                                               : REASON_LAST_HOLDER_EXITED);
    r = turn_remember(core, segment, &found->kernel);
    if (r < 0)
        return r;
    turn_cut(core, tie);
    turn_changed(core, segment);
    turn_tell(core, segment, &found->kernel, EVENT_CHANGED, REASON_REQUEST);
    return 0;
}

int core_ready(struct core *core, struct found *found)
{
    struct segment *segment = found->segment;
    if (segment->state != STATE_INITIALISING)
        return 0;
    int r = turn_reserve(core);
    if (r == 0)
        r = turn_remember(core, segment, &found->kernel);
    if (r < 0)
        return r;
    for (struct tie *tie = segment->ties, *next; tie; tie = next) {
        next = tie->next_of_segment;
        if (tie->role == TIE_INITIALISER)
            turn_cut(core, tie);
    }
    segment->state = STATE_READY;
    turn_changed(core, segment);
    turn_tell(core, segment, &found->kernel, EVENT_READY, REASON_REQUEST);
    return 0;
}
