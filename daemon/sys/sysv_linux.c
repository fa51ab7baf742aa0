/* SPDX-License-Identifier: MIT */
#include "daemon/sys/sysv.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/sysinfo.h>
#include <time.h>
#include <unistd.h>

#include "daemon/util/cleanup.h"

#ifndef SHM_STAT_ANY
#define SHM_STAT_ANY 15 /* Linux 4.17 */
#endif
#ifndef SHM_HUGE_SHIFT
#define SHM_HUGE_SHIFT 26 /* include/uapi/linux/shm.h: log2 of the page size stands above it */
#endif

static int linux_create(void *context, const struct sysv_create *args, int32_t *ret_shmid)
{
    (void)context;
    /* More than any shmmax of a system of 32 bits; the cast would make a small segment of it. */
    const size_t size = (size_t)args->size;
    if (size != args->size)
        return -EINVAL;
    int flags = IPC_CREAT | IPC_EXCL | 0600;
    if (args->noreserve)
        flags |= SHM_NORESERVE;
    if (args->huge_page_size)
        flags |= SHM_HUGETLB | (__builtin_ctzll(args->huge_page_size) << SHM_HUGE_SHIFT);
    int shmid = shmget((key_t)args->key, size, flags);
    if (shmid < 0)
        return -errno;
    *ret_shmid = shmid;
    return 0;
}

static int linux_find(void *context, uint32_t key, int32_t *ret_shmid)
{
    (void)context;
    /* Size and permission 0 ask for nothing that could be refused. */
    int shmid = shmget((key_t)key, 0, 0);
    if (shmid < 0)
        return -errno;
    *ret_shmid = shmid;
    return 0;
}

static int stat_any(int32_t index, int32_t *ret_shmid, struct sysv_stat *ret)
{
    struct shmid_ds ds = {0}; /* for valgrind, which does not know this command */
    int shmid = shmctl(index, SHM_STAT_ANY, &ds);
    if (shmid < 0)
        return errno == EINVAL || errno == EIDRM ? -ENOENT : -errno;
    *ret_shmid = shmid;
    *ret = (struct sysv_stat){
        .shmid = shmid,
        .key = (uint32_t)ds.shm_perm.__key,
        .size = ds.shm_segsz,
        .uid = ds.shm_perm.uid,
        .gid = ds.shm_perm.gid,
        .cuid = ds.shm_perm.cuid,
        .cgid = ds.shm_perm.cgid,
        .mode = (uint32_t)ds.shm_perm.mode & 0777,
        .destroyed = ds.shm_perm.mode & SHM_DEST,
        .locked = ds.shm_perm.mode & SHM_LOCKED,
        .cpid = ds.shm_cpid,
        .lpid = ds.shm_lpid,
        .nattch = ds.shm_nattch,
        .atime = ds.shm_atime,
        .dtime = ds.shm_dtime,
        .ctime = ds.shm_ctime,
    };
    return 0;
}

static int linux_stat(void *context, int32_t shmid, struct sysv_stat *ret)
{
    (void)context;
    /*
     * SHM_STAT_ANY takes an index, and masks it out of whatever it is given: a whole shmid leads
     * to its own slot, also where the slots are more than 15 bits. The id that it returns shows
     * which segment has the slot now.
     */
    struct sysv_stat found;
    int32_t occupant = -1;
    int r = stat_any(shmid, &occupant, &found);
    if (r < 0)
        return r;
    if (occupant != shmid)
        return -ENOENT;
    *ret = found;
    return 0;
}

static int linux_stat_index(void *context, int32_t index, struct sysv_stat *ret)
{
    (void)context;
    int32_t occupant;
    return stat_any(index, &occupant, ret);
}

static int linux_set(void *context, int32_t shmid, uint32_t uid, uint32_t gid, uint32_t mode)
{
    (void)context;
    struct shmid_ds ds = {0};
    ds.shm_perm.uid = uid;
    ds.shm_perm.gid = gid;
    ds.shm_perm.mode = (__typeof__(ds.shm_perm.mode))(mode & 0777);
    if (shmctl(shmid, IPC_SET, &ds) < 0)
        return errno == EINVAL || errno == EIDRM ? -ENOENT : -errno;
    return 0;
}

static int linux_remove(void *context, int32_t shmid)
{
    (void)context;
    if (shmctl(shmid, IPC_RMID, NULL) < 0)
        return errno == EINVAL || errno == EIDRM ? -ENOENT : -errno;
    return 0;
}

