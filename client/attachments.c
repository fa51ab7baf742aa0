/* SPDX-License-Identifier: MIT */
/*
 * Which processes have a segment attached: read from /proc/PID/maps, where the kernel shows a
 * segment as /SYSV and its key, with the shmid as the inode. Each line there is one attachment as
 * the kernel counts them. Anybody can give such a name and such an inode to a file of his own, so
 * the device must be that of the kernel's own file systems, where segments are. Nothing is attached
 * and nothing is changed.
 */
#include "client/internal.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* --- what is found */

struct found {
    struct shmd_attachment *rows; /* owned; so are their strings */
    size_t count, capacity;
};

static void found_free(struct found *all)
{
    for (size_t i = 0; i < all->count; i++) {
        free((char *)(uintptr_t)all->rows[i].comm);
        free((char *)(uintptr_t)all->rows[i].cgroup);
    }
    free(all->rows);
}

static struct shmd_attachment *found_add(struct found *all)
{
    if (all->count == all->capacity) {
        size_t capacity = all->capacity * 2 + 16;
        struct shmd_attachment *more = reallocarray(all->rows, capacity, sizeof(*more));
        if (!more)
            return NULL;
        all->rows = more;
        all->capacity = capacity;
    }
    all->rows[all->count] = (struct shmd_attachment){0};
    return &all->rows[all->count++];
}

/* --- one process */

static FILE *open_proc(int32_t pid, const char *file)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/%" PRId32 "/%s", pid, file);
    return fopen(path, "re");
}

/* The first line of a file of the process, owned; NULL: it cannot be had. */
static char *read_line(int32_t pid, const char *file)
{
    FILE *stream = open_proc(pid, file);
    char *line = NULL;
    size_t size = 0;
    if (!stream)
        return NULL;
    ssize_t len = getline(&line, &size, stream);
    fclose(stream);
    if (len <= 0) {
        free(line);
        return NULL;
    }
    if (line[len - 1] == '\n')
        line[len - 1] = '\0';
    return line;
}

/* The effective one. */
static uint32_t read_uid(int32_t pid)
{
    FILE *stream = open_proc(pid, "status");
    char line[256];
    uint32_t uid = UINT32_MAX;
    while (stream && fgets(line, sizeof(line), stream))
        if (sscanf(line, "Uid: %*u %" SCNu32, &uid) == 1)
            break;
    if (stream)
        fclose(stream);
    return uid;
}

/* The path in cgroup v2, or in systemd's own hierarchy before that; owned; NULL: neither. */
static char *read_cgroup(int32_t pid)
{
    FILE *stream = open_proc(pid, "cgroup");
    char *line = NULL, *path = NULL;
    size_t size = 0;
    while (stream && !path && getline(&line, &size, stream) > 0) {
        const char *at = NULL;
        if (strncmp(line, "0::", 3) == 0)
            at = line + 3;
        else if (strstr(line, ":name=systemd:"))
            at = strstr(line, ":name=systemd:") + strlen(":name=systemd:");
        if (at)
            path = strndup(at, strcspn(at, "\n"));
    }
    free(line);
    if (stream)
        fclose(stream);
    return path;
}

static bool ends_in(const char *text, size_t len, const char *end)
{
    size_t n = strlen(end);
    return len > n && strncmp(text + len - n, end, n) == 0;
}

/* The innermost part of CGROUP that is a service or a scope, and how long it is; NULL: none. */
static const char *find_unit(const char *cgroup, size_t *ret_len)
{
    const char *unit = NULL;
    while (*cgroup) {
        size_t len = strcspn(cgroup, "/");
        if (ends_in(cgroup, len, ".service") || ends_in(cgroup, len, ".scope")) {
            unit = cgroup;
            *ret_len = len;
        }
        cgroup += len + (cgroup[len] == '/');
    }
    return unit;
}

/* Where the kernel keeps segments: one file system for ordinary pages, one for each size of huge
 * pages. Files of memfd_create() are in the same ones. */
