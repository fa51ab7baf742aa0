/* SPDX-License-Identifier: MIT */
/*
 * All records, by serial, name, shmid and key. It owns the records that are in it.
 *
 * Name and key denote at most one segment each; a segment that is being removed has neither. They
 * are hashed with a secret, so that no choice of names makes a search slow; by serial it is a
 * sorted array, for serials only rise.
 */
#ifndef SHMD_CORE_REGISTRY_H
#define SHMD_CORE_REGISTRY_H

#include "daemon/core/segment.h"
#include "daemon/util/hash_table.h"

/* Slots that a change looks at while removed ones are squeezed out. */
enum { REGISTRY_STEP = 8 };

struct registry_slot {
    uint64_t serial;
    struct segment *segment; /* NULL: removed since */
};

struct registry {
    uint64_t secret[2];
    struct hash_table by_name, by_shmid, by_key;
    struct registry_slot *slots; /* ascending by serial, but for the gap */
    size_t n_slots, capacity;
    /* While removed slots are squeezed out: those before the gap have moved to the front, those
     * behind it have not, and in it there is nothing. */
    bool is_squeezing;
    size_t gap, gap_end;
    size_t count; /* records */
    uint64_t last_serial;
};

void registry_init(struct registry *r, const uint64_t secret[static 2]);
void registry_deinit(struct registry *r);

/* Makes room for SEGMENT with its name and key: 0 or -ENOMEM. Room that another segment leaves
 * stays. */
int registry_reserve(struct registry *r, const struct segment *segment) MUST_CHECK;

/* The same for N, of which N_NAMES have a name and N_KEYS a key. */
int registry_reserve_many(struct registry *r, size_t n, size_t n_names, size_t n_keys) MUST_CHECK;

/* The serial that the next new segment gets. */
static inline uint64_t registry_next_serial(const struct registry *r)
{
    return r->last_serial + 1;
}

/* Takes SEGMENT, for which room was reserved. Its serial is above all others (asserted), and its
 * name, key and shmid are free. It cannot fail. */
void registry_put(struct registry *r, struct segment *segment);

/* Takes SEGMENT, whose serial must be above all others. 0, -ENOMEM, or -EEXIST when its name, shmid
 * or key is taken; the caller keeps it then. */
int registry_add(struct registry *r, struct segment *segment) MUST_CHECK;

/* Takes SEGMENT out and hands it back to the caller, with its name and key still written in it. */
struct segment *registry_take(struct registry *r, struct segment *segment);

struct segment *registry_by_name(const struct registry *r, const char *name);
struct segment *registry_by_shmid(const struct registry *r, int32_t shmid);
struct segment *registry_by_key(const struct registry *r, uint32_t key);
struct segment *registry_by_serial(const struct registry *r, uint64_t serial);
/* The record with the least serial above AFTER, or NULL. */
struct segment *registry_next(const struct registry *r, uint64_t after);

/* Where a walk over all records is; all zeros: before the first. */
struct registry_walk {
    uint64_t serial; /* of the last that was returned */
    size_t slot;     /* the one behind it was this, and may have moved to the front */
};

/* A walk that begins behind the serial AFTER. */
struct registry_walk registry_walk_from(const struct registry *r, uint64_t after);

/* The next record, or NULL: as registry_next(), without a search. Records may come and go between
 * the steps. */
struct segment *registry_step(const struct registry *r, struct registry_walk *walk);

/* Makes room for a name of a segment that has none: 0 or -ENOMEM. */
int registry_reserve_name(struct registry *r) MUST_CHECK;

/* Gives SEGMENT the heap string NAME, which is free (asserted) and becomes the segment's. It cannot
 * fail when there is a name already, or room for it was reserved. */
void registry_rename(struct registry *r, struct segment *segment, char *name);

/* Sets name and key of SEGMENT free for others. What it was called stays in its other_name. */
void registry_anonymise(struct registry *r, struct segment *segment);

#endif
