/* SPDX-License-Identifier: MIT */
/* shmd.SharedMemory beside multiprocessing's: drop_in.py measures, in an interpreter of its own. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/bench/bench.h"
#include "tests/bench/server.h"
#include "tests/bench/support.h"

enum { ROUNDS = 31, TIMES = 100 };

static const struct {
    const char *what, *id, *title;
} things[] = {
    {"create", "python-create", "Python drop-in: create, close, unlink 1 MiB"},
    {"attach", "python-attach", "Python drop-in: open and close by name"},
    {"write", "python-write", "Python drop-in: write 1 MiB into buf"},
    {"read", "python-read", "Python drop-in: read 1 MiB from buf"},
};
enum { THINGS = sizeof(things) / sizeof(things[0]) };

static void add_row(struct bench *b, const char *what, double us, double ratio)
{
    for (size_t i = 0; i < THINGS; i++)
        if (strcmp(things[i].what, what) == 0)
            report_row(&b->report, (struct row){.id = things[i].id,
                                                .title = things[i].title,
                                                .figure = us,
                                                .unit = "µs",
                                                .ratio = ratio,
                                                .against = "multiprocessing"});
}

static void measure(struct bench *b, const struct server *s)
{
    char package[4096], script[4096], rounds[12], times[12], line[200], what[40];
    double us, ratio;
    snprintf(package, sizeof(package), "%s/client/python", b->source);
    snprintf(script, sizeof(script), "%s/tests/bench/drop_in.py", b->source);
    snprintf(rounds, sizeof(rounds), "%zu", bench_rounds(b, ROUNDS));
    snprintf(times, sizeof(times), "%d", TIMES);
    setenv("SHMD_SOCKET", s->socket, 1);
    setenv("PYTHONPATH", package, 1);
    setenv("PYTHONDONTWRITEBYTECODE", "1", 1); /* the source tree stays as it is */
    char *const argv[] = {(char[]){"python3"}, script, rounds, times, NULL};
    struct command c;
    command_start(&c, argv);
    while (fgets(line, sizeof(line), c.out))
        if (sscanf(line, "%39s %lf %lf", what, &us, &ratio) == 3)
            add_row(b, what, us, ratio);
    command_end(&c);
}

void bench_python(struct bench *b)
{
    pin(b->server_cpu);
    if (!is_installed("python3")) {
        report_note(&b->report, "absent: python3");
        return;
    }
    struct server s = server_shmd(b->shmd, b->directory, "python", b->server_cpu, false);
    close(connect_patiently(s.socket, 1000000));
    measure(b, &s);
    server_stop(&s, SIGTERM);
}
