/* SPDX-License-Identifier: MIT */
/* The store's part alone: what a journal costs without a daemon around it, beside the writes that
 * it consists of. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "daemon/store/host_linux.h"
#include "daemon/store/journal.h"
#include "tests/bench/bench.h"
#include "tests/bench/support.h"

enum { ROUNDS = 31, PAIRS = 1000, LIVE = 30000, RECORD = 200, HEADER = 128, TMPFS = 0x01021994 };

struct place {
    const char *name;
    char directory[256];
    struct host_linux host;
    struct journal *journal;
    uint64_t serial, removed;
};

static void say(void *context, enum log_level level, const char *sentence)
{
    (void)context;
    if (level == LOG_LEVEL_ERROR)
        die("%s", sentence);
}

static struct stored_segment segment_of(uint64_t serial)
{
    return (struct stored_segment){.serial = serial,
                                   .name = "bench/frames",
                                   .shmid = (int32_t)serial,
                                   .cpid = 100,
                                   .size = 4096,
                                   .creator = {.pid = 100, .comm = "bench"},
                                   .state = STATE_READY};
}

static void must(int r, const char *reason)
{
    if (r < 0)
        die("the journal: %s", reason);
}

/* All of them are alike. */
static int next(void *context, uint64_t after, struct stored *ret)
{
    const struct place *p = context;
    uint64_t serial = after < p->removed ? p->removed + 1 : after + 1;
    if (serial > p->serial)
        return 0;
    *ret = (struct stored){.segment = segment_of(serial)};
    ret->segment.name = NULL;
    return 1;
}

static void open_place(struct place *p)
{
    struct store_contents contents;
    const struct store_source source = {next, p};
    host_linux_init(&p->host, p->directory);
    const struct journal_options options = {.host = {&host_linux_ops, &p->host},
                                            .directory = p->directory,
                                            .boot_id = "bench",
                                            .ipc_namespace = 1,
                                            .own_uid = geteuid(),
                                            .log = say};
    if (journal_open(&options, &p->journal) < 0)
        die("%s: no journal", p->directory);
    if (journal_ops.load(p->journal, &contents) < 0)
        die("%s: no contents", p->directory);
    store_contents_deinit(&contents);
    journal_ops.follow(p->journal, &source);
}

static void close_place(struct place *p)
{
    journal_close(p->journal);
    p->journal = NULL;
    host_linux_deinit(&p->host);
}

static void create(struct place *p, const char *name)
{
    const char *reason = "";
    const struct store_intent intent = {.size = 4096, .pid = 100, .at_s = 1};
    struct stored_segment segment = segment_of(++p->serial);
    segment.name = name;
    const struct store_record record = {
        .type = STORE_SEGMENT, .serial = segment.serial, .segment = &segment};
    must(journal_ops.intend(p->journal, &intent, &reason), reason);
    must(journal_ops.write(p->journal, &record, 1, &reason), reason);
}

static void change(struct place *p)
{
    const char *reason = "";
    const struct stored_segment segment = segment_of(p->serial);
    const struct store_record record = {
        .type = STORE_SEGMENT, .serial = segment.serial, .segment = &segment};
    must(journal_ops.write(p->journal, &record, 1, &reason), reason);
}

static void remove_last(struct place *p)
{
    const char *reason = "";
    const struct store_record record = {.type = STORE_GONE, .serial = p->serial};
    must(journal_ops.write(p->journal, &record, 1, &reason), reason);
    p->removed = p->serial;
    while (journal_ops.tend(p->journal, 500))
        ;
}

/* Two writes of that size, as every change has them: in µs. */
static double raw_writes(const struct place *p)
{
    static const char bytes[RECORD];
    char path[300];
    snprintf(path, sizeof(path), "%s/raw", p->directory);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    if (fd < 0)
        die("%s: cannot be made", path);
    int64_t begin = now_ns();
    for (int i = 0; i < PAIRS; i++)
        if (pwrite(fd, bytes, RECORD, HEADER + i * RECORD) != RECORD ||
            pwrite(fd, bytes, HEADER, 0) != HEADER)
            die("%s: cannot be written", path);
    double us = (double)(now_ns() - begin) / 1000 / (double)PAIRS;
    close(fd);
    unlink(path);
    return us;
}

