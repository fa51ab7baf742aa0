/* SPDX-License-Identifier: MIT */
#include <time.h>

#include "daemon/sys/clock.h"

static int64_t linux_monotonic_us(void *context)
{
    struct timespec now = {0};
    (void)context;
    clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail */
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static int64_t read_ms(clockid_t id)
{
    struct timespec now = {0};
    clock_gettime(id, &now); /* cannot fail for these clocks */
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int64_t linux_realtime_ms(void *context)
{
    (void)context;
    return read_ms(CLOCK_REALTIME);
}

static int64_t linux_kernel_s(void *context)
{
    (void)context;
    return read_ms(CLOCK_REALTIME_COARSE) / 1000;
}

static int64_t linux_boottime_ms(void *context)
{
    (void)context;
    return read_ms(CLOCK_BOOTTIME);
}

const struct clock_ops clock_linux_ops = {linux_realtime_ms, linux_kernel_s, linux_boottime_ms,
                                          linux_monotonic_us};
