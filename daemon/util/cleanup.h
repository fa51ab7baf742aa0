/* SPDX-License-Identifier: MIT */
/*
 * Cleanup attributes and stealing: what a scope owns it frees, unless it was handed on.
 */
#ifndef SHMD_UTIL_CLEANUP_H
#define SHMD_UTIL_CLEANUP_H

#include <stdlib.h>
#include <unistd.h>

#define CLEANUP(function) __attribute__((cleanup(function)))
#define MUST_CHECK        __attribute__((warn_unused_result))

static inline void cleanup_free(void *pointer)
{
    free(*(void **)pointer);
}

static inline void cleanup_close(const int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

/* The pointer, and NULL left in its place. */
#define steal_pointer(pointer)                                                                     \
    ({                                                                                             \
        __typeof__(*(pointer)) stolen_ = *(pointer);                                               \
        *(pointer) = NULL;                                                                         \
        stolen_;                                                                                   \
    })

static inline int steal_fd(int *fd)
{
    int stolen = *fd;
    *fd = -1;
    return stolen;
}

#endif
