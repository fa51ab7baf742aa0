/* SPDX-License-Identifier: MIT */
/*
 * Loaded into shmd before the C library when what its requests cost is counted: it holds what
 * would make the count another each time.
 *
 * - The clocks by which the daemon measures its work and its waits begin at a whole second and go
 *   on by a microsecond a reading. Under callgrind or strace it is so slow that a request would use
 *   up its share of a turn, or not, as the machine is busy or not.
 * - No timer fires: the clocks do not tell when one is due.
 * - The secrets of the hash tables are the same in each run.
 */
#include <dlfcn.h>
#include <string.h>
#include <sys/random.h>
#include <sys/timerfd.h>
#include <time.h>

typedef int clock_fn(clockid_t id, struct timespec *ret);

/* The real one, which is no system call. */
static int read_clock(clockid_t id, struct timespec *ret)
{
    static clock_fn *real;
    if (!real)
        real = (clock_fn *)dlsym(RTLD_NEXT, "clock_gettime");
    return real(id, ret);
}

static int go_on(clockid_t id, struct timespec *now, struct timespec *ret)
{
    if (now->tv_sec == 0 && read_clock(id, now) == 0)
        now->tv_nsec = 0;
    now->tv_nsec += 1000;
    if (now->tv_nsec >= 1000000000) {
        now->tv_nsec -= 1000000000;
        now->tv_sec++;
    }
    *ret = *now;
    return 0;
}

int clock_gettime(clockid_t id, struct timespec *ret)
{
    static struct timespec monotonic, boot;
    switch (id) {
    case CLOCK_MONOTONIC:
    case CLOCK_MONOTONIC_COARSE: return go_on(CLOCK_MONOTONIC, &monotonic, ret);
    case CLOCK_BOOTTIME: return go_on(CLOCK_BOOTTIME, &boot, ret);
    default: return read_clock(id, ret);
    }
}

int timerfd_settime(int fd, int flags, const struct itimerspec *new, struct itimerspec *old)
{
    (void)fd;
    (void)flags;
    (void)new;
    (void)old;
    return 0;
}

ssize_t getrandom(void *to, size_t n, unsigned flags)
{
    (void)flags;
    memset(to, 7, n);
    return (ssize_t)n;
}
