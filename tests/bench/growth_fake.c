/* SPDX-License-Identifier: MIT */
/*
 * The daemon from its sessions down, with its own journal, over a kernel in memory that holds a
 * million segments: what growth.c measures on the kernel, which holds 32,768. No sockets, no loop
 * and no system call but the journal's: what is left is what shmd itself does.
 *
 *   growth_fake DIRECTORY ROUNDS MOST
 *
 * It grows from 10 segments to MOST, prints «GROWTH NUMBER FIGURE» for each point, and leaves
 * nothing in DIRECTORY.
 */
#include "tests/bench/growth.h"

#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/rpc/rpc.h"
#include "daemon/rpc/session.h"
#include "daemon/store/host_linux.h"
#include "daemon/store/journal.h"
#include "daemon/util/log.h"
#include "protocol/json_arena.h"
#include "tests/bench/support.h"
#include "tests/fakes/fake_clock.h"
#include "tests/fakes/fake_processes.h"
#include "tests/fakes/fake_sysv.h"

enum {
    LOOKUPS = 2000, /* of a kind in a round */
    PAIRS = 500,
    PAGES = 20,
    RESTARTS = 5,
    ROUNDS_MAX = 100,
    DAEMON_UID = 990,
    DAEMON_PID = 100,
    CLIENT_UID = 1000,
    CLIENT_PID = 5000,
};

struct daemon {
    char directory[256];
    struct fake_sysv *kernel;
    struct sysv_ops ops;
    const struct sysv_ops *fakes_ops;
    struct fake_clock clock; /* stands still: no share of a turn ends, and nothing is due */
    struct fake_processes processes;
    struct machine machine;
    struct core_settings settings;
    struct host_linux host;
    struct journal *journal;
    struct core core;
    struct rpc rpc;
    struct session session; /* of the only client */
    int client_socket;
    struct made *made;
    int n;
};

/* --- the kernel */

static struct daemon *the_daemon; /* an operation has only its kernel */

/* The fake looks at all of its segments for a key that it must not give twice. The keys here
 * differ, so it is not asked. */
static int create_without_looking(void *context, const struct sysv_create *args, int32_t *ret_shmid)
{
    struct sysv_create keyless = *args;
    keyless.key = 0;
    int r = the_daemon->fakes_ops->create(context, &keyless, ret_shmid);
    if (r == 0)
        fake_sysv_segment(context, *ret_shmid)->key = args->key;
    return r;
}

static void make_kernel(struct daemon *d, int most)
{
    d->kernel = fake_sysv_new_extended();
    d->kernel->shmmni = (uint64_t)most + 10;
    d->kernel->memory_max = UINT64_C(1) << 50;
    d->fakes_ops = d->kernel->sysv.ops;
    d->ops = *d->fakes_ops;
    d->ops.create = create_without_looking;
    the_daemon = d;
}

/* --- the daemon */

static void say(void *context, enum log_level level, const char *sentence)
{
    (void)context;
    if (level <= LOG_LEVEL_WARNING)
        die("%s", sentence);
}

static void no_wake(void *context, struct outbox *outbox)
{
    (void)context;
    (void)outbox;
}

static void connect_client(struct daemon *d)
{
    struct caller caller = {.uid = CLIENT_UID,
                            .gid = CLIENT_UID,
                            .pid = CLIENT_PID,
                            .comm = "bench",
                            .socket = d->client_socket,
                            .until_ticks = d->processes.now};
    if (quota_add(&d->core.quota, CLIENT_UID, QUOTA_CONNECTIONS, 1, &caller.account) < 0)
        die("no memory");
    session_init(&d->session, &d->rpc, &caller);
}

static void start(struct daemon *d)
{
    struct core_start found;
    host_linux_init(&d->host, d->directory);
    const struct journal_options options = {.host = {&host_linux_ops, &d->host},
                                            .directory = d->directory,
                                            .boot_id = d->machine.boot_id,
                                            .ipc_namespace = d->machine.ipc_namespace,
                                            .own_uid = geteuid(),
                                            .log = say};
    if (journal_open(&options, &d->journal) < 0)
        die("%s: no journal", d->directory);
    const struct core_seams seams = {.sysv = {&d->ops, d->kernel},
                                     .clock = d->clock.clock,
                                     .processes = d->processes.processes,
                                     .watcher = d->processes.watcher,
                                     .store = {&journal_ops, d->journal}};
    core_init(&d->core, &seams, &d->settings, &d->machine, DAEMON_PID, DAEMON_UID);
    rpc_init(&d->rpc, &d->core, "growth", no_wake, NULL);
    int r = core_start(&d->core, &found);
    if (r < 0 || found.sweep.match != (uint64_t)d->n)
        die("of %d segments %ju came back: %s", d->n, (uintmax_t)found.sweep.match, strerror(-r));
    connect_client(d);
}

static void stop(struct daemon *d)
{
    struct account *account = d->session.caller.account;
    session_deinit(&d->session);
    quota_give(&d->core.quota, account, QUOTA_CONNECTIONS, 1);
    ledger_write_event_serial(&d->core);
    core_deinit(&d->core);
    rpc_deinit(&d->rpc);
    journal_close(d->journal);
    host_linux_deinit(&d->host);
}

