/* SPDX-License-Identifier: MIT */
/* What a connection costs that nobody uses: one that never said anything, and one that did once. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/bench/bench.h"
#include "tests/bench/calls.h"
#include "tests/bench/server.h"
#include "tests/bench/support.h"

struct cost {
    double silent, used; /* bytes each; used: 0 when not asked for */
};

/* REQUEST is answered by one line. */
static void ask(int fd, const char *request)
{
    char reply[4096];
    send_all(fd, request, strlen(request));
    receive_lines(fd, reply, sizeof(reply), 1);
}

static struct cost measure(struct server *s, const char *request)
{
    int *fds = calloc(IDLE_CONNECTIONS, sizeof(*fds));
    if (!fds)
        die("no memory");
    int first = connect_patiently(s->socket, 1000000);
    ask(first, request);
    int64_t before = server_memory(s);
    for (size_t i = 0; i < IDLE_CONNECTIONS; i++)
        fds[i] = connect_patiently(s->socket, 1000000);
    ask(fds[IDLE_CONNECTIONS - 1], request); /* in order: all are taken in */
    struct cost cost = {.silent = (double)(server_memory(s) - before) / (double)IDLE_CONNECTIONS};
    for (size_t i = 0; i < IDLE_CONNECTIONS; i++)
        ask(fds[i], request);
    cost.used = (double)(server_memory(s) - before) / (double)IDLE_CONNECTIONS;
    for (size_t i = 0; i < IDLE_CONNECTIONS; i++)
        close(fds[i]);
    close(first);
    free(fds);
    return cost;
}

static void report(struct bench *b, struct server *s, const char *request, const char *ids[2],
                   const char *titles[2], double bar, double goal)
{
    if (s->pid == 0)
        return;
    struct cost cost = measure(s, request);
    const double figures[2] = {cost.silent, cost.used};
    for (size_t i = 0; i < 2; i++)
        report_row(&b->report, (struct row){.id = ids[i],
                                            .title = titles[i],
                                            .figure = figures[i],
                                            .unit = "B",
                                            .bar = bar,
                                            .goal = goal});
    server_stop(s, SIGTERM);
}

void bench_connections(struct bench *b)
{
    struct server shmd = server_shmd(b->shmd, b->directory, "connections", b->server_cpu, false);
    struct server memcached = server_memcached(b->directory, b->server_cpu);
    struct server redis = server_redis(b->directory, b->server_cpu);
    report(b, &shmd, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"info\"}\n",
           (const char *[]){"connection-silent", "connection-used"},
           (const char *[]){"idle connection, shmd", "the same after a request"}, 480, 256);
    report(b, &memcached, "get nothing\r\n",
           (const char *[]){"connection-silent-memcached", "connection-used-memcached"},
           (const char *[]){"idle connection, memcached", "the same after a request"}, 0, 0);
    report(b, &redis, "PING\r\n",
           (const char *[]){"connection-silent-redis", "connection-used-redis"},
           (const char *[]){"idle connection, redis", "the same after a request"}, 0, 0);
}
