/* SPDX-License-Identifier: MIT */
/*
 * simulate [--seconds N] [--seed N] [--seeds N] [--steps N] [--keep DIRECTORY] [--tap]
 *          [--no-script]
 *
 * Runs seeds one after the other, from --seed on (or from the time of day), until one fails, or
 * --seeds have been run or --seconds are over. A failing seed becomes a script, which is made as
 * short as it can be and printed; with --keep it also becomes a file, and with --no-script it is
 * only named.
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "daemon/util/log.h"
#include "tests/simulation/run.h"
#include "tests/simulation/shrink.h"

enum { SHRINK_SECONDS = 120, HANG_SECONDS = 60 };

struct options {
    unsigned seconds, steps, tap, no_script;
    uint64_t seed, seeds;
    const char *keep;
};

/* Where the child that runs the seeds is. */
struct progress {
    uint64_t seed; /* that runs now */
    uint64_t n_done;
    struct counts counts;
    bool has_failed;
    char reason[REASON_BYTES];
};

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void run_seeds(const struct options *o, struct progress *p)
{
    const double end = now_s() + o->seconds;
    for (uint64_t i = 0; i < o->seeds && (o->seconds == 0 || now_s() < end); i++) {
        p->seed = o->seed + i;
        alarm(HANG_SECONDS);
        if (!run_seed(p->seed, o->steps, NULL, NULL, &p->counts, p->reason)) {
            p->has_failed = true;
            return;
        }
        p->n_done++;
    }
}

/* The steps that SEED did until it failed, from a process that may crash over it. */
static void record(uint64_t seed, unsigned steps, struct script *ret)
{
    char path[] = "/tmp/simulation-XXXXXX";
    int fd = mkstemp(path);
    FILE *log = fd >= 0 ? fdopen(fd, "w") : NULL;
    int status;
    if (!log)
        abort();
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        struct counts counts = {0};
        char reason[REASON_BYTES];
        alarm(HANG_SECONDS);
        (void)!freopen("/dev/null", "w", stderr);
        (void)run_seed(seed, steps, NULL, log, &counts, reason);
        _exit(0);
    }
    waitpid(child, &status, 0);
    fclose(log);
    if (!script_read(ret, path))
        abort();
    unlink(path);
}

static void keep(const struct options *o, const struct script *script, uint64_t seed,
                 const char *reason)
{
    char path[4096];
    if (!o->keep)
        return;
    snprintf(path, sizeof(path), "%s/seed-%" PRIu64 ".script", o->keep, seed);
    FILE *out = fopen(path, "w");
    if (!out)
        return;
    fprintf(out, "# Seed %" PRIu64 ": %.*s\n", seed, (int)strcspn(reason, "\n"), reason);
    script_write(script, out);
    fclose(out);
    printf("# kept as %s\n", path);
}

static void report_failure(const struct options *o, uint64_t seed, const char *reason)
{
    struct script script;
    char shortest[REASON_BYTES];
    printf("seed %" PRIu64 " fails: %s\n", seed, reason);
    fflush(stdout);
    if (o->no_script)
        return;
    record(seed, o->steps, &script);
    const size_t before = script.n;
    shrink(&script, SHRINK_SECONDS);
    if (run_script(&script, false, shortest))
        printf("# the script of this seed does not fail alone\n");
    printf("# %zu steps of %zu are left: %s\n", script.n, before, shortest);
    script_write(&script, stdout);
    keep(o, &script, seed, shortest);
    script_free(&script);
}

static bool parse(int argc, char **argv, struct options *o)
{
    static const struct option longs[] = {{"seconds", 1, NULL, 's'},   {"seed", 1, NULL, 'r'},
                                          {"seeds", 1, NULL, 'n'},     {"steps", 1, NULL, 't'},
                                          {"keep", 1, NULL, 'k'},      {"tap", 0, NULL, 'p'},
                                          {"no-script", 0, NULL, 'o'}, {NULL, 0, NULL, 0}};
    for (int c; (c = getopt_long(argc, argv, "", longs, NULL)) >= 0;) {
        switch (c) {
        case 's': o->seconds = (unsigned)strtoul(optarg, NULL, 10); break;
        case 'r': o->seed = strtoull(optarg, NULL, 10); break;
        case 'n': o->seeds = strtoull(optarg, NULL, 10); break;
        case 't': o->steps = (unsigned)strtoul(optarg, NULL, 10); break;
        case 'k': o->keep = optarg; break;
        case 'p': o->tap = 1; break;
        case 'o': o->no_script = 1; break;
        default: return false;
        }
    }
    return optind == argc;
}

static int finish(const struct options *o, const struct progress *p, int status, double seconds)
{
    const struct counts *c = &p->counts;
    char reason[REASON_BYTES];
    bool is_good = WIFEXITED(status) && WEXITSTATUS(status) == 0 && !p->has_failed;
    memcpy(reason, p->reason, REASON_BYTES);
    if (WIFSIGNALED(status))
        snprintf(reason, sizeof(reason), "the daemon crashed or hung: %s",
                 strsignal(WTERMSIG(status)));
    if (WIFEXITED(status) && !is_good && !p->has_failed)
        printf("some seed leaks memory: try them alone\n");
    else if (!is_good)
        report_failure(o, p->seed, reason);
    printf("# %" PRIu64 " seeds from %" PRIu64 ": %lu requests (%.0f a second), %lu turns, %lu "
           "events, %lu kills, %lu stops, %lu reboots, %lu faults, %lu steps\n",
           p->n_done, o->seed, c->requests, (double)c->requests / seconds, c->turns, c->events,
           c->kills, c->stops, c->reboots, c->faults, c->steps);
    if (o->tap)
        printf("1..1\n%s 1 - the simulation, %" PRIu64 " seeds from %" PRIu64 "\n",
               is_good ? "ok" : "not ok", p->n_done, o->seed);
    return is_good ? 0 : 1;
}

int main(int argc, char **argv)
{
    struct options o = {.seeds = UINT64_MAX, .steps = 1500, .seed = (uint64_t)time(NULL)};
    int status;
    if (!parse(argc, argv, &o)) {
        fprintf(stderr, "usage: simulate [--seconds N] [--seed N] [--seeds N] [--steps N] [--keep "
                        "DIRECTORY] [--tap] [--no-script]\n");
        return 2;
    }
    printf("# simulate --seed %" PRIu64 " --steps %u\n", o.seed, o.steps);
    struct progress *p =
        mmap(NULL, sizeof(*p), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        return 2;
    const double start = now_s();
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        log_set_level(LOG_LEVEL_ERROR);
        run_seeds(&o, p);
        exit(0); /* a build with sanitizers looks for leaks then */
    }
    waitpid(child, &status, 0);
    return finish(&o, p, status, now_s() - start);
}
