/* SPDX-License-Identifier: MIT */
/*
 * An attacker of the daemon, as fast as the machine lets it be. It opens CONNECTIONS connections
 * and sends the bytes of the file PAYLOAD on each.
 *
 *   flood SOCKET PAYLOAD CONNECTIONS [OPTION]...
 *     repeat         send it again and again; a connection that is closed is made anew
 *     deaf           read nothing
 *     hold-back      keep the last byte back until "go", then send it on all connections
 *     reconnect      besides, connect and close as fast as possible from "go" on
 *     processes      a process for each connection; it closes the connection after the answers, and
 * stays answers=N      be ready after N lines have come in
 *
 * It prints "ready" when the connections are there and have sent what they could. On standard input
 * it takes "go", "count" (it prints how many lines have come in and how many connections were
 * closed) and the end of the file, which ends it.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/isolation/support.h"

enum { EVENTS = 64, STDIN_MARK = UINT32_MAX };

struct peer {
    int fd; /* negative: closed for good */
    pid_t pid;
    size_t sent;
    bool has_sent_all; /* the payload once, or what may be sent before "go" */
};

struct flood {
    const char *socket;
    char *payload;
    size_t len;
    struct peer *peers;
    uint32_t n_peers, n_unsent;
    bool repeat, deaf, hold_back, reconnect, processes;
    bool has_gone, is_ready;
    unsigned long answers_wanted, answers, closed;
    int epoll;
};

static void read_payload(struct flood *f, const char *path)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0)
        die("%s: %s", path, strerror(errno));
    f->len = (size_t)st.st_size;
    f->payload = malloc(f->len + 1);
    if (!f->payload || read(fd, f->payload, f->len) != (ssize_t)f->len)
        die("%s: cannot be read whole", path);
    close(fd);
}

