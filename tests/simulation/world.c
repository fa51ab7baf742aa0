/* SPDX-License-Identifier: MIT */
#include "tests/simulation/world.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/core/reconcile.h"
#include "daemon/util/container_of.h"
#include "protocol/json_arena.h"
#include "tests/fakes/fake_memory.h"
#include "tests/simulation/loop.h"
#include "tests/simulation/oracle.h"
#include "tests/simulation/seams.h"

enum { SETTLE_TURNS = 4000, FIRST_PID = 5000 };

void world_fail(struct world *w, const char *format, ...)
{
    va_list args;
    if (w->has_failed)
        return;
    w->has_failed = true;
    va_start(args, format);
    vsnprintf(w->failure, sizeof(w->failure), format, args);
    va_end(args);
}

unsigned long world_faults(const struct world *w)
{
    return fake_memory_failures() - w->failures_before + w->k->n_faults + w->p.n_faults +
           w->host.n_all_faults;
}

/* --- the machine */

static void boot(struct world *w)
{
    w->boots++;
    snprintf(w->machine.boot_id, sizeof(w->machine.boot_id), "0e8f3ac2-0000-4000-8000-%012" PRIx64,
             w->boots);
}

struct world *world_new(void)
{
    struct world *w = calloc(1, sizeof(*w));
    if (!w || !(w->handles = calloc(HANDLES_MAX, sizeof(*w->handles))))
        abort();
    json_arena_install();
    w->failures_before = fake_memory_failures();
    w->k = fake_sysv_new();
    w->k->self = (struct fake_process){DAEMON_UID, DAEMON_UID, 100};
    fake_clock_init(&w->clock);
    w->clock.mono_step_us = 20;
    fake_processes_init(&w->p);
    w->daemon_task = fake_processes_start(&w->p, w->k->self.pid, "shmd");
    fake_host_init(&w->host);
    w->host.directory_uid = DAEMON_UID;
    w->machine = (struct machine){.ipc_namespace = 4026531839,
                                  .pid_namespace = 4026531836,
                                  .memory = UINT64_C(16) << 30,
                                  .max_descriptors = UINT64_MAX,
                                  .max_locked_bytes = UINT64_MAX,
                                  .huge_page_sizes = {2 << 20},
                                  .n_huge_page_sizes = 1,
                                  .secret = {1, 2}};
    w->k->huge_pages[0] = (struct fake_huge_pages){.size = 2 << 20};
    w->settings = (struct core_settings){.limits = LIMITS_DEFAULT,
                                         .access = {.own_uid = DAEMON_UID},
                                         .attach_timeout_ms = 60000,
                                         .reconcile_ms = 5000,
                                         .turn_work_us = 2000};
    boot(w);
    w->oracle = oracle_new(w);
    return w;
}

/* --- the daemon */

static void take_log(void *context, enum log_level level, const char *sentence)
{
    struct world *w = context;
    if (w->is_loud)
        printf("    journal (%d): %s\n", (int)level, sentence);
}

/* The daemon has no memory, descriptors and connections any more. */
static void let_go(struct world *w, bool has_core)
{
    for (int i = 0; i < w->n_connections; i++) {
        struct connection *c = &w->connections[i];
        if (c->is_open)
            loop_close(c);
        if (c->is_used && !c->is_arriving)
            c->client_closed = true;
    }
    if (has_core) {
        loop_end(w);
        rpc_deinit(&w->rpc);
        core_deinit(&w->core);
    }
    journal_close(w->journal);
    w->journal = NULL;
    w->is_running = false;
    if (w->p.n_open != 0 || w->p.n_watched != 0)
        world_fail(w, "%zu pidfds and %zu watches are left", w->p.n_open, w->p.n_watched);
}

/* What was in the directory stays; nothing is open or locked any more. */
static void leave_directory(struct world *w)
{
    struct fake_host left;
    fake_host_copy(&w->host, &left);
    fake_host_deinit(&w->host);
    w->host = left;
}

static void end_of_daemon(struct world *w, bool was_killed)
{
    fake_memory_pause();
    fake_processes_die_task(&w->p, w->daemon_task);
    fake_sysv_exit(w->k, w->k->self.pid); /* its anchors */
    w->k->self.pid++;
    w->is_killed = false;
    w->kill_at = 0;
    leave_directory(w);
    oracle_daemon_ended(w->oracle, was_killed);
    fake_memory_resume();
}

static void kill_daemon(struct world *w)
{
    if (!w->is_running)
        return;
    fake_memory_pause();
    if (w->is_killed)
        oracle_check_kernel(w->oracle);
    w->is_killed = w->host.is_killed = true;
    w->counts.kills++;
    let_go(w, true);
    end_of_daemon(w, true);
    fake_memory_resume();
}

