/*
 * `wait`: for a segment of a name to be there and ready. A waiter is told after the turn's commit,
 * by the events of that turn; whoever waits for another name is not looked at.
 */
#ifndef SHMD_CORE_WAIT_H
#define SHMD_CORE_WAIT_H

#include <stddef.h>

#include "daemon/core/caller.h"
#include "daemon/core/deadlines.h"
#include "daemon/core/outcome.h"
#include "protocol/params.h"

struct core;
struct segment_event;
struct found;

struct waiter {
    char *name; /* owned; NULL: it does not wait */
    const struct caller *caller;
    struct deadline timeout;
    int64_t timeout_ms;
    struct waiter *next, *previous;
    void *context; /* of whoever waits */
    /* Called once, when the waiter waits no more: OUTCOME 0 with FOUND, or a named outcome or a
     * negative errno with DETAIL. */
    void (*answer)(struct waiter *waiter, int outcome, const struct found *found,
                   const struct outcome_detail *detail);
};

struct waiters {
    struct waiter *first;
    size_t count;
};

/* 0 when the segment is ready now; OUTCOME_WAITING when WAITER will be answered; else why not. */
int core_wait(struct core *core, const struct caller *caller, const struct wait_params *params,
              struct waiter *waiter, struct found *ret,
              struct outcome_detail *ret_detail) MUST_CHECK;

/* It is not to be answered any more; nothing when it does not wait. */
void wait_cancel(struct core *core, struct waiter *waiter);

/* Answers who waits for what EVENT tells. */
void wait_hear(struct core *core, const struct segment_event *event);

/* Answers all with OUTCOME. */
void wait_end_all(struct core *core, int outcome);

#endif
