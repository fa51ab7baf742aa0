/* SPDX-License-Identifier: MIT */
/*
 * Many segments: what each costs, how long a list, a restart and a look-up take. One daemon has
 * them all, another, in an IPC namespace of its own, has ten.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/bench/bench.h"
#include "tests/bench/calls.h"
#include "tests/bench/server.h"
#include "tests/bench/support.h"

enum {
    WEIGHED = 20000, /* of which the memory is taken */
    MANY = 30000,
    FEW = 10,
    LISTS = 7,
    RESTARTS = 7,
    ROUNDS = 31,
    LOOKUPS = 500, /* of a kind in a round */
};

struct subject {
    struct server server;
    int fd;
    int n; /* segments */
    struct made *made;
};

static void start(struct bench *b, struct subject *s, const char *name, int n, bool own_ipc)
{
    s->server = server_shmd(b->shmd, b->directory, name, b->server_cpu, own_ipc);
    s->fd = connect_patiently(s->server.socket, 1000000);
    s->n = n;
    s->made = calloc((size_t)n, sizeof(*s->made));
    if (!s->made)
        die("no memory");
}

/* Those with keys come last: few segments have one. */
static void fill_many(struct bench *b, struct subject *s)
{
    enum { FIRST = 100 };
    make_segments(s->fd, 0, FIRST, 0, s->made);
    int64_t before = server_memory(&s->server);
    make_segments(s->fd, FIRST, WEIGHED, 0, s->made + FIRST);
    report_row(&b->report, (struct row){.id = "segment-memory",
                                        .title = "a segment, of 20,000",
                                        .figure = (double)(server_memory(&s->server) - before) /
                                                  (double)WEIGHED,
                                        .unit = "B",
                                        .bar = 512,
                                        .goal = 400});
    make_segments(s->fd, FIRST + WEIGHED, MANY - WEIGHED - FIRST, WITH_KEY,
                  s->made + FIRST + WEIGHED);
}

/* --- list */

static double time_list(int fd)
{
    int64_t begin = now_ns();
    list_all(fd, NULL);
    return (double)(now_ns() - begin);
}

static double time_lsipc(void)
{
    static char text[65536];
    char *const argv[] = {(char[]){"lsipc"}, (char[]){"-m"}, (char[]){"-J"}, NULL};
    int64_t begin = now_ns();
    struct command c;
    command_start(&c, argv);
    while (fread(text, 1, sizeof(text), c.out) > 0)
        continue;
    command_end(&c);
    return (double)(now_ns() - begin);
}

static void measure_list(struct bench *b, const struct subject *s)
{
    double ours[LISTS], theirs[LISTS], ratios[LISTS];
    bool has_peer = is_installed("lsipc");
    size_t seen = 0;
    list_all(s->fd, &seen);
    if (seen != MANY)
        die("the list has %zu segments, not %d", seen, MANY);
    for (size_t i = 0; i < LISTS; i++) {
        ours[i] = time_list(s->fd);
        theirs[i] = has_peer ? time_lsipc() : 0;
        ratios[i] = theirs[i] / ours[i];
    }
    report_row(&b->report, (struct row){.id = "list",
                                        .title = "list of 30,000, pages of 1,000",
                                        .figure = median(ours, LISTS) / 1e6,
                                        .unit = "ms",
                                        .ratio = has_peer ? median(ratios, LISTS) : 0,
                                        .against = "lsipc (times faster)",
                                        .bar = has_peer ? 12 : 0,
                                        .goal = has_peer ? 20 : 0,
                                        .more_is_better = true});
    if (has_peer)
        report_row(&b->report, (struct row){.id = "list-lsipc",
                                            .title = "lsipc -m -J of the same",
                                            .figure = median(theirs, LISTS) / 1e6,
                                            .unit = "ms"});
    else
        report_note(&b->report, "absent: lsipc");
}

/* --- restart */

static double time_restart(struct bench *b, struct subject *s, int by_signal)
{
    char request[160];
    write_lookup(request, sizeof(request), BY_NAME, MANY - 1, NULL);
    close(s->fd);
    server_stop(&s->server, by_signal);
    int64_t begin = now_ns();
    s->server = server_shmd(b->shmd, b->directory, s->server.name, b->server_cpu, false);
    s->fd = connect_patiently(s->server.socket, 200000);
    call(s->fd, request);
    return (double)(now_ns() - begin);
}

