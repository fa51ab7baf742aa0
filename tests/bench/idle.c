/* SPDX-License-Identifier: MIT */
/* What the daemon does when nobody asks anything of it. */
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/bench/bench.h"
#include "tests/bench/calls.h"
#include "tests/bench/server.h"
#include "tests/bench/support.h"

enum { SEGMENTS = 1000, SECONDS = 20 };

void bench_idle(struct bench *b)
{
    struct made *made = calloc(SEGMENTS, sizeof(*made));
    if (!made)
        die("no memory");
    struct server s = server_shmd(b->shmd, b->directory, "idle", b->server_cpu, true);
    int fd = connect_patiently(s.socket, 1000000);
    make_segments(fd, 0, SEGMENTS, 0, made);
    int64_t cpu = server_cpu_ns(&s), begin = now_ns();
    sleep_ns(INT64_C(1000000000) * SECONDS);
    double part = (double)(server_cpu_ns(&s) - cpu) / (double)(now_ns() - begin);
    report_row(&b->report, (struct row){.id = "idle",
                                        .title = "idle CPU with 1,000 segments",
                                        .figure = part * 100,
                                        .unit = "%",
                                        .bar = 0.1});
    close(fd);
    server_stop(&s, SIGTERM);
    free(made);
}
