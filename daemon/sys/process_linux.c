/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "daemon/sys/process.h"
#include "daemon/util/cleanup.h"

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77 /* Linux 6.5 */
#endif
#ifndef PID_FS_MAGIC
#define PID_FS_MAGIC 0x50494446 /* Linux 6.9; before it all pidfds shared one inode */
#endif

enum {
    PROC_STAT_SIZE = 1024,
    PROC_STATUS_SIZE = 1024, /* the user IDs are in its first lines */
};

/* Reads at most SIZE - 1 bytes of /proc/PID/FILE and ends them with a NUL; the number read. */
static size_t read_proc(int32_t pid, const char *file, char *ret, size_t size)
{
    char path[48];
    snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, file);
    ret[0] = '\0';
    int fd CLEANUP(cleanup_close) = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    ssize_t n = read(fd, ret, size - 1);
    size_t len = n > 0 ? (size_t)n : 0;
    ret[len] = '\0';
    return len;
}

/* A process may call itself anything; what goes on the wire and into the log must be text. */
static void make_printable(char *comm)
{
    for (; *comm; comm++)
        if ((unsigned char)*comm < 0x20 || (unsigned char)*comm >= 0x7F)
            *comm = '?';
}

static void linux_comm(void *context, int32_t pid, char ret[COMM_MAX])
{
    (void)context;
    size_t len = read_proc(pid, "comm", ret, COMM_MAX);
    if (len > 0 && ret[len - 1] == '\n')
        len--;
    ret[len] = '\0';
    make_printable(ret);
}

/* The name of a process out of its /proc/PID/stat, where it stands in parentheses. */
static void comm_of_stat(const char *text, char ret[COMM_MAX])
{
    const char *begin = strchr(text, '('), *end = strrchr(text, ')');
    size_t len = begin && end > begin ? (size_t)(end - begin) - 1 : 0;
    if (len >= COMM_MAX)
        len = COMM_MAX - 1;
    if (len > 0)
        memcpy(ret, begin + 1, len);
    ret[len] = '\0';
    make_printable(ret);
}

static enum process_state linux_look(void *context, int32_t pid, char ret_comm[COMM_MAX])
{
    (void)context;
    char text[PROC_STAT_SIZE] = "";
    bool is_gone = pid > 0 && kill(pid, 0) < 0 && errno == ESRCH;
    ret_comm[0] = '\0';
    if (pid > 0 && !is_gone)
        read_proc(pid, "stat", text, sizeof(text));
    enum process_state state = process_state_of(pid, is_gone, text);
    if (state == PROCESS_ALIVE)
        comm_of_stat(text, ret_comm);
    return state;
}

static int linux_open(void *context, int32_t pid, int *ret_pidfd)
{
    (void)context;
    /* 0: a process of another pid namespace, which cannot be found by a number. */
    int fd = pid > 0 ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;
    if (pid <= 0)
        return -ESRCH;
    if (fd < 0)
        return -errno;
    *ret_pidfd = fd;
    return 0;
}

static int linux_open_peer(void *context, int socket, int *ret_pidfd)
{
    (void)context;
    int fd = -1;
    socklen_t len = sizeof(fd);
    /* Of a process that has been reaped, Linux 6.12 says EINVAL. */
    if (getsockopt(socket, SOL_SOCKET, SO_PEERPIDFD, &fd, &len) < 0)
        return errno == EINVAL ? -ESRCH : -errno;
    *ret_pidfd = fd;
    return 0;
}

/* Whether poll() reports EVENT of FD now. */
static bool has_event(int fd, short event)
{
    struct pollfd p = {.fd = fd, .events = event};
    return poll(&p, 1, 0) > 0 && (p.revents & event) != 0;
}

/* Whether one of the four user IDs of process PID is UID; what /proc does not show may be. */
static bool may_run_as(int32_t pid, uint32_t uid)
{
    char text[PROC_STATUS_SIZE];
    uint32_t ids[4];
    read_proc(pid, "status", text, sizeof(text));
    const char *row = strstr(text, "\nUid:");
    if (!row || sscanf(row, "\nUid: %" SCNu32 " %" SCNu32 " %" SCNu32 " %" SCNu32, &ids[0], &ids[1],
                       &ids[2], &ids[3]) != 4)
        return true;
    return ids[0] == uid || ids[1] == uid || ids[2] == uid || ids[3] == uid;
}

static bool linux_may_be_peer(void *context, int socket, uint32_t uid, int32_t pid)
{
    (void)context;
    return !has_event(socket, POLLHUP) && may_run_as(pid, uid);
}

/* Field 22 of /proc/PID/stat; the second, in parentheses, may hold anything. */
static uint64_t start_time(int32_t pid)
{
    char text[PROC_STAT_SIZE];
    read_proc(pid, "stat", text, sizeof(text));
    const char *at = strrchr(text, ')');
    for (int field = 2; at && field < 22; field++)
        at = strchr(at + 1, ' ');
    uint64_t ticks = 0;
    if (!at || sscanf(at + 1, "%" SCNu64, &ticks) != 1)
        return 0;
    return ticks;
}

static int linux_identify(void *context, int pidfd, int32_t pid, struct process_identity *ret)
{
    (void)context;
    struct process_identity identity = {.pid = pid};
    struct statfs fs;
    struct stat st;
    if (fstatfs(pidfd, &fs) < 0 || fstat(pidfd, &st) < 0)
        return -errno;
    if ((uint64_t)fs.f_type == PID_FS_MAGIC)
        identity.inode = st.st_ino;
    else
        identity.started_at = start_time(pid);
    /* The start time is the process's that has the pid now: ours only if ours still lives. */
    if (has_event(pidfd, POLLIN))
        return -ESRCH;
    *ret = identity;
    return 0;
}

static uint64_t linux_now(void *context)
{
    (void)context;
    struct timespec now = {0};
    clock_gettime(CLOCK_BOOTTIME, &now);
    uint64_t hz = (uint64_t)sysconf(_SC_CLK_TCK);
    return (uint64_t)now.tv_sec * hz + (uint64_t)now.tv_nsec * hz / 1000000000;
}

static void linux_close(void *context, int pidfd)
{
    (void)context;
    close(pidfd);
}

const struct process_ops process_linux_ops = {
    .comm = linux_comm,
    .look = linux_look,
    .open = linux_open,
    .open_peer = linux_open_peer,
    .may_be_peer = linux_may_be_peer,
    .identify = linux_identify,
    .now = linux_now,
    .close = linux_close,
};
