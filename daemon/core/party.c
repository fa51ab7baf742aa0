#include "daemon/core/party.h"

#include <assert.h>
#include <errno.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

static int compare(const void *a, const void *b)
{
    const struct process_identity *x = &((const struct party *)a)->identity;
    const struct process_identity *y = &((const struct party *)b)->identity;
    if (x->pid != y->pid)
        return x->pid < y->pid ? -1 : 1;
    if (x->inode != y->inode)
        return x->inode < y->inode ? -1 : 1;
    return (x->started_at > y->started_at) - (x->started_at < y->started_at);
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

/* Takes PIDFD in any case. */
static int find_or_add(struct parties *p, const struct process_identity *identity, int pidfd,
                       const struct payer *payer, struct party **ret, struct outcome_detail *detail)
{
    const struct party like = {.identity = *identity};
    void *node = tfind(&like, &p->by_process, compare);
    int r = node ? 0 : add(p, identity, pidfd, payer, ret, detail);
    if (node || r != 0)
        p->processes.ops->close(p->processes.context, pidfd);
    if (node)
        *ret = *(struct party **)node;
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
    if (identity->inode || identity->started_at || identity->pid)
        return;
    if (caller->unseen == 0)
        caller->unseen = ++p->last_unseen;
    identity->started_at = caller->unseen;
}

/*
 * A pidfd of the process that connected. Where the kernel does not hand one out, the pid is looked
 * up, and the process that has it now may be another one: it is not the caller if it started after
 * the connection was made.
 */
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
    if (r == 0 && by_pid && ret->started_at > caller->since_ticks)
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
    struct party like = {0};
    int pidfd = -1;
    int r = open_caller(p, caller, &pidfd, &like.identity);
    if (r < 0)
        return r;
    void *node = tfind(&like, &p->by_process, compare);
    p->processes.ops->close(p->processes.context, pidfd);
    *ret = node ? *(struct party **)node : NULL;
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
