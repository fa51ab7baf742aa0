/* SPDX-License-Identifier: MIT */
/* Numbers from a seed: the same on every machine. */
#ifndef SHMD_TESTS_SIMULATION_RANDOM_H
#define SHMD_TESTS_SIMULATION_RANDOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct random {
    uint64_t state;
};

static inline uint64_t random_next(struct random *r)
{
    uint64_t z = (r->state += UINT64_C(0x9E3779B97F4A7C15));
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

/* 0 .. N - 1; N is 1 or more. */
static inline unsigned random_below(struct random *r, unsigned n)
{
    return (unsigned)((random_next(r) >> 32) * n >> 32);
}

static inline bool random_one_in(struct random *r, unsigned n)
{
    return random_below(r, n) == 0;
}

#endif
