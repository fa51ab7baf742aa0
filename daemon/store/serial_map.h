/* SPDX-License-Identifier: MIT */
/*
 * A number for each of many serials, which never fails to find and never fails to take out. Neither
 * 0 nor the highest number is a serial.
 */
#ifndef SHMD_STORE_SERIAL_MAP_H
#define SHMD_STORE_SERIAL_MAP_H

#include <stddef.h>
#include <stdint.h>

#include "daemon/util/hash_table.h"

/* All zeros: empty. */
struct serial_map {
    struct hash_table table;
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