static void measure_restart(struct bench *b, struct subject *s)
{
    double took[RESTARTS];
    pin(b->other_cpu); /* to look while it starts */
    for (size_t i = 0; i < RESTARTS; i++)
        took[i] = time_restart(b, s, SIGTERM);
    report_row(&b->report, (struct row){.id = "restart",
                                        .title = "ready after a restart with 30,000",
                                        .figure = median(took, RESTARTS) / 1e6,
                                        .unit = "ms",
                                        .bar = 150,
                                        .goal = 60});
    for (size_t i = 0; i < RESTARTS; i++)
        took[i] = time_restart(b, s, SIGKILL);
    report_row(&b->report, (struct row){.id = "restart-killed",
                                        .title = "ready after SIGKILL with 30,000",
                                        .figure = median(took, RESTARTS) / 1e6,
                                        .unit = "ms",
                                        .bar = 150,
                                        .goal = 60});
    pin(b->server_cpu);
}

/* --- look-ups */

static double time_lookups(const struct subject *s, enum lookup kind)
{
    static char requests[LOOKUPS][160];
    size_t lengths[LOOKUPS];
    char answer[4096];
    for (size_t i = 0; i < LOOKUPS; i++) {
        /* The same sequence for both daemons. */
        long any = random();
        /* Only the last third has keys. */
        int index = kind == BY_KEY && s->n == MANY ? s->n - 1 - (int)(any % (MANY - WEIGHED) / 2)
                                                   : (int)(any % s->n);
        lengths[i] = write_lookup(requests[i], sizeof(requests[i]), kind, index, &s->made[index]);
    }
    call(s->fd, requests[0]);
    int64_t begin = now_ns();
    for (size_t i = 0; i < LOOKUPS; i++) {
        send_all(s->fd, requests[i], lengths[i]);
        receive_lines(s->fd, answer, sizeof(answer), 1);
    }
    return (double)(now_ns() - begin) / (double)LOOKUPS;
}

static void measure_lookups(struct bench *b, const struct subject *many, const struct subject *few)
{
    static const char *const ids[] = {"lookup-name", "lookup-shmid", "lookup-key", "lookup-serial"};
    static const char *const titles[] = {"stat by name among 30,000", "stat by shmid among 30,000",
                                         "stat by key among 30,000", "stat by serial among 30,000"};
    size_t rounds = bench_rounds(b, ROUNDS);
    double ns[LOOKUP_KINDS][ROUNDS], ratios[LOOKUP_KINDS][ROUNDS];
    for (size_t i = 0; i < rounds; i++)
        for (enum lookup kind = BY_NAME; kind < LOOKUP_KINDS; kind++) {
            double of_few = time_lookups(few, kind);
            ns[kind][i] = time_lookups(many, kind);
            ratios[kind][i] = ns[kind][i] / of_few;
        }
    for (enum lookup kind = BY_NAME; kind < LOOKUP_KINDS; kind++)
        report_row(&b->report, (struct row){.id = ids[kind],
                                            .title = titles[kind],
                                            .figure = median(ns[kind], rounds) / 1000,
                                            .unit = "µs",
                                            .ratio = median(ratios[kind], rounds),
                                            .against = "the same among 10",
                                            .bar = 1.15,
                                            .goal = 1.05});
}

void bench_segments(struct bench *b)
{
    struct subject many, few;
    must_have_room(MANY + 1);
    pin(b->server_cpu);
    srandom(1);
    start(b, &many, "many", MANY, false);
    fill_many(b, &many);
    measure_list(b, &many);
    measure_restart(b, &many);
    start(b, &few, "few", FEW, true);
    make_segments(few.fd, 0, FEW, WITH_KEY, few.made);
    measure_lookups(b, &many, &few);
    close(few.fd);
    server_stop(&few.server, SIGTERM);
    close(many.fd);
    server_stop(&many.server, SIGTERM);
    free(many.made);
    free(few.made);
}
