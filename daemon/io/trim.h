/* SPDX-License-Identifier: MIT */
/*
 * Memory that users gave back goes back to the system. The allocator keeps what was freed unless it
 * lies at the end of the heap, so it is asked when much was freed.
 */
#ifndef SHMD_IO_TRIM_H
#define SHMD_IO_TRIM_H

#include <stdint.h>

#include "daemon/core/core.h"

struct trim {
    uint64_t most;    /* bytes that users had, about, since the last time */
    int64_t again_ms; /* boot clock: not before that */
};

/* At the end of a turn. */
void trim_if_much_was_freed(struct trim *trim, const struct core *core);

#endif
