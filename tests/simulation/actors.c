/* SPDX-License-Identifier: MIT */
#include "tests/simulation/actors.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "tests/simulation/requests.h"

static bool one_in(struct actors *a, unsigned n)
{
    return random_one_in(&a->random, n);
}

static unsigned below(struct actors *a, unsigned n)
{
    return random_below(&a->random, n);
}

__attribute__((format(printf, 2, 3))) static const char *step(struct actors *a, const char *format,
                                                              ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(a->step, sizeof(a->step), format, args);
    va_end(args);
    return a->step;
}

void actors_init(struct actors *a, struct world *w, uint64_t seed)
{
    static const unsigned often[] = {0, 0, 1, 3, 10};
    *a = (struct actors){.random = {seed}, .w = w, .next_id = 1};
    (void)random_next(&a->random);
    a->n_uids = 3 + below(a, UIDS_MAX - 2);
    a->faults = often[below(a, 5)];
    a->kills = often[below(a, 5)];
    a->outside = 1 + below(a, 6);
    a->hostile = often[below(a, 5)];
    a->pipelines = 1 + below(a, 8);
    a->idle = 1 + below(a, 4);
}

/* --- the opening: how the machine and the daemon are set up */

static const char *some_limit(struct actors *a)
{
    static const struct {
        const char *key;
        unsigned values[3];
    } limits[] = {
        {"max_locked_bytes_per_uid", {4096, 8192, 16384}},
        {"max_segments_per_uid", {2, 8, 30}},
        {"max_segments", {16, 40, 100}},
        {"max_bytes_per_uid", {16384, 1 << 20, 1 << 30}},
        {"max_waiters_per_uid", {1, 4, 16}},
        {"max_processes_per_uid", {1, 3, 10}},
        {"max_holders_per_segment", {1, 2, 8}},
        {"max_subscriptions_per_uid", {1, 2, 4}},
        {"output_high_water", {1024, 4096, 65536}},
        {"subscriber_cap", {1024, 8192, 65536}},
        {"max_connections_per_uid", {2, 6, 20}},
        {"max_buffer_bytes_per_uid", {65536, 131072, 1 << 20}},
        {"max_bytes", {1 << 20, 1 << 26, 1 << 30}},
    };
    const unsigned i = below(a, sizeof(limits) / sizeof(limits[0]));
    return step(a, "limit %s %u", limits[i].key, limits[i].values[below(a, 3)]);
}

static const char *some_kernel(struct actors *a)
{
    static const struct {
        const char *key;
        uint64_t values[3];
    } knobs[] = {
        {"shmmni", {10, 40, 4096}},
        {"shmall", {100, 5000, UINT64_C(1) << 40}},
        {"shmmax", {8192, 1 << 24, UINT64_C(1) << 50}},
        {"memlock", {0, 8192, 1 << 26}},
        {"ipc-lock", {1, 1, 0}},
        {"huge-pages", {0, 2, 64}},
        {"no-reaped", {1, 1, 0}},
        {"no-pidfs", {1, 1, 0}},
        {"no-peer-pidfd", {1, 1, 0}},
        {"rmid-forced", {1, 0, 0}},
        {"memory-counted", {1, 0, 0}},
        {"no-allocation", {1, 1, 0}},
    };
    const unsigned i = below(a, sizeof(knobs) / sizeof(knobs[0]));
    return step(a, "kernel %s %llu", knobs[i].key,
                (unsigned long long)knobs[i].values[below(a, 3)]);
}

/* Some for a user whose number is that of a group. */
static const char *some_reserved_name(struct actors *a)
{
    static const char *const prefixes[] = {"c", "cache", "cache2", "data/", "frames", "team/x"};
    static const unsigned numbers[] = {1000, 1001, 2000, 2001, 44};
    return step(a, "reserve %s %s %u", prefixes[below(a, 6)], one_in(a, 2) ? "user" : "group",
                numbers[below(a, 5)]);
}