static void add_row(struct bench *b, const struct place *p, const char *id, const char *title,
                    double *figures, double *ratios)
{
    size_t rounds = bench_rounds(b, ROUNDS);
    char *ids = NULL, *titles = NULL;
    if (asprintf(&ids, "store_%s_%s", id, p->name) < 0 ||
        asprintf(&titles, "%s, on %s", title, p->name) < 0)
        die("no memory");
    report_row(&b->report, (struct row){.id = ids, /* for good */
                                        .title = titles,
                                        .figure = median(figures, rounds),
                                        .unit = "µs",
                                        .ratio = ratios ? median(ratios, rounds) : 0,
                                        .against = "two writes"});
}

static void measure_changes(struct bench *b, struct place *p)
{
    size_t rounds = bench_rounds(b, ROUNDS);
    double raw[ROUNDS], pairs[ROUNDS], changes[ROUNDS], pair_ratios[ROUNDS], change_ratios[ROUNDS];
    open_place(p);
    for (size_t round = 0; round < rounds; round++) {
        raw[round] = raw_writes(p);
        int64_t begin = now_ns();
        for (int i = 0; i < PAIRS; i++) {
            create(p, "bench/frames");
            remove_last(p);
        }
        pairs[round] = (double)(now_ns() - begin) / 1000 / (double)PAIRS;
        create(p, "bench/frames");
        begin = now_ns();
        for (int i = 0; i < PAIRS; i++)
            change(p);
        changes[round] = (double)(now_ns() - begin) / 1000 / (double)PAIRS;
        remove_last(p);
        pair_ratios[round] = pairs[round] / raw[round];
        change_ratios[round] = changes[round] / raw[round];
    }
    close_place(p);
    add_row(b, p, "raw", "store alone: two writes", raw, NULL);
    add_row(b, p, "change", "store alone: a change", changes, change_ratios);
    add_row(b, p, "pair", "store alone: create and remove", pairs, pair_ratios);
}

static void measure_start(struct bench *b, struct place *p)
{
    struct stat st;
    char path[300];
    open_place(p);
    for (int i = 0; i < LIVE; i++)
        create(p, NULL);
    close_place(p);
    snprintf(path, sizeof(path), "%s/state.journal", p->directory);
    if (stat(path, &st) < 0)
        die("%s: not there", path);
    size_t rounds = bench_rounds(b, ROUNDS);
    double starts[ROUNDS];
    for (size_t round = 0; round < rounds; round++) {
        int64_t begin = now_ns();
        open_place(p);
        starts[round] = (double)(now_ns() - begin) / 1000;
        close_place(p);
    }
    add_row(b, p, "start", "store alone: reading 30,000 records", starts, NULL);
    report_note(&b->report, "the journal on %s has %.0f bytes for each of 30,000 segments", p->name,
                (double)st.st_size / (double)LIVE);
}

static void measure(struct bench *b, const char *parent)
{
    struct statfs fs;
    char path[300];
    struct place p = {0};
    if (statfs(parent, &fs) < 0)
        die("%s: cannot be looked at", parent);
    p.name = fs.f_type == TMPFS ? "tmpfs" : "disk";
    snprintf(p.directory, sizeof(p.directory), "%s/shmd-bench-store-XXXXXX", parent);
    if (!mkdtemp(p.directory))
        die("%s: cannot be made", p.directory);
    measure_changes(b, &p);
    measure_start(b, &p);
    snprintf(path, sizeof(path), "%s/state.journal", p.directory);
    unlink(path);
    rmdir(p.directory);
}

void bench_store(struct bench *b)
{
    pin(b->server_cpu);
    measure(b, "/dev/shm");
    measure(b, "/var/tmp");
}
