/*
 * A daemon whose allocations fail at random: linked in the place of malloc() and its kin (--wrap), for
 * the daemon's own code and for libevent. The file that SHMD_FAULTS names says how often, and counts:
 * it holds two numbers that the soak changes and reads while the daemon runs.
 */
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <search.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct control {
    uint32_t one_in; /* of so many allocations one fails; 0: none */
    uint32_t failed;
};

static volatile struct control *control;
static uint64_t state = 88172645463325252;

/* Marsaglia's xorshift: which one fails need not be the same in two runs, and what follows is. */
static uint64_t next_random(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static bool fails(void)
{
    if (!control || control->one_in == 0 || next_random() % control->one_in != 0)
        return false;
    control->failed++;
    errno = ENOMEM;
    return true;
}

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_realloc(void *old, size_t size);
void *__real_reallocarray(void *old, size_t n, size_t size);
void *__wrap_reallocarray(void *old, size_t n, size_t size);
char *__real_strdup(const char *text);
char *__wrap_strdup(const char *text);
void *__real_tsearch(const void *key, void **root, int (*compare)(const void *, const void *));
void *__wrap_tsearch(const void *key, void **root, int (*compare)(const void *, const void *));

void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
    return fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *old, size_t size)
{
    return fails() ? NULL : __real_realloc(old, size);
}

void *__wrap_reallocarray(void *old, size_t n, size_t size)
{
    return fails() ? NULL : __real_reallocarray(old, n, size);
}

char *__wrap_strdup(const char *text)
{
    return fails() ? NULL : __real_strdup(text);
}

void *__wrap_tsearch(const void *key, void **root, int (*compare)(const void *, const void *))
{
    return fails() ? NULL : __real_tsearch(key, root, compare);
}

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("SHMD_FAULTS");
    int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (fd < 0)
        return;
    void *shared = mmap(NULL, sizeof(*control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (shared == MAP_FAILED)
        abort();
    control = shared;
    state ^= (uint64_t)getpid() << 32;
    event_set_mem_functions(__wrap_malloc, __wrap_realloc, free);
}
