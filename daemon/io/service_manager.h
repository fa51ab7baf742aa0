/* SPDX-License-Identifier: MIT */
/*
 * Messages to systemd: the daemon is ready, reloads, ends or cannot start; and, from the event loop
 * so that systemd notices a loop that hangs, that it lives. Without a service manager nothing
 * happens here. STATUS is the unit's status line.
 */
#ifndef SHMD_IO_SERVICE_MANAGER_H
#define SHMD_IO_SERVICE_MANAGER_H

#include "daemon/io/loop.h"

struct event;

struct service_manager {
    struct event *watchdog; /* NULL: not asked for */
};

/* Starts answering the watchdog if there is one: 0 or a negative errno. */
int service_manager_init(struct service_manager *m, struct loop *loop) MUST_CHECK;
void service_manager_deinit(struct service_manager *m);

void service_manager_ready(const char *status);
void service_manager_reloading(void);
void service_manager_stopping(void);
void service_manager_failed(const char *status);

#endif
