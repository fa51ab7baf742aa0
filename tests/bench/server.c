/* SPDX-License-Identifier: MIT */
#include "tests/bench/server.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/bench/support.h"

static void log_path(char out[static 120], const struct server *s)
{
    snprintf(out, 120, "%s.log", s->socket);
}

static struct server server_at(const char *directory, const char *name)
{
    struct server s = {0};
    snprintf(s.name, sizeof(s.name), "%s", name);
    snprintf(s.socket, sizeof(s.socket), "%s/%s.sock", directory, name);
    return s;
}

/* The child's part: returns only in the child. */
static void become(const struct server *s, int cpu)
{
    char log[120];
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    pin(cpu);
    log_path(log, s);
    int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0644);
    if (fd < 0 || dup2(fd, STDERR_FILENO) < 0 || dup2(fd, STDOUT_FILENO) < 0)
        die("%s: %s", log, strerror(errno));
    close(fd);
}

static void run(struct server *s, int cpu, bool own_ipc, char *const argv[])
{
    s->pid = fork();
    if (s->pid < 0)
        die("fork: %s", strerror(errno));
    if (s->pid > 0)
        return;
    become(s, cpu);
    if (own_ipc && unshare(CLONE_NEWIPC) < 0)
        die("no IPC namespace: %s", strerror(errno));
    execvp(argv[0], argv);
    die("%s: %s", argv[0], strerror(errno));
}

bool is_installed(const char *program)
{
    char path[4096], file[4200];
    const char *all = getenv("PATH");
    snprintf(path, sizeof(path), "%s", all ? all : "/usr/bin:/bin");
    for (char *rest = path, *one; (one = strsep(&rest, ":"));) {
        snprintf(file, sizeof(file), "%s/%s", one, program);
        if (access(file, X_OK) == 0)
            return true;
    }
    return false;
}

struct server server_shmd_with(const char *program, const char *directory, const char *name,
                               int cpu, bool own_ipc, const char *more)
{
    struct server s = server_at(directory, name);
    char state[120], config[140], text[480];
    snprintf(state, sizeof(state), "%s/%s.d", directory, name);
    snprintf(config, sizeof(config), "%s/shmd.conf", state);
    if (mkdir(state, 0755) < 0 && errno != EEXIST)
        die("%s: %s", state, strerror(errno));
    snprintf(text, sizeof(text),
             "max_segments_per_uid = 0\nmax_connections = %d\nmax_connections_per_uid = %d\n"
             "max_processes = %d\nsegments_dir = %s/segments.d\n%s",
             CONNECTIONS_MAX, CONNECTIONS_MAX, PROCESSES_MAX, state, more);
    if (!write_file(config, text))
        die("%s: %s", config, strerror(errno));
    char *const argv[] = {(char *)(uintptr_t)program,
                          (char[]){"--socket"},
                          s.socket,
                          (char[]){"--socket-mode"},
                          (char[]){"0666"},
                          (char[]){"--state-dir"},
                          state,
                          (char[]){"--config"},
                          config,
                          NULL};
    run(&s, cpu, own_ipc, argv);
    return s;
}

struct server server_shmd(const char *program, const char *directory, const char *name, int cpu,
                          bool own_ipc)
{
    return server_shmd_with(program, directory, name, cpu, own_ipc, "");
}

struct server server_memcached(const char *directory, int cpu)
{
    struct server s = server_at(directory, "memcached");
    char connections[12], user[12] = "root";
    if (!is_installed("memcached"))
        return s;
    snprintf(connections, sizeof(connections), "%d", CONNECTIONS_MAX);
    char *const argv[] = {(char[]){"memcached"}, (char[]){"-u"}, user,
                          (char[]){"-s"},        s.socket,       (char[]){"-a"},
                          (char[]){"0777"},      (char[]){"-t"}, (char[]){"1"},
                          (char[]){"-c"},        connections,    NULL};
    run(&s, cpu, false, argv);
    return s;
}

