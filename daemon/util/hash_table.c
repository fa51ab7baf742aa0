/* SPDX-License-Identifier: MIT */
#include "daemon/util/hash_table.h"

#include <errno.h>
#include <stdlib.h>

enum { CAPACITY_MIN = 64 };

void hash_table_deinit(struct hash_table *table)
{
    free(table->now.slots);
    free(table->before.slots);
    *table = (struct hash_table){0};
}

static void put(struct hash_slots *in, struct hash_slot entry)
{
    size_t i = hash_slots_home(in, entry.key);
    while (in->slots[i].key != 0)
        i = hash_slots_next(in, i);
    in->slots[i] = entry;
}

/* Moves what is in the next N slots of the smaller table, which is there. */
static void move(struct hash_table *table, size_t n)
{
    struct hash_slots *before = &table->before;
    for (; n > 0 && table->moved < before->capacity; n--) {
        struct hash_slot *slot = &before->slots[table->moved++];
        if (slot->key == 0 || slot->key == HASH_TABLE_NO_KEY)
            continue;
        put(&table->now, *slot);
        slot->key = HASH_TABLE_NO_KEY;
    }
    if (table->moved < before->capacity)
        return;
    free(before->slots);
    *before = (struct hash_slots){0};
    table->moved = 0;
}

/* At most three quarters are used, so that a search is short, and always ends. */
int hash_table_reserve(struct hash_table *table, size_t more)
{
    const size_t needed = table->count + more;
    if (needed <= table->now.capacity / 4 * 3)
        return 0;
    struct hash_slots larger = {.capacity =
                                    table->now.capacity ? table->now.capacity : CAPACITY_MIN};
    while (needed > larger.capacity / 4 * 3) {
        if (larger.capacity > SIZE_MAX / 2 / sizeof(struct hash_slot))
            return -ENOMEM;
        larger.capacity *= 2;
    }
    larger.slots = calloc(larger.capacity, sizeof(*larger.slots));
    if (!larger.slots)
        return -ENOMEM;
    /* Nothing is left there, unless very many are asked for at once. */
    if (table->before.slots)
        move(table, table->before.capacity);
    table->before = table->now;
    table->now = larger;
    if (table->count == 0)
        move(table, table->before.capacity);
    return 0;
}

void hash_table_put(struct hash_table *table, uint64_t key, uint64_t value)
{
    put(&table->now, (struct hash_slot){key, value});
    table->count++;
    if (table->before.slots)
        move(table, HASH_TABLE_STEP);
}

/* What lies behind the hole moves up, unless the hole is before the place that its key asks for: no
 * search may end at a hole too early. */
static void close_hole(const struct hash_slots *in, size_t hole)
{
    const size_t mask = in->capacity - 1;
    for (size_t i = hash_slots_next(in, hole); in->slots[i].key != 0; i = hash_slots_next(in, i)) {
        const size_t from_home = (i - hash_slots_home(in, in->slots[i].key)) & mask;
        if (from_home >= ((i - hole) & mask)) {
            in->slots[hole] = in->slots[i];
            hole = i;
        }
    }
    in->slots[hole] = (struct hash_slot){0};
}

void hash_table_take(struct hash_table *table, struct hash_slot *slot)
{
    const struct hash_slots *now = &table->now;
    if (slot >= now->slots && slot < now->slots + now->capacity)
        close_hole(now, (size_t)(slot - now->slots));
    else
        slot->key = HASH_TABLE_NO_KEY;
    table->count--;
    if (table->before.slots)
        move(table, HASH_TABLE_STEP);
}
