/* SPDX-License-Identifier: MIT */
#include "tests/bench/support.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

void die(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("bench: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    exit(1);
}

int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

void sleep_ns(int64_t ns)
{
    struct timespec left = {(time_t)(ns / 1000000000), (long)(ns % 1000000000)};
    while (nanosleep(&left, &left) < 0 && errno == EINTR)
        continue;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double quantile(const double *values, size_t n, double part)
{
    double *sorted = reallocarray(NULL, n, sizeof(*sorted));
    if (!sorted || n == 0)
        die("no values, or no memory for %zu of them", n);
    memcpy(sorted, values, n * sizeof(*sorted));
    qsort(sorted, n, sizeof(*sorted), compare);
    double found = sorted[(size_t)(part * (double)(n - 1) + 0.5)];
    free(sorted);
    return found;
}

double median(const double *values, size_t n)
{
    return quantile(values, n, 0.5);
}

double spread(const double *values, size_t n)
{
    return (quantile(values, n, 0.75) - quantile(values, n, 0.25)) / median(values, n);
}

void pin(int cpu)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET((size_t)cpu, &set);
    if (sched_setaffinity(0, sizeof(set), &set) < 0)
        die("cannot stay on core %d: %s", cpu, strerror(errno));
}

bool fresh_ipc(void)
{
    if (unshare(CLONE_NEWIPC) < 0)
        return false;
    write_file("/proc/sys/kernel/shmmni", "32768"); /* who needs it looks */
    return true;
}

void must_have_room(int segments)
{
    const char *text = read_file("/proc/sys/kernel/shmmni");
    if (!text || atoi(text) < segments)
        die("kernel.shmmni is %s and cannot be raised here: the benchmark makes %d segments",
            text ? text : "unknown", segments);
}

int connect_to(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(address.sun_path))
        die("%s is too long for a socket", path);
    memcpy(address.sun_path, path, strlen(path));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        die("no socket: %s", strerror(errno));
    if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0)
        return fd;
    int error = errno;
    close(fd);
    return -error;
}

int connect_patiently(const char *path, int64_t interval_ns)
{
    int64_t end = now_ns() + INT64_C(30000000000);
    int fd;
    while ((fd = connect_to(path)) < 0) {
        if (now_ns() > end)
            die("%s: nobody answers: %s", path, strerror(-fd));
        sleep_ns(interval_ns);
    }
    return fd;
}

void send_all(int fd, const char *data, size_t len)
{
    while (len > 0) {
        ssize_t n = send(fd, data, len, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            die("sending: %s", strerror(errno));
        data += n;
        len -= (size_t)n;
    }
}

static size_t receive_some(int fd, char *buffer, size_t len)
{
    ssize_t n;
    while ((n = recv(fd, buffer, len, 0)) < 0 && errno == EINTR)
        continue;
    if (n <= 0)
        die("receiving: %s", n < 0 ? strerror(errno) : "the server closed the connection");
    return (size_t)n;
}

void receive_bytes(int fd, char *buffer, size_t len)
{
    for (size_t have = 0; have < len;)
        have += receive_some(fd, buffer + have, len - have);
}

size_t receive_lines(int fd, char *buffer, size_t capacity, size_t n)
{
    size_t have = 0;
    while (n > 0) {
        if (have == capacity)
            die("an answer of more than %zu bytes", capacity);
        size_t more = receive_some(fd, buffer + have, capacity - have);
        for (const char *at = buffer + have, *end = at + more;
             n > 0 && (at = memchr(at, '\n', (size_t)(end - at))); at++)
            n--;
        have += more;
    }
    return have;
}

void command_start(struct command *ret, char *const argv[])
{
    int fds[2];
    posix_spawn_file_actions_t actions;
    if (pipe2(fds, O_CLOEXEC) < 0)
        die("no pipe: %s", strerror(errno));
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, fds[1], STDOUT_FILENO);
    int r = posix_spawnp(&ret->pid, argv[0], &actions, NULL, argv, environ);
    if (r != 0)
        die("%s: %s", argv[0], strerror(r));
    posix_spawn_file_actions_destroy(&actions);
    close(fds[1]);
    ret->name = argv[0];
    ret->out = fdopen(fds[0], "r");
    if (!ret->out)
        die("%s: %s", argv[0], strerror(errno));
}

void command_end(struct command *c)
{
    int status;
    fclose(c->out);
    if (waitpid(c->pid, &status, 0) < 0 || status != 0)
        die("%s failed", c->name);
}

const char *read_file(const char *path)
{
    static char text[65536];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return NULL;
    ssize_t n = read(fd, text, sizeof(text) - 1);
    close(fd);
    if (n < 0)
        return NULL;
    text[n] = '\0';
    return text;
}

bool write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_TRUNC, 0644);
    if (fd < 0)
        return false;
    bool written = write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    return (close(fd) == 0) & written;
}