struct devices {
    dev_t items[32];
    size_t count;
};

static void devices_add(struct devices *d, unsigned flags)
{
    struct stat st;
    int fd = memfd_create("", MFD_CLOEXEC | flags);
    if (fd < 0)
        return;
    if (fstat(fd, &st) == 0 && d->count < sizeof(d->items) / sizeof(*d->items))
        d->items[d->count++] = st.st_dev;
    close(fd);
}

static struct devices read_devices(void)
{
    enum { SMALLEST = 14, LARGEST = 40, SHIFT = 26 }; /* powers of 2; MFD_HUGE_SHIFT */
    struct devices d = {.count = 0};
    devices_add(&d, 0);
    for (unsigned size = SMALLEST; d.count > 0 && size <= LARGEST; size++)
        devices_add(&d, MFD_HUGETLB | size << SHIFT);
    return d;
}

/* If memfd_create() is forbidden here, the name has to do. */
static bool is_of_segments(const struct devices *d, dev_t device)
{
    for (size_t i = 0; i < d->count; i++)
        if (d->items[i] == device)
            return true;
    return d->count == 0;
}

/* A line of maps that is a segment. */
static bool parse_mapping(const char *line, const struct devices *devices, int *ret_shmid,
                          bool *ret_writable)
{
    char permissions[5], path[16];
    unsigned major, minor;
    unsigned long inode;
    if (sscanf(line, "%*x-%*x %4s %*x %x:%x %lu %15s", permissions, &major, &minor, &inode, path) !=
            5 ||
        strncmp(path, "/SYSV", 5) != 0 || inode > INT32_MAX ||
        !is_of_segments(devices, makedev(major, minor)))
        return false;
    *ret_shmid = (int)inode;
    *ret_writable = permissions[1] == 'w';
    return true;
}

static struct shmd_attachment *row_of(struct found *all, size_t first, int shmid, int32_t pid)
{
    for (size_t i = first; i < all->count; i++)
        if (all->rows[i].shmid == shmid)
            return &all->rows[i];
    struct shmd_attachment *row = found_add(all);
    if (row)
        *row = (struct shmd_attachment){.shmid = shmid, .pid = pid, .read_only = true};
    return row;
}

/* SHMID -1: any. 0 or -ENOMEM. */
static int read_maps(int32_t pid, int shmid, const struct devices *devices, struct found *all)
{
    FILE *stream = open_proc(pid, "maps");
    char *line = NULL;
    size_t size = 0, first = all->count;
    int r = 0, mapped;
    bool is_writable;
    while (stream && r == 0 && getline(&line, &size, stream) > 0) {
        if (!parse_mapping(line, devices, &mapped, &is_writable) || (shmid >= 0 && mapped != shmid))
            continue;
        struct shmd_attachment *row = row_of(all, first, mapped, pid);
        if (!row) {
            r = -ENOMEM;
            break;
        }
        row->count++;
        row->read_only &= !is_writable;
    }
    free(line);
    if (stream)
        fclose(stream);
    for (size_t i = first; i < all->count; i++) {
        all->rows[i].uid = read_uid(pid);
        all->rows[i].comm = read_line(pid, "comm");
        all->rows[i].cgroup = read_cgroup(pid);
    }
    return r;
}

static bool is_in_namespace(int32_t pid, const struct stat *own)
{
    char path[64];
    struct stat st;
    snprintf(path, sizeof(path), "/proc/%" PRId32 "/ns/ipc", pid);
    return stat(path, &st) == 0 && st.st_ino == own->st_ino;
}

/* --- all of them */