static const char *opening(struct actors *a)
{
    static const unsigned looks[] = {1, 5, 20, 60, 150, 300};
    switch (a->opened++) {
    case 0: return step(a, "setting look_us %u", looks[below(a, 6)]);
    case 1: return one_in(a, 3) ? step(a, "setting admin_group 44") : step(a, "setting none 0");
    case 2: return step(a, "setting reconcile_ms %u", 1000 + 1000 * below(a, 5));
    case 3: return step(a, "setting attach_timeout_ms %u", 500 + 3000 * below(a, 8));
    case 4:
    case 5: return one_in(a, 3) ? some_kernel(a) : step(a, "setting none 0");
    case 6:
    case 7:
    case 8: return one_in(a, 2) ? some_limit(a) : step(a, "setting none 0");
    case 9:
    case 10:
    case 11: return one_in(a, 3) ? some_reserved_name(a) : step(a, "setting none 0");
    default: return step(a, "start");
    }
}

/* --- who there is */

static struct process *some_process(struct actors *a, bool lives)
{
    for (int i = 0; i < 8 && a->next_process > 0; i++) {
        struct process *p = &a->w->processes[below(a, a->next_process)];
        if (p->is_used && (!lives || !p->is_dead))
            return p;
    }
    return NULL;
}

static unsigned label_of(const struct actors *a, const struct process *p)
{
    return (unsigned)(p - a->w->processes);
}

static struct connection *some_connection(struct actors *a)
{
    for (int i = 0; i < 12 && a->next_connection > 0; i++) {
        const unsigned window = a->next_connection < 48 ? a->next_connection : 48;
        struct connection *c = &a->w->connections[a->next_connection - 1 - below(a, window)];
        if (c->is_used && (c->is_open || c->is_arriving) && !c->client_closed && !c->client_ended)
            return c;
    }
    return NULL;
}

static const char *new_process(struct actors *a)
{
    if (a->next_process == PROCESSES_MAX)
        return step(a, "settle");
    const unsigned who = below(a, a->n_uids);
    unsigned uid = 1000 + who, gid = 2000 + who;
    if (one_in(a, 12))
        uid = gid = 0;
    else if (one_in(a, 40))
        uid = gid = DAEMON_UID;
    else if (one_in(a, 30))
        gid = 0;
    const int pid = one_in(a, 20) ? 0 : 2000 + (int)below(a, 400);
    return step(a, "process %u %d %u %u prog%u %u", a->next_process++, pid, uid, gid, below(a, 5),
                one_in(a, 3) ? 44 : 0);
}

static const char *new_connection(struct actors *a)
{
    struct process *p = some_process(a, true);
    if (a->next_connection == CONNECTIONS_MAX)
        return step(a, "settle");
    return p ? step(a, "connect %u %u", a->next_connection++, label_of(a, p)) : new_process(a);
}

/* --- what clients do */

static const char *say(struct actors *a, struct connection *c)
{
    step(a, "say %d ", c->label);
    requests_add(a, c);
    return a->step;
}

static const char *of_connection(struct actors *a, struct connection *c)
{
    switch (below(a, 9)) {
    case 0: return step(a, "end %d", c->label);
    case 1:
    case 2: return step(a, "close %d", c->label);
    case 3: return step(a, "deaf %d", c->label);
    case 4:
    case 5: return step(a, "hear %d", c->label);
    default: return step(a, "pieces %d %u", c->label, one_in(a, 2) ? 0 : 1 + below(a, 200));
    }
}

static const char *of_process(struct actors *a)
{
    struct process *p = some_process(a, false);
    if (!p)
        return new_process(a);
    if (p->is_zombie)
        return step(a, "reap %u", label_of(a, p));
    switch (below(a, 8)) {
    case 6:
    case 7:
        if (!p->is_dead && a->next_process < PROCESSES_MAX)
            return step(a, "fork %u %u %d", label_of(a, p), a->next_process++,
                        p->pid ? 2000 + (int)below(a, 400) : 0);
        return step(a, "turn");
    case 0: return step(a, "orphan %u", label_of(a, p));
    case 1: return step(a, "zombie %u", label_of(a, p));
    case 2: return step(a, "exec %u prog%u", label_of(a, p), below(a, 9));
    default: return step(a, "exit %u", label_of(a, p));
    }
}