static int linux_lock(void *context, int32_t shmid, bool locked)
{
    (void)context;
    if (shmctl(shmid, locked ? SHM_LOCK : SHM_UNLOCK, NULL) < 0)
        return errno == EINVAL || errno == EIDRM ? -ENOENT : -errno;
    return 0;
}

static int linux_attach(void *context, int32_t shmid, void **ret_address)
{
    (void)context;
    void *address = shmat(shmid, NULL, SHM_RDONLY);
    if (address == (void *)-1)
        return errno == EINVAL || errno == EIDRM ? -ENOENT : -errno;
    *ret_address = address;
    return 0;
}

static int linux_detach(void *context, void *address)
{
    (void)context;
    return shmdt(address) < 0 ? -errno : 0;
}

static void cleanup_fclose(FILE **file)
{
    if (*file)
        fclose(*file);
}

static int read_number(const char *path, uint64_t *ret)
{
    FILE *file CLEANUP(cleanup_fclose) = fopen(path, "re");
    if (!file)
        return -errno;
    uint64_t value;
    if (fscanf(file, "%" SCNu64, &value) != 1)
        return -EIO;
    *ret = value;
    return 0;
}

void sysv_linux_open(struct sysv_linux *kernel)
{
    *kernel = (struct sysv_linux){0};
    kernel->rmid_forced = open("/proc/sys/kernel/shm_rmid_forced", O_RDONLY | O_CLOEXEC);
}

void sysv_linux_close(struct sysv_linux *kernel)
{
    if (kernel->rmid_forced >= 0)
        close(kernel->rmid_forced);
    kernel->rmid_forced = -1;
}

/* A sandbox may hide the setting; then the default holds. */
static int read_rmid_forced(const struct sysv_linux *kernel, bool *ret)
{
    char digit = '0';
    if (kernel->rmid_forced >= 0 && pread(kernel->rmid_forced, &digit, 1, 0) < 0)
        return -errno;
    *ret = digit != '0';
    return 0;
}

