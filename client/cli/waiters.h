/* SPDX-License-Identifier: MIT */
/*
 * Who waits for a segment to be ready, as the daemon's answer to `stat` tells it.
 */
#ifndef SHMD_CLIENT_CLI_WAITERS_H
#define SHMD_CLIENT_CLI_WAITERS_H

#include <stdbool.h>
#include <stdint.h>

#include "protocol/json_slice.h"

struct waiting {
    int32_t pid;
    uint32_t uid;
    char comm[64]; /* as JSON has it, without the quotes; "" when it is not known */
    int64_t since_at_ms;
    struct json_slice text; /* the whole, as the daemon typed it */
};

/* RESULT: of stat. NULL: nobody is told. */
struct json_walk waiters_begin(const char *result);
bool waiters_next(struct json_walk *walk, struct waiting *ret);

#endif