/* --- other programs */

static unsigned some_known(struct actors *a)
{
    const unsigned n = a->n_known < KNOWN_MAX ? a->n_known : KNOWN_MAX;
    return n == 0 ? 0 : a->known[below(a, n)];
}

static const char *foreign_segment(struct actors *a, const struct process *p)
{
    const unsigned id = a->next_id++;
    a->known[a->n_known++ % KNOWN_MAX] = id;
    return step(a, "shmget %u %u %u %u %o", id, label_of(a, p),
                one_in(a, 2) ? 100 + below(a, 6) : 0, 4096 * (1 + below(a, 3)),
                one_in(a, 4) ? 0666 : 0600);
}

static const char *outside(struct actors *a)
{
    struct process *p = some_process(a, true);
    const unsigned uid = one_in(a, 2) ? DAEMON_UID : 1000 + below(a, a->n_uids);
    if (!p)
        return new_process(a);
    const unsigned label = label_of(a, p);
    switch (below(a, 16)) {
    case 0:
    case 1: return foreign_segment(a, p);
    case 2:
    case 3:
    case 4:
    case 5: return step(a, "attach %u %u", label, some_known(a));
    case 6:
    case 7:
    case 8: return step(a, "detach %u %u", label, some_known(a));
    case 9:
    case 10: return step(a, "ipcrm %u %u", label, some_known(a));
    case 11: return step(a, "recycle %u %u %u", label, some_known(a), below(a, 2));
    case 12: return step(a, "logind %u", 1000 + below(a, a->n_uids));
    default:
        /* As the owner who hands it over, or takes it back. */
        return step(a, "chmod %u %u %o %u %u", label, some_known(a),
                    one_in(a, 3) ? below(a, 0777) : 0600, one_in(a, 3) ? p->uid : uid, p->gid);
    }
}

/* --- what goes wrong */

static const char *fault(struct actors *a)
{
    static const int of_kernel[] = {ENOMEM, EIO, EPERM, EINVAL};
    static const int of_files[] = {ENOSPC, EIO, EINTR, EDQUOT};
    static const char *const of_processes[] = {"open", "peer", "identify", "watch"};
    static const int errors[] = {EMFILE, ENOMEM, ENFILE};
    switch (below(a, 8)) {
    case 0:
    case 1: {
        const unsigned op = below(a, FAKE_OPS);
        /* The detaching of what is attached does not fail. */
        return step(a, "fail kernel %u %u %d", op == FAKE_DETACH ? FAKE_STAT : op, 1 + below(a, 6),
                    of_kernel[below(a, 4)]);
    }
    case 2:
    case 3:
        return step(a, "fail file %u %u %d %u", below(a, 8), 1 + below(a, 4), of_files[below(a, 4)],
                    1 + below(a, 4));
    case 4: return step(a, "fail process %s %d", of_processes[below(a, 4)], errors[below(a, 3)]);
    case 5: return step(a, "disk %u", below(a, 3) * 4096);
    default: return step(a, "fail memory %u", 1 + below(a, 40));
    }
}

static const char *end_of_daemon(struct actors *a)
{
    switch (below(a, 10)) {
    case 0:
    case 1: return step(a, "kill");
    case 2: return step(a, "stop");
    case 3: return one_in(a, 8) ? step(a, "reboot") : step(a, "delete-journal");
    default: return step(a, "kill-at %u", 1 + below(a, 60));
    }
}

