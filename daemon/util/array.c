/* SPDX-License-Identifier: MIT */
#include "daemon/util/array.h"

#include <stdlib.h>

enum { FIRST_CAPACITY = 16 };

void *array_reserve(void *array, size_t *capacity, size_t count, size_t more, size_t size)
{
    if (array && *capacity - count >= more)
        return array;
    size_t larger = *capacity ? *capacity * 2 : FIRST_CAPACITY;
    if (larger - count < more)
        larger = count + more;
    void *grown = reallocarray(array, larger, size);
    if (grown)
        *capacity = larger;
    return grown;
}
