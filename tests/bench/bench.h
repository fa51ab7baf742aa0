/* SPDX-License-Identifier: MIT */
/* The parts of the benchmark: each starts what it needs, puts its rows into the table, and stops
 * it. */
#ifndef SHMD_BENCH_BENCH_H
#define SHMD_BENCH_BENCH_H

#include <stdbool.h>
#include <stddef.h>

#include "tests/bench/report.h"

struct bench {
    const char *shmd;      /* the program */
    const char *directory; /* for sockets and states */
    const char *source;    /* the tree */
    const char *programs;  /* where those of the benchmark are */
    bool is_quick;
    int server_cpu;
    int other_cpu; /* the same when there is only one */
    bool is_root;
    struct report report;
};

/* How many rounds of MOST: a quick run only shows that all can be measured. */
static inline size_t bench_rounds(const struct bench *b, size_t most)
{
    return b->is_quick && most > 2 ? 2 : most;
}

/* One client at a time, everything on one core; and 16 clients, and 32 requests at once. */
void bench_exchange(struct bench *b);
/* Of idle connections. */
void bench_connections(struct bench *b);
/* Memory of segments, list, restart, look-ups among many. */
void bench_segments(struct bench *b);
void bench_idle(struct bench *b);
void bench_fairness(struct bench *b);
/* What the library costs its caller. */
void bench_library(struct bench *b);
/* Bytes from one process to another. */
void bench_data(struct bench *b);
/* The Python drop-in. */
void bench_python(struct bench *b);
/* A stat while something long goes on. */
void bench_disturbed(struct bench *b);
/* A stat now and then. */
void bench_seldom(struct bench *b);
/* With more and more segments. */
void bench_growth(struct bench *b);
/* The journal without a daemon, on tmpfs and on disk. */
void bench_store(struct bench *b);

#endif
