/* SPDX-License-Identifier: MIT */
#include "tests/fakes/fake_processes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/core/ends.h"

enum { FIRST_PIDFD = 1000 };

static struct fake_task *living(struct fake_processes *f, int32_t pid)
{
    for (size_t i = 0; i < f->n_tasks; i++)
        if (f->tasks[i].pid == pid && !f->tasks[i].is_dead)
            return &f->tasks[i];
    return NULL;
}

/* The process or the zombie that has PID. */
static struct fake_task *with_pid(struct fake_processes *f, int32_t pid)
{
    for (size_t i = 0; i < f->n_tasks; i++)
        if (f->tasks[i].pid == pid && (!f->tasks[i].is_dead || f->tasks[i].is_zombie))
            return &f->tasks[i];
    return NULL;
}

static int fault(struct fake_processes *f, int error)
{
    f->n_faults++;
    return -error;
}

static struct fake_pidfd *pidfd_of(struct fake_processes *f, int fd)
{
    if (fd < FIRST_PIDFD || fd >= FIRST_PIDFD + FAKE_PIDFDS || !f->pidfds[fd - FIRST_PIDFD].task)
        abort(); /* not one that was handed out */
    return &f->pidfds[fd - FIRST_PIDFD];
}

static int hand_out(struct fake_processes *f, const struct fake_task *task, int *ret)
{
    for (int i = 0; i < FAKE_PIDFDS; i++) {
        if (f->pidfds[i].task)
            continue;
        f->pidfds[i].task = task;
        f->n_open++;
        *ret = FIRST_PIDFD + i;
        return 0;
    }
    return fault(f, EMFILE);
}

static void fake_comm(void *context, int32_t pid, char ret[COMM_MAX])
{
    const struct fake_processes *f = context;
    const struct fake_task *task = with_pid(context, pid);
    memset(ret, 0, COMM_MAX);
    if (task && !f->hides)
        memcpy(ret, task->comm, COMM_MAX);
}

static enum process_state fake_look(void *context, int32_t pid, char ret_comm[COMM_MAX])
{
    memset(ret_comm, 0, COMM_MAX);
    if (pid == 0)
        return PROCESS_UNKNOWN;
    if (!living(context, pid))
        return PROCESS_DEAD;
    fake_comm(context, pid, ret_comm);
    return ((const struct fake_processes *)context)->hides ? PROCESS_UNKNOWN : PROCESS_ALIVE;
}

static int fake_open(void *context, int32_t pid, int *ret_pidfd)
{
    struct fake_processes *f = context;
    const struct fake_task *task = pid > 0 ? with_pid(f, pid) : NULL;
    if (f->fail_open)
        return fault(f, f->fail_open);
    return task ? hand_out(f, task, ret_pidfd) : -ESRCH;
}

static int fake_open_peer(void *context, int socket, int *ret_pidfd)
{
    struct fake_processes *f = context;
    if (f->no_open_peer)
        return -ENOPROTOOPT;
    if (f->fail_open_peer)
        return fault(f, f->fail_open_peer);
    if (socket < 0 || (size_t)socket >= f->n_tasks)
        return -EBADF;
    if (f->no_reaped && f->tasks[socket].is_dead)
        return -ESRCH;
    return hand_out(f, &f->tasks[socket], ret_pidfd);
}

static bool fake_may_be_peer(void *context, int socket, uint32_t uid, int32_t pid)
{
    struct fake_processes *f = context;
    const struct fake_task *peer = &f->tasks[socket], *now = living(f, pid);
    if (peer->is_dead && !peer->has_passed_on)
        return false;
    return f->hides || !now || now->uid == uid;
}

