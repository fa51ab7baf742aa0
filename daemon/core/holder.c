#include "daemon/core/holder.h"

#include <assert.h>
#include <errno.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/core/segment.h"

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

void holders_init(struct holders *h, struct processes processes, struct watcher watcher)
{
    *h = (struct holders){.processes = processes, .watcher = watcher};
}

void holders_deinit(struct holders *h)
{
    assert(!h->by_process && h->n_processes == 0);
}

static void describe(struct party *party, uint32_t uid, const char *comm)
{
    party->uid = uid;
    memcpy(party->comm, comm, strnlen(comm, sizeof(party->comm) - 1)); /* the rest is zero */
}

int holders_process(struct holders *h, const struct process_identity *identity, int pidfd,
                    uint32_t uid, const char *comm, struct party **ret)
{
    const struct party like = {.identity = *identity};
    void *node = tfind(&like, &h->by_process, compare);
    if (node) {
        h->processes.ops->close(h->processes.context, pidfd);
        *ret = *(struct party **)node;
        return 0;
    }
    int r = -ENOMEM;
    struct party *party = calloc(1, sizeof(*party));
    if (!party)
        goto undo_pidfd;
    party->identity = *identity;
    party->pidfd = pidfd;
    describe(party, uid, comm);
    if (!tsearch(party, &h->by_process, compare))
        goto undo_party;
    r = h->watcher.ops->add(h->watcher.context, pidfd, party, &party->watch);
    if (r < 0)
        goto undo_tree;
    h->n_processes++;
    *ret = party;
    return 0;

undo_tree:
    tdelete(party, &h->by_process, compare);
undo_party:
    free(party);
undo_pidfd:
    h->processes.ops->close(h->processes.context, pidfd);
    return r;
}

struct party *party_new_connection(const struct caller *caller)
{
    struct party *party = calloc(1, sizeof(*party));
    if (!party)
        return NULL;
    party->is_connection = true;
    party->identity.pid = caller->pid;
    party->pidfd = -1;
    describe(party, caller->uid, caller->comm);
    return party;
}

void party_put(struct holders *h, struct party *party)
{
    if (!party || party->is_connection || party->is_going || party->ties)
        return;
    h->watcher.ops->remove(h->watcher.context, party->watch);
    tdelete(party, &h->by_process, compare);
    h->processes.ops->close(h->processes.context, party->pidfd);
    h->n_processes--;
    free(party);
}

void party_free_connection(struct party *party)
{
    assert(!party || !party->ties);
    free(party);
}

struct tie *tie_find(const struct segment *segment, const struct party *party, enum tie_role role)
{
    for (struct tie *tie = segment->ties; tie; tie = tie->next_of_segment)
        if (tie->role == role && tie->state != TIE_CUT && (!party || tie->party == party))
            return tie;
    return NULL;
}

struct tie *tie_make(struct segment *segment, struct party *party, enum tie_role role,
                     int64_t since_at_ms)
{
    struct tie *tie = calloc(1, sizeof(*tie));
    if (!tie)
        return NULL;
    tie->segment = segment;
    tie->party = party;
    tie->role = role;
    tie->since_at_ms = since_at_ms;
    tie->next_of_segment = segment->ties;
    segment->ties = tie;
    tie->next_of_party = party->ties;
    party->ties = tie;
    if (role == TIE_HOLDER)
        segment->n_holders++;
    return tie;
}

void tie_drop(struct holders *h, struct tie *tie)
{
    struct tie **link = &tie->segment->ties;
    while (*link != tie)
        link = &(*link)->next_of_segment;
    *link = tie->next_of_segment;
    link = &tie->party->ties;
    while (*link != tie)
        link = &(*link)->next_of_party;
    *link = tie->next_of_party;
    if (tie->role == TIE_HOLDER && tie->state != TIE_CUT)
        tie->segment->n_holders--;
    struct party *party = tie->party;
    free(tie);
    party_put(h, party);
}
