/* SPDX-License-Identifier: MIT */
/*
 * From a name, key, shmid or serial to a segment and the kernel's view of it. It looks and changes
 * nothing: what a look may have shown of a segment's end is find.h's business.
 */
#ifndef SHMD_CORE_LOOKUP_H
#define SHMD_CORE_LOOKUP_H

#include "daemon/core/kernel.h"
#include "protocol/params.h"

struct looked_up {
    struct segment *segment; /* the record; NULL: there is none */
    struct sight sight;      /* without a record: MATCH, GONE (no such segment) or INDETERMINATE */
};

struct looked_up lookup_record(const struct core *core, struct segment *record);
/* Managed segments only. */
struct looked_up lookup_name(const struct core *core, const char *name);
struct looked_up lookup_key(const struct core *core, uint32_t key);
/* What TARGET denotes, managed or not. Its name comes first, then shmid, key and serial. */
struct looked_up lookup_target(const struct core *core, const struct target *target);

#endif
