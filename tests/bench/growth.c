/* SPDX-License-Identifier: MIT */
/*
 * Does it take longer with more segments? A daemon for each number of them, each in an IPC
 * namespace of its own, and in a round each is asked the same; then the same on a kernel in memory
 * up to a million. A row each is told for the most, curves for all.
 */
#include "tests/bench/growth.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/bench/bench.h"
#include "tests/bench/server.h"
#include "tests/bench/support.h"

enum {
    ROUNDS = 15,
    LOOKUPS = 500, /* of a kind in a round */
    PAIRS = 100,
    PAGES = 20,
    RESTARTS = 5,
    MOST = 30000,
};

static const int sizes[] = {10, 100, 1000, 10000, MOST};
enum { SIZES = sizeof(sizes) / sizeof(sizes[0]) };

struct subject {
    int ipc; /* its namespace */
    char name[24];
    int n;
    struct server server;
    int fd;
    struct made made[MOST];
    double took[GROWTHS][ROUNDS]; /* in the curve's unit */
};

static void start(struct bench *b, struct subject *s)
{
    if (setns(s->ipc, CLONE_NEWIPC) < 0)
        die("setns: %s", strerror(errno));
    s->server = server_shmd(b->shmd, b->directory, s->name, b->server_cpu, false);
    s->fd = connect_patiently(s->server.socket, 200000);
}

static void fill(struct bench *b, struct subject *s, int n)
{
    s->n = n;
    if (!fresh_ipc())
        die("no IPC namespace: %s", strerror(errno));
    must_have_room(n + 1);
    s->ipc = open("/proc/self/ns/ipc", O_RDONLY | O_CLOEXEC);
    if (s->ipc < 0)
        die("/proc/self/ns/ipc: %s", strerror(errno));
    snprintf(s->name, sizeof(s->name), "growth-%d", n);
    start(b, s);
    make_segments(s->fd, 0, n, WITH_KEY | WITH_END, s->made);
}

static double time_lookups(const struct subject *s, enum lookup kind)
{
    static char requests[LOOKUPS][160];
    static char answer[4096];
    size_t lengths[LOOKUPS];
    for (size_t i = 0; i < LOOKUPS; i++) {
        int index = (int)(random() % s->n);
        lengths[i] = write_lookup(requests[i], sizeof(requests[i]), kind, index, &s->made[index]);
    }
    call(s->fd, requests[0]);
    int64_t begin = now_ns();
    for (size_t i = 0; i < LOOKUPS; i++) {
        send_all(s->fd, requests[i], lengths[i]);
        receive_lines(s->fd, answer, sizeof(answer), 1);
    }
    return (double)(now_ns() - begin) / 1000 / (double)LOOKUPS;
}

/* SECOND NULL: there is none. */
static double time_calls(const struct subject *s, const char *first, const char *second, int times)
{
    int64_t begin = now_ns();
    for (int i = 0; i < times; i++) {
        call(s->fd, first);
        if (second)
            call(s->fd, second);
    }
    return (double)(now_ns() - begin) / 1000 / times;
}

static void measure_calls(struct subject *s, size_t round)
{
    for (enum lookup kind = 0; kind < LOOKUP_KINDS; kind++)
        s->took[kind][round] = time_lookups(s, kind);
    s->took[GROWTH_PAIR][round] = time_calls(s, CREATE_ONE, REMOVE_ONE, PAIRS);
    s->took[GROWTH_NO_NAME][round] = time_calls(s, LIST_NO_NAME, NULL, PAGES);
    s->took[GROWTH_NO_LABEL][round] = time_calls(s, LIST_NO_LABEL, NULL, PAGES);
}

/* From the start of the program to its answer about the last of its segments. */
static double time_start(struct bench *b, struct subject *s)
{
    char request[160];
    write_lookup(request, sizeof(request), BY_NAME, s->n - 1, NULL);
    close(s->fd);
    server_stop(&s->server, SIGTERM);
    int64_t begin = now_ns();
    start(b, s);
    call(s->fd, request);
    return (double)(now_ns() - begin) / 1e6;
}

static void add_curves(struct bench *b, const struct subject *subjects, size_t rounds,
                       size_t restarts)
{
    for (enum growth g = 0; g < GROWTHS; g++)
        for (size_t i = 0; i < SIZES; i++)
            report_point(&b->report, "kernel", growths[g].id, growths[g].title, growths[g].unit,
                         subjects[i].n,
                         median(subjects[i].took[g], g == GROWTH_START ? restarts : rounds));
}

static void on_kernel(struct bench *b)
{
    static struct subject subjects[SIZES];
    size_t rounds = bench_rounds(b, ROUNDS), restarts = bench_rounds(b, RESTARTS);
    for (size_t i = 0; i < SIZES; i++)
        fill(b, &subjects[i], sizes[i]);
    for (size_t round = 0; round < rounds; round++)
        for (size_t i = 0; i < SIZES; i++)
            measure_calls(&subjects[i], round);
    pin(b->other_cpu); /* to look while it starts */
    for (size_t round = 0; round < restarts; round++)
        for (size_t i = 0; i < SIZES; i++)
            subjects[i].took[GROWTH_START][round] = time_start(b, &subjects[i]);
    pin(b->server_cpu);
    add_curves(b, subjects, rounds, restarts);
    for (size_t i = 0; i < SIZES; i++) {
        close(subjects[i].fd);
        server_stop(&subjects[i].server, SIGKILL);
        close(subjects[i].ipc);
    }
}

/* The program prints «GROWTH NUMBER FIGURE» for each point. */
static void on_fake(struct bench *b)
{
    char program[4096], rounds[12], most[12], line[200], id[40];
    snprintf(program, sizeof(program), "%s/growth_fake", b->programs);
    snprintf(rounds, sizeof(rounds), "%zu", bench_rounds(b, ROUNDS));
    snprintf(most, sizeof(most), "%d", b->is_quick ? 10000 : 1000000);
    char *const argv[] = {program, (char *)(uintptr_t)b->directory, rounds, most, NULL};
    struct command c;
    command_start(&c, argv);
    int n;
    double figure;
    while (fgets(line, sizeof(line), c.out)) {
        if (sscanf(line, "%39s %d %lf", id, &n, &figure) != 3)
            continue;
        for (enum growth g = 0; g < GROWTHS; g++)
            if (strcmp(growths[g].id, id) == 0)
                report_point(&b->report, "fake", growths[g].id, growths[g].title, growths[g].unit,
                             n, figure);
    }
    command_end(&c);
}

void bench_growth(struct bench *b)
{
    pin(b->server_cpu);
    srandom(1);
    on_kernel(b);
    on_fake(b);
}