static const char *time_goes_on(struct actors *a)
{
    static const unsigned times[] = {1, 10, 100, 600, 3000, 20000, 70000};
    if (one_in(a, 12))
        return step(a, "wall %d", (int)below(a, 2000000) - 1000000);
    return step(a, "%s %u", one_in(a, 4) ? "hang" : "pass", times[below(a, 7)]);
}

/* --- plans: what identity is for */

__attribute__((format(printf, 2, 3))) static void then(struct actors *a, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    if (a->n_planned < PLAN_MAX)
        vsnprintf(a->plan[a->n_planned++], PLANNED_BYTES, format, args);
    va_end(args);
}

static unsigned then_create(struct actors *a, int connection, const char *params)
{
    const unsigned id = a->next_id++;
    a->known[a->n_known++ % KNOWN_MAX] = id;
    then(a, "say %d {\"jsonrpc\":\"2.0\",\"id\":%u,\"method\":\"create\",\"params\":{%s}}",
         connection, id, params);
    return id;
}

static unsigned then_process(struct actors *a, int pid, unsigned uid)
{
    const unsigned process = a->next_process++;
    then(a, "process %u %d %u %u prog0 0", process, pid, uid, uid);
    return process;
}

/* One whose pid nobody has or had. */
static unsigned then_new_process(struct actors *a, unsigned uid)
{
    return then_process(a, 3000 + (int)a->next_process, uid);
}

/* A batch of N requests of METHOD, all with the same parameters. */
static void then_batch(struct actors *a, int connection, unsigned n, const char *method,
                       const char *params)
{
    char *const text = a->plan[a->n_planned];
    then(a, "say %d ", connection);
    for (unsigned i = 0; i < n; i++) {
        const size_t len = strlen(text);
        snprintf(text + len, PLANNED_BYTES - len,
                 "%s{\"jsonrpc\":\"2.0\",\"id\":%u,\"method\":\"%s\",\"params\":{%s}}%s",
                 i == 0 ? "[" : ",", a->next_id++, method, params, i + 1 == n ? "]" : "");
    }
}

/* A segment that is to end by itself has another in its place, of the daemon's own uid. */
static void plan_recycled_before_its_end(struct actors *a, int connection)
{
    static const char *const lives[] = {"\"ttl_ms\":500", "\"idle_ttl_ms\":500",
                                        "\"lifetime\":\"connection\""};
    char params[64];
    snprintf(params, sizeof(params), "\"size\":4096,%s", lives[below(a, 3)]);
    const unsigned handle = then_create(a, connection, params);
    then(a, "settle");
    const unsigned process = then_process(a, 2000 + (int)below(a, 400), DAEMON_UID);
    then(a, "recycle %u %u %u", process, handle, below(a, 2));
    if (one_in(a, 3))
        then(a, "close %d", connection);
    then(a, "pass %u", 400 + below(a, 300));
}

/* A crash within a creation, and a segment that the same daemon made before and has given up. */
static void plan_given_up_before_a_crash(struct actors *a, int connection)
{
    const unsigned handle = then_create(a, connection, "\"size\":8192,\"hold\":false");
    then(a, "settle");
    then(a,
         "say %d "
         "{\"jsonrpc\":\"2.0\",\"id\":%u,\"method\":\"disown\",\"params\":{\"serial\":@serial%u}}",
         connection, a->next_id++, handle);
    then(a, "settle");
    if (one_in(a, 2))
        then(a, "pass %u", 900 + below(a, 400));
    then_create(a, connection, "\"size\":8192");
    then(a, "kill-at %u", 1 + below(a, 9));
    then(a, "turn");
    then(a, "start");
}

/* A crash within a creation, and a program that gets the daemon's pid and makes one that is alike.
 */
