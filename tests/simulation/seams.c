/* SPDX-License-Identifier: MIT */
#include "tests/simulation/seams.h"

#include <errno.h>

#include "tests/fakes/fake_memory.h"
#include "tests/simulation/loop.h"
#include "tests/simulation/oracle.h"

/* The daemon dies now: what it has written until now stays. */
static void be_killed(struct world *w)
{
    w->is_killed = true;
    w->kill_requests = w->core.work.turn.requests;
    for (int i = 0; i < w->n_connections; i++) {
        struct connection *c = &w->connections[i];
        if (c->is_open)
            c->kill_mark = c->taken + outbox_unsent(&c->session.outbox);
    }
}

/* Whether the call has any effect. */
static bool begin(struct world *w)
{
    if (w->is_killed)
        return false;
    w->n_calls++;
    if (w->kill_at > 0 && w->n_calls >= w->kill_at)
        be_killed(w);
    return !w->is_killed;
}

/* --- the kernel */

#define KERNEL(w) ((w)->k->sysv.ops)
#define KERNEL_CALL(name, declared, passed)                                                        \
    static int sysv_##name declared                                                                \
    {                                                                                              \
        struct world *w = context;                                                                 \
        if (!begin(w))                                                                             \
            return -EIO;                                                                           \
        return KERNEL(w)->name passed;                                                             \
    }

KERNEL_CALL(create, (void *context, const struct sysv_create *args, int32_t *ret),
            (w->k, args, ret))
KERNEL_CALL(find, (void *context, uint32_t key, int32_t *ret), (w->k, key, ret))
KERNEL_CALL(set, (void *context, int32_t shmid, uint32_t uid, uint32_t gid, uint32_t mode),
            (w->k, shmid, uid, gid, mode))
KERNEL_CALL(remove, (void *context, int32_t shmid), (w->k, shmid))
KERNEL_CALL(lock, (void *context, int32_t shmid, bool locked), (w->k, shmid, locked))
KERNEL_CALL(limits, (void *context, struct sysv_limits *ret), (w->k, ret))
KERNEL_CALL(huge_pages, (void *context, uint64_t size, uint64_t *total, uint64_t *free),
            (w->k, size, total, free))
KERNEL_CALL(memory, (void *context, uint64_t *used, uint64_t *max), (w->k, used, max))
KERNEL_CALL(resident, (void *context, struct sysv_resident *ret, size_t max, size_t *n),
            (w->k, ret, max, n))
KERNEL_CALL(memlock, (void *context, uint64_t *ret), (w->k, ret))

static int sysv_attach(void *context, int32_t shmid, void **ret)
{
    struct world *w = context;
    if (!begin(w))
        return -EIO;
    const int r = KERNEL(w)->attach(w->k, shmid, ret);
    oracle_daemon_moved(w->oracle, shmid);
    return r;
}

static int sysv_detach(void *context, void *address)
{
    struct world *w = context;
    if (!begin(w))
        return -EIO;
    const int32_t shmid = fake_sysv_at_address(address);
    const int r = KERNEL(w)->detach(w->k, address);
    oracle_daemon_moved(w->oracle, shmid);
    return r;
}

static int sysv_stat(void *context, int32_t shmid, struct sysv_stat *ret)
{
    struct world *w = context;
    if (!begin(w))
        return -EIO;
    w->n_looks++;
    world_race(w, shmid);
    return KERNEL(w)->stat(w->k, shmid, ret);
}

static int sysv_stat_index(void *context, int32_t index, struct sysv_stat *ret)
{
    struct world *w = context;
    if (!begin(w))
        return -EIO;
    w->n_looks++;
    return KERNEL(w)->stat_index(w->k, index, ret);
}

static const struct sysv_ops sysv_ops = {
    .create = sysv_create,
    .find = sysv_find,
    .stat = sysv_stat,
    .stat_index = sysv_stat_index,
    .set = sysv_set,
    .remove = sysv_remove,
    .lock = sysv_lock,
    .attach = sysv_attach,
    .detach = sysv_detach,
    .limits = sysv_limits,
    .huge_pages = sysv_huge_pages,
    .memory = sysv_memory,
    .memlock = sysv_memlock,
    .resident = sysv_resident,
};

struct sysv seams_sysv(struct world *w)
{
    return (struct sysv){&sysv_ops, w};
}

/* --- processes: looking at them changes nothing, so that only opening and identifying count */

static void process_comm(void *context, int32_t pid, char ret[COMM_MAX])
{
    struct world *w = context;
    w->p.processes.ops->comm(&w->p, pid, ret);
}

static enum process_state process_look(void *context, int32_t pid, char ret_comm[COMM_MAX])
{
    struct world *w = context;
    return w->p.processes.ops->look(&w->p, pid, ret_comm);
}

static int process_open(void *context, int32_t pid, int *ret_pidfd)
{
    struct world *w = context;
    return begin(w) ? w->p.processes.ops->open(&w->p, pid, ret_pidfd) : -EIO;
}

static int process_open_peer(void *context, int socket, int *ret_pidfd)
{
    struct world *w = context;
    return begin(w) ? w->p.processes.ops->open_peer(&w->p, socket, ret_pidfd) : -EIO;
}

static bool process_may_be_peer(void *context, int socket, uint32_t uid, int32_t pid)
{
    struct world *w = context;
    return w->p.processes.ops->may_be_peer(&w->p, socket, uid, pid);
}

static int process_identify(void *context, int pidfd, int32_t pid, struct process_identity *ret)
{
    struct world *w = context;
    return begin(w) ? w->p.processes.ops->identify(&w->p, pidfd, pid, ret) : -EIO;
}

