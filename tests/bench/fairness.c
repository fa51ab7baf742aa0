/*
 * One user has 500 connections and sends on each as fast as the socket takes it; another asks one
 * thing at a time. The daemon has one core, the two of them share the other, with the flood behind.
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
    FLOODS = 500,
    DEEP = 64, /* requests in one write */
    ALONE = 2000,
    AMONG_MAX = 2000,
    AMONG_SECONDS = 6,
    FLOOD_UID = 65534,
};

static void flood_for_ever(const struct server *s)
{
    static char burst[DEEP * RAW_REQUEST], sink[1 << 16];
    struct epoll_event ready[64];
    size_t sent[FLOODS] = {0};
    int fds[FLOODS], epoll = epoll_create1(EPOLL_CLOEXEC);
    for (size_t i = 0; i < DEEP; i++)
        memcpy(burst + i * RAW_REQUEST, STAT_REQUEST, RAW_REQUEST);
    for (uint32_t i = 0; i < FLOODS; i++) {
        struct epoll_event event = {.events = EPOLLIN | EPOLLOUT, .data.u32 = i};
        fds[i] = connect_patiently(s->socket, 1000000);
        epoll_ctl(epoll, EPOLL_CTL_ADD, fds[i], &event);
    }
    for (;;) {
        int n = epoll_wait(epoll, ready, 64, -1);
        for (int k = 0; k < n; k++) {
            uint32_t i = ready[k].data.u32;
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

static pid_t start_flood(struct bench *b, const struct server *s)
{
    pid_t pid = fork();
    if (pid < 0)
        die("fork: %s", strerror(errno));
    if (pid > 0)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setpriority(PRIO_PROCESS, 0, 19);
    if (b->is_root && (setgid(FLOOD_UID) < 0 || setuid(FLOOD_UID) < 0))
        die("cannot become another user: %s", strerror(errno));
    flood_for_ever(s);
    _exit(0);
}

/* Until there are N samples or the time is over. */
static size_t sample(int fd, double *ns, size_t n, int seconds)
{
    int64_t end = now_ns() + INT64_C(1000000000) * seconds;
    size_t i = 0;
    for (; i < n && (i < 3 || now_ns() < end); i++) {
        int64_t begin = now_ns();
        call(fd, STAT_REQUEST);
        ns[i] = (double)(now_ns() - begin);
    }
    return i;
}

void bench_fairness(struct bench *b)
{
    static double alone[ALONE], among[AMONG_MAX];
    pin(b->other_cpu);
    struct server s = server_shmd(b->shmd, b->directory, "fairness", b->server_cpu, true);
    int fd = connect_patiently(s.socket, 1000000);
    call(fd, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"create\",\"params\":{\"name\":"
             "\"" USUAL_NAME "\",\"size\":4096,\"mode\":\"0644\"}}\n");
    sample(fd, alone, ALONE, 60);
    pid_t flood = start_flood(b, &s);
    sleep_ns(2000000000);
    size_t n = sample(fd, among, AMONG_MAX, AMONG_SECONDS);
    double usual = median(alone, ALONE), late = quantile(alone, ALONE, 0.99);
    report_row(&b->report, (struct row){.id = "fairness",
                                        .title = "one request among 500 floods, median",
                                        .figure = median(among, n) / 1000,
                                        .unit = "µs",
                                        .ratio = median(among, n) / usual,
                                        .against = "alone"});
    report_row(&b->report, (struct row){.id = "fairness-99",
                                        .title = "the same, 99 of 100",
                                        .figure = quantile(among, n, 0.99) / 1000,
                                        .unit = "µs",
                                        .ratio = quantile(among, n, 0.99) / late,
                                        .against = "alone"});
    if (!b->is_root)
        report_note(&b->report, "without root the flood is of the same user as the single request");
    kill(flood, SIGKILL);
    waitpid(flood, NULL, 0);
    close(fd);
    server_stop(&s, SIGKILL);
}