static void plan_pid_of_the_former_daemon(struct actors *a, int connection)
{
    then_create(a, connection, "\"size\":8192");
    then(a, "kill-at %u", 1 + below(a, 9));
    then(a, "turn");
    /* One of the daemon's own uid could not be told from the daemon. */
    const unsigned process = then_process(a, a->w->k->self.pid, 1000 + below(a, a->n_uids));
    const unsigned id = a->next_id++;
    a->known[a->n_known++ % KNOWN_MAX] = id;
    then(a, "shmget %u %u 0 8192 600", id, process);
    if (one_in(a, 2))
        then(a, "chmod %u %u 600 %u %u", process, id, DAEMON_UID, DAEMON_UID);
    then(a, "start");
}

/* A client is refused over and over: more lines than the log has for it at once. */
static void plan_many_refusals(struct actors *a, int connection)
{
    then(a, "hear %d", connection);
    for (int i = 0; i < 4; i++)
        then_batch(a, connection, 64, "remove", "\"serial\":999999");
    then(a, "settle");
    then(a, "pass 1500");
}

/* The same of a client that has many segments, and asks for more bytes than it may have. */
static void plan_too_much_over_and_over(struct actors *a, int connection)
{
    then(a, "hear %d", connection);
    then_batch(a, connection, 14, "create", "\"size\":4096,\"lifetime\":\"connection\"");
    then(a, "settle");
    then_batch(a, connection, 30, "create", "\"size\":1099511627776");
    then(a, "settle");
    then(a, "close %d", connection);
}

/* Nobody uses a segment, and the daemon is started again meanwhile. */
static void plan_idle_over_a_restart(struct actors *a, int connection)
{
    then_create(a, connection, "\"size\":4096,\"idle_ttl_ms\":30000");
    then(a, "settle");
    then(a, "pass 16000");
    then(a, "%s", one_in(a, 2) ? "stop" : "kill");
    then(a, "start");
    then(a, "pass 25000");
    then(a, "settle");
}

/* More slots of the kernel than a page is to look at. */
static void plan_long_list(struct actors *a, int connection)
{
    const unsigned process = then_new_process(a, 1000 + below(a, a->n_uids));
    const unsigned id = a->next_id++;
    then(a, "kernel next-id %u", 700 + process);
    then(a, "shmget %u %u 0 4096 600", id, process);
    then_batch(a, connection, 1, "list",
               one_in(a, 2) ? "\"scope\":\"all\"" : "\"scope\":\"foreign\"");
    then(a, "settle");
    then(a, "ipcrm %u %u", process, id);
}

/* Two segments look like what a killed daemon was about to make: its own, and one of a program that
 * has its uid and, by now, its pid. The world leaves the second out where the first is not there.
 */
static void plan_two_alike(struct actors *a, int connection)
{
    then_create(a, connection, "\"size\":8192");
    then(a, "kill-at %u", 3 + below(a, 6));
    then(a, "turn");
    const unsigned process = then_process(a, a->w->k->self.pid, DAEMON_UID);
    const unsigned id = a->next_id++;
    /* Mostly it has a lower slot, and so is found first. */
    then(a, "kernel next-id %u", (10000 + process) << FAKE_INDEX_BITS);
    then(a, "shmget %u %u 0 8192 600", id, process);
    then(a, "start");
}

/* Where the kernel hands out no pidfd of a peer: it has died before it was accepted, and another
 * has its pid. */
static void plan_pid_of_a_peer(struct actors *a, int connection)
{
    const unsigned of_peer = a->next_connection++;
    const int pid = 3000 + (int)a->next_process;
    const unsigned process = then_process(a, pid, 1000 + below(a, a->n_uids));
    (void)connection;
    then(a, "connect %u %u", of_peer, process);
    then_create(a, (int)of_peer, "\"size\":4096,\"lifetime\":\"process\"");
    then(a, "exit %u", process);
    (void)then_process(a, pid, 1000 + below(a, a->n_uids));
    then(a, "settle");
}

static unsigned then_connect(struct actors *a, unsigned process)
{
    const unsigned connection = a->next_connection++;
    then(a, "connect %u %u", connection, process);
    return connection;
}

