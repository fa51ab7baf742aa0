/* SPDX-License-Identifier: MIT */
/*
 * Small requests against the raw exchange: everybody on one core, so that a wake-up is no more than
 * a change of process, and in rounds one after the other, so that a noisy moment hits all of them.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/bench/bench.h"
#include "tests/bench/calls.h"
#include "tests/bench/server.h"
#include "tests/bench/support.h"

enum {
    ROUNDS = 31,
    TIMES = 1000,       /* of one exchange in a round */
    PAIRS = 300,        /* of creating and removing */
    LOGGED_PAIRS = 90,  /* a user may cause 200 lines at once: rpc/log_budget.h */
    LOGGED_UID = 64000, /* and those behind it, one for each round */
    CLIENTS = 16,
    CLIENT_TIMES = 8000, /* of all clients together */
    AT_ONCE = 32,
    BURSTS = 60,
    MESSAGE_MAX = 65536,
};

/* A server as its clients see it: the same request again and again. */
struct service {
    struct server server;
    char request[400], burst[AT_ONCE * 400];
    size_t request_len, reply_len;
    int fd;
    double one[ROUNDS], rate[ROUNDS], cpu[ROUNDS], burst_rate[ROUNDS];
};

enum { ECHO, SHMD, MEMCACHED, REDIS, SERVICES };

/* The other end of a socket pair, blocking. */
struct raw {
    pid_t pid;
    int fd;
};

struct exchange {
    struct bench *bench;
    struct service services[SERVICES];
    struct raw raw, raw_as_long;
    size_t rounds; /* of the ROUNDS there is room for */
    double raw_ns[ROUNDS], raw_as_long_ns[ROUNDS];
    struct server unlogged;
    int unlogged_fd;
    double pair[ROUNDS], logged_pair[ROUNDS], bare[ROUNDS], commands[ROUNDS];
    bool has_commands;
};

/* --- the raw exchange */

