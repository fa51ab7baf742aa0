/* SPDX-License-Identifier: MIT */
/*
 * How many lines of the log a uid may cause: 20 a second in the long run, and bursts of 200. What
 * is left out is counted, and a line tells how much it was.
 */
#ifndef SHMD_RPC_LOG_BUDGET_H
#define SHMD_RPC_LOG_BUDGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/core/core.h"

enum {
    LOG_BURST = 200,
    LOG_PER_SECOND = 20,
    LOG_TELL_MS = 1000, /* when a line tells how many were left out, after the first of them */
    LOG_UIDS = 256,     /* that are known at a time */
};

struct log_user {
    uint32_t uid;
    int64_t full_at_ms; /* boot clock: when it may have a whole burst again; 0: not in use */
    uint64_t left_out;
};

struct log_budget {
    struct core *core;
    struct log_user users[LOG_UIDS];
    struct deadline tell; /* set while lines are left out */
};

void log_budget_init(struct log_budget *b, struct core *core);

/* Whether UID may have a line now; it is counted either way. */
bool log_budget_take(struct log_budget *b, uint32_t uid);

#endif
