/* SPDX-License-Identifier: MIT */
/*
 * The seam to the kernel's System V shared memory. Everything above speaks through these
 * operations; tests hand in a kernel of their own.
 *
 * All return 0 or a negative errno; outputs are untouched on failure. A shmid that denotes
 * nothing is -ENOENT, whatever the kernel called it. Sizes are bytes, times Unix seconds.
 */
#ifndef SHMD_SYS_SYSV_H
#define SHMD_SYS_SYSV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sysv_stat {
    int32_t shmid;
    uint32_t key; /* 0 once the segment is marked for destruction */
    uint64_t size;
    uint32_t uid, gid, cuid, cgid;
    uint32_t mode;  /* 0 .. 0777 */
    bool destroyed; /* SHM_DEST: goes at the last detach */
    bool locked;    /* SHM_LOCKED */
    int32_t cpid, lpid;
    uint64_t nattch;
    int64_t atime, dtime, ctime;
};

struct sysv_create {
    uint32_t key; /* 0: IPC_PRIVATE */
    uint64_t size;
    uint64_t huge_page_size; /* 0: ordinary pages, else a power of two */
    bool noreserve;
};

struct sysv_limits {
    uint64_t shmmax, shmall, shmmni; /* bytes, pages, segments */
    uint64_t segments, pages;        /* in use; with very many segments up to some seconds old */
    uint64_t resident, swapped;      /* pages of all segments; as old as these */
    int32_t max_index;               /* the highest slot in use */
    uint64_t page_size;
    bool shm_rmid_forced;
};

struct sysv_resident {
    int32_t shmid;
    uint64_t rss, swap; /* bytes */
};

struct sysv_ops {
    /* A new segment, mode 0600: -EEXIST when the key is taken. */
    int (*create)(void *context, const struct sysv_create *args, int32_t *ret_shmid);
    /* The shmid that has KEY, whoever owns it. */
    int (*find)(void *context, uint32_t key, int32_t *ret_shmid);
    /* Looking needs no permission (SHM_STAT_ANY). */
    int (*stat)(void *context, int32_t shmid, struct sysv_stat *ret);
    int (*stat_index)(void *context, int32_t index, struct sysv_stat *ret);
    int (*set)(void *context, int32_t shmid, uint32_t uid, uint32_t gid, uint32_t mode);
    int (*remove)(void *context, int32_t shmid);
    int (*lock)(void *context, int32_t shmid, bool locked);
    /* Attaches read-only without touching a page: the segment cannot go while this lasts. */
    int (*attach)(void *context, int32_t shmid, void **ret_address);
    int (*detach)(void *context, void *address);
    int (*limits)(void *context, struct sysv_limits *ret);
    /* Pages of that size: how many there are, and how many are free. */
    int (*huge_pages)(void *context, uint64_t page_size, uint64_t *ret_total, uint64_t *ret_free);
    /* What bounds ordinary memory; RET_USED is UINT64_MAX when that is not counted. */
    int (*memory)(void *context, uint64_t *ret_used, uint64_t *ret_max);
    /* What of each segment is in memory and in swap, of the first MAX there are. Costs about 2 µs
     * for each. -ENOENT: this kernel does not tell, or a sandbox hides it. */
    int (*resident)(void *context, struct sysv_resident *ret, size_t max, size_t *ret_n);
    /* RLIMIT_MEMLOCK, UINT64_MAX for none. */
    int (*memlock)(void *context, uint64_t *ret_max);
};

struct sysv {
    const struct sysv_ops *ops;
    void *context;
};

/* The running kernel. The context of its operations is a struct sysv_linux. */
extern const struct sysv_ops sysv_linux_ops;

struct sysv_linux {
    /* Of kernel.shm_rmid_forced: it stays open, so that no lack of descriptors hides the setting.
     * -1: it cannot be read here. */
    int rmid_forced;
    /* What is in use, as the kernel told it last; asked for again after a time of the monotonic
     * clock. */
    struct {
        uint64_t segments, pages, resident, swapped;
        int64_t again_us;
    } usage;
};

void sysv_linux_open(struct sysv_linux *kernel);
void sysv_linux_close(struct sysv_linux *kernel);

#endif
