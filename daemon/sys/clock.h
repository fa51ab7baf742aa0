/* SPDX-License-Identifier: MIT */
/* The seam to time: the wall clock only for showing, boot time for deadlines, the monotonic clock
 * for how long the daemon has worked. */
#ifndef SHMD_SYS_CLOCK_H
#define SHMD_SYS_CLOCK_H

#include <stdint.h>

struct clock_ops {
    int64_t (*realtime_ms)(void *context);
    /* The wall clock's second as the kernel writes it down, such as in a segment's ctime: it moves
     * on with the tick, and so is up to some milliseconds behind. */
    int64_t (*kernel_s)(void *context);
    int64_t (*boottime_ms)(void *context);
    int64_t (*monotonic_us)(void *context);
};

struct clock {
    const struct clock_ops *ops;
    void *context;
};

extern const struct clock_ops clock_linux_ops;

#endif
