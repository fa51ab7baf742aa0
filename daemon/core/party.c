/* SPDX-License-Identifier: MIT */
#include "daemon/core/party.h"

#include <assert.h>
#include <errno.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

/* Whether IDENTITY is more than a pid. */
static bool is_identified(const struct process_identity *identity)
{
    return identity->inode || identity->started_at;
}

static int compare(const void *a, const void *b)
{
    const struct process_identity *x = &((const struct party *)a)->identity;
    const struct process_identity *y = &((const struct party *)b)->identity;
    if (x->pid != y->pid)
        return x->pid < y->pid ? -1 : 1;
    if (x->inode != y->inode)
        return x->inode < y->inode ? -1 : 1;
    if (x->started_at != y->started_at)
        return x->started_at < y->started_at ? -1 : 1;
    if (is_identified(x))
        return 0;
    /* What was restored for one user, on doubt, is not what another one's process has. */
    const uint32_t xs = ((const struct party *)a)->uid, ys = ((const struct party *)b)->uid;
    return (xs > ys) - (xs < ys);
}

void parties_init(struct parties *p, struct processes processes, struct watcher watcher,
                  struct quota *quota, const struct access *access)
{
    *p = (struct parties){
        .processes = processes, .watcher = watcher, .quota = quota, .access = access};
}

void parties_deinit(struct parties *p)
{
    assert(!p->by_process && p->n_processes == 0);
}

static struct party *new_party(uint32_t uid, const char *comm)
{
    struct party *party = calloc(1, sizeof(*party));
    if (!party)
        return NULL;
    party->uid = uid;
    memcpy(party->comm, comm, strnlen(comm, sizeof(party->comm) - 1)); /* the rest is zero */
    LIST_INIT(&party->ties);
    return party;
}

/* Whom a process is charged to, and on whose behalf. */
struct payer {
    uint32_t uid;
    bool is_known; /* a former daemon watched it: it counts whatever the caps */
    bool is_admin;
    const char *comm;
};

static int charge(struct parties *p, const struct payer *payer, struct account **ret,
                  struct outcome_detail *detail)
{
    return payer->is_known
               ? quota_add(p->quota, payer->uid, QUOTA_PROCESSES, 1, ret)
               : quota_take(p->quota, payer->uid, payer->is_admin, QUOTA_PROCESSES, 1, ret, detail);
}

/* Enters and watches PARTY: 0 or a negative errno. */
static int enter(struct parties *p, struct party *party)
{
    if (!tsearch(party, &p->by_process, compare))
        return -ENOMEM;
    int r = p->watcher.ops->add(p->watcher.context, party->pidfd, party, &party->watch);
    if (r < 0)
        tdelete(party, &p->by_process, compare);
    return r;
}

/* Adds the party of process IDENTITY, which has none yet, and watches it. */
static int add(struct parties *p, const struct process_identity *identity, int pidfd,
               const struct payer *payer, struct party **ret, struct outcome_detail *detail)
{
    struct party *party = new_party(payer->uid, payer->comm);
    if (!party)
        return -ENOMEM;
    party->identity = *identity;
    party->pidfd = pidfd;
    int r = charge(p, payer, &party->account, detail);
    if (r == 0) {
        r = enter(p, party);
        if (r < 0)
            quota_give(p->quota, party->account, QUOTA_PROCESSES, 1);
    }
    if (r != 0) {
        free(party);
        return r;
    }
    p->n_processes++;
    *ret = party;
    return 0;
}

/*
 * The party of process IDENTITY, which lives, or NULL. Where only its pid is known, a party with
 * that pid is its own if the party's process lives, too; else that one is about to be noticed, and
 * the pid is another's by now.
 */
static struct party *find(struct parties *p, const struct process_identity *identity, uint32_t uid)
{
    const struct processes *on = &p->processes;
    const struct party like = {.identity = *identity, .uid = uid};
    void *node = tfind(&like, &p->by_process, compare);
    struct party *party = node ? *(struct party **)node : NULL;
    struct process_identity ignored;
    if (!party || is_identified(identity) ||
        on->ops->identify(on->context, party->pidfd, identity->pid, &ignored) != -ESRCH)
        return party;
    tdelete(party, &p->by_process, compare);
    party->is_forgotten = true;
    return NULL;
}