static void init(struct daemon *d, const char *parent, int most)
{
    *d = (struct daemon){.settings = {.limits = LIMITS_DEFAULT,
                                      .access = {.own_uid = DAEMON_UID},
                                      .attach_timeout_ms = 60000,
                                      .reconcile_ms = 5000,
                                      .turn_work_us = 2000},
                         .machine = {.ipc_namespace = 1,
                                     .pid_namespace = 1,
                                     .memory = UINT64_C(1) << 50,
                                     .max_descriptors = 1024,
                                     .max_locked_bytes = UINT64_MAX,
                                     .max_address_space = UINT64_MAX,
                                     .secret = {1, 2}},
                         .made = calloc((size_t)most, sizeof(*d->made))};
    d->settings.limits.max_segments_per_uid = 0;
    snprintf(d->machine.boot_id, sizeof(d->machine.boot_id), "growth");
    snprintf(d->directory, sizeof(d->directory), "%s/growth-fake.d", parent);
    if (!d->made || (mkdir(d->directory, 0755) < 0 && errno != EEXIST))
        die("%s: %s", d->directory, strerror(errno));
    json_arena_install();
    log_set_level(LOG_LEVEL_ERROR);
    make_kernel(d, most);
    fake_clock_init(&d->clock);
    fake_processes_init(&d->processes);
    d->processes.core = &d->core;
    (void)fake_processes_start(&d->processes, DAEMON_PID, "shmd");
    d->client_socket = fake_processes_start(&d->processes, CLIENT_PID, "bench");
    start(d);
}

static void deinit(struct daemon *d)
{
    char path[300];
    stop(d);
    fake_sysv_free(d->kernel);
    free(d->made);
    snprintf(path, sizeof(path), "%s/state.journal", d->directory);
    unlink(path);
    rmdir(d->directory);
}

/* --- requests */

/* The answer is valid until the next request; terminated if it is to be READ. */
static const char *ask(struct daemon *d, const char *request, size_t len, bool is_read)
{
    static char in[1000], out[1 << 20];
    struct outbox *o = &d->session.outbox;
    memcpy(in, request, len);
    session_receive(&d->session, in, len);
    size_t n = outbox_unsent(o);
    if (n == 0 || n >= sizeof(out))
        die("%zu bytes answer %.*s", n, (int)len, request);
    if (is_read)
        memcpy(out, outbox_bytes(o), n);
    out[is_read ? n : 0] = '\0';
    outbox_took(o, n);
    outbox_tidy(o, session_has_work(&d->session));
    rpc_end_turn(&d->rpc);
    if (is_read && !strstr(out, "\"result\":"))
        die("shmd answered %.300s", out);
    return out;
}

static void fill(struct daemon *d, int n)
{
    char request[200];
    for (; d->n < n; d->n++) {
        size_t len = write_create(request, sizeof(request), d->n, WITH_KEY | WITH_END);
        const char *answer = ask(d, request, len, true);
        d->made[d->n].serial = answer_number(answer, "serial");
        d->made[d->n].shmid = (int)answer_number(answer, "shmid");
    }
}

static double time_lookups(struct daemon *d, enum lookup kind)
{
    static char requests[LOOKUPS][160];
    static size_t lengths[LOOKUPS];
    for (size_t i = 0; i < LOOKUPS; i++) {
        int index = (int)(random() % d->n);
        lengths[i] = write_lookup(requests[i], sizeof(requests[i]), kind, index, &d->made[index]);
    }
    ask(d, requests[0], lengths[0], true);
    int64_t begin = now_ns();
    for (size_t i = 0; i < LOOKUPS; i++)
        ask(d, requests[i], lengths[i], false);
    return (double)(now_ns() - begin) / 1000 / (double)LOOKUPS;
}

/* SECOND NULL: there is none. */
static double time_calls(struct daemon *d, const char *first, const char *second, int times)
{
    ask(d, first, strlen(first), true);
    if (second)
        ask(d, second, strlen(second), true);
    int64_t begin = now_ns();
    for (int i = 0; i < times; i++) {
        ask(d, first, strlen(first), false);
        if (second)
            ask(d, second, strlen(second), false);
    }
    return (double)(now_ns() - begin) / 1000 / times;
}

/* As a new process does it, which has no memory yet; ending is no part of it. */
static double time_start(struct daemon *d)
{
    stop(d);
    malloc_trim(0);
    int64_t begin = now_ns();
    start(d);
    return (double)(now_ns() - begin) / 1e6;
}

static void measure(struct daemon *d, size_t rounds)
{
    static double took[GROWTHS][ROUNDS_MAX];
    size_t restarts = rounds < RESTARTS ? rounds : RESTARTS;
    for (size_t round = 0; round < rounds; round++) {
        for (enum lookup kind = 0; kind < LOOKUP_KINDS; kind++)
            took[kind][round] = time_lookups(d, kind);
        took[GROWTH_PAIR][round] = time_calls(d, CREATE_ONE, REMOVE_ONE, PAIRS);
        took[GROWTH_NO_NAME][round] = time_calls(d, LIST_NO_NAME, NULL, PAGES);
        took[GROWTH_NO_LABEL][round] = time_calls(d, LIST_NO_LABEL, NULL, PAGES);
    }
    for (size_t i = 0; i < restarts; i++)
        took[GROWTH_START][i] = time_start(d);
    for (enum growth g = 0; g < GROWTHS; g++)
        printf("%s %d %.4f\n", growths[g].id, d->n,
               median(took[g], g == GROWTH_START ? restarts : rounds));
    fflush(stdout);
}

int main(int argc, char **argv)
{
    static struct daemon d;
    if (argc != 4 || atoi(argv[2]) < 1 || atoi(argv[2]) > ROUNDS_MAX)
        die("usage: growth_fake DIRECTORY ROUNDS MOST");
    int most = atoi(argv[3]);
    srandom(1);
    init(&d, argv[1], most);
    for (int n = 10; n <= most; n *= 10) {
        fill(&d, n);
        measure(&d, (size_t)atoi(argv[2]));
    }
    deinit(&d);
    return 0;
}
