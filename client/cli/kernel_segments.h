/* SPDX-License-Identifier: MIT */
/*
 * The kernel's segments as gc, doctor and top look at them: with the caller's own rights and
 * without the daemon, so that both work when there is none. Looking needs no permission and touches
 * nothing.
 */
#ifndef SHMD_CLIENT_CLI_KERNEL_SEGMENTS_H
#define SHMD_CLIENT_CLI_KERNEL_SEGMENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/orphan.h"

#define MUST_CHECK __attribute__((warn_unused_result))

struct kernel_segment {
    int shmid;
    uint32_t key;
    uint64_t size;
    uint32_t mode; /* 0 .. 0777 */
    bool locked;
    uint32_t uid, gid, cuid, cgid;
    int32_t cpid, lpid; /* 0: of another pid namespace, or nobody yet */
    uint64_t nattch;
    int64_t atime, dtime, ctime; /* Unix seconds; 0: has not happened */
};

struct kernel_segments {
    struct kernel_segment *rows; /* owned */
    size_t count;
};

/* How much of a segment is in memory, and in swap. */
struct kernel_memory {
    int shmid;
    uint64_t rss, swap; /* bytes */
};

struct kernel_limits {
    uint64_t shmmax, shmall, shmmni; /* bytes, pages, segments */
    uint64_t segments, pages;        /* in use */
    uint64_t page_size;
};

/* All there are: 0, -EOPNOTSUPP on a kernel before 4.17, or another negative errno. */
int kernel_segments_read(struct kernel_segments *ret) MUST_CHECK;
void kernel_segments_deinit(struct kernel_segments *segments);

/* -ENOENT: no segment has this id. */
int kernel_segment_stat(int shmid, struct kernel_segment *ret) MUST_CHECK;
/* Of one that the caller may read. */
int kernel_segment_size(int shmid, uint64_t *ret) MUST_CHECK;
int kernel_segment_remove(int shmid) MUST_CHECK;

/* Of at most MAX segments, those that stand first in the kernel's table: the further down, the
 * longer it takes. 0 or a negative errno; -ENOENT: the kernel does not tell. */
int kernel_memory_read(struct kernel_memory *ret, size_t max, size_t *ret_n) MUST_CHECK;

int kernel_limits_read(struct kernel_limits *ret) MUST_CHECK;

/* The state of a process as this one sees it: protocol/orphan.h has the rule. */
enum process_state process_look(int32_t pid);

/* The inode of the caller's IPC namespace; 0: not known. */
uint64_t own_ipc_namespace(void);

#endif
