/* SPDX-License-Identifier: MIT */
#include "daemon/store/serial_map.h"

#include <errno.h>
#include <stdlib.h>

enum { CAPACITY_MIN = 64 };

void serial_map_deinit(struct serial_map *map)
{
    free(map->slots);
    *map = (struct serial_map){0};
}

/* Serials are given in turn, so that one multiplication spreads them well. */
static size_t place_of(const struct serial_map *map, uint64_t serial)
{
    uint64_t hash = serial * UINT64_C(0x9E3779B97F4A7C15);
    return (size_t)(hash >> 32) & (map->capacity - 1);
}

/* The slot that has SERIAL, or the free one where it would be. */
static struct serial_slot *slot_of(const struct serial_map *map, uint64_t serial)
{
    size_t i = place_of(map, serial);
    while (map->slots[i].serial != 0 && map->slots[i].serial != serial)
        i = (i + 1) & (map->capacity - 1);
    return &map->slots[i];
}

int serial_map_reserve(struct serial_map *map, size_t more)
{
    /* At most three of four slots are taken. */
    size_t needed = map->count + more;
    if (needed <= map->capacity / 4 * 3)
        return 0;
    struct serial_map larger = {.capacity = map->capacity ? map->capacity : CAPACITY_MIN};
    while (needed > larger.capacity / 4 * 3) {
        if (larger.capacity > SIZE_MAX / 2 / sizeof(struct serial_slot))
            return -ENOMEM;
        larger.capacity *= 2;
    }
    larger.slots = calloc(larger.capacity, sizeof(*larger.slots));
    if (!larger.slots)
        return -ENOMEM;
    for (size_t i = 0; i < map->capacity; i++)
        if (map->slots[i].serial != 0)
            serial_map_put(&larger, map->slots[i].serial, map->slots[i].value);
    free(map->slots);
    *map = larger;
    return 0;
}

uint64_t *serial_map_find(const struct serial_map *map, uint64_t serial)
{
    if (map->count == 0 || serial == 0)
        return NULL;
    struct serial_slot *slot = slot_of(map, serial);
    return slot->serial != 0 ? &slot->value : NULL;
}

void serial_map_put(struct serial_map *map, uint64_t serial, uint64_t value)
{
    *slot_of(map, serial) = (struct serial_slot){serial, value};
    map->count++;
}

void serial_map_take(struct serial_map *map, uint64_t serial)
{
    if (!serial_map_find(map, serial))
        return;
    size_t free_one = (size_t)(slot_of(map, serial) - map->slots);
    size_t mask = map->capacity - 1;
    /* An entry behind the gap moves into it, unless that would put it before its own place. */
    for (size_t i = (free_one + 1) & mask; map->slots[i].serial != 0; i = (i + 1) & mask) {
        size_t home = place_of(map, map->slots[i].serial);
        if (((i - home) & mask) < ((i - free_one) & mask))
            continue;
        map->slots[free_one] = map->slots[i];
        free_one = i;
    }
    map->slots[free_one].serial = 0;
    map->count--;
}
