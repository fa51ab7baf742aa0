/* SPDX-License-Identifier: MIT */
/*
 * What must happen at a time: a heap of deadlines in milliseconds of the boot clock, which neither
 * stops in a suspend nor jumps. A deadline is embedded in what it belongs to.
 */
#ifndef SHMD_CORE_DEADLINES_H
#define SHMD_CORE_DEADLINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/core/work.h"
#include "daemon/util/cleanup.h"

struct deadline;

typedef void deadline_fn(struct deadline *deadline, void *context);

struct deadline {
    int64_t at_ms;
    size_t place; /* in the heap, counted from 1; 0: not set */
    deadline_fn *passed;
};

struct deadlines {
    struct deadline **heap;
    size_t count, capacity;
};

void deadlines_init(struct deadlines *d);
void deadlines_deinit(struct deadlines *d);

/* Room for N more, so that setting them cannot fail: 0 or -ENOMEM. */
int deadlines_reserve(struct deadlines *d, size_t n) MUST_CHECK;

/* Sets or moves DEADLINE: 0 or -ENOMEM. It cannot fail when DEADLINE is set, or room for it was
 * reserved. */
int deadlines_set(struct deadlines *d, struct deadline *deadline, int64_t at_ms,
                  deadline_fn *passed) MUST_CHECK;
void deadlines_clear(struct deadlines *d, struct deadline *deadline);

/* The earliest, or -1. */
int64_t deadlines_next(const struct deadlines *d);
/* Clears and calls each that has passed, the earliest first, until the share of WORK is over; no
 * more calls than there were deadlines, so that one that is due again at once does not hold up the
 * rest of the daemon. */
void deadlines_run(struct deadlines *d, int64_t now_ms, struct work *work, void *context);

#endif