static struct raw start_raw(int cpu, size_t request, size_t reply)
{
    int fds[2];
    char buffer[MESSAGE_MAX] = "";
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
        die("no socket pair: %s", strerror(errno));
    pid_t pid = fork();
    if (pid < 0)
        die("fork: %s", strerror(errno));
    if (pid > 0) {
        close(fds[1]);
        return (struct raw){pid, fds[0]};
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    pin(cpu);
    for (;;) {
        for (size_t have = 0; have < request;) {
            ssize_t n = recv(fds[1], buffer, request - have, 0);
            if (n <= 0)
                _exit(0);
            have += (size_t)n;
        }
        if (send(fds[1], buffer, reply, MSG_NOSIGNAL) < 0)
            _exit(0);
    }
}

static void stop_raw(struct raw *raw)
{
    close(raw->fd);
    kill(raw->pid, SIGKILL);
    waitpid(raw->pid, NULL, 0);
}

static double time_exchange(int fd, const char *request, size_t len, size_t reply)
{
    char buffer[MESSAGE_MAX];
    int64_t begin = now_ns();
    for (int i = 0; i < TIMES; i++) {
        send_all(fd, request, len);
        receive_bytes(fd, buffer, reply);
    }
    return (double)(now_ns() - begin) / (double)TIMES;
}

/* --- the services */

static void set_request(struct service *s, const char *request)
{
    s->request_len = strlen(request);
    memcpy(s->request, request, s->request_len + 1);
    for (size_t i = 0; i < AT_ONCE; i++)
        memcpy(s->burst + i * s->request_len, request, s->request_len);
}

static void start_shmd(struct exchange *x)
{
    struct service *s = &x->services[SHMD];
    s->server =
        server_shmd(x->bench->shmd, x->bench->directory, "shmd", x->bench->server_cpu, false);
    s->fd = connect_patiently(s->server.socket, 1000000);
    call(s->fd, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"create\",\"params\":{\"name\":"
                "\"" USUAL_NAME "\",\"size\":4096}}\n");
    set_request(s, STAT_REQUEST);
    s->reply_len = strlen(call(s->fd, s->request));
}

static void start_echo(struct exchange *x)
{
    struct service *s = &x->services[ECHO];
    char request[RAW_REQUEST + 1];
    memset(request, 'x', RAW_REQUEST);
    request[RAW_REQUEST] = '\0';
    set_request(s, request);
    s->reply_len = x->services[SHMD].reply_len;
    s->server = server_echo(x->bench->directory, x->bench->server_cpu, RAW_REQUEST, s->reply_len);
    s->fd = connect_patiently(s->server.socket, 1000000);
}

/* The peers hold one value under the segment's name; their whole reply is as long as shmd's. */
static void start_memcached(struct exchange *x)
{
    struct service *s = &x->services[MEMCACHED];
    char text[1400], value[1024];
    s->server = server_memcached(x->bench->directory, x->bench->server_cpu);
    if (s->server.pid == 0) {
        report_note(&x->bench->report, "absent: memcached");
        return;
    }
    s->fd = connect_patiently(s->server.socket, 1000000);
    size_t around =
        (size_t)snprintf(text, sizeof(text), "VALUE %s 0 000\r\n\r\nEND\r\n", USUAL_NAME);
    size_t len = x->services[SHMD].reply_len - around;
    memset(value, 'x', sizeof(value));
    snprintf(text, sizeof(text), "set %s 0 0 %zu\r\n%.*s\r\n", USUAL_NAME, len, (int)len, value);
    send_all(s->fd, text, strlen(text));
    receive_lines(s->fd, text, sizeof(text), 1);
    set_request(s, "get " USUAL_NAME "\r\n");
    send_all(s->fd, s->request, s->request_len);
    s->reply_len = receive_lines(s->fd, text, sizeof(text), 3);
}

static void start_redis(struct exchange *x)
{
    struct service *s = &x->services[REDIS];
    char text[1400], value[1024];
    s->server = server_redis(x->bench->directory, x->bench->server_cpu);
    if (s->server.pid == 0) {
        report_note(&x->bench->report, "absent: redis-server");
        return;
    }
    s->fd = connect_patiently(s->server.socket, 1000000);
    size_t len = x->services[SHMD].reply_len - strlen("$000\r\n\r\n");
    memset(value, 'x', sizeof(value));
    snprintf(text, sizeof(text), "*3\r\n$3\r\nSET\r\n$%zu\r\n%s\r\n$%zu\r\n%.*s\r\n",
             strlen(USUAL_NAME), USUAL_NAME, len, (int)len, value);
    send_all(s->fd, text, strlen(text));
    receive_lines(s->fd, text, sizeof(text), 1);
    snprintf(text, sizeof(text), "*2\r\n$3\r\nGET\r\n$%zu\r\n%s\r\n", strlen(USUAL_NAME),
             USUAL_NAME);
    set_request(s, text);
    send_all(s->fd, s->request, s->request_len);
    s->reply_len = receive_lines(s->fd, text, sizeof(text), 2);
}

/* --- creating and removing */

#define PAIR_NAME "bench/pair"

static void start_unlogged(struct exchange *x)
{
    x->unlogged = server_shmd_with(x->bench->shmd, x->bench->directory, "unlogged",
                                   x->bench->server_cpu, false, "log_level = error\n");
    x->unlogged_fd = connect_patiently(x->unlogged.socket, 1000000);
}

static double time_pairs(int fd, int pairs)
{
    static const char create[] = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"create\",\"params\":"
                                 "{\"name\":\"" PAIR_NAME "\",\"size\":4096}}\n",
                      removal[] = "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"remove\",\"params\":"
                                  "{\"name\":\"" PAIR_NAME "\"}}\n";
    char buffer[MESSAGE_MAX];
    call(fd, create);
    call(fd, removal);
    int64_t begin = now_ns();
    for (int i = 0; i < pairs; i++) {
        send_all(fd, create, sizeof(create) - 1);
        receive_lines(fd, buffer, sizeof(buffer), 1);
        send_all(fd, removal, sizeof(removal) - 1);
        receive_lines(fd, buffer, sizeof(buffer), 1);
    }
    return (double)(now_ns() - begin) / (double)pairs;
}

/* A user of its own in each round, so that each request has its line. */
static double time_logged_pairs(const struct exchange *x, size_t round)
{
    if (seteuid(LOGGED_UID + (uid_t)round) < 0)
        die("cannot become another user: %s", strerror(errno));
    int fd = connect_patiently(x->services[SHMD].server.socket, 1000000);
    if (seteuid(0) < 0)
        die("cannot become root again: %s", strerror(errno));
    double ns = time_pairs(fd, LOGGED_PAIRS);
    close(fd);
    return ns;
}

static double time_bare(void)
{
    int64_t begin = now_ns();
    for (int i = 0; i < PAIRS; i++) {
        int id = shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0600);
        if (id < 0 || shmctl(id, IPC_RMID, NULL) < 0)
            die("shmget or IPC_RMID: %s", strerror(errno));
    }
    return (double)(now_ns() - begin) / (double)PAIRS;
}

