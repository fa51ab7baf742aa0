/* SPDX-License-Identifier: MIT */
#include "tests/fakes/fake_memory.h"

#include <errno.h>
#include <search.h>
#include <stdlib.h>

static unsigned long left; /* until one fails; 0: none */
static bool for_good, has_failed;
static unsigned paused;
static unsigned long count;
static unsigned long failures;

void fake_memory_fail(unsigned long n)
{
    left = n;
    for_good = false;
    has_failed = false;
}

void fake_memory_exhaust(unsigned long n)
{
    left = n;
    for_good = true;
    has_failed = false;
}

bool fake_memory_restore(void)
{
    left = 0;
    return has_failed;
}

unsigned long fake_memory_failures(void)
{
    return failures;
}

void fake_memory_pause(void)
{
    paused++;
}

void fake_memory_resume(void)
{
    paused--;
}

unsigned long fake_memory_count(void)
{
    return count;
}

static bool fails(void)
{
    if (paused > 0)
        return false;
    count++;
    if (left == 0)
        return false;
    if (left > 1) {
        left--;
        return false;
    }
    if (!for_good)
        left = 0;
    has_failed = true;
    failures++;
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
