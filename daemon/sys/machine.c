/* SPDX-License-Identifier: MIT */
#include "daemon/sys/machine.h"

#include <dirent.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>

static void read_boot_id(char ret[static 37])
{
    FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");
    if (!file)
        return;
    if (fscanf(file, "%36s", ret) != 1)
        ret[0] = '\0';
    fclose(file);
}

static int compare_sizes(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void read_huge_page_sizes(struct machine *m)
{
    DIR *dir = opendir("/sys/kernel/mm/hugepages");
    if (!dir)
        return;
    struct dirent *entry;
    while (m->n_huge_page_sizes < HUGE_PAGE_SIZES_MAX && (entry = readdir(dir))) {
        uint64_t kib;
        if (sscanf(entry->d_name, "hugepages-%" SCNu64 "kB", &kib) == 1)
            m->huge_page_sizes[m->n_huge_page_sizes++] = kib * 1024;
    }
    closedir(dir);
    qsort(m->huge_page_sizes, m->n_huge_page_sizes, sizeof(m->huge_page_sizes[0]), compare_sizes);
}

static uint64_t read_rlimit(__rlimit_resource_t resource)
{
    struct rlimit limit;
    if (getrlimit(resource, &limit) < 0)
        return 0;
    return limit.rlim_cur == RLIM_INFINITY ? UINT64_MAX : (uint64_t)limit.rlim_cur;
}

static void read_memory(struct machine *m)
{
    struct sysinfo info;
    if (sysinfo(&info) < 0)
        return;
    m->memory = (uint64_t)info.totalram * info.mem_unit;
    m->swap = (uint64_t)info.totalswap * info.mem_unit;
}

/* With CAP_IPC_LOCK the kernel does not look at RLIMIT_MEMLOCK. */
static bool may_lock_any(void)
{
    FILE *file = fopen("/proc/self/status", "re");
    if (!file)
        return false;
    char line[256];
    uint64_t effective = 0;
    while (fgets(line, sizeof(line), file))
        if (sscanf(line, "CapEff: %" SCNx64, &effective) == 1)
            break;
    fclose(file);
    return effective & UINT64_C(1) << CAP_IPC_LOCK;
}

void machine_read(struct machine *ret)
{
    *ret = (struct machine){0};
    read_boot_id(ret->boot_id);
    struct stat st;
    if (stat("/proc/self/ns/ipc", &st) == 0)
        ret->ipc_namespace = st.st_ino;
    if (stat("/proc/self/ns/pid", &st) == 0)
        ret->pid_namespace = (uint32_t)st.st_ino; /* the kernel gives it 32 bits */
    read_huge_page_sizes(ret);
    read_memory(ret);
    ret->max_descriptors = read_rlimit(RLIMIT_NOFILE);
    ret->max_locked_bytes = may_lock_any() ? UINT64_MAX : read_rlimit(RLIMIT_MEMLOCK);
    ret->max_address_space = read_rlimit(RLIMIT_AS);
    /* So few bytes come whole. Where there are none it works all the same, but is no secret. */
    if (getrandom(ret->secret, sizeof(ret->secret), 0) < 0)
        ret->secret[0] = ret->secret[1] = 0;
}
