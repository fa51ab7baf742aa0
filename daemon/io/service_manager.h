/*
 * What systemd is told: readiness, reloads, the end, and - from the event loop, so that a loop that
 * hangs is noticed - that the daemon lives. Nothing of it happens without a service manager.
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

#endif
