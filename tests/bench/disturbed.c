/* SPDX-License-Identifier: MIT */
/*
 * A stat while the daemon has something long to do: another client of the same user lists 30,000
 * segments, sweeps and compactions of the journal run, segments come and go; and all of that
 * together. The daemon has one core, the clients share the other, with the disturbing ones behind.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/bench/bench.h"
#include "tests/bench/calls.h"
#include "tests/bench/server.h"
#include "tests/bench/support.h"

enum {
    SEGMENTS = 30000,
    ROUNDS = 5,
    SAMPLES_MAX = 200000,
    LABELS = 16,
    A_SECOND = 1000, /* changes, or creations */
};

static const int64_t sample_ns = 2000000000, settle_ns = 300000000;

struct disturbed {
    const struct server *shmd;
    char journal[160];
    volatile uint64_t *done; /* by the process of each kind of disturbance, which shares it */
};

/* --- what disturbs: for ever */

static void list_all_the_time(const struct disturbed *d, volatile uint64_t *done)
{
    int fd = connect_patiently(d->shmd->socket, 1000000);
    for (;; ++*done)
        list_all(fd, NULL);
}

static void wait_until(int64_t ns)
{
    int64_t now = now_ns();
    if (ns > now)
        sleep_ns(ns - now);
}

/* Large changes fill the journal, so that it is compacted again and again; who subscribes to what
 * only sweeps find has one come every 200 ms. */
static void grow_the_journal(const struct disturbed *d, volatile uint64_t *done)
{
    char requests[2][6000];
    int fd = connect_patiently(d->shmd->socket, 1000000),
        listening = connect_patiently(d->shmd->socket, 1000000);
    call(listening, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"subscribe\",\"params\":{\"kinds\":"
                    "[\"attached\"]}}\n");
    for (int i = 0; i < 2; i++) {
        size_t at = (size_t)snprintf(requests[i], sizeof(requests[i]),
                                     "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"set\",\"params\":"
                                     "{\"name\":\"" USUAL_NAME "\",\"labels\":{");
        for (int label = 0; label < LABELS; label++)
            at += (size_t)snprintf(requests[i] + at, sizeof(requests[i]) - at,
                                   "%s\"l%d\":\"%0250d\"", label > 0 ? "," : "", label, i);
        snprintf(requests[i] + at, sizeof(requests[i]) - at, "}}}\n");
    }
    for (int64_t next = now_ns();; next += 1000000000 / A_SECOND, ++*done) {
        wait_until(next);
        call(fd, requests[*done % 2]);
    }
}

static void create_and_remove(const struct disturbed *d, volatile uint64_t *done)
{
    int fd = connect_patiently(d->shmd->socket, 1000000);
    for (int64_t next = now_ns();; next += 1000000000 / A_SECOND, ++*done) {
        wait_until(next);
        call(fd, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"create\",\"params\":{\"name\":"
                 "\"bench/comes-and-goes\",\"size\":4096}}\n");
        call(fd, "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"remove\",\"params\":{\"name\":"
                 "\"bench/comes-and-goes\"}}\n");
    }
}

enum { LISTS, CHANGES, CREATIONS, KINDS };
static const struct kind {
    const char *done;
    void (*go_on)(const struct disturbed *d, volatile uint64_t *done);
} kinds[KINDS] = {
    [LISTS] = {"lists of 30,000", list_all_the_time},
    [CHANGES] = {"large changes", grow_the_journal},
    [CREATIONS] = {"creations and removals", create_and_remove},
};

static const struct disturbance {
    const char *id, *title;
    unsigned kinds; /* a bit each */
} disturbances[] = {
    {"disturbed-list", "a stat while another lists 30,000", 1U << LISTS},
    {"disturbed-tend", "a stat in sweeps and compactions", 1U << CHANGES},
    {"disturbed-create", "a stat among 1,000 creations a second", 1U << CREATIONS},
    {"disturbed-all", "a stat in all of these", 1U << LISTS | 1U << CHANGES | 1U << CREATIONS},
};
enum { DISTURBANCES = sizeof(disturbances) / sizeof(disturbances[0]) };

/* Of the kind K; 0: it is none of WHAT. */
static pid_t start_kind(const struct disturbed *d, const struct disturbance *what, size_t k)
{
    if (!(what->kinds & 1U << k))
        return 0;
    pid_t pid = fork();
    if (pid < 0)
        die("fork: %s", strerror(errno));
    if (pid > 0)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setpriority(PRIO_PROCESS, 0, 19);
    kinds[k].go_on(d, &d->done[k]);
    _exit(1);
}

