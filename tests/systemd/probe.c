/* SPDX-License-Identifier: MIT */
/*
 * Stands in for the daemon inside its sandbox and tries what the sandbox must forbid, and the two
 * things it must not. One line for each attempt: its name, and "allowed" or the errno.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static void tell(const char *name, long result)
{
    printf("%s: %s\n", name, result >= 0 ? "allowed" : strerrorname_np(errno));
}

static long try_create(const char *path)
{
    return open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
}

int main(int argc, char **argv)
{
    if (argc > 1) {
        fprintf(stderr, "%s takes no arguments\n", argv[0]);
        return 2;
    }
    tell("a socket of AF_UNIX", socket(AF_UNIX, SOCK_STREAM, 0));
    tell("a segment", shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0600));

    tell("a socket of AF_INET", socket(AF_INET, SOCK_STREAM, 0));
    tell("a socket of AF_NETLINK", socket(AF_NETLINK, SOCK_RAW, 0));
    tell("a file in /etc", try_create("/etc/shmd-probe"));
    tell("a file in /usr", try_create("/usr/shmd-probe"));
    tell("a file in /var", try_create("/var/shmd-probe"));
    tell("a file in /dev/shm", try_create("/dev/shm/shmd-probe"));
    tell("a file in /run", try_create("/run/shmd-probe.file"));
    tell("looking into /home", open("/home", O_RDONLY | O_CLOEXEC));
    tell("writing a sysctl", open("/proc/sys/kernel/shmmni", O_WRONLY | O_CLOEXEC));
    tell("being root", setuid(0));
    tell("a namespace", unshare(CLONE_NEWUSER));
    tell("a mount", mount("none", "/run", "tmpfs", 0, NULL));
    tell("a set-uid file", chmod(".", 04755));
    tell("tracing", ptrace(PTRACE_TRACEME, 0, NULL, NULL));
    tell("a raised priority", nice(-5));
    fflush(stdout);
    execl("/bin/true", "true", (char *)NULL);
    tell("another program", -1);
    return 0;
}
