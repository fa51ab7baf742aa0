/* SPDX-License-Identifier: MIT */
#include "daemon/store/serial_map.h"

void serial_map_deinit(struct serial_map *map)
{
    hash_table_deinit(&map->table);
}

int serial_map_reserve(struct serial_map *map, size_t more)
{
    return hash_table_reserve(&map->table, more);
}

static struct hash_slot *slot_of(const struct serial_map *map, uint64_t serial)
{
    if (serial == 0 || serial == HASH_TABLE_NO_KEY)
        return NULL;
    return hash_table_find(&map->table, serial, NULL, NULL);
}

uint64_t *serial_map_find(const struct serial_map *map, uint64_t serial)
{
    struct hash_slot *slot = slot_of(map, serial);
    return slot ? &slot->value : NULL;
}

void serial_map_put(struct serial_map *map, uint64_t serial, uint64_t value)
{
    hash_table_put(&map->table, serial, value);
}

void serial_map_take(struct serial_map *map, uint64_t serial)
{
    struct hash_slot *slot = slot_of(map, serial);
    if (slot)
        hash_table_take(&map->table, slot);
}
