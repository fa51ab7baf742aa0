/* SPDX-License-Identifier: MIT */
/*
 * Loaded into shmdctl before the C library: it is an hour later for it than for the kernel, so a
 * segment that was made just now is old. test_gc.py uses it; a test does not wait.
 */
#include <time.h>

time_t time(time_t *ret)
{
    struct timespec now = {0};
    clock_gettime(CLOCK_REALTIME, &now);
    time_t later = now.tv_sec + 3600;
    if (ret)
        *ret = later;
    return later;
}
