/* SPDX-License-Identifier: MIT */
/*
 * Processes for struct process_ops and struct watch_ops: they start, connect, die and have their
 * pids given to others when the test says so. Every pidfd handed out and every watch is counted, so
 * that a test sees what was not given back.
 *
 * Nothing is allocated here: a test that makes memory run out does not hit it.
 */
#ifndef SHMD_TESTS_FAKES_FAKE_PROCESSES_H
#define SHMD_TESTS_FAKES_FAKE_PROCESSES_H

#include "daemon/core/ties.h"
#include "daemon/sys/process.h"

struct core;

enum { FAKE_TASKS = 512, FAKE_PIDFDS = 1024 };

struct fake_task {
    int32_t pid;
    uint32_t uid; /* as which it runs and has connected */
    uint64_t inode, started_at;
    char comm[COMM_MAX];
    bool is_dead;
    bool has_passed_on; /* another process has its end of the connection, too */
    bool is_zombie;     /* dead, and nobody has waited for it: it keeps its pid and its name */
};

struct fake_pidfd {
    const struct fake_task *task; /* NULL: closed */
    struct party *party;          /* watched for */
};

struct fake_processes {
    struct processes processes; /* to be handed to what is tested */
    struct watcher watcher;
    struct core *core; /* it hears of exits */

    /* Knobs, to be turned at any time. */
    bool no_open_peer; /* Linux before 6.5: -ENOPROTOOPT */
    bool no_pidfs;     /* Linux before 6.9: a process is known by its start time */
    bool no_reaped;    /* Linux 6.12: no pidfd of a peer that is dead */
    bool hides;        /* /proc with hidepid: neither names, start times nor users */
    int fail_open, fail_open_peer, fail_identify, fail_watch; /* positive errnos; 0: succeed */
    uint64_t now; /* clock ticks since boot; each start of a process makes it one later */

    size_t n_open, n_watched;
    unsigned long n_faults; /* calls that failed because they were meant to */

    struct fake_task tasks[FAKE_TASKS];
    size_t n_tasks;
    struct fake_pidfd pidfds[FAKE_PIDFDS];
};

void fake_processes_init(struct fake_processes *f);

/* A process starts; no other that lives may have PID. Returns the socket by which it is connected
 * to the daemon, which remains its own when it is dead. */
/* A pid of 0 is of a process that the daemon cannot see; there may be several. */
int fake_processes_start(struct fake_processes *f, int32_t pid, const char *comm);

/* The process that has SOCKET does another program. */
void fake_processes_exec(struct fake_processes *f, int socket, const char *comm);
/* When it dies, it stays a zombie; or its parent has waited for it by now. */
void fake_processes_keep_zombie(struct fake_processes *f, int socket, bool is_zombie);
/* In the place of the process that had SOCKET, and is dead and forgotten, another one starts. */
void fake_processes_start_again(struct fake_processes *f, int socket, int32_t pid);
/* It dies, as fake_processes_die(). */
void fake_processes_die_task(struct fake_processes *f, int socket);

/* It dies, and the daemon does not know yet. */
void fake_processes_die(struct fake_processes *f, int32_t pid);
/* The same, and the daemon hears of all processes that are dead and watched. */
void fake_processes_kill(struct fake_processes *f, int32_t pid);

#endif
