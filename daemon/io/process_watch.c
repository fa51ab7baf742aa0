/* SPDX-License-Identifier: MIT */
#include "daemon/io/process_watch.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>

#include "daemon/core/ends.h"
#include "daemon/io/loop.h"

struct process_watch {
    struct loop *loop;
    struct party *party;
    struct event *event;
};

static void on_exit_of_process(evutil_socket_t fd, short what, void *context)
{
    const struct process_watch *watch = context;
    (void)fd;
    (void)what;
    ends_note(watch->loop->rpc->core, watch->party);
}

static int watch_add(void *context, int pidfd, struct party *party, void **ret_watch)
{
    struct process_watch *watch = calloc(1, sizeof(*watch));
    if (!watch)
        return -ENOMEM;
    watch->loop = context;
    watch->party = party;
    watch->event = event_new(watch->loop->base, pidfd, EV_READ, on_exit_of_process, watch);
    if (!watch->event || event_add(watch->event, NULL) < 0) {
        if (watch->event)
            event_free(watch->event);
        free(watch);
        return -ENOMEM;
    }
    *ret_watch = watch;
    return 0;
}

static void watch_remove(void *context, void *data)
{
    struct process_watch *watch = data;
    (void)context;
    event_free(watch->event);
    free(watch);
}

const struct watch_ops process_watch_ops = {watch_add, watch_remove};