static void stop_daemon(struct world *w)
{
    if (!w->is_running)
        return;
    w->counts.stops++;
    loop_drain(w);
    for (int i = 0; i < w->n_connections && !w->is_killed; i++)
        if (w->connections[i].is_open)
            loop_close(&w->connections[i]);
    core_tick(&w->core);
    rpc_end_turn(&w->rpc);
    oracle_published(w->oracle);
    oracle_turn_ended(w->oracle);
    oracle_check_kernel(w->oracle);
    ledger_write_event_serial(&w->core);
    const bool was_killed = w->is_killed;
    let_go(w, true);
    end_of_daemon(w, was_killed);
}

/* There are no files of configuration: what a reload does besides is look at everything. */
static int reload(void *context, const struct caller *caller, struct outcome_detail *ret_detail)
{
    struct world *w = context;
    (void)caller;
    (void)ret_detail;
    core_configure(&w->core, &w->settings);
    reconcile_ask(&w->core);
    return 0;
}

static int build(struct world *w)
{
    struct core_start found;
    const struct journal_options options = {.host = seams_host(w),
                                            .directory = "DIR",
                                            .boot_id = w->machine.boot_id,
                                            .ipc_namespace = w->machine.ipc_namespace,
                                            .own_uid = DAEMON_UID,
                                            .log = take_log,
                                            .log_context = w};
    int r = journal_open(&options, &w->journal);
    if (r < 0)
        return r;
    const struct core_seams on = {seams_sysv(w),
                                  seams_clock(w),
                                  seams_processes(w),
                                  seams_watcher(w),
                                  {&journal_ops, w->journal}};
    core_init(&w->core, &on, &w->settings, &w->machine, w->k->self.pid, w->k->self.gid);
    rpc_init(&w->rpc, &w->core, "0.0.0", loop_wake, w);
    w->rpc.reload = reload;
    w->rpc.reload_context = w;
    r = loop_begin(w);
    if (r == 0)
        r = core_start(&w->core, &found);
    if (r < 0 || w->is_killed)
        return r < 0 ? r : -EIO;
    return 0;
}

/* Whether the next daemon will find the records. */
static bool records_are_there(struct world *w)
{
    return fake_host_find(&w->host, "state.journal") != NULL;
}

/* What version 0.1.0 has left is out of the way, and is kept. */
static void check_old_database(struct world *w)
{
    if (fake_host_find(&w->host, "state.db") ||
        (w->has_old_database && fake_host_count(&w->host, "state.db") == 0))
        world_fail(w, "the database of version 0.1.0 is not set aside");
}

/* Once in a world, which has room for few files. */
static void do_old_database(struct world *w)
{
    static const char text[] = "SQLite format 3";
    if (w->is_running || w->has_old_database)
        return;
    fake_host_put(&w->host, "state.db", text, sizeof(text));
    w->has_old_database = true;
}

static void start_daemon(struct world *w)
{
    if (w->is_running)
        return;
    const unsigned long faults = world_faults(w);
    /* A start that fails may leave a journal that is new. */
    w->records_are_lost |= !records_are_there(w);
    w->core = (struct core){0};
    fake_memory_pause();
    fake_processes_start_again(&w->p, w->daemon_task, w->k->self.pid);
    fake_memory_resume();
    int r = build(w);
    if (r < 0) {
        if (!w->is_killed && world_faults(w) == faults)
            world_fail(w, "the daemon does not start: %s", strerror(-r));
        const bool was_killed = w->is_killed;
        w->is_killed = w->host.is_killed = true;
        fake_memory_pause();
        let_go(w, w->core.settings.turn_work_us != 0);
        end_of_daemon(w, was_killed);
        fake_memory_resume();
        return;
    }
    w->is_running = true;
    if (world_faults(w) == faults)
        check_old_database(w);
    oracle_daemon_started(w->oracle, w->records_are_lost, world_faults(w) != faults);
    w->records_are_lost = false;
}

/* The journal of a daemon that was built between 0.1.0, which had none, and the next release: it
 * does not tell the daemon's pid namespace. The next daemon is an upgrade. */
static void start_release(struct world *w, bool is_former)
{
    const uint32_t own = w->machine.pid_namespace;
    if (w->is_running)
        return;
    w->machine.pid_namespace = is_former ? 0 : own;
    start_daemon(w);
    w->machine.pid_namespace = own;
}

/* --- steps: each takes the rest of its line */

static struct process *process_at(struct world *w, unsigned i)
{
    return i < PROCESSES_MAX && w->processes[i].is_used ? &w->processes[i] : NULL;
}

static struct connection *connection_at(struct world *w, unsigned i)
{
    return i < CONNECTIONS_MAX && w->connections[i].is_used ? &w->connections[i] : NULL;
}

/* As the fake kernel knows P. */
static int32_t attach_pid(const struct process *p)
{
    return p->pid != 0 ? p->pid : -1 - p->socket;
}