static int fake_identify(void *context, int pidfd, int32_t pid, struct process_identity *ret)
{
    struct fake_processes *f = context;
    const struct fake_task *task = pidfd_of(f, pidfd)->task;
    if (f->fail_identify)
        return fault(f, f->fail_identify);
    if (task->is_dead)
        return -ESRCH;
    *ret = (struct process_identity){.pid = pid};
    if (f->no_pidfs)
        ret->started_at = pid != 0 && !f->hides ? task->started_at : 0; /* /proc shows it, or not */
    else
        ret->inode = task->inode;
    return 0;
}

static uint64_t fake_now(void *context)
{
    return ((const struct fake_processes *)context)->now;
}

static void fake_close(void *context, int pidfd)
{
    struct fake_processes *f = context;
    struct fake_pidfd *p = pidfd_of(f, pidfd);
    if (p->party)
        abort(); /* the event loop would poll what is closed */
    p->task = NULL;
    f->n_open--;
}

static const struct process_ops fake_process_ops = {
    .comm = fake_comm,
    .look = fake_look,
    .open = fake_open,
    .open_peer = fake_open_peer,
    .may_be_peer = fake_may_be_peer,
    .identify = fake_identify,
    .now = fake_now,
    .close = fake_close,
};

static int fake_add(void *context, int pidfd, struct party *party, void **ret_watch)
{
    struct fake_processes *f = context;
    struct fake_pidfd *p = pidfd_of(f, pidfd);
    if (f->fail_watch)
        return fault(f, f->fail_watch);
    if (p->party)
        abort();
    p->party = party;
    f->n_watched++;
    *ret_watch = p;
    return 0;
}

static void fake_remove(void *context, void *watch)
{
    struct fake_processes *f = context;
    struct fake_pidfd *p = watch;
    if (!p->party)
        abort();
    p->party = NULL;
    f->n_watched--;
}

static const struct watch_ops fake_watch_ops = {
    .add = fake_add,
    .remove = fake_remove,
};

void fake_processes_init(struct fake_processes *f)
{
    *f = (struct fake_processes){
        .processes = {&fake_process_ops, f}, .watcher = {&fake_watch_ops, f}, .now = 5000};
}

int fake_processes_start(struct fake_processes *f, int32_t pid, const char *comm)
{
    if (f->n_tasks == FAKE_TASKS || (pid != 0 && with_pid(f, pid)))
        abort();
    struct fake_task *task = &f->tasks[f->n_tasks];
    *task = (struct fake_task){.pid = pid, .inode = 70000 + f->n_tasks, .started_at = ++f->now};
    memcpy(task->comm, comm, strnlen(comm, COMM_MAX - 1));
    return (int)f->n_tasks++;
}

void fake_processes_exec(struct fake_processes *f, int socket, const char *comm)
{
    struct fake_task *task = &f->tasks[socket];
    memset(task->comm, 0, COMM_MAX);
    memcpy(task->comm, comm, strnlen(comm, COMM_MAX - 1));
}

void fake_processes_keep_zombie(struct fake_processes *f, int socket, bool is_zombie)
{
    f->tasks[socket].is_zombie = is_zombie;
}

void fake_processes_start_again(struct fake_processes *f, int socket, int32_t pid)
{
    struct fake_task *task = &f->tasks[socket];
    task->pid = pid;
    task->inode += UINT64_C(1) << 32;
    task->started_at = ++f->now;
    task->is_dead = task->is_zombie = false;
}

void fake_processes_die_task(struct fake_processes *f, int socket)
{
    f->tasks[socket].is_dead = true;
}

void fake_processes_die(struct fake_processes *f, int32_t pid)
{
    struct fake_task *task = living(f, pid);
    if (!task)
        abort();
    task->is_dead = true;
}

static void notice(struct fake_processes *f)
{
    for (size_t i = 0; i < FAKE_PIDFDS; i++)
        if (f->pidfds[i].task && f->pidfds[i].task->is_dead && f->pidfds[i].party)
            ends_with_party(f->core, f->pidfds[i].party);
}

void fake_processes_kill(struct fake_processes *f, int32_t pid)
{
    fake_processes_die(f, pid);
    notice(f);
}
