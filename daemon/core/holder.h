/*
 * Who a segment depends on. A party is a process, watched by its pidfd, or a connection; a tie
 * binds a segment to a party in a role. There is one party, and one watch, for a process however
 * many segments it is tied to.
 *
 * A tie that a request makes or cuts is provisional until the turn's commit: see turn.h. A cut one
 * does not count any more, one that was made does.
 */
#ifndef SHMD_CORE_HOLDER_H
#define SHMD_CORE_HOLDER_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/core/caller.h"
#include "daemon/sys/process.h"
#include "daemon/util/cleanup.h"

struct segment;
struct party;

enum tie_role {
    TIE_HOLDER,      /* the segment lives while one of these does */
    TIE_INITIALISER, /* it is filling the segment */
    TIE_ATTACHER,    /* it created an `attached` segment and has yet to attach */
    TIE_ROLES
};

enum tie_state { TIE_KEPT, TIE_MADE, TIE_CUT };

struct tie {
    struct segment *segment;
    struct party *party;
    enum tie_role role;
    enum tie_state state;
    int64_t since_at_ms;
    struct tie *next_of_segment, *next_of_party;
};

struct party {
    bool is_connection;
    struct process_identity identity; /* of a connection: its process's, the pid alone */
    uint32_t uid;
    char comm[COMM_MAX];
    int pidfd;     /* owned; -1: a connection's */
    void *watch;   /* the watcher's */
    bool is_going; /* it is kept though it has no ties: its end is being dealt with */
    struct tie *ties;
};

/* The seam to the event loop: calls holders' user when the process behind a pidfd has exited. */
struct watch_ops {
    /* 0 or a negative errno. PARTY is handed back at the exit. */
    int (*add)(void *context, int pidfd, struct party *party, void **ret_watch);
    void (*remove)(void *context, void *watch);
};

struct watcher {
    const struct watch_ops *ops;
    void *context;
};

struct holders {
    void *by_process; /* tsearch tree of parties */
    struct processes processes;
    struct watcher watcher;
    size_t n_processes;
};

void holders_init(struct holders *h, struct processes processes, struct watcher watcher);
/* All ties must have been dropped. */
void holders_deinit(struct holders *h);

/*
 * The party of process IDENTITY, watched; takes PIDFD in any case. 0 or a negative errno. A party
 * without ties must be given back by party_put().
 */
int holders_process(struct holders *h, const struct process_identity *identity, int pidfd,
                    uint32_t uid, const char *comm, struct party **ret) MUST_CHECK;

/* A connection's own; it goes with the connection. NULL when out of memory. */
struct party *party_new_connection(const struct caller *caller);

/* Frees a process's party when it has no ties; a connection's is left alone. */
void party_put(struct holders *h, struct party *party);
/* Frees a connection's party, whose ties must be gone. */
void party_free_connection(struct party *party);

/* The tie of SEGMENT to PARTY in ROLE that counts, or NULL. PARTY NULL: any. */
struct tie *tie_find(const struct segment *segment, const struct party *party, enum tie_role role);

/* Ties SEGMENT to PARTY: NULL when out of memory. */
struct tie *tie_make(struct segment *segment, struct party *party, enum tie_role role,
                     int64_t since_at_ms);

/* Takes a tie away and frees it, and the process's party with the last. */
void tie_drop(struct holders *h, struct tie *tie);

#endif