/* Takes PIDFD in any case. */
static int find_or_add(struct parties *p, const struct process_identity *identity, int pidfd,
                       const struct payer *payer, struct party **ret, struct outcome_detail *detail)
{
    struct party *party = find(p, identity, payer->uid);
    int r = party ? 0 : add(p, identity, pidfd, payer, ret, detail);
    if (party || r != 0)
        p->processes.ops->close(p->processes.context, pidfd);
    if (party)
        *ret = party;
    return r;
}

int parties_of_process(struct parties *p, const struct process_identity *identity, int pidfd,
                       uint32_t uid, const char *comm, struct party **ret)
{
    const struct payer payer = {.uid = uid, .is_known = true, .comm = comm};
    struct outcome_detail none;
    return find_or_add(p, identity, pidfd, &payer, ret, &none);
}

/* A process that the daemon cannot see has no number here, and before Linux 6.9 nothing else that
 * tells it from others: each of its connections counts as a process. */
static void tell_apart(struct parties *p, struct caller *caller, struct process_identity *identity)
{
    if (is_identified(identity) || identity->pid)
        return;
    if (caller->unseen == 0)
        caller->unseen = ++p->last_unseen;
    identity->started_at = caller->unseen;
}

/*
 * Whether the process IDENTITY, which has the caller's pid now and lives, is the caller. The pid
 * may have been given to another since the caller connected, and before it was accepted, too. One
 * that started before the connection can have been made is the caller: nobody else can have had the
 * pid.
 */
static bool is_caller(const struct processes *p, const struct caller *caller,
                      const struct process_identity *identity)
{
    if (identity->started_at > caller->until_ticks)
        return false;
    if (identity->started_at && identity->started_at < caller->after_ticks)
        return true;
    return p->ops->may_be_peer(p->context, caller->socket, caller->uid, caller->pid);
}

/* A pidfd of the process that connected; where the kernel does not hand one out, of the one that
 * has its pid now, if that is the caller. */
static int open_caller(struct parties *parties, struct caller *caller, int *ret_pidfd,
                       struct process_identity *ret)
{
    const struct processes *p = &parties->processes;
    int pidfd;
    int r = p->ops->open_peer(p->context, caller->socket, &pidfd);
    bool by_pid = r == -ENOPROTOOPT;
    if (by_pid)
        r = p->ops->open(p->context, caller->pid, &pidfd);
    if (r < 0)
        return r;
    r = p->ops->identify(p->context, pidfd, caller->pid, ret);
    if (r == 0 && by_pid && !is_caller(p, caller, ret))
        r = -ESRCH;
    if (r < 0) {
        p->ops->close(p->context, pidfd);
        return r;
    }
    tell_apart(parties, caller, ret);
    *ret_pidfd = pidfd;
    return 0;
}

int parties_of_caller(struct parties *p, struct caller *caller, struct party **ret,
                      struct outcome_detail *detail)
{
    const struct payer payer = {
        .uid = caller->uid, .is_admin = access_is_admin(p->access, caller), .comm = caller->comm};
    struct process_identity identity;
    int pidfd = -1; /* gcc does not see that it is set */
    int r = open_caller(p, caller, &pidfd, &identity);
    return r < 0 ? r : find_or_add(p, &identity, pidfd, &payer, ret, detail);
}

int parties_find_caller(struct parties *p, struct caller *caller, const struct party **ret)
{
    struct process_identity identity;
    int pidfd = -1;
    int r = open_caller(p, caller, &pidfd, &identity);
    if (r < 0)
        return r;
    *ret = find(p, &identity, caller->uid);
    p->processes.ops->close(p->processes.context, pidfd);
    return 0;
}

int parties_of_connection(struct caller *caller, struct party **ret)
{
    if (!caller->party) {
        struct party *party = new_party(caller->uid, caller->comm);
        if (!party)
            return -ENOMEM;
        party->is_connection = true;
        party->identity.pid = caller->pid;
        party->pidfd = -1;
        caller->party = party;
    }
    *ret = caller->party;
    return 0;
}

void party_put(struct parties *p, struct party *party)
{
    if (party->is_connection || party->is_ending || !LIST_EMPTY(&party->ties))
        return;
    p->watcher.ops->remove(p->watcher.context, party->watch);
    if (!party->is_forgotten)
        tdelete(party, &p->by_process, compare);
    p->processes.ops->close(p->processes.context, party->pidfd);
    quota_give(p->quota, party->account, QUOTA_PROCESSES, 1);
    p->n_processes--;
    free(party);
}

void party_end(struct parties *p, struct party *party)
{
    assert(LIST_EMPTY(&party->ties));
    if (party->is_connection) {
        free(party);
        return;
    }
    party->is_ending = false;
    party_put(p, party);
}
