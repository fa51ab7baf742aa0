/* SPDX-License-Identifier: MIT */
/*
 * An in-memory kernel for struct sysv_ops. It does what Linux does where the daemon depends on it:
 * ids are index + sequence * 32768 and come back, a removed segment lives on while it is attached,
 * limits are refused in the kernel's order with the kernel's errnos. What only the kernel or other
 * processes can do (attach, exit, ipcrm, chmod behind the daemon's back) are functions here.
 *
 * Nothing is allocated after fake_sysv_new(): a test that makes memory run out does not hit it.
 */
#ifndef SHMD_TESTS_FAKES_FAKE_SYSV_H
#define SHMD_TESTS_FAKES_FAKE_SYSV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/sys/sysv.h"

enum fake_op {
    FAKE_CREATE,
    FAKE_FIND,
    FAKE_STAT,
    FAKE_STAT_INDEX,
    FAKE_SET,
    FAKE_REMOVE,
    FAKE_LOCK,
    FAKE_ATTACH,
    FAKE_DETACH,
    FAKE_LIMITS,
    FAKE_HUGE_PAGES,
    FAKE_MEMORY,
    FAKE_MEMLOCK,
    FAKE_RESIDENT,
    FAKE_OPS
};

/* Of a shmid; the sequence stands above them. The others with the boot option ipcmni_extend. */
#define FAKE_INDEX_BITS          15
#define FAKE_INDEX_BITS_EXTENDED 24
#define FAKE_HUGE_SIZES          2

struct fake_process {
    uint32_t uid, gid;
    int32_t pid;
};

struct fake_huge_pages {
    uint64_t size; /* bytes; 0: there are none of this row */
    uint64_t total, free;
    uint64_t reserved; /* of the free ones */
};

struct fake_op_fault {
    unsigned long at; /* the number of the call that fails; 0: none */
    bool ever;        /* and all that follow */
    int error;        /* an errno, positive */
};

struct fake_segment;
struct fake_attachment;

struct fake_sysv {
    struct sysv sysv; /* to be handed to what is tested */

    /* Knobs, to be turned at any time. */
    struct fake_process self; /* the daemon. uid 0 has every capability */
    bool cap_ipc_lock;        /* of a daemon that is not root; vm.hugetlb_shm_group, too */
    uint64_t shmmax, shmall, shmmni, page_size;
    bool shm_rmid_forced;
    int32_t next_id; /* kernel.shm_next_id: the id of the next segment, once; -1: by the rules */
    struct fake_huge_pages huge_pages[FAKE_HUGE_SIZES];
    uint64_t memory_max;
    bool memory_is_counted;               /* vm.overcommit_memory = 2 */
    uint64_t memory_used;                 /* by others; the segments are added when it is counted */
    uint64_t memlock_max;                 /* UINT64_MAX: none */
    int64_t now;                          /* Unix seconds */
    const struct sysv_resident *resident; /* the rows that are told; NULL: none */
    size_t n_resident;

    /* Called before an operation is done, so that a test can do what another process might do just
     * then. SHMID is the one asked for (the index for stat_index), else -1. Not called while it
     * runs. */
    void (*before)(struct fake_sysv *k, enum fake_op op, int32_t shmid);
    void *hook_data;

    unsigned index_bits;
    unsigned long calls[FAKE_OPS];
    unsigned long n_faults;            /* calls that failed because they were meant to */
    unsigned long op_faults[FAKE_OPS]; /* the same, by operation */

    /* The kernel's own. */
    struct fake_op_fault faults[FAKE_OPS];
    bool in_hook;
    struct fake_segment *segments;       /* by index */
    struct fake_attachment *attachments; /* of all processes */
    size_t attachments_end;              /* one above the highest that ever was */
    size_t in_use, end;                  /* segments; one above the highest index that ever was */
    size_t cursor;
    uint64_t pages;
    int32_t last_index, sequence;
};

/* A kernel with Linux's default limits, 16 GiB of memory, no huge pages, no memlock limit, and a
 * daemon of uid and gid 990, pid 100. */
struct fake_sysv *fake_sysv_new(void);
/* The same with ipcmni_extend: 16 million segments. */
struct fake_sysv *fake_sysv_new_extended(void);
void fake_sysv_free(struct fake_sysv *k);

/* The Nth next call of OP (1: the next) fails with errno ERROR; N 0: every call does, until ERROR
 * is 0. One fault for each operation; it is before everything else, so nothing is done. */
void fake_sysv_fail(struct fake_sysv *k, enum fake_op op, unsigned long n, int error);

/* The segment as stat would show it, for looking and for changing anything behind everybody's
 * back; NULL when there is none. Valid until the segment goes. */
struct sysv_stat *fake_sysv_segment(struct fake_sysv *k, int32_t shmid);
/* The segment in slot INDEX, or NULL; slots from k->end on are free. */
const struct sysv_stat *fake_sysv_at(const struct fake_sysv *k, size_t index);
/* How many there are, destroyed ones with attachments too. */
size_t fake_sysv_count(const struct fake_sysv *k);

/* What another process does. Ids and keys as for the operations; no permission is looked at. */
int fake_sysv_create_as(struct fake_sysv *k, const struct fake_process *who,
                        const struct sysv_create *args, uint32_t mode, int32_t *ret_shmid);
int fake_sysv_remove_as(struct fake_sysv *k, int32_t shmid);
int fake_sysv_attach_as(struct fake_sysv *k, int32_t shmid, int32_t pid);
/* One attachment of PID's less. */
int fake_sysv_detach_as(struct fake_sysv *k, int32_t shmid, int32_t pid);
/* How many attachments there are of others than PID. */
uint64_t fake_sysv_attachments(const struct fake_sysv *k, int32_t shmid, int32_t but_pid);
/* PID forks: CHILD, which has nothing attached, has attached what it has. */
void fake_sysv_fork(struct fake_sysv *k, int32_t pid, int32_t child);
/* PID does another program, which has nothing attached. */
void fake_sysv_exec(struct fake_sysv *k, int32_t pid);
/* The segment that is attached at ADDRESS, which attach() has given. */
int32_t fake_sysv_at_address(const void *address);
/* Detaches all that PID has; with shm_rmid_forced its unattached segments go. */
void fake_sysv_exit(struct fake_sysv *k, int32_t pid);

/* IPC_RMID, and a new segment of WHO's with the very same id: what happens to a daemon that looks
 * away for four million creations. The old one must not be attached. */
int fake_sysv_recycle(struct fake_sysv *k, int32_t shmid, const struct fake_process *who,
                      uint64_t size);

/* Writes kernel.shm_rmid_forced: when it becomes 1, unattached segments of dead creators go. */
void fake_sysv_force_rmid(struct fake_sysv *k, bool forced);
/* K is another boot of the machine of OLD: its settings are the same. */
void fake_sysv_take_settings(struct fake_sysv *k, const struct fake_sysv *old);

#endif
