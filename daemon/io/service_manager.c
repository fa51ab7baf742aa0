/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "daemon/io/service_manager.h"

#include <errno.h>
#include <event2/event.h>
#include <inttypes.h>
#include <time.h>

#ifdef HAVE_LIBSYSTEMD
#include <systemd/sd-daemon.h>

static void on_watchdog(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    (void)context;
    sd_notify(0, "WATCHDOG=1");
}

int service_manager_init(struct service_manager *m, struct loop *loop)
{
    uint64_t usec = 0;
    *m = (struct service_manager){0};
    if (sd_watchdog_enabled(0, &usec) <= 0)
        return 0;
    /* Twice as often as is asked for, as sd_watchdog_enabled(3) recommends. */
    const struct timeval period = {(time_t)(usec / 2 / 1000000), (suseconds_t)(usec / 2 % 1000000)};
    m->watchdog = event_new(loop->base, -1, EV_PERSIST, on_watchdog, NULL);
    return m->watchdog && event_add(m->watchdog, &period) == 0 ? 0 : -ENOMEM;
}

void service_manager_ready(const char *status)
{
    sd_notifyf(0, "READY=1\nSTATUS=%s", status);
}

void service_manager_reloading(void)
{
    struct timespec now = {0};
    clock_gettime(CLOCK_MONOTONIC, &now);
    sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
               (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000);
}

void service_manager_stopping(void)
{
    sd_notify(0, "STOPPING=1");
}

void service_manager_failed(const char *status)
{
    sd_notifyf(0, "STATUS=%s", status);
}

#else

int service_manager_init(struct service_manager *m, struct loop *loop)
{
    (void)loop;
    *m = (struct service_manager){0};
    return 0;
}

void service_manager_ready(const char *status)
{
    (void)status;
}

void service_manager_reloading(void)
{
}

void service_manager_stopping(void)
{
}

void service_manager_failed(const char *status)
{
    (void)status;
}

#endif

void service_manager_deinit(struct service_manager *m)
{
    if (m->watchdog)
        event_free(m->watchdog);
}