/* Processes of the caller's IPC namespace but NOT_PID; 0 or a negative errno. */
static int read_processes(int shmid, int32_t not_pid, struct found *all)
{
    struct stat own;
    if (stat("/proc/self/ns/ipc", &own) < 0)
        return -errno;
    const struct devices devices = read_devices();
    DIR *proc = opendir("/proc");
    if (!proc)
        return -errno;
    int r = 0;
    for (struct dirent *entry; r == 0 && (entry = readdir(proc));) {
        if (!isdigit((unsigned char)*entry->d_name))
            continue;
        int32_t pid = (int32_t)strtol(entry->d_name, NULL, 10);
        if (pid != not_pid && is_in_namespace(pid, &own))
            r = read_maps(pid, shmid, &devices, all);
    }
    closedir(proc);
    return r;
}

static int compare_rows(const void *a, const void *b)
{
    const struct shmd_attachment *x = a, *y = b;
    if (x->shmid != y->shmid)
        return x->shmid < y->shmid ? -1 : 1;
    return (x->pid > y->pid) - (x->pid < y->pid);
}

static const char *put(char **at, const char *text, size_t len)
{
    char *copy = memcpy(*at, text, len);
    copy[len] = '\0';
    *at += len + 1;
    return copy;
}

/* One block: the struct, the pointers to the rows, the rows, their strings. Callers are given
 * pointers, for a row may be longer than the one that they were compiled with. */
static struct shmd_attachments *pack(const struct found *all)
{
    size_t size = sizeof(struct shmd_attachments), unit_len = 0;
    size += all->count * (sizeof(struct shmd_attachment *) + sizeof(*all->rows));
    for (size_t i = 0; i < all->count; i++) {
        const struct shmd_attachment *row = &all->rows[i];
        size += row->comm ? strlen(row->comm) + 1 : 0;
        size += row->cgroup ? 2 * (strlen(row->cgroup) + 1) : 0;
    }
    struct shmd_attachments *packed = malloc(size);
    if (!packed)
        return NULL;
    const struct shmd_attachment **processes = (const struct shmd_attachment **)(packed + 1);
    struct shmd_attachment *rows = (struct shmd_attachment *)(processes + all->count);
    char *at = (char *)(rows + all->count);
    for (size_t i = 0; i < all->count; i++) {
        const struct shmd_attachment *row = &all->rows[i];
        const char *unit = row->cgroup ? find_unit(row->cgroup, &unit_len) : NULL;
        rows[i] = *row;
        rows[i].comm = row->comm ? put(&at, row->comm, strlen(row->comm)) : NULL;
        rows[i].cgroup = row->cgroup ? put(&at, row->cgroup, strlen(row->cgroup)) : NULL;
        rows[i].unit = unit ? put(&at, unit, unit_len) : NULL;
    }
    if (all->count > 0)
        qsort(rows, all->count, sizeof(*rows), compare_rows);
    for (size_t i = 0; i < all->count; i++)
        processes[i] = &rows[i];
    *packed = (struct shmd_attachments){.processes = processes, .count = all->count};
    return packed;
}

static uint64_t count_unseen(const struct found *all, const struct shmd_segment *segment)
{
    uint64_t seen = 0;
    for (size_t i = 0; i < all->count; i++)
        seen += all->rows[i].count;
    return segment && segment->nattch > seen ? segment->nattch - seen : 0;
}

int shmd_attachments(struct shmd *shmd, const struct shmd_segment *segment,
                     struct shmd_attachments **ret_attachments)
{
    struct found all = {0};
    struct shmd_attachments *packed = NULL;
    int r = shmd ? attach_check_namespace(shmd) : 0;
    if (r != 0)
        return r;
    r = read_processes(segment ? segment->shmid : -1, shmd ? shmd->daemon_pid : 0, &all);
    if (r == 0 && ret_attachments) {
        packed = pack(&all);
        r = packed ? 0 : -ENOMEM;
    }
    if (packed) {
        packed->unseen = count_unseen(&all, segment);
        *ret_attachments = packed;
    }
    found_free(&all);
    if (r < 0 && shmd)
        return failure_set(shmd, r, "cannot read /proc: %s", strerror(-r));
    return r;
}

void shmd_attachments_free(struct shmd_attachments *attachments)
{
    free(attachments);
}
