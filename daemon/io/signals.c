/* SPDX-License-Identifier: MIT */
#include "daemon/io/signals.h"

#include <errno.h>
#include <event2/event.h>
#include <signal.h>

static void on_signal(evutil_socket_t number, short what, void *context)
{
    struct signals *s = context;
    (void)what;
    if (number == SIGHUP)
        s->on_reload(s->context);
    else
        s->on_stop(s->context, number);
}

static int add(struct event **ret, struct loop *loop, int number, struct signals *s)
{
    *ret = evsignal_new(loop->base, number, on_signal, s);
    return *ret && evsignal_add(*ret, NULL) == 0 ? 0 : -ENOMEM;
}

int signals_init(struct signals *s, struct loop *loop)
{
    signal(SIGPIPE, SIG_IGN);
    int r = add(&s->term, loop, SIGTERM, s);
    if (r == 0)
        r = add(&s->interrupt, loop, SIGINT, s);
    if (r == 0)
        r = add(&s->hangup, loop, SIGHUP, s);
    return r;
}

void signals_deinit(struct signals *s)
{
    struct event *const all[] = {s->term, s->interrupt, s->hangup};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        if (all[i])
            event_free(all[i]);
}