/* Runs ARGV and gives the last number that it prints, -1 when it prints none. */
static int run_command(char *const argv[])
{
    char line[256];
    int number = -1;
    struct command c;
    command_start(&c, argv);
    while (fgets(line, sizeof(line), c.out)) {
        const char *space = strrchr(line, ' ');
        if (space)
            number = atoi(space);
    }
    command_end(&c);
    return number;
}

static double time_commands(void)
{
    char id[16];
    char *const make[] = {(char[]){"ipcmk"}, (char[]){"-M"}, (char[]){"4096"}, NULL};
    char *const removal[] = {(char[]){"ipcrm"}, (char[]){"-m"}, id, NULL};
    int64_t begin = now_ns();
    snprintf(id, sizeof(id), "%d", run_command(make));
    run_command(removal);
    return (double)(now_ns() - begin);
}

/* --- several clients, several requests */

static void time_clients(struct service *s, size_t round)
{
    char buffer[MESSAGE_MAX];
    int fds[CLIENTS], left[CLIENTS];
    size_t have[CLIENTS] = {0};
    struct epoll_event event = {.events = EPOLLIN}, ready[CLIENTS];
    int epoll = epoll_create1(EPOLL_CLOEXEC), open = CLIENTS;
    for (uint32_t i = 0; i < CLIENTS; i++) {
        fds[i] = connect_patiently(s->server.socket, 1000000);
        send_all(fds[i], s->request, s->request_len);
        receive_bytes(fds[i], buffer, s->reply_len); /* it is taken in */
        left[i] = CLIENT_TIMES / CLIENTS;
        event.data.u32 = i;
        epoll_ctl(epoll, EPOLL_CTL_ADD, fds[i], &event);
    }
    int64_t cpu = server_cpu_ns(&s->server), begin = now_ns();
    for (size_t i = 0; i < CLIENTS; i++)
        send_all(fds[i], s->request, s->request_len);
    while (open > 0) {
        int n = epoll_wait(epoll, ready, CLIENTS, -1);
        for (int k = 0; k < n; k++) {
            uint32_t i = ready[k].data.u32;
            ssize_t more = recv(fds[i], buffer, s->reply_len - have[i], MSG_DONTWAIT);
            if (more <= 0)
                die("%s closed a connection", s->server.name);
            have[i] += (size_t)more;
            if (have[i] < s->reply_len)
                continue;
            have[i] = 0;
            if (--left[i] > 0)
                send_all(fds[i], s->request, s->request_len);
            else
                open--;
        }
    }
    s->rate[round] = (double)CLIENT_TIMES * 1e9 / (double)(now_ns() - begin);
    s->cpu[round] = (double)(server_cpu_ns(&s->server) - cpu) / 1000 / (double)CLIENT_TIMES;
    for (size_t i = 0; i < CLIENTS; i++)
        close(fds[i]);
    close(epoll);
}

static double time_bursts(const struct service *s)
{
    char buffer[MESSAGE_MAX];
    int64_t begin = now_ns();
    for (int i = 0; i < BURSTS; i++) {
        send_all(s->fd, s->burst, AT_ONCE * s->request_len);
        receive_bytes(s->fd, buffer, AT_ONCE * s->reply_len);
    }
    return BURSTS * AT_ONCE * 1e9 / (double)(now_ns() - begin);
}

