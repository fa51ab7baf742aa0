/* SPDX-License-Identifier: MIT */
#include "daemon/store/host_linux.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "daemon/util/cleanup.h"

void host_linux_init(struct host_linux *h, const char *path)
{
    *h = (struct host_linux){.path = path, .directory = -1};
}

void host_linux_deinit(struct host_linux *h)
{
    cleanup_close(&h->directory);
    h->directory = -1;
}

static void take_info(const struct stat *st, struct file_info *ret)
{
    *ret = (struct file_info){.is_regular = S_ISREG(st->st_mode),
                              .uid = st->st_uid,
                              .mode = st->st_mode & 07777,
                              .device = st->st_dev,
                              .inode = st->st_ino,
                              .size = (uint64_t)st->st_size};
}

static int host_enter(void *context, struct file_info *ret_directory)
{
    struct host_linux *h = context;
    struct stat st;
    int fd CLEANUP(cleanup_close) = open(h->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0)
        return -errno;
    take_info(&st, ret_directory);
    cleanup_close(&h->directory);
    h->directory = steal_fd(&fd);
    return 0;
}

static void host_leave(void *context)
{
    host_linux_deinit(context);
}

static int host_open(void *context, const char *name, bool create, int *ret_file)
{
    const struct host_linux *h = context;
    /* Not even a FIFO of that name makes it wait. */
    int flags = O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | (create ? O_CREAT : 0);
    int fd = openat(h->directory, name, flags, 0600);
    if (fd < 0)
        return -errno;
    *ret_file = fd;
    return 0;
}

static void host_close(void *context, int file)
{
    (void)context;
    close(file);
}

static int host_lock(void *context, int file)
{
    (void)context;
    return flock(file, LOCK_EX | LOCK_NB) < 0 ? -errno : 0;
}

static int host_make_private(void *context, int file)
{
    (void)context;
    return fchmod(file, 0600) < 0 ? -errno : 0;
}

static int host_stat(void *context, int file, struct file_info *ret)
{
    struct stat st;
    (void)context;
    if (fstat(file, &st) < 0)
        return -errno;
    take_info(&st, ret);
    return 0;
}

static int host_stat_name(void *context, const char *name, struct file_info *ret)
{
    const struct host_linux *h = context;
    char path[PATH_MAX];
    struct stat st;
    if (strlen(h->path) + strlen(name) + 2 > sizeof(path))
        return -ENAMETOOLONG;
    stpcpy(stpcpy(stpcpy(path, h->path), "/"), name);
    if (lstat(path, &st) < 0)
        return -errno;
    take_info(&st, ret);
    return 0;
}

static ssize_t host_read(void *context, int file, void *to, size_t n, uint64_t at)
{
    (void)context;
    ssize_t got = pread(file, to, n, (off_t)at);
    return got < 0 ? -errno : got;
}

static ssize_t host_write(void *context, int file, const void *from, size_t n, uint64_t at)
{
    (void)context;
    ssize_t put = pwrite(file, from, n, (off_t)at);
    return put < 0 ? -errno : put;
}

static int host_truncate(void *context, int file, uint64_t size)
{
    (void)context;
    return ftruncate(file, (off_t)size) < 0 ? -errno : 0;
}

static int host_allocate(void *context, int file, uint64_t from, uint64_t n)
{
    (void)context;
    return fallocate(file, FALLOC_FL_KEEP_SIZE, (off_t)from, (off_t)n) < 0 ? -errno : 0;
}

static int host_rename(void *context, const char *from, const char *to, bool replace)
{
    const struct host_linux *h = context;
    if (replace)
        return renameat(h->directory, from, h->directory, to) < 0 ? -errno : 0;
    if (renameat2(h->directory, from, h->directory, to, RENAME_NOREPLACE) == 0)
        return 0;
    if (errno != EINVAL)
        return -errno;
    /* The file system cannot do it in one step. */
    if (faccessat(h->directory, to, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
        return -EEXIST;
    return renameat(h->directory, from, h->directory, to) < 0 ? -errno : 0;
}

static int host_remove(void *context, const char *name)
{
    const struct host_linux *h = context;
    return unlinkat(h->directory, name, 0) < 0 ? -errno : 0;
}

static int64_t host_monotonic_us(void *context)
{
    struct timespec now;
    (void)context;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static int64_t host_realtime_ms(void *context)
{
    struct timespec now;
    (void)context;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int host_random(void *context, void *to, size_t n)
{
    (void)context;
    ssize_t got = getrandom(to, n, 0);
    if (got < 0)
        return -errno;
    return (size_t)got == n ? 0 : -EIO;
}

const struct host_ops host_linux_ops = {
    .enter = host_enter,
    .leave = host_leave,
    .open = host_open,
    .close = host_close,
    .lock = host_lock,
    .make_private = host_make_private,
    .stat = host_stat,
    .stat_name = host_stat_name,
    .read = host_read,
    .write = host_write,
    .truncate = host_truncate,
    .allocate = host_allocate,
    .rename = host_rename,
    .remove = host_remove,
    .monotonic_us = host_monotonic_us,
    .realtime_ms = host_realtime_ms,
    .random = host_random,
};
