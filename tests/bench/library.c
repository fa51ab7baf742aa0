/* SPDX-License-Identifier: MIT */
/*
 * What the library costs its caller: the processor time of shmd_stat() in the calling process, and
 * how much of that is more than sending and receiving the same bytes by hand.
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

enum { ROUNDS = 31, TIMES = 1000 };

static int64_t own_cpu_ns(void)
{
    struct timespec used;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return (int64_t)used.tv_sec * 1000000000 + used.tv_nsec;
}

static double time_by_hand(int fd, size_t reply)
{
    char buffer[4096];
    int64_t begin = own_cpu_ns();
    for (int i = 0; i < TIMES; i++) {
        send_all(fd, STAT_REQUEST, sizeof(STAT_REQUEST) - 1);
        receive_bytes(fd, buffer, reply);
    }
    return (double)(own_cpu_ns() - begin) / (double)TIMES;
}

static double time_stat(struct shmd *shmd)
{
    const struct shmd_target target = {.name = USUAL_NAME};
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

void bench_library(struct bench *b)
{
    double stat[ROUNDS], by_hand[ROUNDS], more[ROUNDS];
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
    for (size_t i = 0; i < ROUNDS; i++) {
        by_hand[i] = time_by_hand(shmd_fd(shmd), reply); /* the same connection */
        stat[i] = time_stat(shmd);
        more[i] = stat[i] - by_hand[i];
    }
    report_row(&b->report, (struct row){.id = "library-by-hand",
                                        .title = "caller's CPU: a stat by hand",
                                        .figure = median(by_hand, ROUNDS) / 1000,
                                        .unit = "µs"});
    report_row(&b->report, (struct row){.id = "library-stat",
                                        .title = "caller's CPU: shmd_stat()",
                                        .figure = median(stat, ROUNDS) / 1000,
                                        .unit = "µs"});
    report_row(&b->report, (struct row){.id = "library",
                                        .title = "shmd_stat(), the library's part",
                                        .figure = median(more, ROUNDS) / 1000,
                                        .unit = "µs",
                                        .bar = 3,
                                        .goal = 1});
    shmd_disconnect(shmd);
    server_stop(&s, SIGTERM);
}