static int64_t monotonic_us(void)
{
    struct timespec now = {0};
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

enum {
    USAGE_CHEAP_US = 200,
    USAGE_SHARE = 100, /* asking for what is in use takes at most this part of the time */
};

/* The kernel looks at every segment for that, which takes 17 ms when there are 30,000: an answer
 * that was dear is used for some time. */
static int read_usage(struct sysv_linux *k)
{
    int64_t now = monotonic_us();
    struct shm_info used;
    if (now < k->usage.again_us)
        return 0;
    if (shmctl(0, SHM_INFO, (struct shmid_ds *)(void *)&used) < 0)
        return -errno;
    int64_t took = monotonic_us() - now;
    k->usage.segments = used.used_ids > 0 ? (uint64_t)used.used_ids : 0;
    k->usage.pages = used.shm_tot;
    k->usage.resident = used.shm_rss;
    k->usage.swapped = used.shm_swp;
    k->usage.again_us = took < USAGE_CHEAP_US ? 0 : now + took * USAGE_SHARE;
    return 0;
}

static int linux_limits(void *context, struct sysv_limits *ret)
{
    struct sysv_linux *k = context;
    struct shminfo info;
    int max_index = shmctl(0, IPC_INFO, (struct shmid_ds *)(void *)&info);
    if (max_index < 0)
        return -errno;
    struct shmid_ds first;
    if (max_index == 0 && shmctl(0, SHM_STAT_ANY, &first) < 0)
        max_index = -1; /* there is none, which the kernel does not say */
    int u = read_usage(k);
    if (u < 0)
        return u;
    bool forced = false;
    int r = read_rmid_forced(context, &forced);
    if (r < 0)
        return r;
    *ret = (struct sysv_limits){
        .shmmax = info.shmmax,
        .shmall = info.shmall,
        .shmmni = info.shmmni,
        .segments = k->usage.segments,
        .pages = k->usage.pages,
        .resident = k->usage.resident,
        .swapped = k->usage.swapped,
        .max_index = k->usage.segments > 0 ? max_index : -1,
        .page_size = (uint64_t)sysconf(_SC_PAGESIZE),
        .shm_rmid_forced = forced,
    };
    return 0;
}

static int linux_huge_pages(void *context, uint64_t page_size, uint64_t *ret_total,
                            uint64_t *ret_free)
{
    (void)context;
    char path[128];
    uint64_t total = 0, free_pages = 0;
    snprintf(path, sizeof(path), "/sys/kernel/mm/hugepages/hugepages-%" PRIu64 "kB/nr_hugepages",
             page_size / 1024);
    int r = read_number(path, &total);
    if (r < 0)
        return r;
    snprintf(path, sizeof(path), "/sys/kernel/mm/hugepages/hugepages-%" PRIu64 "kB/free_hugepages",
             page_size / 1024);
    r = read_number(path, &free_pages);
    if (r < 0)
        return r;
    /* Those that are promised to somebody count as free until they are touched. */
    uint64_t reserved = 0;
    snprintf(path, sizeof(path), "/sys/kernel/mm/hugepages/hugepages-%" PRIu64 "kB/resv_hugepages",
             page_size / 1024);
    if (read_number(path, &reserved) < 0)
        reserved = 0;
    *ret_total = total;
    *ret_free = free_pages > reserved ? free_pages - reserved : 0;
    return 0;
}

static int meminfo(const char *field, uint64_t *ret)
{
    FILE *file CLEANUP(cleanup_fclose) = fopen("/proc/meminfo", "re");
    if (!file)
        return -errno;
    char line[128];
    size_t len = strlen(field);
    while (fgets(line, sizeof(line), file)) {
        uint64_t kib;
        if (strncmp(line, field, len) == 0 && sscanf(line + len, ": %" SCNu64 " kB", &kib) == 1) {
            *ret = kib * 1024;
            return 0;
        }
    }
    return -ENOENT;
}

static int linux_memory(void *context, uint64_t *ret_used, uint64_t *ret_max)
{
    (void)context;
    uint64_t mode = 0, used, limit;
    if (read_number("/proc/sys/vm/overcommit_memory", &mode) == 0 && mode == 2) {
        int r = meminfo("Committed_AS", &used);
        if (r >= 0)
            r = meminfo("CommitLimit", &limit);
        if (r < 0)
            return r;
        *ret_used = used;
        *ret_max = limit;
        return 0;
    }
    /* The other modes count nothing: they refuse what could never fit. */
    struct sysinfo info;
    if (sysinfo(&info) < 0)
        return -errno;
    *ret_used = UINT64_MAX;
    *ret_max = ((uint64_t)info.totalram + info.totalswap) * info.mem_unit;
    return 0;
}

/* A line of /proc/sysvipc/shm: key shmid perms size cpid lpid nattch uid gid cuid cgid atime dtime
 * ctime rss swap. False when it has fewer columns. Not by sscanf, which takes ten times as long. */
static bool read_row(const char *line, struct sysv_resident *ret)
{
    enum { SHMID = 1, RSS = 14, SWAP = 15, COLUMNS = 16 };
    const char *columns[COLUMNS];
    for (size_t i = 0; i < COLUMNS; i++) {
        while (*line == ' ')
            line++;
        if (*line == '\n' || *line == '\0')
            return false;
        columns[i] = line;
        while (*line != ' ' && *line != '\n' && *line != '\0')
            line++;
    }
    ret->shmid = (int32_t)strtol(columns[SHMID], NULL, 10);
    ret->rss = strtoull(columns[RSS], NULL, 10);
    ret->swap = strtoull(columns[SWAP], NULL, 10);
    return true;
}

static int linux_resident(void *context, struct sysv_resident *ret, size_t max, size_t *ret_n)
{
    (void)context;
    /* The kernel gives no more in one read; stdio would ask for 1 KiB. */
    char page[4096], line[512];
    FILE *file CLEANUP(cleanup_fclose) = fopen("/proc/sysvipc/shm", "re");
    if (!file)
        return -errno;
    setvbuf(file, page, _IOFBF, sizeof(page));
    size_t n = 0;
    if (!fgets(line, sizeof(line), file)) /* the heading */
        return -ENOENT;
    while (n < max && fgets(line, sizeof(line), file))
        if (!read_row(line, &ret[n++]))
            return -ENOENT; /* a kernel without the last columns */
    *ret_n = n;
    return 0;
}

static int linux_memlock(void *context, uint64_t *ret_max)
{
    (void)context;
    struct rlimit limit;
    if (getrlimit(RLIMIT_MEMLOCK, &limit) < 0)
        return -errno;
    *ret_max = limit.rlim_cur == RLIM_INFINITY ? UINT64_MAX : limit.rlim_cur;
    return 0;
}

const struct sysv_ops sysv_linux_ops = {
    .create = linux_create,
    .find = linux_find,
    .stat = linux_stat,
    .stat_index = linux_stat_index,
    .set = linux_set,
    .remove = linux_remove,
    .lock = linux_lock,
    .attach = linux_attach,
    .detach = linux_detach,
    .limits = linux_limits,
    .huge_pages = linux_huge_pages,
    .memory = linux_memory,
    .resident = linux_resident,
    .memlock = linux_memlock,
};
