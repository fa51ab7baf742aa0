/* SPDX-License-Identifier: MIT */
/*
 * A program that asks now and then, as a monitor does: a stat 20 times a second. What the daemon
 * does at most so many times a second, it may do for each of these. Two daemons, one with few
 * segments and one with many, are asked by turns; everybody is on one core.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/bench/bench.h"
#include "tests/bench/calls.h"
#include "tests/bench/server.h"
#include "tests/bench/support.h"

enum { FEW, MANY, DAEMONS };
enum { SAMPLES = 200, A_SECOND = 20, NUMBERS_MAX = 300 };

static const struct {
    const char *name, *id, *title, *cpu_id, *cpu_title;
    int segments;
} daemons[DAEMONS] = {
    [FEW] = {"seldom-few", "seldom-10", "a stat 20 times a second, of 10 segments", "seldom-10-cpu",
             "the same, server CPU", 10},
    [MANY] = {"seldom-many", "seldom-300", "a stat 20 times a second, of 300 segments",
              "seldom-300-cpu", "the same, server CPU", NUMBERS_MAX},
};

struct asked {
    struct server server;
    int fd;
    char request[400];
    double ns[SAMPLES], cpu_ns;
};

static void start(struct bench *b, struct asked *a, size_t which)
{
    struct made made[NUMBERS_MAX];
    a->server = server_shmd(b->shmd, b->directory, daemons[which].name, b->server_cpu, true);
    a->fd = connect_patiently(a->server.socket, 1000000);
    make_segments(a->fd, 0, daemons[which].segments, 0, made);
    a->request[write_lookup(a->request, sizeof(a->request) - 1, BY_NAME, 0, made)] = '\0';
    call(a->fd, a->request);
}

static void ask(struct asked *a, size_t i)
{
    int64_t cpu = server_cpu_ns(&a->server), begin = now_ns();
    call(a->fd, a->request);
    a->ns[i] = (double)(now_ns() - begin);
    sleep_ns(1000000); /* its turn ends after the answer */
    a->cpu_ns += (double)(server_cpu_ns(&a->server) - cpu);
}

void bench_seldom(struct bench *b)
{
    static struct asked asked[DAEMONS];
    size_t samples = bench_rounds(b, SAMPLES);
    pin(b->server_cpu);
    for (size_t d = 0; d < DAEMONS; d++)
        start(b, &asked[d], d);
    for (size_t i = 0; i < samples; i++)
        for (size_t d = 0; d < DAEMONS; d++) {
            ask(&asked[d], i);
            sleep_ns(1000000000 / A_SECOND / DAEMONS - 1000000);
        }
    double few = median(asked[FEW].ns, samples), few_cpu = asked[FEW].cpu_ns;
    for (size_t d = 0; d < DAEMONS; d++) {
        double ns = median(asked[d].ns, samples);
        report_row(&b->report, (struct row){.id = daemons[d].id,
                                            .title = daemons[d].title,
                                            .figure = ns / 1000,
                                            .unit = "µs",
                                            .ratio = d == FEW ? 0 : ns / few,
                                            .against = "of 10",
                                            .bar = d == FEW ? 0 : 1.15,
                                            .goal = d == FEW ? 0 : 1.05});
        report_row(&b->report, (struct row){.id = daemons[d].cpu_id,
                                            .title = daemons[d].cpu_title,
                                            .figure = asked[d].cpu_ns / (double)samples / 1000,
                                            .unit = "µs",
                                            .ratio = d == FEW ? 0 : asked[d].cpu_ns / few_cpu,
                                            .against = "of 10"});
        close(asked[d].fd);
        server_stop(&asked[d].server, SIGTERM);
    }
}
