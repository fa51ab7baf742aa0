/* SPDX-License-Identifier: MIT */
/*
 * Loaded into shmd before the C library when its instructions are counted: the clock that it
 * measures its work with stands nearly still. Under callgrind it is so slow that each request would
 * use up its share of a turn, or not, as the machine is busy or not; the count would be another
 * each time.
 */
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t id, struct timespec *ret)
{
    static struct timespec now;
    if (id != CLOCK_MONOTONIC && id != CLOCK_MONOTONIC_COARSE)
        return (int)syscall(SYS_clock_gettime, id, ret);
    if (now.tv_sec == 0)
        syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &now);
    now.tv_nsec += 1000; /* a microsecond a reading */
    if (now.tv_nsec >= 1000000000) {
        now.tv_nsec -= 1000000000;
        now.tv_sec++;
    }
    *ret = now;
    return 0;
}
