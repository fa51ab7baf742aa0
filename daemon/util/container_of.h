/* SPDX-License-Identifier: MIT */
/* From a member to the struct that it is embedded in. */
#ifndef SHMD_UTIL_CONTAINER_OF_H
#define SHMD_UTIL_CONTAINER_OF_H

#include <stddef.h>

#define container_of(pointer, type, member)                                                        \
    ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

#endif