struct server server_redis(const char *directory, int cpu)
{
    struct server s = server_at(directory, "redis");
    char connections[12];
    if (!is_installed("redis-server"))
        return s;
    snprintf(connections, sizeof(connections), "%d", CONNECTIONS_MAX);
    char *const argv[] = {(char[]){"redis-server"},
                          (char[]){"--port"},
                          (char[]){"0"},
                          (char[]){"--unixsocket"},
                          s.socket,
                          (char[]){"--save"},
                          (char[]){""},
                          (char[]){"--appendonly"},
                          (char[]){"no"},
                          (char[]){"--maxclients"},
                          connections,
                          NULL};
    run(&s, cpu, false, argv);
    return s;
}

/* --- the echo */

struct pending {
    size_t bytes; /* of a request that is not whole yet, by descriptor */
};

static void echo_readable(int epoll, int fd, struct pending *p, size_t request, size_t reply)
{
    static char in[65536], out[65536];
    ssize_t n = recv(fd, in, sizeof(in), MSG_DONTWAIT);
    if (n < 0)
        return;
    if (n == 0) {
        epoll_ctl(epoll, EPOLL_CTL_DEL, fd, NULL);
        close(fd);
        p->bytes = 0;
        return;
    }
    p->bytes += (size_t)n;
    size_t bytes = p->bytes / request * reply;
    p->bytes %= request;
    if (bytes > sizeof(out))
        die("the echo was not made for so many requests at once");
    memset(out, 'x', bytes);
    if (bytes > 0)
        send_all(fd, out, bytes);
}

static void echo_for_ever(int listening, size_t request, size_t reply)
{
    static struct pending pending[1024];
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listening}, ready[64];
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    epoll_ctl(epoll, EPOLL_CTL_ADD, listening, &event);
    for (;;) {
        int n = epoll_wait(epoll, ready, 64, -1);
        for (int i = 0; i < n; i++) {
            if (ready[i].data.fd != listening) {
                echo_readable(epoll, ready[i].data.fd, &pending[ready[i].data.fd], request, reply);
                continue;
            }
            event.data.fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC);
            if (event.data.fd < 0 || event.data.fd >= 1024)
                die("the echo was not made for so many connections");
            epoll_ctl(epoll, EPOLL_CTL_ADD, event.data.fd, &event);
        }
    }
}

struct server server_echo(const char *directory, int cpu, size_t request, size_t reply)
{
    struct server s = server_at(directory, "echo");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", s.socket);
    unlink(s.socket); /* of an echo before */
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ||
        listen(fd, 64) < 0)
        die("%s: %s", s.socket, strerror(errno));
    s.pid = fork();
    if (s.pid < 0)
        die("fork: %s", strerror(errno));
    if (s.pid == 0) {
        become(&s, cpu);
        echo_for_ever(fd, request, reply);
    }
    close(fd);
    return s;
}

/* --- all */

void server_stop(struct server *s, int signal)
{
    if (s->pid == 0)
        return;
    kill(s->pid, signal);
    if (waitpid(s->pid, NULL, 0) < 0)
        die("waiting for %s: %s", s->name, strerror(errno));
    s->pid = 0;
}

size_t server_log_lines(const struct server *s, const char *text)
{
    char path[120], line[2048];
    size_t n = 0;
    log_path(path, s);
    FILE *file = fopen(path, "re");
    if (!file)
        die("%s: %s", path, strerror(errno));
    while (fgets(line, sizeof(line), file))
        n += strstr(line, text) != NULL;
    fclose(file);
    return n;
}

int64_t server_cpu_ns(const struct server *s)
{
    clockid_t clock;
    struct timespec used;
    int r = clock_getcpuclockid(s->pid, &clock);
    if (r != 0 || clock_gettime(clock, &used) < 0)
        die("the CPU time of %s: %s", s->name, strerror(r ? r : errno));
    return (int64_t)used.tv_sec * 1000000000 + used.tv_nsec;
}

int64_t server_memory(const struct server *s)
{
    char path[40];
    snprintf(path, sizeof(path), "/proc/%d/status", (int)s->pid);
    const char *text = read_file(path);
    const char *line = text ? strstr(text, "RssAnon:") : NULL;
    if (!line)
        die("%s tells nothing of the memory of %s", path, s->name);
    return strtoll(line + strlen("RssAnon:"), NULL, 10) * 1024;
}