/* --- all of them */

static void measure(struct exchange *x, size_t round)
{
    const struct service *shmd = &x->services[SHMD];
    x->raw_ns[round] = time_exchange(x->raw.fd, shmd->request, RAW_REQUEST, RAW_REPLY);
    x->raw_as_long_ns[round] =
        time_exchange(x->raw_as_long.fd, shmd->request, RAW_REQUEST, shmd->reply_len);
    for (size_t i = 0; i < SERVICES; i++) {
        struct service *s = &x->services[i];
        if (s->server.pid == 0)
            continue;
        s->one[round] = time_exchange(s->fd, s->request, s->request_len, s->reply_len);
        time_clients(s, round);
        s->burst_rate[round] = time_bursts(s);
    }
    x->pair[round] = time_pairs(x->unlogged_fd, PAIRS);
    if (x->bench->is_root)
        x->logged_pair[round] = time_logged_pairs(x, round);
    x->bare[round] = time_bare();
    if (x->has_commands)
        x->commands[round] = time_commands();
}

/* The median of the rounds' ratios: what slows a whole round down does not count. */
static double ratio(const struct exchange *x, const double *values, const double *to)
{
    double ratios[ROUNDS];
    for (size_t i = 0; i < x->rounds; i++)
        ratios[i] = values[i] / to[i];
    return median(ratios, x->rounds);
}

static void report_latency(struct exchange *x, const char *id, const char *title, const double *ns,
                           const double *to, const char *against, double bar, double goal)
{
    report_row(&x->bench->report, (struct row){.id = id,
                                               .title = title,
                                               .figure = median(ns, x->rounds) / 1000,
                                               .unit = "µs",
                                               .ratio = to ? ratio(x, ns, to) : 0,
                                               .against = against,
                                               .bar = bar,
                                               .goal = goal});
}

static void report_rate(struct exchange *x, const char *id, const char *title, const double *rate,
                        const double *to, const char *against, double bar, double goal)
{
    report_row(&x->bench->report, (struct row){.id = id,
                                               .title = title,
                                               .figure = median(rate, x->rounds) / 1000,
                                               .unit = "k/s",
                                               .ratio = to ? ratio(x, rate, to) : 0,
                                               .against = against,
                                               .bar = bar,
                                               .goal = goal,
                                               .more_is_better = true});
}

static void report_notes(struct exchange *x)
{
    struct report *r = &x->bench->report;
    report_note(r,
                "%zu rounds; the raw exchange differed by %.1f %%, shmd's stat by %.1f %% "
                "between the quartiles",
                x->rounds, spread(x->raw_ns, x->rounds) * 100,
                spread(x->services[SHMD].one, x->rounds) * 100);
    if (x->bench->is_root)
        report_note(r, "recorded and logged: %zu lines of %zu requests",
                    server_log_lines(&x->services[SHMD].server, PAIR_NAME),
                    x->rounds * (LOGGED_PAIRS + 1) * 2);
    else
        report_note(r,
                    "absent: create and remove, logged: it takes a user for each round, and root");
    report_note(r, "the reply to a stat has %zu bytes", x->services[SHMD].reply_len);
}

