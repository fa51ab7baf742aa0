/* SPDX-License-Identifier: MIT */
/* Signals as events of the loop: SIGTERM and SIGINT end it, SIGHUP reloads. SIGPIPE is ignored. */
#ifndef SHMD_IO_SIGNALS_H
#define SHMD_IO_SIGNALS_H

#include "daemon/io/loop.h"

struct event;

struct signals {
    struct event *term, *interrupt, *hangup;
    void (*on_stop)(void *context, int number);
    void (*on_reload)(void *context);
    void *context;
};

/* 0 or a negative errno. The functions must be set. */
int signals_init(struct signals *s, struct loop *loop) MUST_CHECK;
void signals_deinit(struct signals *s);

#endif
