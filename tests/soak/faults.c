/* SPDX-License-Identifier: MIT */
/*
 * A daemon whose allocations fail at random: the daemon's own, by allocators.h, and libevent's. The
 * file that SHMD_FAULTS names says how often, and counts: it holds numbers that the soak changes
 * and reads while the daemon runs. The daemon bounds its own address space, because nobody else may
 * who lacks CAP_SYS_RESOURCE.
 */
#include <event2/event.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "tests/fakes/allocators.h"

struct control {
    uint32_t one_in; /* of so many allocations one fails; 0: none */
    uint32_t failed;
    uint32_t room; /* bytes of address space beyond what the process has when it sees this; 0:
                      unlimited */
};

static volatile struct control *control;
static uint32_t room;
static uint64_t state = 88172645463325252;

/* Marsaglia's xorshift: which one fails need not be the same in two runs, and what follows is. */
static uint64_t next_random(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static rlim_t address_space(void)
{
    char text[64];
    int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
    if (n <= 0)
        abort();
    close(fd);
    text[n] = '\0';
    return (rlim_t)strtoull(text, NULL, 10) * (rlim_t)sysconf(_SC_PAGESIZE);
}

static void set_limit(void)
{
    struct rlimit limit = {RLIM_INFINITY, RLIM_INFINITY};
    room = control->room;
    if (room != 0)
        limit.rlim_cur = address_space() + room;
    if (setrlimit(RLIMIT_AS, &limit) < 0)
        abort();
}

static bool allocation_fails(void)
{
    if (control && control->room != room)
        set_limit();
    if (!control || control->one_in == 0 || next_random() % control->one_in != 0)
        return false;
    control->failed++;
    return true;
}

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("SHMD_FAULTS");
    if (!path)
        return;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        abort();
    void *shared = mmap(NULL, sizeof(*control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (shared == MAP_FAILED)
        abort();
    control = shared;
    state ^= (uint64_t)getpid() << 32;
    event_set_mem_functions(__wrap_malloc, __wrap_realloc, free);
}
