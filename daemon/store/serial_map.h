/* SPDX-License-Identifier: MIT */
/*
 * A number for each of many serials: a hash table with open addressing, which never fails to find
 * and never fails to take out. Serial 0 stands for a free slot.
 */
#ifndef SHMD_STORE_SERIAL_MAP_H
#define SHMD_STORE_SERIAL_MAP_H

#include <stddef.h>
#include <stdint.h>

#include "daemon/util/cleanup.h"

struct serial_slot {
    uint64_t serial; /* 0: free */
    uint64_t value;
};

/* All zeros: empty. */
struct serial_map {
    struct serial_slot *slots;
    size_t capacity; /* a power of two, or 0 */
    size_t count;
};

void serial_map_deinit(struct serial_map *map);

/* Room for MORE serials: 0 or -ENOMEM. */
int serial_map_reserve(struct serial_map *map, size_t more) MUST_CHECK;

/* The value of SERIAL, to be read and changed until the next call that changes the map; NULL when
 * it is not there. */
uint64_t *serial_map_find(const struct serial_map *map, uint64_t serial);

/* Puts in SERIAL, which is not there; room for it was reserved. */
void serial_map_put(struct serial_map *map, uint64_t serial, uint64_t value);

/* Takes SERIAL out, if it is there. */
void serial_map_take(struct serial_map *map, uint64_t serial);

#endif
