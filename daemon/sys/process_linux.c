#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "daemon/sys/process.h"

static void linux_comm(void *context, int32_t pid, char ret[COMM_MAX])
{
    (void)context;
    char path[32];
    ret[0] = '\0';
    snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    ssize_t n = read(fd, ret, COMM_MAX - 1);
    close(fd);
    size_t len = n > 0 ? (size_t)n : 0;
    if (len > 0 && ret[len - 1] == '\n')
        len--;
    ret[len] = '\0';
    /* A process may call itself anything; what goes on the wire and into the log must be text. */
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)ret[i] < 0x20 || (unsigned char)ret[i] >= 0x7F)
            ret[i] = '?';
}

static bool linux_may_exist(void *context, int32_t pid)
{
    (void)context;
    /* 0: a process that this pid namespace does not see. */
    return pid <= 0 || kill(pid, 0) == 0 || errno != ESRCH;
}

const struct process_ops process_linux_ops = {linux_comm, linux_may_exist};
