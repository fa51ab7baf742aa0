/* SPDX-License-Identifier: MIT */
/*
 * For tests/bench/walk.py: loaded into a daemon that was built with -finstrument-functions, it
 * writes down each function that is entered and left, while the script wants that.
 *
 * The file that WALK_FILE names is mapped: a switch, a count, and then the addresses relative to
 * the program; the lowest bit of one that is left is set. What finds no room is counted all the
 * same.
 */
#include <fcntl.h>
#include <link.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum { STEPS_MAX = 65536 };

struct walk {
    uint64_t is_on, count;
    uint64_t steps[STEPS_MAX];
};

static struct walk *walk;
static uintptr_t base;

#define PLAIN __attribute__((no_instrument_function))

void __cyg_profile_func_enter(void *function, void *caller);
void __cyg_profile_func_exit(void *function, void *caller);

PLAIN static int first_object(struct dl_phdr_info *info, size_t size, void *data)
{
    (void)size;
    *(uintptr_t *)data = info->dlpi_addr;
    return 1;
}

PLAIN __attribute__((constructor)) static void open_walk(void)
{
    const char *path = getenv("WALK_FILE");
    int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (fd < 0)
        return;
    void *mapped = mmap(NULL, sizeof(*walk), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    dl_iterate_phdr(first_object, &base);
    if (mapped != MAP_FAILED)
        walk = mapped;
}

PLAIN static void write_down(const void *function, uint64_t is_left)
{
    if (!walk || !walk->is_on)
        return;
    uint64_t at = walk->count++;
    if (at < STEPS_MAX)
        walk->steps[at] = ((uintptr_t)function - base) << 1 | is_left;
}

PLAIN void __cyg_profile_func_enter(void *function, void *caller)
{
    (void)caller;
    write_down(function, 0);
}

PLAIN void __cyg_profile_func_exit(void *function, void *caller)
{
    (void)caller;
    write_down(function, 1);
}