static int32_t shmid_of(const struct world *w, unsigned handle)
{
    return handle < HANDLES_MAX && w->handles[handle].is_known ? w->handles[handle].shmid : -1;
}

/* Whether a process has the pid of another that was there before. */
static bool has_former_pid(const struct world *w, const struct process *p)
{
    for (size_t i = 0; p->pid != 0 && i < PROCESSES_MAX; i++)
        if (w->processes[i].is_used && &w->processes[i] != p && w->processes[i].pid == p->pid)
            return true;
    return false;
}

/* /proc is mounted anew, with hidepid or without, while no daemon runs. Where the kernel tells
 * processes apart by their start times alone, those of the same pid cannot be told apart then, and
 * the next daemon takes the later one for the former: here that does not happen. */
static void hide_processes(struct world *w, bool hides)
{
    if (w->is_running)
        return;
    for (size_t i = 0; i < PROCESSES_MAX && hides && w->p.no_pidfs; i++)
        if (w->processes[i].is_used && has_former_pid(w, &w->processes[i]))
            return;
    w->p.hides = hides;
    w->was_hidden |= hides;
}

static void do_kernel(struct world *w, const char *rest)
{
    char key[32];
    uint64_t value;
    if (sscanf(rest, "%31s %" SCNu64, key, &value) != 2)
        return;
    if (strcmp(key, "shmmni") == 0)
        w->k->shmmni = value;
    else if (strcmp(key, "shmall") == 0)
        w->k->shmall = value;
    else if (strcmp(key, "shmmax") == 0)
        w->k->shmmax = value;
    else if (strcmp(key, "memory") == 0)
        w->k->memory_max = value;
    else if (strcmp(key, "memory-counted") == 0)
        w->k->memory_is_counted = value;
    else if (strcmp(key, "memlock") == 0)
        w->k->memlock_max = w->machine.max_locked_bytes = value;
    else if (strcmp(key, "ipc-lock") == 0)
        w->k->cap_ipc_lock = value;
    else if (strcmp(key, "huge-pages") == 0)
        w->k->huge_pages[0].total = w->k->huge_pages[0].free = value;
    else if (strcmp(key, "next-id") == 0)
        w->k->next_id = (int32_t)value;
    else if (strcmp(key, "rmid-forced") == 0)
        fake_sysv_force_rmid(w->k, value);
    else if (strcmp(key, "no-peer-pidfd") == 0)
        w->p.no_open_peer = w->p.no_pidfs = value; /* pidfs is the younger */
    else if (strcmp(key, "no-reaped") == 0)
        w->p.no_reaped = value;
    else if (strcmp(key, "no-pidfs") == 0)
        w->p.no_pidfs = value;
    else if (strcmp(key, "no-allocation") == 0)
        w->host.lacks_allocation = value;
    else if (strcmp(key, "hides") == 0)
        hide_processes(w, value);
    oracle_look_outside(w->oracle);
}

static void configure(struct world *w)
{
    if (w->is_running)
        core_configure(&w->core, &w->settings);
}

