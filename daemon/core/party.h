/* SPDX-License-Identifier: MIT */
/*
 * Parties: the processes and connections that segments depend on. A process is watched by its
 * pidfd. There is one party, and one watch, for a process however many segments depend on it; it
 * lives as long as it has a tie (ties.h). A connection's party lives as long as the connection.
 */
#ifndef SHMD_CORE_PARTY_H
#define SHMD_CORE_PARTY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "daemon/core/access.h"
#include "daemon/core/caller.h"
#include "daemon/core/quota.h"
#include "daemon/sys/process.h"
#include "daemon/util/cleanup.h"

struct tie;

LIST_HEAD(ties, tie);

struct party {
    bool is_connection;
    struct process_identity identity; /* of a connection: its process's pid and nothing else */
    uint32_t uid;
    char comm[COMM_MAX];
    struct account *account; /* charged with the process; NULL: a connection's */
    int pidfd;               /* owned; -1: a connection's */
    void *watch;             /* the watcher's */
    bool is_forgotten;       /* its pid is another process's by now: nobody finds it any more */
    bool is_ending;          /* it stays though it may have no ties: its end is being handled */
    struct ties ties;        /* newest first */
    STAILQ_ENTRY(party) of_ended;
};

STAILQ_HEAD(ended_parties, party);

/* A process of another pid namespace: the daemon has its pidfd, and no number by which another
 * daemon could find it again. */
static inline bool party_is_unseen(const struct party *party)
{
    return !party->is_connection && party->identity.pid == 0;
}

/* The seam to the event loop, which reports that the process behind a pidfd has exited. */
struct watch_ops {
    /* 0 or a negative errno. PARTY is handed back at the exit. */
    int (*add)(void *context, int pidfd, struct party *party, void **ret_watch);
    void (*remove)(void *context, void *watch);
};

struct watcher {
    const struct watch_ops *ops;
    void *context;
};

struct parties {
    void *by_process; /* tsearch tree of parties */
    struct processes processes;
    struct watcher watcher;
    struct quota *quota;
    const struct access *access;
    size_t n_processes;
    size_t n_holders;     /* of all segments together */
    uint64_t last_unseen; /* caller.unseen is given from here */
};

void parties_init(struct parties *p, struct processes processes, struct watcher watcher,
                  struct quota *quota, const struct access *access);
/* All ties must be gone. */
void parties_deinit(struct parties *p);

/*
 * The party of process IDENTITY, which a former daemon knew, watched and charged whatever the caps;
 * takes PIDFD in any case. 0 or a negative errno. A party without ties must be given back by
 * party_put().
 */
int parties_of_process(struct parties *p, const struct process_identity *identity, int pidfd,
                       uint32_t uid, const char *comm, struct party **ret) MUST_CHECK;

/* The party of CALLER's process; as parties_of_process(), or OUTCOME_QUOTA_EXCEEDED with
 * RET_DETAIL. */
int parties_of_caller(struct parties *p, struct caller *caller, struct party **ret,
                      struct outcome_detail *ret_detail) MUST_CHECK;

/* The party of CALLER's process if it has one already, else NULL: 0 or a negative errno. */
int parties_find_caller(struct parties *p, struct caller *caller,
                        const struct party **ret) MUST_CHECK;

/* The party of CALLER's connection, made when it is first needed: 0 or -ENOMEM. */
int parties_of_connection(struct caller *caller, struct party **ret) MUST_CHECK;

/* Frees a process's party that has no ties. A connection's is left alone. */
void party_put(struct parties *p, struct party *party);

/* The end of PARTY has been handled: it has no ties, and is freed. */
void party_end(struct parties *p, struct party *party);

#endif
