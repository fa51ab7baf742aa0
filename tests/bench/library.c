/* SPDX-License-Identifier: MIT */
/*
 * What the library costs its caller: the processor time of shmd_stat() in the calling process, and
 * how much of that is more than sending and receiving the same bytes by hand. The same of calls
 * that do not wait, many at a time. Which of two is measured first changes with each round.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "client/shmd.h"
#include "tests/bench/bench.h"
#include "tests/bench/calls.h"
#include "tests/bench/server.h"
#include "tests/bench/support.h"

enum {
    ROUNDS = 31,
    TIMES = 1000,
    AT_ONCE = 32,
    BURSTS = 100,
    REPLY_MAX = 4096,
};

static const struct shmd_target target = {.name = USUAL_NAME};

static int64_t own_cpu_ns(void)
{
    struct timespec used;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return (int64_t)used.tv_sec * 1000000000 + used.tv_nsec;
}

/* --- one at a time: the caller's processor time of each, in ns */

static double time_by_hand(struct shmd *shmd, size_t reply)
{
    char buffer[REPLY_MAX];
    int fd = shmd_fd(shmd); /* the same connection */
    int64_t begin = own_cpu_ns();
    for (int i = 0; i < TIMES; i++) {
        send_all(fd, STAT_REQUEST, sizeof(STAT_REQUEST) - 1);
        receive_bytes(fd, buffer, reply);
    }
    return (double)(own_cpu_ns() - begin) / (double)TIMES;
}

static double time_stat(struct shmd *shmd)
{
    int64_t begin = own_cpu_ns();
    for (int i = 0; i < TIMES; i++) {
        struct shmd_segment *segment;
        int r = shmd_stat(shmd, &target, &segment);
        if (r != 0)
            die("shmd_stat: %s", shmd_strerror(r));
        shmd_segment_free(segment);
    }
    return (double)(own_cpu_ns() - begin) / (double)TIMES;
}

static void measure_calls(struct bench *b, struct shmd *shmd, size_t reply)
{
    size_t rounds = bench_rounds(b, ROUNDS);
    double stat[ROUNDS], by_hand[ROUNDS], more[ROUNDS];
    for (size_t i = 0; i < rounds; i++) {
        if (i % 2 == 0)
            by_hand[i] = time_by_hand(shmd, reply);
        stat[i] = time_stat(shmd);
        if (i % 2 == 1)
            by_hand[i] = time_by_hand(shmd, reply);
        more[i] = stat[i] - by_hand[i];
    }
    report_row(&b->report, (struct row){.id = "library-by-hand",
                                        .title = "caller's CPU: a stat by hand",
                                        .figure = median(by_hand, rounds) / 1000,
                                        .unit = "µs"});
    report_row(&b->report, (struct row){.id = "library-stat",
                                        .title = "caller's CPU: shmd_stat()",
                                        .figure = median(stat, rounds) / 1000,
                                        .unit = "µs",
                                        .bar = 3,
                                        .goal = 1});
    double part = median(more, rounds) / 1000;
    double noise = (quantile(more, rounds, 0.75) - quantile(more, rounds, 0.25)) / 2000;
    report_row(&b->report, (struct row){.id = "library",
                                        .title = "shmd_stat(), the library's part",
                                        .figure = part,
                                        .is_noise = part < noise,
                                        .unit = "µs",
                                        .bar = 3,
                                        .goal = 1});
    report_note(&b->report, "the library's part of shmd_stat(): %.2f µs, with a noise of %.2f µs",
                part, noise);
}

/* --- many on their way */

struct burst {
    double rate, cpu_ns; /* a second; the caller's, of each */
};

static struct burst burst_since(int64_t begin, int64_t cpu)
{
    return (struct burst){BURSTS * AT_ONCE * 1e9 / (double)(now_ns() - begin),
                          (double)(own_cpu_ns() - cpu) / (BURSTS * AT_ONCE)};
}

