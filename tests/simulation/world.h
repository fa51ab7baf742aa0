/* SPDX-License-Identifier: MIT */
/*
 * The simulated world: a kernel, clocks, processes and a state directory in memory, and the daemon
 * itself on top of them, from rpc/ down, with a stand-in for the event loop (loop.h). A step of a
 * script is one call of world_do(). Nothing here is real, and nothing depends on anything but the
 * steps.
 */
#ifndef SHMD_TESTS_SIMULATION_WORLD_H
#define SHMD_TESTS_SIMULATION_WORLD_H

#include "daemon/core/core.h"
#include "daemon/rpc/rpc.h"
#include "daemon/rpc/session.h"
#include "daemon/rpc/turns.h"
#include "daemon/store/journal.h"
#include "tests/fakes/fake_clock.h"
#include "tests/fakes/fake_host.h"
#include "tests/fakes/fake_processes.h"
#include "tests/fakes/fake_sysv.h"
#include "tests/simulation/shares.h"

enum {
    PROCESSES_MAX = 480,
    CONNECTIONS_MAX = 480,
    HANDLES_MAX = 32768,
    NAMES_MAX = 8,
    SOCKET_BYTES = 65536, /* what a socket takes that its client does not read */
    DAEMON_UID = 990,
    PIDS_SEEN_FROM = 1,
    ANSWERED_MAX = 4, /* connections whose answers leave together; fewer than in daemon/io/, so that
                         it is met */
};

struct oracle;
struct world;

struct process {
    bool is_used, is_dead, is_zombie;
    int32_t pid;              /* 0: the daemon does not see it */
    uint32_t uid, gid, group; /* GROUP: a supplementary one; 0: none */
    char comm[COMM_MAX];
    int socket; /* of fake_processes */
};

struct connection {
    bool is_used;
    bool is_open;       /* the daemon has a session for it */
    bool is_arriving;   /* not accepted yet */
    bool client_closed; /* the client has closed it, or sends no more */
    bool client_ended;
    bool is_deaf; /* the client does not read */
    bool is_woken;
    bool has_work; /* as `shares` knows it */
    bool is_above; /* its answers were above the high-water mark at the last look */
    bool is_lingering, is_broken;
    int label;
    struct process *by;
    struct world *world;
    struct task task;
    struct session session;
    char *input; /* sent, and not read by the daemon */
    size_t input_len, input_capacity;
    size_t piece;       /* the daemon reads at most so much at a time; 0: all */
    size_t in_socket;   /* sent by the daemon, and not read by the client */
    uint64_t taken;     /* bytes that the socket has taken from the outbox */
    uint64_t heard;     /* bytes that the oracle has seen of the outbox */
    uint64_t kill_mark; /* how many there were when the daemon was killed */
    int64_t overdue_at_ms;
};

struct chore_task {
    struct task task;
    struct world *world;
    const struct core_chore *does;
};

struct handle {
    bool is_known;
    int32_t shmid;
    uint64_t serial;
};

struct counts {
    unsigned long requests, turns, kills, stops, reboots, faults, steps, events;
};

struct world {
    struct fake_sysv *k;
    struct fake_clock clock;
    struct fake_processes p;
    struct fake_host host;
    struct machine machine;
    struct core_settings settings;
    struct name_rule names[NAMES_MAX]; /* reserved; the prefixes are owned */
    struct process processes[PROCESSES_MAX];
    bool has_old_database; /* of version 0.1.0, or what became of it */
    bool was_hidden;       /* /proc has hidden processes of others */
    struct connection connections[CONNECTIONS_MAX];
    int n_connections; /* one above the highest label */
    struct handle *handles;
    uint64_t boots;

    /* The daemon, while it runs. */
    bool is_running;
    bool records_are_lost; /* and no daemon has started since */
    int daemon_task; /* of fake_processes; all daemons use the same one, one after the other */
    struct journal *journal;
    struct core core;
    struct rpc rpc;
    struct turns turns;
    struct shares shares;
    struct chore_task chores[CORE_CHORES];
    struct connection *serving;
    struct connection *answered[ANSWERED_MAX]; /* its answers have not left; NULL: it is closed */
    int n_answered;
    uint64_t requests_seen;     /* of this turn, by the oracle */
    uint64_t n_read;            /* bytes that the daemon has read of clients */
    unsigned long serve_faults; /* that there had been when the serving began */
    uint64_t queue_empty_ticks; /* when nobody was waiting to be accepted, at the last look */

    /* Its calls of the seams. */
    unsigned long n_calls;
    unsigned long n_looks;         /* at segments in the kernel, since a request was done last */
    unsigned long kill_at;         /* call number, 0: none */
    bool is_killed;                /* no call has any effect any more */
    uint64_t kill_requests;        /* how many had been answered in this turn by then */
    unsigned long failures_before; /* to allocate, in other worlds */
    bool memory_is_short;
    /* Whose segment takes the place of one that is looked at again after a write of the same
     * request has failed; NULL: nobody's. */
    struct process *racer;
    unsigned long race_faults, race_turn;
    uint64_t race_requests;

    struct oracle *oracle;
    struct counts counts;
    bool has_failed;
    char failure[4096];
    bool is_loud; /* prints what is said and answered */
};

struct world *world_new(void);
void world_free(struct world *w);

/* Carries out STEP, and checks what follows from it. Nothing is done once the world has failed. */
void world_do(struct world *w, const char *step);
/* All that is left to check, when no more steps come. */
void world_end(struct world *w);

/* The first thing that is not as it should be; the world stops there. */
void world_fail(struct world *w, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The daemon is about to look at SHMID. */
void world_race(struct world *w, int32_t shmid);

/* Faults that any seam has had until now. */
unsigned long world_faults(const struct world *w);

/* TEXT with @shmidN, @serialN and @keyN replaced by what handle N stands for. On the heap. */
char *world_resolve(const struct world *w, const char *text);

#endif