static void stop_kind(pid_t pid)
{
    if (pid == 0)
        return;
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

/* --- what is seen of it */

static int64_t sweeps_done(int fd)
{
    const char *line = strstr(call(fd, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"metrics\"}\n"),
                              "\\nshmd_sweeps_total ");
    if (!line)
        die("the metrics have no sweeps");
    return strtoll(line + strlen("\\nshmd_sweeps_total "), NULL, 10);
}

/* Each compaction makes a new file. */
static ino_t inode_of(const char *path)
{
    struct stat st;
    if (stat(path, &st) < 0)
        die("%s: %s", path, strerror(errno));
    return st.st_ino;
}

struct seen {
    uint64_t done[KINDS], sweeps, compactions;
    double seconds;
};

struct samples {
    double ns[SAMPLES_MAX];
    size_t n;
};

static void sample_disturbed(const struct disturbed *d, int fd, struct samples *s,
                             struct seen *seen)
{
    enum { PARTS = 200 }; /* between which the journal is looked at */
    ino_t inode = inode_of(d->journal);
    uint64_t done[KINDS];
    for (size_t k = 0; k < KINDS; k++)
        done[k] = d->done[k];
    int64_t sweeps = sweeps_done(fd), begin = now_ns();
    s->n = 0;
    for (int i = 0; i < PARTS && s->n < SAMPLES_MAX; i++) {
        s->n += sample_stats(fd, s->ns + s->n, SAMPLES_MAX - s->n, sample_ns / PARTS);
        ino_t now = inode_of(d->journal);
        seen->compactions += now != inode;
        inode = now;
    }
    seen->seconds += (double)(now_ns() - begin) / 1e9;
    for (size_t k = 0; k < KINDS; k++)
        seen->done[k] += d->done[k] - done[k];
    seen->sweeps += (uint64_t)(sweeps_done(fd) - sweeps);
}

/* RATIOS: to what it is in quiet; NULL: it is that. */
static void add_row(struct bench *b, const struct disturbance *what, bool is_late, const double *ns,
                    const double *ratios, size_t rounds)
{
    char *id = NULL, *title = NULL; /* for good */
    if (asprintf(&id, "%s%s%s", what->id, ratios ? "" : "-quiet", is_late ? "-99" : "") < 0 ||
        asprintf(&title, "%s%s", ratios ? what->title : "the same in quiet",
                 is_late ? ": 99 of 100" : "") < 0)
        die("no memory");
    report_row(&b->report, (struct row){.id = id,
                                        .title = title,
                                        .figure = median(ns, rounds) / 1000,
                                        .unit = "µs",
                                        .ratio = ratios ? median(ratios, rounds) : 0,
                                        .against = "quiet"});
}

static void note_what_went_on(struct bench *b, const struct disturbance *what,
                              const struct seen *seen)
{
    char text[160];
    size_t at = 0;
    for (size_t k = 0; k < KINDS; k++)
        if (what->kinds & 1U << k)
            at += (size_t)snprintf(text + at, sizeof(text) - at, "%.4g %s, ",
                                   (double)seen->done[k] / seen->seconds, kinds[k].done);
    report_note(&b->report, "%s: %s%.2g sweeps and %.2g compactions a second", what->title, text,
                (double)seen->sweeps / seen->seconds, (double)seen->compactions / seen->seconds);
}

static void measure(struct bench *b, const struct disturbed *d, int fd,
                    const struct disturbance *what)
{
    static struct samples quiet, among;
    size_t rounds = bench_rounds(b, ROUNDS);
    double ns[2][ROUNDS], quiet_ns[2][ROUNDS], ratios[2][ROUNDS];
    struct seen seen = {0};
    pid_t pids[KINDS];
    for (size_t round = 0; round < rounds; round++) {
        quiet.n = sample_stats(fd, quiet.ns, SAMPLES_MAX, sample_ns / 2);
        for (size_t k = 0; k < KINDS; k++)
            pids[k] = start_kind(d, what, k);
        sleep_ns(settle_ns);
        sample_disturbed(d, fd, &among, &seen);
        for (size_t k = 0; k < KINDS; k++)
            stop_kind(pids[k]);
        sleep_ns(settle_ns);
        for (size_t i = 0; i < 2; i++) {
            double part = i == 0 ? 0.5 : 0.99;
            ns[i][round] = quantile(among.ns, among.n, part);
            quiet_ns[i][round] = quantile(quiet.ns, quiet.n, part);
            ratios[i][round] = ns[i][round] / quiet_ns[i][round];
        }
    }
    for (size_t i = 0; i < 2; i++) {
        add_row(b, what, i == 1, ns[i], ratios[i], rounds);
        add_row(b, what, i == 1, quiet_ns[i], NULL, rounds);
    }
    note_what_went_on(b, what, &seen);
}

void bench_disturbed(struct bench *b)
{
    must_have_room(SEGMENTS + 2);
    pin(b->other_cpu);
    struct server shmd = server_shmd(b->shmd, b->directory, "disturbed", b->server_cpu, false);
    struct made *made = calloc(SEGMENTS, sizeof(*made));
    struct disturbed d = {.shmd = &shmd,
                          .done = mmap(NULL, sizeof(*d.done) * KINDS, PROT_READ | PROT_WRITE,
                                       MAP_SHARED | MAP_ANONYMOUS, -1, 0)};
    if (!made || d.done == MAP_FAILED)
        die("no memory");
    snprintf(d.journal, sizeof(d.journal), "%s/disturbed.d/state.journal", b->directory);
    int fd = connect_patiently(shmd.socket, 1000000);
    make_segments(fd, 0, SEGMENTS, 0, made);
    call(fd, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"create\",\"params\":{\"name\":"
             "\"" USUAL_NAME "\",\"size\":4096}}\n");
    for (size_t i = 0; i < DISTURBANCES; i++)
        measure(b, &d, fd, &disturbances[i]);
    close(fd);
    server_stop(&shmd, SIGKILL);
    munmap((void *)(uintptr_t)d.done, sizeof(*d.done) * KINDS);
    free(made);
}
