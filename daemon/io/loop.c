/* SPDX-License-Identifier: MIT */
#include "daemon/io/loop.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "daemon/io/connection.h"
#include "daemon/io/listener.h"
#include "daemon/util/container_of.h"

static void on_tick(evutil_socket_t fd, short what, void *context)
{
    struct loop *loop = context;
    uint64_t times;
    (void)what;
    if (read(fd, &times, sizeof(times)) < 0)
        return;            /* set anew meanwhile */
    loop->tick_at_ms = -1; /* what is due has its turn now */
}

static void serve_chore(struct task *task)
{
    const struct chore *chore = container_of(task, struct chore, task);
    chore->does->go_on(chore->loop->rpc->core);
}

/* Chores that are due have work. */
static void add_chores(struct loop *loop)
{
    for (size_t i = 0; i < CORE_CHORES; i++)
        if (core_chores[i].is_due(loop->rpc->core))
            turns_add(&loop->turns, &loop->chores[i].task);
}

static int join_chores(struct loop *loop)
{
    int r = 0;
    for (size_t i = 0; i < CORE_CHORES && r == 0; i++) {
        loop->chores[i] = (struct chore){.loop = loop, .does = &core_chores[i]};
        r = turns_join_own(&loop->turns, &loop->chores[i].task, serve_chore);
    }
    return r;
}

/* Notes what the kernel reports. libevent takes some reports at a time, at first this many: those
 * behind them may be of another uid. */
enum { REPORTS_AT_A_TIME = 32, LOOKS_MAX = 8 };

static int take_reports(struct loop *loop, int flags)
{
    for (int i = 0; i < LOOKS_MAX; i++) {
        loop->n_readable = 0;
        if (event_base_loop(loop->base, EVLOOP_ONCE | flags) < 0)
            return -errno;
        if (loop->n_readable < REPORTS_AT_A_TIME)
            break;
        flags = EVLOOP_NONBLOCK;
    }
    return 0;
}

/* In the midst of a turn. */
static void take_reports_meanwhile(void *context)
{
    int r = take_reports(context, EVLOOP_NONBLOCK);
    (void)r; /* the look before the next turn meets it again */
}

static bool end_share(void *context)
{
    return connections_send_answers(context);
}

int loop_init(struct loop *loop, struct rpc *rpc)
{
    *loop = (struct loop){.rpc = rpc, .tick_fd = -1, .tick_at_ms = -1};
    turns_init(&loop->turns, &rpc->core->work, end_share, take_reports_meanwhile, loop);
    int r = join_chores(loop);
    if (r < 0)
        return r;
    struct event_config *config = event_config_new();
    if (config) {
        /* Nothing relies on the order of events in one pass: no priorities, no cached time. */
        event_config_set_flag(config, EVENT_BASE_FLAG_NO_CACHE_TIME);
        loop->base = event_base_new_with_config(config);
        event_config_free(config);
    }
    loop->scratch = malloc(SCRATCH_BYTES);
    if (!loop->base || !loop->scratch)
        return -ENOMEM;
    loop->tick_fd = timerfd_create(CLOCK_BOOTTIME, TFD_NONBLOCK | TFD_CLOEXEC);
    if (loop->tick_fd < 0)
        return -errno;
    loop->tick = event_new(loop->base, loop->tick_fd, EV_READ | EV_PERSIST, on_tick, loop);
    if (!loop->tick || event_add(loop->tick, NULL) < 0)
        return -ENOMEM;
    return 0;
}

void loop_deinit(struct loop *loop)
{
    if (loop->tick)
        event_free(loop->tick);
    if (loop->tick_fd >= 0)
        close(loop->tick_fd);
    if (loop->base)
        event_base_free(loop->base);
    free(loop->scratch);
    for (size_t i = 0; i < CORE_CHORES; i++)
        turns_leave(&loop->turns, &loop->chores[i].task);
}

void loop_wake(void *context, struct outbox *outbox)
{
    (void)context;
    connection_add_work(connection_of(outbox));
}

static void set_tick(struct loop *loop)
{
    int64_t at_ms = core_next_tick(loop->rpc->core);
    if (at_ms == loop->tick_at_ms)
        return;
    struct itimerspec spec = {0};
    if (at_ms >= 0) {
        /* 0 would switch it off. */
        int64_t ms = at_ms > 0 ? at_ms : 1;
        spec.it_value.tv_sec = (time_t)(ms / 1000);
        spec.it_value.tv_nsec = (long)(ms % 1000) * 1000000;
    }
    timerfd_settime(loop->tick_fd, TFD_TIMER_ABSTIME, &spec, NULL); /* cannot fail for such times */
    loop->tick_at_ms = at_ms;
}

static void end_rpc_turn(struct loop *loop)
{
    int result;
    const char *reason = NULL;
    rpc_end_turn(loop->rpc);
    if (ledger_take_result(loop->rpc->core, &result, &reason) && loop->store_written)
        loop->store_written(loop->context, result, reason);
}

static void serve_turn(struct loop *loop)
{
    struct work *work = &loop->rpc->core->work;
    uint64_t accepts = 0;
    work_begin_turn(work);
    add_chores(loop);
    turns_serve(&loop->turns);
    end_rpc_turn(loop);
    if (loop->listener)
        accepts = listener_end_turn(loop->listener);
    trim_if_much_was_freed(&loop->trim, loop->rpc->core);
    work_end_turn(work, accepts);
}

void loop_close_connections(struct loop *loop)
{
    connections_close(loop);
    core_tick(loop->rpc->core);
    /* What ended with them is recorded, all of it. */
    end_rpc_turn(loop);
    if (ledger_has_more(loop->rpc->core)) {
        ledger_go_on(loop->rpc->core);
        end_rpc_turn(loop);
    }
}

static bool has_work(const struct loop *loop)
{
    return turns_have_work(&loop->turns) || (loop->listener && listener_has_guests(loop->listener));
}

static int turn(struct loop *loop)
{
    set_tick(loop);
    loop->n_turns++;
    int r = take_reports(loop, has_work(loop) ? EVLOOP_NONBLOCK : 0);
    if (r == 0)
        serve_turn(loop);
    return r;
}

int loop_run(struct loop *loop)
{
    int r = 0;
    serve_turn(loop); /* what the start found */
    while (!loop->is_stopping && r == 0)
        r = turn(loop);
    return r;
}

void loop_stop(struct loop *loop)
{
    loop->is_stopping = true;
}

void loop_drain(struct loop *loop, int64_t timeout_ms)
{
    int64_t end = core_boottime_ms(loop->rpc->core) + timeout_ms;
    rpc_shut_down(loop->rpc);
    connections_read_last(loop);
    serve_turn(loop);
    while (core_boottime_ms(loop->rpc->core) < end) {
        if (!turns_have_work(&loop->turns) && !connections_have_more(loop))
            return;
        /* So that a peer that reads nothing cannot hold the end up. */
        const struct timeval pause = {.tv_usec = 50000};
        event_base_loopexit(loop->base, &pause);
        if (turn(loop) < 0)
            return;
    }
}
