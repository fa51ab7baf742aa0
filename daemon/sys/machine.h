/* SPDX-License-Identifier: MIT */
/* What does not change while the daemon runs. Read once at start. */
#ifndef SHMD_SYS_MACHINE_H
#define SHMD_SYS_MACHINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HUGE_PAGE_SIZES_MAX 8

struct machine {
    char boot_id[37];       /* empty where /proc hides it */
    uint64_t ipc_namespace; /* inode of our /proc/self/ns/ipc; 0 when unknown */
    uint32_t pid_namespace; /* inode of our /proc/self/ns/pid; 0 when unknown */
    uint64_t huge_page_sizes[HUGE_PAGE_SIZES_MAX]; /* bytes, ascending */
    size_t n_huge_page_sizes;
    /* What the caps derive from; 0: not known. UINT64_MAX: no limit. */
    uint64_t memory, swap;      /* bytes */
    uint64_t max_descriptors;   /* RLIMIT_NOFILE */
    uint64_t max_locked_bytes;  /* RLIMIT_MEMLOCK, which CAP_IPC_LOCK lifts */
    uint64_t max_address_space; /* RLIMIT_AS, bytes */
    uint64_t secret[2];         /* of this run, random: what others choose is hashed with it */
};

void machine_read(struct machine *ret);

static inline bool machine_has_huge_pages(const struct machine *m, uint64_t size)
{
    for (size_t i = 0; i < m->n_huge_page_sizes; i++)
        if (m->huge_page_sizes[i] == size)
            return true;
    return false;
}

#endif