static struct burst bursts_by_hand(struct shmd *shmd, size_t reply)
{
    static char requests[AT_ONCE * RAW_REQUEST], buffer[AT_ONCE * REPLY_MAX];
    int fd = shmd_fd(shmd);
    for (size_t i = 0; i < AT_ONCE; i++)
        memcpy(requests + i * RAW_REQUEST, STAT_REQUEST, RAW_REQUEST);
    int64_t begin = now_ns(), cpu = own_cpu_ns();
    for (int i = 0; i < BURSTS; i++) {
        send_all(fd, requests, sizeof(requests));
        receive_bytes(fd, buffer, AT_ONCE * reply);
    }
    return burst_since(begin, cpu);
}

static void look_at(struct shmd *shmd, const struct shmd_answer *answer, void *data)
{
    (void)shmd;
    if (answer->code != 0)
        die("an answer to shmd_send_stat: %s", shmd_strerror(answer->code));
    ++*(int *)data;
}

static struct burst bursts_of_calls(struct shmd *shmd)
{
    int answered = 0;
    int64_t begin = now_ns(), cpu = own_cpu_ns();
    for (int i = 0; i < BURSTS; i++) {
        int r = 0;
        for (int k = 0; k < AT_ONCE && r >= 0; k++)
            r = shmd_send_stat(shmd, &target, look_at, &answered);
        while (r >= 0 && shmd_unanswered(shmd) > 0)
            r = shmd_process(shmd, -1);
        if (r < 0)
            die("shmd_send_stat or shmd_process: %s", shmd_strerror(r));
    }
    if (answered != BURSTS * AT_ONCE)
        die("%d answers to %d calls", answered, BURSTS * AT_ONCE);
    return burst_since(begin, cpu);
}

static void add_burst(struct bench *b, const char *id, const char *title, const double *values,
                      const double *to, const char *unit)
{
    size_t rounds = bench_rounds(b, ROUNDS);
    double ratios[ROUNDS];
    for (size_t i = 0; to && i < rounds; i++)
        ratios[i] = values[i] / to[i];
    report_row(&b->report, (struct row){.id = id,
                                        .title = title,
                                        .figure = median(values, rounds) / 1000,
                                        .unit = unit,
                                        .ratio = to ? median(ratios, rounds) : 0,
                                        .against = "by hand"});
}

static void measure_bursts(struct bench *b, struct shmd *shmd, size_t reply)
{
    struct burst by_hand, of_calls;
    size_t rounds = bench_rounds(b, ROUNDS);
    double rates[2][ROUNDS] = {0}, cpu[2][ROUNDS] = {0};
    for (size_t i = 0; i < rounds; i++) {
        if (i % 2 == 0)
            by_hand = bursts_by_hand(shmd, reply);
        of_calls = bursts_of_calls(shmd);
        if (i % 2 == 1)
            by_hand = bursts_by_hand(shmd, reply);
        rates[0][i] = by_hand.rate;
        rates[1][i] = of_calls.rate;
        cpu[0][i] = by_hand.cpu_ns;
        cpu[1][i] = of_calls.cpu_ns;
    }
    add_burst(b, "pipeline-by-hand", "32 stats at once by hand", rates[0], NULL, "k/s");
    add_burst(b, "pipeline", "32 of shmd_send_stat() at once", rates[1], rates[0], "k/s");
    add_burst(b, "pipeline-by-hand-cpu", "caller's CPU: each of 32 by hand", cpu[0], NULL, "µs");
    add_burst(b, "pipeline-cpu", "caller's CPU: each of 32 shmd_send_stat()", cpu[1], cpu[0], "µs");
}

void bench_library(struct bench *b)
{
    struct server s = server_shmd(b->shmd, b->directory, "library", b->server_cpu, true);
    struct shmd *shmd;
    pin(b->server_cpu);
    int fd = connect_patiently(s.socket, 1000000);
    call(fd, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"create\",\"params\":{\"name\":"
             "\"" USUAL_NAME "\",\"size\":4096}}\n");
    size_t reply = strlen(call(fd, STAT_REQUEST));
    close(fd);
    int r = shmd_connect(s.socket, -1, &shmd);
    if (r < 0)
        die("shmd_connect: %s", shmd_strerror(r));
    measure_calls(b, shmd, reply);
    measure_bursts(b, shmd, reply);
    shmd_disconnect(shmd);
    server_stop(&s, SIGTERM);
}
