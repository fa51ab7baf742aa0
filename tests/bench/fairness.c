/* SPDX-License-Identifier: MIT */
/*
 * One user sends on all its connections as fast as the sockets take it; another asks one thing at a
 * time. The daemon has one core, the two of them share the other, with the flood behind. What they
 * take from each other there is not the daemon's doing: a flood to another server shows it.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/bench/bench.h"
#include "tests/bench/calls.h"
#include "tests/bench/server.h"
#include "tests/bench/support.h"

enum {
    CONNECTIONS = 500, /* of one flood, at most */
    USERS = 10,        /* that flood at once, at most */
    DEEP = 64,         /* requests in one write */
    ALONE = 2000,
    AMONG_MAX = 5000,
    AMONG_SECONDS = 4,
    FLOOD_UID = 65500,
};

static const struct flood {
    const char *id, *title;
    int users, connections; /* of each */
    bool is_elsewhere, is_own;
    double bar, goal, late_bar, late_goal;
} floods[] = {
    {"fairness", "a stat among 500 floods of another user", 1, CONNECTIONS, false, false, 5, 2, 20,
     5},
    {"fairness-one", "a stat beside one flood of another user", 1, 1, false, false, 5, 2, 20, 5},
    {"fairness-users", "a stat among 50 floods of each of 10 users", USERS, 50, false, false, 5, 2,
     20, 5},
    {"fairness-elsewhere", "a stat while 500 floods go to an echo", 1, CONNECTIONS, true, false, 0,
     0, 0, 0},
    {"fairness-own", "a stat beside 8 floods of the same user", 1, 8, false, true, 0, 0, 0, 0},
};
enum { KINDS = sizeof(floods) / sizeof(floods[0]) };

static void flood_for_ever(const struct server *s, int n)
{
    static char burst[DEEP * RAW_REQUEST], sink[1 << 16];
    struct epoll_event ready[64];
    size_t sent[CONNECTIONS] = {0};
    int fds[CONNECTIONS], epoll = epoll_create1(EPOLL_CLOEXEC);
    for (size_t i = 0; i < DEEP; i++)
        memcpy(burst + i * RAW_REQUEST, STAT_REQUEST, RAW_REQUEST);
    for (int i = 0; i < n; i++) {
        struct epoll_event event = {.events = EPOLLIN | EPOLLOUT, .data.fd = i};
        fds[i] = connect_patiently(s->socket, 1000000);
        epoll_ctl(epoll, EPOLL_CTL_ADD, fds[i], &event);
    }
    for (;;) {
        int n_ready = epoll_wait(epoll, ready, 64, -1);
        for (int k = 0; k < n_ready; k++) {
            int i = ready[k].data.fd;
            if (ready[k].events & EPOLLIN && recv(fds[i], sink, sizeof(sink), MSG_DONTWAIT) <= 0)
                die("the flood was cut off");
            if (!(ready[k].events & EPOLLOUT))
                continue;
            /* A request may be cut anywhere: the next piece begins there. */
            ssize_t more =
                send(fds[i], burst + sent[i], sizeof(burst) - sent[i], MSG_DONTWAIT | MSG_NOSIGNAL);
            if (more > 0)
                sent[i] = (sent[i] + (size_t)more) % sizeof(burst);
        }
    }
}

/* USER counts others' floods; below 0: the same user's who asks. */
static pid_t start_flood(const struct bench *b, const struct server *s, int user, int connections)
{
    pid_t pid = fork();
    if (pid < 0)
        die("fork: %s", strerror(errno));
    if (pid > 0)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setpriority(PRIO_PROCESS, 0, 19);
    uid_t uid = FLOOD_UID + (uid_t)user;
    if (b->is_root && user >= 0 && (setgid(uid) < 0 || setuid(uid) < 0))
        die("cannot become another user: %s", strerror(errno));
    flood_for_ever(s, connections);
    _exit(0);
}

/* How long it took among floods and alone; IS_LATE: all but the slowest hundredth. */
static void report(struct bench *b, const struct flood *f, bool is_late, double among, double alone)
{
    char *ids[2] = {NULL}, *titles[2] = {NULL}; /* for good */
    const char *late_id = is_late ? "-99" : "", *late = is_late ? ": 99 of 100" : "";
    const char *title = f->title + (is_late ? strlen("a stat ") : 0);
    if (asprintf(&ids[0], "%s%s", f->id, late_id) < 0 ||
        asprintf(&ids[1], "%s-alone%s", f->id, late_id) < 0 ||
        asprintf(&titles[0], "%s%s", title, late) < 0 ||
        asprintf(&titles[1], "the same alone%s", late) < 0)
        die("no memory");
    report_row(&b->report, (struct row){.id = ids[0],
                                        .title = titles[0],
                                        .figure = among / 1000,
                                        .unit = "µs",
                                        .ratio = among / alone,
                                        .against = "alone",
                                        .bar = is_late ? f->late_bar : f->bar,
                                        .goal = is_late ? f->late_goal : f->goal});
    report_row(
        &b->report,
        (struct row){.id = ids[1], .title = titles[1], .figure = alone / 1000, .unit = "µs"});
}

static void measure(struct bench *b, const struct server *shmd, int fd, const struct flood *f)
{
    static double alone[ALONE], among[AMONG_MAX];
    pid_t pids[USERS];
    struct server echo = {0};
    if (f->is_elsewhere) {
        echo = server_echo(b->directory, b->other_cpu, RAW_REQUEST, RAW_REPLY);
        setpriority(PRIO_PROCESS, (id_t)echo.pid, 19);
    }
    sleep_ns(500000000); /* what the flood before has left is cleared away */
    sample_stats(fd, alone, ALONE, INT64_C(60000000000));
    for (int i = 0; i < f->users; i++)
        pids[i] =
            start_flood(b, f->is_elsewhere ? &echo : shmd, f->is_own ? -1 : i, f->connections);
    sleep_ns(2000000000);
    size_t n = sample_stats(fd, among, AMONG_MAX, INT64_C(1000000000) * AMONG_SECONDS);
    for (int i = 0; i < f->users; i++) {
        kill(pids[i], SIGKILL);
        waitpid(pids[i], NULL, 0);
    }
    server_stop(&echo, SIGKILL);
    report(b, f, false, median(among, n), median(alone, ALONE));
    report(b, f, true, quantile(among, n, 0.99), quantile(alone, ALONE, 0.99));
}

void bench_fairness(struct bench *b)
{
    pin(b->other_cpu);
    struct server s = server_shmd(b->shmd, b->directory, "fairness", b->server_cpu, true);
    int fd = connect_patiently(s.socket, 1000000);
    call(fd, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"create\",\"params\":{\"name\":"
             "\"" USUAL_NAME "\",\"size\":4096,\"mode\":\"0644\"}}\n");
    for (size_t i = 0; i < KINDS; i++)
        measure(b, &s, fd, &floods[i]);
    if (!b->is_root)
        report_note(&b->report,
                    "without root the floods are of the same user as the single request");
    close(fd);
    server_stop(&s, SIGKILL);
}
