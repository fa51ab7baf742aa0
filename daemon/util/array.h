/* SPDX-License-Identifier: MIT */
/* An array that grows: its owner keeps the pointer, how many elements there is room for, and how
 * many it has. */
#ifndef SHMD_UTIL_ARRAY_H
#define SHMD_UTIL_ARRAY_H

#include <stddef.h>

#include "daemon/util/cleanup.h"

/* ARRAY with room for MORE elements of SIZE bytes behind the COUNT that are there; it may have
 * moved. NULL when out of memory: ARRAY is as it was. */
void *array_reserve(void *array, size_t *capacity, size_t count, size_t more,
                    size_t size) MUST_CHECK;

#endif
