/* SPDX-License-Identifier: MIT */
/*
 * Segments by one of the things they are known by: a hash table with open addressing. It knows of
 * hashes only; what is hashed, and with which secret, is its owner's business.
 */
#ifndef SHMD_CORE_SEGMENT_INDEX_H
#define SHMD_CORE_SEGMENT_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/util/cleanup.h"

struct segment;

struct segment_slot {
    uint64_t hash;
    struct segment *segment; /* NULL: free */
};

/* All zeros: empty. */
struct segment_index {
    struct segment_slot *slots;
    size_t capacity; /* a power of two, or 0 */
    size_t count;
};

void segment_index_deinit(struct segment_index *index);

/* Room for MORE segments: 0 or -ENOMEM. Room that a segment leaves stays. */
int segment_index_reserve(struct segment_index *index, size_t more) MUST_CHECK;

/* Puts in what is not there; room for it was reserved. */
void segment_index_put(struct segment_index *index, uint64_t hash, struct segment *segment);

/* Takes out what is there (asserted). */
void segment_index_take(struct segment_index *index, uint64_t hash, const struct segment *segment);

/* The segment of that hash which IS what is sought, or NULL. */
struct segment *segment_index_find(const struct segment_index *index, uint64_t hash,
                                   bool (*is)(const struct segment *segment, const void *sought),
                                   const void *sought);

#endif
