/* Who asks: what the socket says of the process at its other end. */
#ifndef SHMD_CORE_CALLER_H
#define SHMD_CORE_CALLER_H

#include <stddef.h>
#include <stdint.h>

#include "protocol/limits.h"

struct caller {
    uint32_t uid, gid;
    int32_t pid;
    char comm[COMM_MAX];
    uint32_t *groups; /* supplementary; owned by whoever filled this in */
    size_t n_groups;
};

#endif
