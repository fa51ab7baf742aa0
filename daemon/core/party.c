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

void parties_init(struct parties *p, struct processes processes, struct watcher watcher)
{
    *p = (struct parties){.processes = processes, .watcher = watcher};
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

/* Adds the party of process IDENTITY, which has none yet, and watches it. */
static int add(struct parties *p, const struct process_identity *identity, int pidfd, uint32_t uid,
               const char *comm, struct party **ret)
{
    struct party *party = new_party(uid, comm);
    if (!party)
        return -ENOMEM;
    party->identity = *identity;
    party->pidfd = pidfd;
    if (!tsearch(party, &p->by_process, compare)) {
        free(party);
        return -ENOMEM;
    }
    int r = p->watcher.ops->add(p->watcher.context, pidfd, party, &party->watch);
    if (r < 0) {
        tdelete(party, &p->by_process, compare);
        free(party);
        return r;
    }
    p->n_processes++;
    *ret = party;
    return 0;
}

int parties_of_process(struct parties *p, const struct process_identity *identity, int pidfd,
                       uint32_t uid, const char *comm, struct party **ret)
{
    const struct party like = {.identity = *identity};
    void *node = tfind(&like, &p->by_process, compare);
    int r = node ? 0 : add(p, identity, pidfd, uid, comm, ret);
    if (node || r < 0)
        p->processes.ops->close(p->processes.context, pidfd);
    if (node)
        *ret = *(struct party **)node;
    return r;
}

/*
 * A pidfd of the process that connected. Where the kernel does not hand one out, the pid is looked
 * up, and the process that has it now may be another one: it is not the caller if it started after
 * the connection was made.
 */
static int open_caller(const struct processes *p, const struct caller *caller, int *ret_pidfd,
                       struct process_identity *ret)
{
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
    *ret_pidfd = pidfd;
    return 0;
}

int parties_of_caller(struct parties *p, const struct caller *caller, struct party **ret)
{
    struct process_identity identity;
    int pidfd = -1; /* gcc does not see that it is set */
    int r = open_caller(&p->processes, caller, &pidfd, &identity);
    return r < 0 ? r : parties_of_process(p, &identity, pidfd, caller->uid, caller->comm, ret);
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
