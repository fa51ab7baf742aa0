/* SPDX-License-Identifier: MIT */
#include "daemon/core/segment_index.h"

#include <assert.h>
#include <errno.h>

void segment_index_deinit(struct segment_index *index)
{
    free(index->slots);
    *index = (struct segment_index){0};
}

/* Where a segment of that HASH is if the place is free. */
static size_t home(const struct segment_index *index, uint64_t hash)
{
    return (size_t)hash & (index->capacity - 1);
}

static size_t next(const struct segment_index *index, size_t i)
{
    return (i + 1) & (index->capacity - 1);
}

void segment_index_put(struct segment_index *index, uint64_t hash, struct segment *segment)
{
    size_t i = home(index, hash);
    while (index->slots[i].segment)
        i = next(index, i);
    index->slots[i] = (struct segment_slot){hash, segment};
    index->count++;
}

/* At most three quarters are used, so that a search is short, and always ends. */
int segment_index_reserve(struct segment_index *index, size_t more)
{
    size_t needed = index->count + more;
    if (needed <= index->capacity / 4 * 3)
        return 0;
    struct segment_index larger = {.capacity = index->capacity ? index->capacity : 64};
    while (needed > larger.capacity / 4 * 3)
        larger.capacity *= 2;
    larger.slots = calloc(larger.capacity, sizeof(*larger.slots));
    if (!larger.slots)
        return -ENOMEM;
    for (size_t i = 0; i < index->capacity; i++)
        if (index->slots[i].segment)
            segment_index_put(&larger, index->slots[i].hash, index->slots[i].segment);
    free(index->slots);
    *index = larger;
    return 0;
}

void segment_index_take(struct segment_index *index, uint64_t hash, const struct segment *segment)
{
    assert(index->count > 0);
    size_t mask = index->capacity - 1;
    size_t hole = home(index, hash);
    for (; index->slots[hole].segment != segment; hole = next(index, hole))
        assert(index->slots[hole].segment); /* else it is not here */
    /* What lies behind moves up, unless the hole is before the place that its hash asks for: no
     * search may end at a hole too early. */
    for (size_t i = next(index, hole); index->slots[i].segment; i = next(index, i)) {
        size_t from_home = (i - home(index, index->slots[i].hash)) & mask;
        if (from_home >= ((i - hole) & mask)) {
            index->slots[hole] = index->slots[i];
            hole = i;
        }
    }
    index->slots[hole] = (struct segment_slot){0};
    index->count--;
}

struct segment *segment_index_find(const struct segment_index *index, uint64_t hash,
                                   bool (*is)(const struct segment *segment, const void *sought),
                                   const void *sought)
{
    if (index->count == 0)
        return NULL;
    const struct segment_slot *slot;
    for (size_t i = home(index, hash); (slot = &index->slots[i])->segment; i = next(index, i))
        if (slot->hash == hash && is(slot->segment, sought))
            return slot->segment;
    return NULL;
}