static void more_descriptors(void)
{
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

static void count_lines(struct flood *f, const char *bytes, size_t len)
{
    for (const char *p = bytes; (p = memchr(p, '\n', len - (size_t)(p - bytes))) != NULL; p++)
        f->answers++;
}

static void mark_sent(struct flood *f, struct peer *p)
{
    if (!p->has_sent_all)
        f->n_unsent--;
    p->has_sent_all = true;
}

/* --- connections of one process */

static void watch(struct flood *f, uint32_t i, int operation)
{
    bool may_repeat = f->repeat && (f->has_gone || !f->hold_back);
    bool sends = may_repeat || !f->peers[i].has_sent_all;
    struct epoll_event event = {.data.u32 = i};
    event.events = (f->deaf ? 0U : (unsigned)EPOLLIN) | (sends ? (unsigned)EPOLLOUT : 0U);
    if (epoll_ctl(f->epoll, operation, f->peers[i].fd, &event) < 0)
        die("epoll_ctl: %s", strerror(errno));
}

static void open_peer(struct flood *f, uint32_t i)
{
    struct peer *p = &f->peers[i];
    p->sent = 0;
    p->fd = connect_to(f->socket);
    if (p->fd < 0) {
        f->closed++;
        mark_sent(f, p);
        return;
    }
    fcntl(p->fd, F_SETFL, O_NONBLOCK);
    watch(f, i, EPOLL_CTL_ADD);
}

static void lose_peer(struct flood *f, uint32_t i)
{
    struct peer *p = &f->peers[i];
    close(p->fd);
    p->fd = -1;
    f->closed++;
    mark_sent(f, p);
    if (f->repeat)
        open_peer(f, i);
}

/* False when the connection is no more. */
static bool receive(struct flood *f, uint32_t i)
{
    static char sink[1 << 16];
    ssize_t n = recv(f->peers[i].fd, sink, sizeof(sink), MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return true;
    if (n <= 0) {
        lose_peer(f, i);
        return false;
    }
    count_lines(f, sink, (size_t)n);
    return true;
}

static void push(struct flood *f, uint32_t i)
{
    struct peer *p = &f->peers[i];
    size_t end = f->hold_back && !f->has_gone ? f->len - 1 : f->len;
    ssize_t n = send(p->fd, f->payload + p->sent, end - p->sent, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN && errno != EINTR) {
        lose_peer(f, i);
        return;
    }
    /* A deaf one has sent what it could when the daemon takes no more of it. */
    if (n < 0 && f->deaf)
        mark_sent(f, p);
    p->sent += n > 0 ? (size_t)n : 0;
    if (p->sent == end) {
        mark_sent(f, p);
        if (f->repeat && end == f->len)
            p->sent = 0;
        else
            watch(f, i, EPOLL_CTL_MOD);
    }
}

/* The last byte on all connections at one moment, as near as it gets. */
static void release(struct flood *f)
{
    for (uint32_t i = 0; i < f->n_peers; i++) {
        struct peer *p = &f->peers[i];
        if (p->fd < 0 || p->sent != f->len - 1)
            continue;
        if (send(p->fd, f->payload + p->sent, 1, MSG_DONTWAIT | MSG_NOSIGNAL) == 1)
            p->sent = f->repeat ? 0 : f->len;
        if (f->repeat)
            watch(f, i, EPOLL_CTL_MOD);
    }
}

static void connect_and_close(struct flood *f)
{
    for (int i = 0; i < 16; i++) {
        int fd = connect_to(f->socket);
        if (fd < 0)
            return;
        close(fd);
        f->closed++;
    }
}

/* --- a process for each connection */

__attribute__((noreturn)) static void be_a_process(struct flood *f, int report)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    size_t lines = 0;
    for (size_t i = 0; i < f->len; i++)
        lines += f->payload[i] == '\n';
    int fd = connect_to(f->socket);
    if (fd >= 0 && send(fd, f->payload, f->len, MSG_NOSIGNAL) == (ssize_t)f->len) {
        while (f->answers < lines) {
            char sink[4096];
            ssize_t n = recv(fd, sink, sizeof(sink), 0);
            if (n <= 0)
                break;
            count_lines(f, sink, (size_t)n);
        }
    }
    char full = f->answers == lines ? 'a' : 'c';
    if (fd >= 0)
        close(fd); /* what it has made must depend on the process alone */
    if (write(report, &full, 1) != 1)
        _exit(1);
    for (;;)
        pause();
}

static void start_processes(struct flood *f)
{
    int report[2];
    if (pipe2(report, O_CLOEXEC) < 0)
        die("pipe: %s", strerror(errno));
    for (uint32_t i = 0; i < f->n_peers; i++) {
        f->peers[i].fd = -1;
        f->peers[i].pid = fork();
        if (f->peers[i].pid < 0)
            die("fork: %s", strerror(errno));
        if (f->peers[i].pid == 0)
            be_a_process(f, report[1]);
    }
    for (uint32_t i = 0; i < f->n_peers; i++) {
        char how;
        if (read(report[0], &how, 1) != 1)
            die("a process of the attacker did not report");
        if (how == 'a')
            f->answers++;
        else
            f->closed++;
    }
    f->n_unsent = 0;
}

static void end_processes(const struct flood *f)
{
    for (uint32_t i = 0; i < f->n_peers; i++)
        kill(f->peers[i].pid, SIGKILL);
    for (uint32_t i = 0; i < f->n_peers; i++)
        waitpid(f->peers[i].pid, NULL, 0);
}

/* --- what the test says */

static void tell_counts(const struct flood *f)
{
    printf("%lu %lu\n", f->answers, f->closed);
    fflush(stdout);
}

/* False at the end of standard input. */
static bool obey(struct flood *f)
{
    static char order[64];
    static size_t len;
    ssize_t n = read(STDIN_FILENO, order + len, sizeof(order) - len);
    if (n <= 0)
        return false;
    len += (size_t)n;
    for (char *lf; (lf = memchr(order, '\n', len)) != NULL;) {
        *lf = '\0';
        if (strcmp(order, "go") == 0) {
            f->has_gone = true;
            if (f->hold_back)
                release(f);
            tell_counts(f);
        } else if (strcmp(order, "count") == 0) {
            tell_counts(f);
        } else {
            die("\"%s\": not an order", order);
        }
        len -= (size_t)(lf + 1 - order);
        memmove(order, lf + 1, len);
    }
    return true;
}

static void look_whether_ready(struct flood *f)
{
    if (f->is_ready || f->n_unsent > 0 || f->answers < f->answers_wanted)
        return;
    f->is_ready = true;
    puts("ready");
    fflush(stdout);
}

static void run(struct flood *f)
{
    struct epoll_event ready[EVENTS];
    for (bool goes_on = true; goes_on;) {
        look_whether_ready(f);
        bool connects = f->reconnect && f->has_gone;
        int n = epoll_wait(f->epoll, ready, EVENTS, connects ? 0 : -1);
        for (int k = 0; k < n; k++) {
            uint32_t i = ready[k].data.u32;
            if (i == STDIN_MARK) {
                goes_on = obey(f);
                continue;
            }
            if (f->peers[i].fd < 0)
                continue;
            if (ready[k].events & EPOLLIN && !receive(f, i))
                continue;
            if (ready[k].events & EPOLLOUT)
                push(f, i);
            else if (ready[k].events & (EPOLLHUP | EPOLLERR) && !(ready[k].events & EPOLLIN))
                lose_peer(f, i);
        }
        if (connects)
            connect_and_close(f);
    }
}

static void parse_option(struct flood *f, const char *option)
{
    if (strcmp(option, "repeat") == 0)
        f->repeat = true;
    else if (strcmp(option, "deaf") == 0)
        f->deaf = true;
    else if (strcmp(option, "hold-back") == 0)
        f->hold_back = true;
    else if (strcmp(option, "reconnect") == 0)
        f->reconnect = true;
    else if (strcmp(option, "processes") == 0)
        f->processes = true;
    else if (strncmp(option, "answers=", 8) == 0)
        f->answers_wanted = (unsigned long)parse_number("answers", option + 8);
    else
        die("\"%s\": not an option", option);
}

int main(int argc, char **argv)
{
    if (argc < 4)
        die("usage: flood SOCKET PAYLOAD CONNECTIONS [OPTION]...");
    struct flood f = {.socket = argv[1]};
    read_payload(&f, argv[2]);
    f.n_peers = (uint32_t)parse_number("CONNECTIONS", argv[3]);
    for (int i = 4; i < argc; i++)
        parse_option(&f, argv[i]);
    if (f.hold_back && f.len < 2)
        die("a payload of which the last byte is kept back has two bytes or more");
    f.peers = calloc(f.n_peers + 1, sizeof(*f.peers));
    f.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (!f.peers || f.epoll < 0)
        die("out of memory or descriptors");
    more_descriptors();
    /* It must keep the daemon busy, not the processor that its victims run on. */
    setpriority(PRIO_PROCESS, 0, 19);
    f.n_unsent = f.n_peers;
    struct epoll_event orders = {.events = EPOLLIN, .data.u32 = STDIN_MARK};
    if (epoll_ctl(f.epoll, EPOLL_CTL_ADD, STDIN_FILENO, &orders) < 0)
        die("standard input must be a pipe: %s", strerror(errno));
    if (f.processes)
        start_processes(&f);
    else
        for (uint32_t i = 0; i < f.n_peers; i++)
            open_peer(&f, i);
    run(&f);
    if (f.processes)
        end_processes(&f);
    free(f.peers);
    free(f.payload);
    return 0;
}