static uint64_t process_now(void *context)
{
    struct world *w = context;
    return w->p.processes.ops->now(&w->p);
}

static void process_close(void *context, int pidfd)
{
    struct world *w = context;
    w->p.processes.ops->close(&w->p, pidfd);
}

static const struct process_ops process_ops = {
    .comm = process_comm,
    .look = process_look,
    .open = process_open,
    .open_peer = process_open_peer,
    .may_be_peer = process_may_be_peer,
    .identify = process_identify,
    .now = process_now,
    .close = process_close,
};

struct processes seams_processes(struct world *w)
{
    return (struct processes){&process_ops, w};
}

static int watch_add(void *context, int pidfd, struct party *party, void **ret_watch)
{
    struct world *w = context;
    return begin(w) ? w->p.watcher.ops->add(&w->p, pidfd, party, ret_watch) : -EIO;
}

static void watch_remove(void *context, void *watch)
{
    struct world *w = context;
    w->p.watcher.ops->remove(&w->p, watch);
}

static const struct watch_ops watch_ops = {.add = watch_add, .remove = watch_remove};

struct watcher seams_watcher(struct world *w)
{
    return (struct watcher){&watch_ops, w};
}

/* --- the state directory: what the fake allocates is not the daemon's */

/* The fake has its own kill, by which a write may stop at the end of a page. */
static void enter_host(struct world *w)
{
    fake_memory_pause();
    if (w->is_killed) {
        w->host.is_killed = true;
        return;
    }
    w->n_calls++;
    if (w->kill_at > 0 && w->n_calls >= w->kill_at) {
        be_killed(w);
        w->host.kill_at = w->host.n_calls + 1;
        w->host.cuts = w->n_calls % 2;
    }
}

#define HOST_CALL(type, name, declared, passed)                                                    \
    static type host_##name declared                                                               \
    {                                                                                              \
        struct world *w = context;                                                                 \
        enter_host(w);                                                                             \
        type r = fake_host(&w->host).ops->name passed;                                             \
        fake_memory_resume();                                                                      \
        return r;                                                                                  \
    }

HOST_CALL(int, enter, (void *context, struct file_info *ret), (&w->host, ret))
HOST_CALL(int, open, (void *context, const char *name, bool create, int *ret),
          (&w->host, name, create, ret))
HOST_CALL(int, lock, (void *context, int file), (&w->host, file))
HOST_CALL(int, make_private, (void *context, int file), (&w->host, file))
HOST_CALL(int, stat, (void *context, int file, struct file_info *ret), (&w->host, file, ret))
HOST_CALL(int, stat_name, (void *context, const char *name, struct file_info *ret),
          (&w->host, name, ret))
HOST_CALL(ssize_t, read, (void *context, int file, void *to, size_t n, uint64_t at),
          (&w->host, file, to, n, at))
HOST_CALL(ssize_t, write, (void *context, int file, const void *from, size_t n, uint64_t at),
          (&w->host, file, from, n, at))
HOST_CALL(int, truncate, (void *context, int file, uint64_t size), (&w->host, file, size))
HOST_CALL(int, allocate, (void *context, int file, uint64_t from, uint64_t n),
          (&w->host, file, from, n))
HOST_CALL(int, rename, (void *context, const char *from, const char *to, bool replace),
          (&w->host, from, to, replace))
HOST_CALL(int, remove, (void *context, const char *name), (&w->host, name))
HOST_CALL(int, random, (void *context, void *to, size_t n), (&w->host, to, n))

static void host_close(void *context, int file)
{
    struct world *w = context;
    fake_memory_pause();
    fake_host(&w->host).ops->close(&w->host, file);
    fake_memory_resume();
}

static void host_leave(void *context)
{
    struct world *w = context;
    fake_memory_pause();
    fake_host(&w->host).ops->leave(&w->host);
    fake_memory_resume();
}

static int64_t host_monotonic_us(void *context)
{
    struct world *w = context;
    return fake_host(&w->host).ops->monotonic_us(&w->host);
}

static int64_t host_realtime_ms(void *context)
{
    struct world *w = context;
    return fake_host(&w->host).ops->realtime_ms(&w->host);
}

static const struct host_ops host_ops = {
    .enter = host_enter,
    .leave = host_leave,
    .open = host_open,
    .close = host_close,
    .lock = host_lock,
    .make_private = host_make_private,
    .stat = host_stat,
    .stat_name = host_stat_name,
    .read = host_read,
    .write = host_write,
    .truncate = host_truncate,
    .allocate = host_allocate,
    .rename = host_rename,
    .remove = host_remove,
    .monotonic_us = host_monotonic_us,
    .realtime_ms = host_realtime_ms,
    .random = host_random,
};

struct host seams_host(struct world *w)
{
    return (struct host){&host_ops, w};
}

/* --- time */

#define CLOCK_CALL(name)                                                                           \
    static int64_t clock_##name(void *context)                                                     \
    {                                                                                              \
        struct world *w = context;                                                                 \
        return w->clock.clock.ops->name(&w->clock);                                                \
    }

CLOCK_CALL(realtime_ms)
CLOCK_CALL(kernel_s)
CLOCK_CALL(boottime_ms)

static int64_t clock_monotonic_us(void *context)
{
    struct world *w = context;
    loop_look_at_requests(w);
    return w->clock.clock.ops->monotonic_us(&w->clock);
}

static const struct clock_ops clock_ops = {
    .realtime_ms = clock_realtime_ms,
    .kernel_s = clock_kernel_s,
    .boottime_ms = clock_boottime_ms,
    .monotonic_us = clock_monotonic_us,
};

struct clock seams_clock(struct world *w)
{
    return (struct clock){&clock_ops, w};
}