static void report_all(struct exchange *x)
{
    static const char *const ids[] = {"echo", "shmd", "memcached", "redis"};
    static const char *const names[] = {"an echo in epoll", "shmd, stat", "memcached, get",
                                        "redis, GET"};
    static char text[SERVICES * 4][2][48];
    struct report *r = &x->bench->report;
    const double *memcached =
        x->services[MEMCACHED].server.pid ? x->services[MEMCACHED].burst_rate : NULL;
    const double *redis = x->services[REDIS].server.pid ? x->services[REDIS].burst_rate : NULL;
    size_t n = 0;
#define TEXT(which, ...)                                                                           \
    (snprintf(text[n][which], sizeof(text[n][which]), __VA_ARGS__), text[n][which])
    static const char raw[] = "the raw exchange";
    report_latency(x, "raw", "raw exchange, 86 B and 250 B", x->raw_ns, NULL, "", 0, 0);
    report_latency(x, "raw-as-long", "raw exchange, 86 B and a stat's reply", x->raw_as_long_ns,
                   x->raw_ns, raw, 0, 0);
    for (size_t i = 0; i < SERVICES; i++, n++)
        if (x->services[i].server.pid)
            report_latency(x, TEXT(0, "latency-%s", ids[i]), TEXT(1, "one client: %s", names[i]),
                           x->services[i].one, x->raw_ns, raw, 0, 0);
    if (x->services[MEMCACHED].server.pid)
        report_latency(x, "latency-shmd-memcached", "one client: shmd, stat", x->services[SHMD].one,
                       x->services[MEMCACHED].one, "memcached", 1.10, 0.98);
    report_latency(x, "pair-shmd", "create and remove, recorded", x->pair, x->raw_ns, raw, 4, 3);
    if (x->bench->is_root)
        report_latency(x, "pair-shmd-logged", "create and remove, recorded and logged",
                       x->logged_pair, x->raw_ns, raw, 4, 3);
    report_latency(x, "pair-bare", "shmget and IPC_RMID", x->bare, x->raw_ns, raw, 0, 0);
    if (x->has_commands)
        report_latency(x, "pair-commands", "ipcmk and ipcrm", x->commands, x->raw_ns, raw, 0, 0);
    for (size_t i = 0; i < SERVICES; i++, n++)
        if (x->services[i].server.pid)
            report_rate(x, TEXT(0, "clients-%s", ids[i]), TEXT(1, "16 clients: %s", names[i]),
                        x->services[i].rate, NULL, "", 0, 0);
    for (size_t i = 0; i < SERVICES; i++, n++)
        if (x->services[i].server.pid)
            report_row(r, (struct row){.id = TEXT(0, "cpu-%s", ids[i]),
                                       .title = TEXT(1, "16 clients, server CPU: %s", names[i]),
                                       .figure = median(x->services[i].cpu, x->rounds),
                                       .unit = "µs",
                                       .bar = i == SHMD ? 5 : 0,
                                       .goal = i == SHMD ? 3 : 0});
    for (size_t i = 0; i < SERVICES; i++, n++)
        if (x->services[i].server.pid)
            report_rate(x, TEXT(0, "burst-%s", ids[i]), TEXT(1, "32 in one write: %s", names[i]),
                        x->services[i].burst_rate, i == SHMD ? memcached : NULL, "memcached",
                        i == SHMD ? 1.5 : 0, 0);
    if (redis)
        report_rate(x, "burst-shmd-redis", "32 in one write: shmd, stat",
                    x->services[SHMD].burst_rate, redis, "redis", 0.6, 1);
#undef TEXT
    report_notes(x);
}

void bench_exchange(struct bench *b)
{
    struct exchange *x = calloc(1, sizeof(*x));
    if (!x)
        die("no memory");
    x->bench = b;
    x->rounds = bench_rounds(b, ROUNDS);
    pin(b->server_cpu);
    start_shmd(x);
    start_unlogged(x);
    start_echo(x);
    start_memcached(x);
    start_redis(x);
    x->raw = start_raw(b->server_cpu, RAW_REQUEST, RAW_REPLY);
    x->raw_as_long = start_raw(b->server_cpu, RAW_REQUEST, x->services[SHMD].reply_len);
    x->has_commands = is_installed("ipcmk") && is_installed("ipcrm");
    if (!x->has_commands)
        report_note(&b->report, "absent: ipcmk, ipcrm");
    for (size_t i = 0; i < x->rounds; i++)
        measure(x, i);
    report_all(x);
    close(x->unlogged_fd);
    server_stop(&x->unlogged, SIGTERM);
    stop_raw(&x->raw);
    stop_raw(&x->raw_as_long);
    for (size_t i = 0; i < SERVICES; i++) {
        if (x->services[i].server.pid)
            close(x->services[i].fd);
        server_stop(&x->services[i].server, SIGTERM);
    }
    free(x);
}
