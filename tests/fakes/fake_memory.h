/* SPDX-License-Identifier: MIT */
/* Memory that runs out on cue. allocators.h says how the program is linked. */
#ifndef SHMD_TESTS_FAKES_FAKE_MEMORY_H
#define SHMD_TESTS_FAKES_FAKE_MEMORY_H

#include <stdbool.h>

/* The Nth next allocation fails (1: the next), and only that; 0: none does. */
void fake_memory_fail(unsigned long n);
/* From the Nth next on all fail. */
void fake_memory_exhaust(unsigned long n);
/* All succeed again. True when one has failed since it was asked for. */
bool fake_memory_restore(void);
/* How many were asked for so far. */
unsigned long fake_memory_count(void);
/* How many have failed in all. */
unsigned long fake_memory_failures(void);
/* What a test itself allocates between these neither counts nor fails. May be nested. */
void fake_memory_pause(void);
void fake_memory_resume(void);

#endif
