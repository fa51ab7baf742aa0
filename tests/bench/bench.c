/* SPDX-License-Identifier: MIT */
/*
 * shmd against its yardsticks; `make bench` runs it. It measures and judges nothing: its exit says
 * only whether everything could be measured.
 *
 * It moves into an IPC namespace of its own, so that the machine's segments and settings are not
 * touched and nothing stays.
 */
#include "tests/bench/bench.h"

#include <errno.h>
#include <getopt.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "tests/bench/server.h"
#include "tests/bench/support.h"

static const struct part {
    const char *name;
    void (*run)(struct bench *b);
} parts[] = {
    {"exchange", bench_exchange}, {"connections", bench_connections},
    {"segments", bench_segments}, {"idle", bench_idle},
    {"fairness", bench_fairness}, {"store", bench_store},
    {"library", bench_library},   {"data", bench_data},
    {"python", bench_python},     {"disturbed", bench_disturbed},
    {"seldom", bench_seldom},     {"growth", bench_growth},
};
enum { PARTS = sizeof(parts) / sizeof(parts[0]) };

static void enter_namespace(struct bench *b)
{
    char map[40];
    uid_t uid = geteuid();
    gid_t gid = getegid();
    b->is_root = uid == 0;
    if (fresh_ipc())
        return;
    b->is_root = false;
    if (unshare(CLONE_NEWUSER | CLONE_NEWIPC) < 0)
        die("no private IPC namespace: %s", strerror(errno));
    write_file("/proc/self/setgroups", "deny");
    snprintf(map, sizeof(map), "0 %u 1", uid);
    if (!write_file("/proc/self/uid_map", map))
        die("/proc/self/uid_map: %s", strerror(errno));
    snprintf(map, sizeof(map), "0 %u 1", gid);
    if (!write_file("/proc/self/gid_map", map))
        die("/proc/self/gid_map: %s", strerror(errno));
}

static void raise_limits(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    const rlim_t needed = CONNECTIONS_MAX + PROCESSES_MAX + 100;
    if (limit.rlim_cur < needed)
        die("RLIMIT_NOFILE ends at %ju; it must be at least %ju (ulimit -Hn)",
            (uintmax_t)limit.rlim_cur, (uintmax_t)needed);
}

/*
 * What else the machine does then disturbs less, and all servers alike: they inherit it. Ordinary
 * scheduling all the same, for a real-time class would spare some servers changes of process that
 * they cost everywhere else. A session is a group of its own to the scheduler, if it has groups.
 */
static void get_ahead(struct bench *b)
{
    (void)setsid(); /* fails when it is one already */
    bool is_ahead = setpriority(PRIO_PROCESS, 0, -20) == 0;
    if (access("/proc/self/autogroup", F_OK) == 0)
        is_ahead &= write_file("/proc/self/autogroup", "-20");
    report_note(&b->report, "%s",
                is_ahead ? "everything ran ahead of the machine's other processes"
                         : "at ordinary priority: other processes disturb");
}

/* The last core that may be used, for interrupts prefer the first ones, and another. */
static void choose_cores(struct bench *b)
{
    cpu_set_t set;
    b->server_cpu = -1;
    if (sched_getaffinity(0, sizeof(set), &set) < 0)
        die("no core: %s", strerror(errno));
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (!CPU_ISSET((size_t)cpu, &set))
            continue;
        b->other_cpu = b->server_cpu < 0 ? cpu : b->server_cpu;
        b->server_cpu = cpu;
    }
}

static _Noreturn void usage(void)
{
    fputs("Usage: bench --shmd PROGRAM --directory DIR --source TREE --programs DIR [--json FILE] "
          "[--quick] "
          "[PART...]\n"
          "Parts:",
          stderr);
    for (size_t i = 0; i < PARTS; i++)
        fprintf(stderr, " %s", parts[i].name);
    fputs(". All of them when none is named.\n", stderr);
    exit(2);
}

static bool is_wanted(const struct part *part, char **names)
{
    bool any = !*names;
    for (; *names; names++)
        any |= strcmp(*names, part->name) == 0;
    return any;
}

static bool is_part(const char *name)
{
    for (size_t i = 0; i < PARTS; i++)
        if (strcmp(name, parts[i].name) == 0)
            return true;
    return false;
}

/* What the part before has left in the kernel is not there for the next. */
static void run_part(struct bench *b, const struct part *part)
{
    if (!fresh_ipc())
        die("no private IPC namespace: %s", strerror(errno));
    part->run(b);
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"shmd", required_argument, NULL, 's'},
                                            {"directory", required_argument, NULL, 'd'},
                                            {"json", required_argument, NULL, 'j'},
                                            {"source", required_argument, NULL, 'c'},
                                            {"programs", required_argument, NULL, 'p'},
                                            {"quick", no_argument, NULL, 'q'},
                                            {NULL, 0, NULL, 0}};
    static struct bench b;
    const char *json = NULL;
    double load[3] = {0};
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) >= 0;) {
        switch (option) {
        case 's': b.shmd = optarg; break;
        case 'd': b.directory = optarg; break;
        case 'j': json = optarg; break;
        case 'c': b.source = optarg; break;
        case 'p': b.programs = optarg; break;
        case 'q': b.is_quick = b.report.is_quick = true; break;
        default: usage();
        }
    }
    if (!b.shmd || !b.directory || !b.source || !b.programs)
        usage();
    for (char **name = argv + optind; *name; name++)
        if (!is_part(*name)) {
            fprintf(stderr, "bench: there is no part %s\n", *name);
            usage();
        }
    enter_namespace(&b);
    raise_limits();
    choose_cores(&b);
    get_ahead(&b);
    if (getloadavg(load, 3) > 0)
        report_note(&b.report, "load before: %.2f on %ld cores", load[0],
                    sysconf(_SC_NPROCESSORS_ONLN));
    for (size_t i = 0; i < PARTS; i++)
        if (is_wanted(&parts[i], argv + optind))
            run_part(&b, &parts[i]);
    report_print(&b.report);
    if (json)
        report_write(&b.report, json);
    return 0;
}
