#include "daemon/io/loop.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "daemon/io/connection.h"
#include "daemon/io/listener.h"

static void on_tick(evutil_socket_t fd, short what, void *context)
{
    struct loop *loop = context;
    uint64_t times;
    (void)what;
    if (read(fd, &times, sizeof(times)) < 0)
        return; /* set anew meanwhile */
    loop->tick_at_ms = -1;
    core_tick(loop->rpc->core);
}

int loop_init(struct loop *loop, struct rpc *rpc)
{
    *loop = (struct loop){.rpc = rpc, .tick_fd = -1, .tick_at_ms = -1};
    TAILQ_INIT(&loop->busy);
    TAILQ_INIT(&loop->connections);
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
}

void loop_wake(void *context, struct outbox *outbox)
{
    (void)context;
    connection_mark_busy(connection_of(outbox));
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

static void end_turn(struct loop *loop)
{
    connections_continue(loop);
    /* Closing a connection may end segments, of which events must tell others. */
    do {
        end_rpc_turn(loop);
        connections_settle(loop);
    } while (core_turn_is_due(loop->rpc->core));
    loop->n_readable_before = loop->n_readable;
    loop->n_readable = 0;
    if (loop->listener)
        listener_end_turn(loop->listener);
    trim_if_much_was_freed(&loop->trim, &loop->rpc->core->quota, core_boottime_ms(loop->rpc->core));
}

void loop_close_connections(struct loop *loop)
{
    connections_close(loop);
    /* What ended with them is recorded. */
    end_turn(loop);
}

static int turn(struct loop *loop, int flags)
{
    set_tick(loop);
    if (!TAILQ_EMPTY(&loop->busy) || (loop->listener && listener_has_guests(loop->listener)))
        flags |= EVLOOP_NONBLOCK;
    if (event_base_loop(loop->base, EVLOOP_ONCE | flags) < 0)
        return -errno;
    end_turn(loop);
    return 0;
}

int loop_run(struct loop *loop)
{
    int r = 0;
    end_turn(loop); /* what the start found */
    while (!loop->is_stopping && r == 0)
        r = turn(loop, 0);
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
    end_turn(loop);
    while (core_boottime_ms(loop->rpc->core) < end) {
        if (!connections_have_more(loop))
            return;
        /* So that a peer that reads nothing cannot hold the end up. */
        const struct timeval pause = {.tv_usec = 50000};
        event_base_loopexit(loop->base, &pause);
        if (turn(loop, 0) < 0)
            return;
    }
}
