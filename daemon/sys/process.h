/* SPDX-License-Identifier: MIT */
/*
 * The seam to processes. A pid alone is not an identity (it is reused); a pidfd is, and what is
 * recorded of one is its inode in pidfs or, where the kernel has none, the process's start time.
 * /proc may hide that (hidepid): it is unknown then, which never means that a process has ended.
 *
 * Functions return 0 or a negative errno; outputs are untouched on failure. Descriptors handed out
 * belong to the caller, which gives them back by close().
 */
#ifndef SHMD_SYS_PROCESS_H
#define SHMD_SYS_PROCESS_H

#include <stdbool.h>
#include <stdint.h>

#include "protocol/limits.h"
#include "protocol/orphan.h"

struct process_identity {
    int32_t pid;
    uint64_t inode;      /* of the pidfd; unique for the boot; 0: the kernel has no pidfs */
    uint64_t started_at; /* clock ticks since boot; 0: unknown */
};

struct process_ops {
    /* The name of process PID, made printable ASCII; empty when it is gone or hidden. */
    void (*comm)(void *context, int32_t pid, char ret[COMM_MAX]);
    /* The state of process PID. RET_COMM: its name as comm() gives it; empty unless it is alive. */
    enum process_state (*look)(void *context, int32_t pid, char ret_comm[COMM_MAX]);
    /* A pidfd of the process with that pid now: -ESRCH when there is none. */
    int (*open)(void *context, int32_t pid, int *ret_pidfd);
    /* A pidfd of the process that connected SOCKET. When it has been reaped, some kernels say
     * -ESRCH and others hand one out all the same, of which identify() says it. -ENOPROTOOPT where
     * the kernel cannot (before Linux 6.5). */
    int (*open_peer)(void *context, int socket, int *ret_pidfd);
    /* Whether the process that has pid PID may be the one that connected SOCKET as UID: false when
     * nobody has the other end of SOCKET, or when the process runs as other users only. For kernels
     * without open_peer(). */
    bool (*may_be_peer)(void *context, int socket, uint32_t uid, int32_t pid);
    /* What to record of the process behind PIDFD, whose pid is PID: -ESRCH when it has exited, a
     * zombie too, on every kernel. */
    int (*identify)(void *context, int pidfd, int32_t pid, struct process_identity *ret);
    /* Now, in clock ticks since boot, to compare with started_at. */
    uint64_t (*now)(void *context);
    void (*close)(void *context, int pidfd);
};

struct processes {
    const struct process_ops *ops;
    void *context;
};

extern const struct process_ops process_linux_ops;

/* Whether A, recorded earlier, and B are certainly two processes. */
static inline bool process_is_other(const struct process_identity *a,
                                    const struct process_identity *b)
{
    if (a->pid != b->pid)
        return true;
    if (a->inode && b->inode)
        return a->inode != b->inode;
    return a->started_at && b->started_at && a->started_at != b->started_at;
}

#endif