static void do_limit(struct world *w, const char *rest)
{
    char key[64];
    uint64_t value;
    if (sscanf(rest, "%63s %" SCNu64, key, &value) != 2)
        return;
#define X(name, def, min, max)                                                                     \
    if (strcmp(key, #name) == 0)                                                                   \
        w->settings.limits.name = value;
    LIMITS(X)
#undef X
    configure(w);
}

static void do_setting(struct world *w, const char *rest)
{
    char key[64];
    int64_t value;
    if (sscanf(rest, "%63s %" SCNd64, key, &value) != 2)
        return;
    if (strcmp(key, "turn_us") == 0)
        w->settings.turn_work_us = value;
    else if (strcmp(key, "look_us") == 0)
        w->clock.mono_step_us = value;
    else if (strcmp(key, "attach_timeout_ms") == 0)
        w->settings.attach_timeout_ms = value;
    else if (strcmp(key, "reconcile_ms") == 0)
        w->settings.reconcile_ms = value;
    else if (strcmp(key, "admin_group") == 0) {
        w->settings.access.has_admin_group = value > 0;
        w->settings.access.admin_group = (uint32_t)value;
    }
    configure(w);
}

/* Names that begin with PREFIX are for a user or a group. */
static void do_reserve(struct world *w, const char *rest)
{
    struct access *a = &w->settings.access;
    char prefix[64], kind[8];
    unsigned id;
    if (sscanf(rest, "%63s %7s %u", prefix, kind, &id) != 3 || a->n_names == NAMES_MAX)
        return;
    char *copy = strdup(prefix);
    if (!copy)
        abort();
    w->names[a->n_names++] =
        (struct name_rule){.prefix = copy, .is_group = strcmp(kind, "group") == 0, .id = id};
    a->names = w->names;
    configure(w);
}

/* Whether a process or a zombie has PID. Linux before 6.5 cannot tell a peer that died before it
 * was accepted, and whose child has the socket, from one of the same uid that has its pid then:
 * here that does not happen. */
static bool is_in_use(const struct world *w, int32_t pid, uint32_t uid)
{
    for (size_t i = 0; pid != 0 && i < PROCESSES_MAX; i++) {
        const struct process *p = &w->processes[i];
        if (p->is_used && p->pid == pid && (!p->is_dead || p->is_zombie))
            return true;
    }
    for (int i = 0; w->p.no_open_peer && i < w->n_connections; i++) {
        const struct connection *c = &w->connections[i];
        if (c->is_used && c->is_arriving && c->by->pid == pid && c->by->uid == uid &&
            w->p.tasks[c->by->socket].has_passed_on)
            return true;
    }
    return false;
}

static void do_process(struct world *w, const char *rest)
{
    unsigned label, uid, gid, group = 0;
    int pid;
    char comm[COMM_MAX] = "";
    if (sscanf(rest, "%u %d %u %u %15s %u", &label, &pid, &uid, &gid, comm, &group) < 5 ||
        label >= PROCESSES_MAX || w->processes[label].is_used)
        return;
    /* The pid of a daemon that has ended is free; that of the running one, or the next, is not. */
    struct process *p = &w->processes[label];
    const struct process next = {
        .is_used = true, .pid = pid, .uid = uid, .gid = gid, .group = group};
    if (is_in_use(w, pid, uid) || pid == w->k->self.pid ||
        (w->was_hidden && w->p.no_pidfs && has_former_pid(w, &next)))
        return;
    *p = next;
    memcpy(p->comm, comm, sizeof(comm));
    p->socket = fake_processes_start(&w->p, pid, comm);
    w->p.tasks[p->socket].uid = uid;
}

/* A child of P, which has attached what P has, and no connection. */
static void do_fork(struct world *w, const char *rest)
{
    unsigned by, label;
    int pid;
    char step[96];
    if (sscanf(rest, "%u %u %d", &by, &label, &pid) != 3 || label >= PROCESSES_MAX)
        return;
    const struct process *p = process_at(w, by);
    if (!p || p->is_dead || w->processes[label].is_used || (pid == 0) != (p->pid == 0))
        return;
    snprintf(step, sizeof(step), "%u %d %u %u %s %u", label, pid, p->uid, p->gid, p->comm,
             p->group);
    do_process(w, step);
    const struct process *child = process_at(w, label);
    if (!child)
        return;
    oracle_note_times(w->oracle);
    fake_sysv_fork(w->k, attach_pid(p), attach_pid(child));
    oracle_look_outside(w->oracle);
}

static void client_closes(struct connection *c)
{
    c->client_closed = true;
    c->is_deaf = false;
    loop_note(c);
}

/* Its attachments go; its connections do if no child has them. */
static void process_ends(struct world *w, struct process *p, bool keeps_sockets)
{
    if (p->is_dead)
        return;
    p->is_dead = true;
    w->p.tasks[p->socket].has_passed_on = keeps_sockets;
    fake_processes_die_task(&w->p, p->socket);
    oracle_note_times(w->oracle);
    fake_sysv_exit(w->k, attach_pid(p));
    for (int i = 0; i < w->n_connections && !keeps_sockets; i++)
        if (w->connections[i].is_used && w->connections[i].by == p)
            client_closes(&w->connections[i]);
    oracle_look_outside(w->oracle);
}

static void do_process_event(struct world *w, const char *verb, const char *rest)
{
    unsigned label;
    char comm[COMM_MAX] = "";
    int n = sscanf(rest, "%u %15s", &label, comm);
    struct process *p = n >= 1 ? process_at(w, label) : NULL;
    if (!p)
        return;
    if (strcmp(verb, "exit") == 0)
        process_ends(w, p, false);
    else if (strcmp(verb, "orphan") == 0) /* a child keeps its connections */
        process_ends(w, p, true);
    else if (strcmp(verb, "zombie") == 0 && !p->is_dead) {
        p->is_zombie = true;
        fake_processes_keep_zombie(&w->p, p->socket, true);
        process_ends(w, p, false);
    } else if (strcmp(verb, "reap") == 0) {
        p->is_zombie = false;
        fake_processes_keep_zombie(&w->p, p->socket, false);
    } else if (strcmp(verb, "exec") == 0 && !p->is_dead && n == 2) {
        memcpy(p->comm, comm, sizeof(comm));
        fake_processes_exec(&w->p, p->socket, comm);
        oracle_note_times(w->oracle);
        fake_sysv_exec(w->k, attach_pid(p));
        oracle_look_outside(w->oracle);
    }
}

static void do_connect(struct world *w, const char *rest)
{
    unsigned label, by;
    if (sscanf(rest, "%u %u", &label, &by) != 2 || label >= CONNECTIONS_MAX ||
        w->connections[label].is_used)
        return;
    struct process *p = process_at(w, by);
    if (!p || p->is_dead || !w->is_running)
        return;
    w->connections[label] = (struct connection){
        .is_used = true, .is_arriving = true, .label = (int)label, .by = p, .world = w};
    if ((int)label >= w->n_connections)
        w->n_connections = (int)label + 1;
}

static void send_bytes(struct connection *c, const char *data, size_t n)
{
    if (c->input_capacity - c->input_len < n) {
        c->input_capacity = (c->input_len + n) * 2;
        c->input = realloc(c->input, c->input_capacity);
        if (!c->input)
            abort();
    }
    memcpy(c->input + c->input_len, data, n);
    c->input_len += n;
    loop_note(c);
}

static bool can_send(const struct connection *c)
{
    return c && (c->is_open || c->is_arriving) && !c->client_closed && !c->client_ended;
}

char *world_resolve(const struct world *w, const char *text)
{
    const size_t capacity = strlen(text) * 4 + 64;
    char *out = malloc(capacity), *to = out;
    if (!out)
        abort();
    while (*text) {
        unsigned handle;
        int n = 0;
        if (*text == '@' && sscanf(text, "@shmid%u%n", &handle, &n) == 1 && n > 0) {
            int32_t shmid = shmid_of(w, handle);
            to += sprintf(to, "%d", shmid < 0 ? 0 : shmid);
        } else if (*text == '@' && sscanf(text, "@serial%u%n", &handle, &n) == 1 && n > 0) {
            uint64_t serial = handle < HANDLES_MAX ? w->handles[handle].serial : 0;
            to += sprintf(to, "%" PRIu64, serial ? serial : 999999);
        } else {
            *to++ = *text;
            n = 1;
        }
        text += n;
    }
    *to = '\0';
    return out;
}

static void do_say(struct world *w, const char *rest)
{
    unsigned label;
    int at = 0;
    if (sscanf(rest, "%u %n", &label, &at) < 1 || at == 0)
        return;
    struct connection *c = connection_at(w, label);
    if (!can_send(c))
        return;
    char *text = world_resolve(w, rest + at);
    if (w->is_loud)
        printf("    %u says %s\n", label, text);
    oracle_said(w->oracle, c, text);
    send_bytes(c, text, strlen(text));
    send_bytes(c, "\n", 1);
    free(text);
}

static void do_bad(struct world *w, const char *rest)
{
    unsigned label;
    int at = 0, code;
    long long id;
    if (sscanf(rest, "%u %d %lld %n", &label, &code, &id, &at) < 3 || at == 0)
        return;
    struct connection *c = connection_at(w, label);
    if (!can_send(c))
        return;
    oracle_said_badly(w->oracle, c, code, id);
    send_bytes(c, rest + at, strlen(rest + at));
    send_bytes(c, "\n", 1);
}

static void do_connection_event(struct world *w, const char *verb, const char *rest)
{
    unsigned label, n = 0;
    if (sscanf(rest, "%u %u", &label, &n) < 1)
        return;
    struct connection *c = connection_at(w, label);
    if (!c || c->client_closed)
        return;
    if (strcmp(verb, "end") == 0)
        c->client_ended = true;
    else if (strcmp(verb, "close") == 0)
        client_closes(c);
    else if (strcmp(verb, "deaf") == 0)
        c->is_deaf = true;
    else if (strcmp(verb, "hear") == 0) {
        c->is_deaf = false;
        c->in_socket = 0;
    } else if (strcmp(verb, "pieces") == 0)
        c->piece = n;
    loop_note(c);
}

/* --- other programs and the kernel */

/* What P makes is a former daemon's own for all that the next can see. */
static bool passes_for_a_daemon(const struct world *w, const struct process *p)
{
    return p->uid == DAEMON_UID && p->pid > 0 && p->pid < w->k->self.pid;
}

static void do_shmget(struct world *w, const char *rest)
{
    unsigned handle, by, mode;
    uint64_t key, size;
    int32_t shmid;
    if (sscanf(rest, "%u %u %" SCNu64 " %" SCNu64 " %o", &handle, &by, &key, &size, &mode) != 5)
        return;
    struct process *p = process_at(w, by);
    if (!p || p->is_dead || handle >= HANDLES_MAX)
        return;
    const struct fake_process who = {p->uid, p->gid, p->pid};
    const struct sysv_create args = {.key = (uint32_t)key, .size = size};
    if (passes_for_a_daemon(w, p) && !oracle_has_left(w->oracle, p->pid, size))
        return;
    if (fake_sysv_create_as(w->k, &who, &args, mode, &shmid) < 0)
        return;
    w->handles[handle] = (struct handle){.is_known = true, .shmid = shmid};
    oracle_look_outside(w->oracle);
}

static bool may_read(const struct process *p, const struct sysv_stat *s)
{
    uint32_t bits = s->mode;
    if (p->uid == s->uid || p->uid == s->cuid)
        bits >>= 6;
    else if (p->gid == s->gid || p->gid == s->cgid || (p->group && p->group == s->gid))
        bits >>= 3;
    return (bits & 4) || p->uid == 0;
}

/* Whether it was done. */
static bool recycle(struct world *w, const struct process *p, int32_t shmid, bool in_same_size)
{
    const struct sysv_stat *s = fake_sysv_segment(w->k, shmid);
    const struct fake_process who = {p->uid, p->gid, p->pid};
    /* What a process without a number here makes may be the daemon's own: that stays open. */
    if (!s || s->nattch > 0 || p->pid == 0)
        return false;
    /* One that its own creator gets again in the same size cannot be told from the old one. */
    const bool is_alike =
        in_same_size && !passes_for_a_daemon(w, p) && (s->cuid != p->uid || s->cpid != p->pid);
    return fake_sysv_recycle(w->k, shmid, &who, is_alike ? s->size : s->size + 4096) == 0;
}

static void do_race(struct world *w, const char *rest)
{
    unsigned by;
    w->racer = sscanf(rest, "%u", &by) == 1 ? process_at(w, by) : NULL;
    w->race_turn = 0;
}

void world_race(struct world *w, int32_t shmid)
{
    const struct process *p = w->racer;
    const bool is_first_look =
        w->race_turn != w->counts.turns || w->race_requests != w->core.work.turn.requests;
    if (!p || p->is_dead || !w->serving)
        return;
    if (is_first_look) {
        w->race_turn = w->counts.turns;
        w->race_requests = w->core.work.turn.requests;
        w->race_faults = w->host.n_all_faults;
    }
    if (w->host.n_all_faults == w->race_faults)
        return;
    w->racer = NULL;
    fake_memory_pause();
    const bool was_there = fake_sysv_segment(w->k, shmid) != NULL;
    const bool is_done = recycle(w, p, shmid, false);
    /* It goes, also when there is no room for the other. Else nobody looks: the daemon is at it. */
    if (is_done || (was_there && !fake_sysv_segment(w->k, shmid)))
        oracle_look_outside(w->oracle);
    fake_memory_resume();
}

static void do_outside(struct world *w, const char *verb, const char *rest)
{
    unsigned by, handle, mode = 0, uid = 0, gid = 0;
    int n = sscanf(rest, "%u %u %o %u %u", &by, &handle, &mode, &uid, &gid);
    struct process *p = n >= 2 ? process_at(w, by) : NULL;
    int32_t shmid = n >= 2 ? shmid_of(w, handle) : -1;
    struct sysv_stat *s = fake_sysv_segment(w->k, shmid);
    if (!p || p->is_dead || !s)
        return;
    oracle_note_times(w->oracle);
    bool controls = p->uid == 0 || p->uid == s->uid || p->uid == s->cuid;
    if (strcmp(verb, "attach") == 0 && may_read(p, s)) {
        (void)fake_sysv_attach_as(w->k, shmid, attach_pid(p));
        oracle_attached(w->oracle, shmid);
    } else if (strcmp(verb, "detach") == 0) {
        if (fake_sysv_detach_as(w->k, shmid, attach_pid(p)) == 0)
            oracle_detached(w->oracle, shmid);
    } else if (strcmp(verb, "ipcrm") == 0 && controls) {
        (void)fake_sysv_remove_as(w->k, shmid);
    } else if (strcmp(verb, "chmod") == 0 && controls) {
        s->mode = mode & 0777;
        s->uid = uid;
        s->gid = gid;
        s->ctime = w->k->now;
    } else if (strcmp(verb, "recycle") == 0) {
        (void)recycle(w, p, shmid, mode % 2);
    }
    oracle_look_outside(w->oracle);
}

/* The user's last session ends, under RemoveIPC=yes. */
static void do_logind(struct world *w, const char *rest)
{
    unsigned uid;
    if (sscanf(rest, "%u", &uid) != 1)
        return;
    for (int32_t i = 0; i < (1 << FAKE_INDEX_BITS) && (size_t)i < w->k->end; i++) {
        struct sysv_stat s;
        if (w->k->sysv.ops->stat_index(w->k, i, &s) == 0 && s.uid == uid && s.nattch == 0)
            (void)fake_sysv_remove_as(w->k, s.shmid);
    }
    oracle_look_outside(w->oracle);
}

/* --- time */

static void turn(struct world *w)
{
    loop_turn(w);
    if (w->is_killed) {
        kill_daemon(w);
        return;
    }
    oracle_check_kernel(w->oracle);
}

static void settle(struct world *w)
{
    if (!w->is_running)
        return;
    /* What is read in small pieces takes a turn for each of them. */
    for (int in_vain = 0; loop_has_work(w) && w->is_running && !w->has_failed; in_vain++) {
        const uint64_t read = w->n_read;
        if (in_vain == SETTLE_TURNS) {
            world_fail(w, "the daemon has work that does not end");
            return;
        }
        turn(w);
        if (w->n_read != read)
            in_vain = 0;
    }
    if (w->is_running)
        oracle_check_settled(w->oracle);
}

static void set_clocks(struct world *w, int64_t ms)
{
    fake_clock_advance(&w->clock, ms);
    w->k->now = w->clock.real_ms / 1000;
    w->p.now += (uint64_t)ms / 10;
    w->host.now_us += ms * 1000;
    w->host.now_ms = w->clock.real_ms;
}

/* Time goes on, and the daemon wakes when it has to. */
static void pass(struct world *w, int64_t ms)
{
    const int64_t end = w->clock.boot_ms + ms;
    int in_vain = 0;
    while (w->is_running && !w->has_failed) {
        int64_t next = core_next_tick(&w->core);
        if (next < 0 || next > end)
            break;
        in_vain = next > w->clock.boot_ms ? 0 : in_vain + 1;
        if (next > w->clock.boot_ms)
            set_clocks(w, next - w->clock.boot_ms);
        else if (in_vain == SETTLE_TURNS)
            world_fail(w, "the daemon wakes again and again");
        turn(w);
    }
    if (end > w->clock.boot_ms)
        set_clocks(w, end - w->clock.boot_ms);
}

/* The daemon gets no processor: what is due meanwhile comes all at once. */
static void hang(struct world *w, int64_t ms)
{
    set_clocks(w, ms);
    oracle_hung(w->oracle, ms);
}

static void do_wall(struct world *w, const char *rest)
{
    int64_t ms;
    if (sscanf(rest, "%" SCNd64, &ms) != 1)
        return;
    w->clock.real_ms += ms;
    w->k->now = w->clock.real_ms / 1000;
    w->host.now_ms = w->clock.real_ms;
}

static void do_reboot(struct world *w)
{
    kill_daemon(w);
    w->counts.reboots++;
    for (size_t i = 0; i < PROCESSES_MAX; i++)
        if (w->processes[i].is_used && !w->processes[i].is_dead)
            process_ends(w, &w->processes[i], false);
    for (int i = 0; i < w->n_connections; i++)
        w->connections[i].is_arriving = false;
    struct fake_sysv *old = w->k;
    w->k = fake_sysv_new();
    fake_sysv_take_settings(w->k, old);
    fake_sysv_free(old);
    w->clock.boot_ms = 1000000;
    boot(w);
    oracle_rebooted(w->oracle);
}

/* --- faults */

static void fail_kernel(struct world *w, const char *rest)
{
    unsigned op, error;
    unsigned long n;
    if (sscanf(rest, "%u %lu %u", &op, &n, &error) == 3 && op < FAKE_OPS)
        fake_sysv_fail(w->k, (enum fake_op)op, n, (int)error);
}

static void fail_file(struct world *w, const char *rest)
{
    unsigned n, kind, error, count;
    if (sscanf(rest, "%u %u %u %u", &n, &kind, &error, &count) != 4 || kind > FAKE_DONE_ERROR)
        return;
    fake_host_fail(&w->host, count, (enum fake_fault)kind, (int)error);
    w->host.fail_from += n;
    w->host.fail_to += n;
}

static void fail_process(struct world *w, const char *rest)
{
    char what[16];
    int error;
    if (sscanf(rest, "%15s %d", what, &error) != 2)
        return;
    if (strcmp(what, "open") == 0)
        w->p.fail_open = error;
    else if (strcmp(what, "peer") == 0)
        w->p.fail_open_peer = error;
    else if (strcmp(what, "identify") == 0)
        w->p.fail_identify = error;
    else if (strcmp(what, "watch") == 0)
        w->p.fail_watch = error;
}

static void do_fail(struct world *w, const char *rest)
{
    unsigned long n;
    w->counts.faults++;
    if (strncmp(rest, "kernel ", 7) == 0)
        fail_kernel(w, rest + 7);
    else if (strncmp(rest, "file ", 5) == 0)
        fail_file(w, rest + 5);
    else if (strncmp(rest, "process ", 8) == 0)
        fail_process(w, rest + 8);
    else if (sscanf(rest, "memory %lu", &n) == 1)
        fake_memory_fail(n);
}

static void mend(struct world *w)
{
    for (int op = 0; op < FAKE_OPS; op++)
        fake_sysv_fail(w->k, (enum fake_op)op, 1, 0);
    fake_host_mend(&w->host);
    (void)fake_memory_restore();
    w->p.fail_open = w->p.fail_open_peer = w->p.fail_identify = w->p.fail_watch = 0;
}

static void do_disk(struct world *w, const char *rest)
{
    uint64_t free_bytes;
    if (sscanf(rest, "%" SCNu64, &free_bytes) == 1)
        w->host.disk_free = free_bytes;
}

static void do_kill_at(struct world *w, const char *rest)
{
    unsigned long n;
    if (sscanf(rest, "%lu", &n) == 1 && n > 0)
        w->kill_at = w->n_calls + n;
}

/* --- all */

static void do_plain(struct world *w, const char *verb, const char *rest)
{
    int64_t ms;
    if (strcmp(verb, "turn") == 0)
        turn(w);
    else if (strcmp(verb, "settle") == 0)
        settle(w);
    else if (strcmp(verb, "hang") == 0 && sscanf(rest, "%" SCNd64, &ms) == 1)
        hang(w, ms);
    else if (strcmp(verb, "pass") == 0 && sscanf(rest, "%" SCNd64, &ms) == 1)
        pass(w, ms);
    else if (strcmp(verb, "wall") == 0)
        do_wall(w, rest);
    else if (strcmp(verb, "start") == 0 || strcmp(verb, "start-former") == 0) {
        start_release(w, strcmp(verb, "start") != 0);
        turn(w); /* what the start found */
    } else if (strcmp(verb, "stop") == 0)
        stop_daemon(w);
    else if (strcmp(verb, "kill") == 0)
        kill_daemon(w);
    else if (strcmp(verb, "kill-at") == 0)
        do_kill_at(w, rest);
    else if (strcmp(verb, "reboot") == 0)
        do_reboot(w);
    else if (strcmp(verb, "fail") == 0)
        do_fail(w, rest);
    else if (strcmp(verb, "mend") == 0)
        mend(w);
    else if (strcmp(verb, "disk") == 0)
        do_disk(w, rest);
    else if (strcmp(verb, "old-database") == 0)
        do_old_database(w);
    else if (strcmp(verb, "delete-journal") == 0)
        fake_host_delete(&w->host, "state.journal");
}

static const struct {
    const char *verb;
    void (*act)(struct world *w, const char *rest);
} acts[] = {
    {"reserve", do_reserve}, {"kernel", do_kernel}, {"limit", do_limit},   {"setting", do_setting},
    {"process", do_process}, {"say", do_say},       {"bad", do_bad},       {"connect", do_connect},
    {"fork", do_fork},       {"race", do_race},     {"shmget", do_shmget}, {"logind", do_logind},
};
static const char *const of_processes[] = {"exit", "orphan", "zombie", "reap", "exec", NULL};
static const char *const of_connections[] = {"end", "close", "deaf", "hear", "pieces", NULL};
static const char *const of_others[] = {"attach", "detach", "ipcrm", "chmod", "recycle", NULL};

static bool is_among(const char *const *words, const char *word)
{
    for (; *words; words++)
        if (strcmp(*words, word) == 0)
            return true;
    return false;
}

/* What the daemon does in a step may lack memory; what the world does may not. */
static bool is_the_daemons(const char *verb)
{
    static const char *const verbs[] = {"turn",         "settle", "pass", "start",
                                        "start-former", "stop",   NULL};
    return is_among(verbs, verb);
}

static void act(struct world *w, const char *verb, const char *rest)
{
    for (size_t i = 0; i < sizeof(acts) / sizeof(acts[0]); i++) {
        if (strcmp(acts[i].verb, verb) == 0) {
            acts[i].act(w, rest);
            return;
        }
    }
    if (is_among(of_processes, verb))
        do_process_event(w, verb, rest);
    else if (is_among(of_connections, verb))
        do_connection_event(w, verb, rest);
    else if (is_among(of_others, verb))
        do_outside(w, verb, rest);
    else
        do_plain(w, verb, rest);
}

void world_do(struct world *w, const char *step)
{
    char verb[32];
    int at = 0;
    if (w->has_failed || sscanf(step, "%31s %n", verb, &at) < 1)
        return;
    if (w->is_loud)
        printf("%s\n", step);
    w->counts.steps++;
    const bool pauses = !is_the_daemons(verb);
    if (pauses)
        fake_memory_pause();
    act(w, verb, at > 0 ? step + at : "");
    if (pauses)
        fake_memory_resume();
    /* As memory that lacks for a moment: what is allocated later is there. */
    if (!pauses)
        (void)fake_memory_restore();
}

void world_end(struct world *w)
{
    world_do(w, "mend");
    world_do(w, "disk 1099511627776");
    world_do(w, "start");
    world_do(w, "settle");
    world_do(w, "pass 20000");
    world_do(w, "settle");
    world_do(w, "stop");
}

void world_free(struct world *w)
{
    if (w->is_running)
        kill_daemon(w);
    (void)fake_memory_restore();
    oracle_free(w->oracle);
    for (int i = 0; i < w->n_connections; i++)
        free(w->connections[i].input);
    for (size_t i = 0; i < w->settings.access.n_names; i++)
        free(w->names[i].prefix);
    fake_host_deinit(&w->host);
    fake_sysv_free(w->k);
    free(w->handles);
    free(w);
}
