/* SPDX-License-Identifier: MIT */
/*
 * Numbers by a key of 64 bits: a hash table with open addressing. It grows without a pause: what
 * was in the smaller table moves a few entries with each change, and is found in either until then.
 * Several entries may have one key, when their owner can tell them apart.
 */
#ifndef SHMD_UTIL_HASH_TABLE_H
#define SHMD_UTIL_HASH_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/util/cleanup.h"

/* Neither 0 nor this is anybody's key. */
#define HASH_TABLE_NO_KEY UINT64_MAX

/* Slots of the smaller table that a change looks at, and moves. Two would do for it to be gone
 * before the larger one is full; but until it has gone, its memory is had twice. */
enum { HASH_TABLE_STEP = 8 };

struct hash_slot {
    uint64_t key; /* 0: free; HASH_TABLE_NO_KEY: it has gone, and a search goes on */
    uint64_t value;
};

struct hash_slots {
    struct hash_slot *slots;
    size_t capacity; /* a power of two, or 0 */
};

/* All zeros: empty. */
struct hash_table {
    struct hash_slots now;
    struct hash_slots before; /* the smaller one, while entries are in it */
    size_t moved;             /* its slots from the front on that have none any more */
    size_t count;
};

void hash_table_deinit(struct hash_table *table);

/* Room for MORE entries: 0 or -ENOMEM. Room that an entry leaves stays. */
int hash_table_reserve(struct hash_table *table, size_t more) MUST_CHECK;

/* Puts in what is not there; room for it was reserved. */
void hash_table_put(struct hash_table *table, uint64_t key, uint64_t value);

/* Where an entry of KEY is if the place is free. Keys may be numbers in turn: one multiplication
 * spreads them well. */
static inline size_t hash_slots_home(const struct hash_slots *in, uint64_t key)
{
    return (size_t)(key * UINT64_C(0x9E3779B97F4A7C15) >> 32) & (in->capacity - 1);
}

static inline size_t hash_slots_next(const struct hash_slots *in, size_t i)
{
    return (i + 1) & (in->capacity - 1);
}

static inline struct hash_slot *hash_slots_find(const struct hash_slots *in, uint64_t key,
                                                bool (*is)(uint64_t value, const void *sought),
                                                const void *sought)
{
    struct hash_slot *slot;
    for (size_t i = hash_slots_home(in, key); (slot = &in->slots[i])->key != 0;
         i = hash_slots_next(in, i))
        if (slot->key == key && (!is || is(slot->value, sought)))
            return slot;
    return NULL;
}

/* The entry of KEY whose value IS what is sought (IS NULL: any), or NULL. Its value may be changed;
 * it is good until the next change of the table. It is here so that IS needs no call: each request
 * looks for several. */
static inline struct hash_slot *hash_table_find(const struct hash_table *table, uint64_t key,
                                                bool (*is)(uint64_t value, const void *sought),
                                                const void *sought)
{
    if (table->count == 0)
        return NULL;
    struct hash_slot *slot = hash_slots_find(&table->now, key, is, sought);
    return slot || !table->before.slots ? slot : hash_slots_find(&table->before, key, is, sought);
}

/* Takes out an entry that was found. */
void hash_table_take(struct hash_table *table, struct hash_slot *slot);

#endif
