/* SPDX-License-Identifier: MIT */
#include "tests/fakes/fake_memory.h"

#include "tests/fakes/allocators.h"

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

static bool allocation_fails(void)
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
    return true;
}