static void then_ask(struct actors *a, unsigned connection, const char *method, unsigned handle)
{
    then(a,
         "say %u "
         "{\"jsonrpc\":\"2.0\",\"id\":%u,\"method\":\"%s\",\"params\":{\"serial\":@serial%u}}",
         connection, a->next_id++, method, handle);
}

/* One waits to replace a segment of his own, whose name somebody else has by then, and makes that
 * one the owner of his. */
static void plan_ready_by_anothers_rights(struct actors *a, int connection)
{
    const unsigned uid = 1000 + below(a, a->n_uids), other = 1000 + below(a, a->n_uids);
    const unsigned process = then_new_process(a, uid), his = then_connect(a, process);
    (void)connection;
    char plain[64], replacing[128];
    snprintf(plain, sizeof(plain), "\"size\":4096,\"name\":\"ours%u\"", process);
    snprintf(replacing, sizeof(replacing), "%s,\"replace\":true,\"ready\":false", plain);
    const unsigned first = then_create(a, (int)his, plain);
    const unsigned next = then_create(a, (int)his, replacing);
    then(a, "settle");
    then_ask(a, his, "remove", first);
    then(a, "settle");
    const unsigned others = then_connect(a, then_new_process(a, other));
    then_create(a, (int)others, plain);
    then(a, "settle");
    then(a, "chmod %u %u 600 %u %u", process, next, other, other);
    then_ask(a, his, "ready", next);
    then(a, "settle");
}

/* The last detach takes every segment away that the daemon does not have attached too, and at its
 * last look it could not find out that it is so. */
static void plan_rmid_is_forced(struct actors *a, int connection)
{
    const struct process *p = a->w->connections[connection].by;
    const unsigned client = a->next_connection++;
    then(a, "kernel rmid-forced 1");
    then(a, "stop");
    then(a, "start");
    then(a, "connect %u %u", client, label_of(a, p));
    then_create(a, (int)client, "\"size\":4096");
    then(a, "settle");
    then(a, "fail kernel %d 0 %d", FAKE_LIMITS, EMFILE);
    then(a, "pass %lld", (long long)a->w->settings.reconcile_ms + 1);
    const unsigned handle = then_create(a, (int)client, "\"size\":4096");
    then(a, "settle");
    const unsigned process = then_new_process(a, 0);
    then(a, "attach %u %u", process, handle);
    then(a, "detach %u %u", process, handle);
    then(a, "mend");
    then(a, "kernel rmid-forced 0");
}

/* That a segment is given up, which its creator had handed over, cannot be recorded. */
static void plan_given_up_in_vain(struct actors *a, int connection)
{
    const struct process *p = a->w->connections[connection].by;
    const unsigned id = a->next_id++, adoption = a->next_id++;
    then(a, "shmget %u %u 0 4096 600", id, label_of(a, p));
    then(a, "chmod %u %u 600 %u %u", label_of(a, p), id, DAEMON_UID, p->gid);
    then(a,
         "say %d "
         "{\"jsonrpc\":\"2.0\",\"id\":%u,\"method\":\"adopt\",\"params\":{\"shmid\":@shmid%u}}",
         connection, adoption, id);
    then(a, "settle");
    then(a,
         "say %d "
         "{\"jsonrpc\":\"2.0\",\"id\":%u,\"method\":\"disown\",\"params\":{\"serial\":@serial%u}}",
         connection, a->next_id++, adoption);
    then(a, "fail file 0 1 %d 1", EIO);
    then(a, "turn");
    then(a, "mend");
    then(a, "settle");
}

/* What could not be recorded is taken back, and another has its place by then. */
static void plan_race_with_taking_back(struct actors *a, int connection)
{
    const unsigned handle = then_create(a, connection, "\"size\":4096,\"hold\":false");
    then(a, "settle");
    const unsigned process = then_process(a, 2000 + (int)below(a, 400), DAEMON_UID);
    if (one_in(a, 2))
        then(a,
             "say %d "
             "{\"jsonrpc\":\"2.0\",\"id\":%u,\"method\":\"set\",\"params\":{\"serial\":@serial%u,"
             "\"mode\":\"0640\",\"labels\":{}}}",
             connection, a->next_id++, handle);
    else
        then_create(a, connection, "\"size\":4096,\"hold\":false");
    then(a, "race %u", process);
    then(a, "fail file %u 1 %d %u", 1 + below(a, 4), EIO, 1 + below(a, 4));
    then(a, "turn");
    then(a, "mend");
    then(a, "settle");
}

