/* SPDX-License-Identifier: MIT */
#include "client/cli/kernel_segments.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef SHM_STAT_ANY
#define SHM_STAT_ANY 15 /* Linux 4.17 */
#endif

/* INDEX: a slot, or a whole shmid, out of which the kernel masks its slot. */
static int stat_any(int index, struct kernel_segment *ret)
{
    struct shmid_ds ds = {0}; /* for valgrind, which does not know this command */
    int shmid = shmctl(index, SHM_STAT_ANY, &ds);
    if (shmid < 0)
        return errno == EINVAL || errno == EIDRM ? -ENOENT : -errno;
    *ret = (struct kernel_segment){
        .shmid = shmid,
        .key = (uint32_t)ds.shm_perm.__key,
        .size = ds.shm_segsz,
        .mode = (uint32_t)ds.shm_perm.mode & 0777,
        .locked = ds.shm_perm.mode & SHM_LOCKED,
        .uid = ds.shm_perm.uid,
        .gid = ds.shm_perm.gid,
        .cuid = ds.shm_perm.cuid,
        .cgid = ds.shm_perm.cgid,
        .cpid = ds.shm_cpid,
        .lpid = ds.shm_lpid,
        .nattch = ds.shm_nattch,
        .atime = ds.shm_atime,
        .dtime = ds.shm_dtime,
        .ctime = ds.shm_ctime,
    };
    return 0;
}

/* RET_MAX_INDEX: the highest slot in use, -1 when none is. */
static int read_use(int *ret_max_index, struct shm_info *ret)
{
    int max_index = shmctl(0, SHM_INFO, (struct shmid_ds *)(void *)ret);
    if (max_index < 0)
        return -errno;
    *ret_max_index = ret->used_ids > 0 ? max_index : -1;
    return 0;
}

int kernel_segments_read(struct kernel_segments *ret)
{
    struct shm_info used;
    int max_index = -1;
    int r = read_use(&max_index, &used);
    if (r < 0)
        return r;
    struct kernel_segments all = {.rows = calloc((size_t)max_index + 2, sizeof(*all.rows))};
    if (!all.rows)
        return -ENOMEM;
    for (int i = 0; i <= max_index; i++)
        if (stat_any(i, &all.rows[all.count]) == 0)
            all.count++;
    /* Nothing to be seen where there is something: the kernel does not know the command. What was
     * there may have gone meanwhile, though. */
    if (all.count == 0 && max_index >= 0 && read_use(&max_index, &used) == 0 && max_index >= 0) {
        kernel_segments_deinit(&all);
        return -EOPNOTSUPP;
    }
    *ret = all;
    return 0;
}

void kernel_segments_deinit(struct kernel_segments *segments)
{
    free(segments->rows);
    *segments = (struct kernel_segments){0};
}

int kernel_segment_stat(int shmid, struct kernel_segment *ret)
{
    struct kernel_segment found;
    int r = stat_any(shmid, &found);
    if (r < 0)
        return r;
    if (found.shmid != shmid)
        return -ENOENT;
    *ret = found;
    return 0;
}

int kernel_segment_size(int shmid, uint64_t *ret)
{
    struct shmid_ds ds;
    if (shmctl(shmid, IPC_STAT, &ds) < 0)
        return -errno;
    *ret = ds.shm_segsz;
    return 0;
}

int kernel_segment_remove(int shmid)
{
    if (shmctl(shmid, IPC_RMID, NULL) < 0)
        return errno == EINVAL || errno == EIDRM ? -ENOENT : -errno;
    return 0;
}

/* The number in column N, from 0, of a LINE of /proc/sysvipc/shm; NULL: it has fewer. */
static const char *column_at(const char *line, int n)
{
    for (int i = 0;; i++) {
        line += strspn(line, " ");
        if (*line == '\0' || *line == '\n')
            return NULL;
        if (i == n)
            return line;
        line += strcspn(line, " \n");
    }
}

int kernel_memory_read(struct kernel_memory *ret, size_t max, size_t *ret_n)
{
    enum { SHMID = 1, RSS = 14, SWAP = 15 };
    char line[512];
    size_t n = 0;
    int r = 0;
    FILE *file = fopen("/proc/sysvipc/shm", "re");
    if (!file)
        return -errno;
    bool has_heading = fgets(line, sizeof(line), file);
    while (has_heading && r == 0 && n < max && fgets(line, sizeof(line), file)) {
        const char *shmid = column_at(line, SHMID), *rss = column_at(line, RSS);
        const char *swap = column_at(line, SWAP);
        if (shmid && rss && swap)
            ret[n++] = (struct kernel_memory){(int)strtol(shmid, NULL, 10), strtoull(rss, NULL, 10),
                                              strtoull(swap, NULL, 10)};
        else
            r = -ENOENT;
    }
    fclose(file);
    if (r == 0)
        *ret_n = n;
    return r;
}

int kernel_limits_read(struct kernel_limits *ret)
{
    struct shminfo info;
    struct shm_info used;
    int max_index = -1;
    if (shmctl(0, IPC_INFO, (struct shmid_ds *)(void *)&info) < 0)
        return -errno;
    int r = read_use(&max_index, &used);
    if (r < 0)
        return r;
    *ret = (struct kernel_limits){
        .shmmax = info.shmmax,
        .shmall = info.shmall,
        .shmmni = info.shmmni,
        .segments = used.used_ids > 0 ? (uint64_t)used.used_ids : 0,
        .pages = used.shm_tot,
        .page_size = (uint64_t)sysconf(_SC_PAGESIZE),
    };
    return 0;
}

enum process_state process_look(int32_t pid)
{
    char path[48], text[1024] = "";
    bool is_gone = pid > 0 && kill(pid, 0) < 0 && errno == ESRCH;
    snprintf(path, sizeof(path), "/proc/%" PRId32 "/stat", pid);
    FILE *file = pid > 0 && !is_gone ? fopen(path, "re") : NULL;
    if (file) {
        text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
        fclose(file);
    }
    return process_state_of(pid, is_gone, text);
}

uint64_t own_ipc_namespace(void)
{
    struct stat st;
    return stat("/proc/self/ns/ipc", &st) == 0 ? st.st_ino : 0;
}