static void make_plan(struct actors *a, int connection)
{
    static void (*const plans[])(struct actors *, int) = {plan_recycled_before_its_end,
                                                          plan_ready_by_anothers_rights,
                                                          plan_given_up_before_a_crash,
                                                          plan_pid_of_the_former_daemon,
                                                          plan_two_alike,
                                                          plan_many_refusals,
                                                          plan_too_much_over_and_over,
                                                          plan_long_list,
                                                          plan_idle_over_a_restart};
    /* These have faults of their own, which others would hide. */
    static void (*const with_faults[])(struct actors *, int) = {
        plan_rmid_is_forced, plan_race_with_taking_back, plan_given_up_in_vain};
    const bool is_quiet = a->faults == 0 && a->kills == 0;
    a->n_planned = a->n_plan_done = 0;
    if (a->next_process + 2 > PROCESSES_MAX || a->next_connection + 2 > CONNECTIONS_MAX)
        return;
    if (a->w->p.no_open_peer && one_in(a, 3))
        plan_pid_of_a_peer(a, connection);
    else if (is_quiet && one_in(a, 2))
        with_faults[below(a, 3)](a, connection);
    else
        plans[below(a, sizeof(plans) / sizeof(plans[0]))](a, connection);
}

static const char *planned(struct actors *a)
{
    return step(a, "%s", a->plan[a->n_plan_done++]);
}

const char *actors_next(struct actors *a)
{
    if (a->opened < 13)
        return opening(a);
    if (a->n_plan_done < a->n_planned)
        return planned(a);
    if (!a->w->is_running && a->w->p.no_pidfs && one_in(a, 6))
        return step(a, "kernel hides %u", one_in(a, 3) ? 0 : 1);
    /* That a start has, too. */
    if (!a->w->is_running && a->faults > 0 && one_in(a, 8))
        return fault(a);
    if (!a->w->is_running)
        return one_in(a, 4)    ? outside(a)
               : one_in(a, 8)  ? step(a, "mend")
               : one_in(a, 8)  ? step(a, "disk %u", 1U << 30)
               : one_in(a, 6)  ? step(a, "start-former")
               : one_in(a, 20) ? step(a, "old-database")
                               : step(a, "start");
    struct connection *c = some_connection(a);
    if (!c)
        return new_connection(a);
    if (one_in(a, 150)) {
        make_plan(a, c->label);
        if (a->n_planned > 0)
            return planned(a);
    }
    /* In parts of 1000. */
    const unsigned at = below(a, 1000);
    unsigned sum = 0;
    if (at < (sum += 100 + 40 * a->pipelines))
        return say(a, c);
    if (at < (sum += a->outside * 15))
        return outside(a);
    if (at < (sum += 12))
        return new_process(a);
    if (at < (sum += 25))
        return new_connection(a);
    if (at < (sum += 12))
        return of_process(a);
    if (at < (sum += 25))
        return of_connection(a, c);
    if (at < (sum += a->faults * 2))
        return one_in(a, 3) ? step(a, "mend") : fault(a);
    if (at < (sum += a->kills))
        return end_of_daemon(a);
    if (at < (sum += a->hostile * 2)) {
        step(a, "bad %d ", c->label);
        requests_add_bad(a);
        return a->step;
    }
    if (at < (sum += a->idle * 8))
        return time_goes_on(a);
    if (at < sum + 60)
        return step(a, "settle");
    return one_in(a, 3) ? say(a, c) : step(a, "turn");
}
