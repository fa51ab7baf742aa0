/* SPDX-License-Identifier: MIT */
/*
 * Uids take turns. What has work stands in its uid's lane, and the lanes are served one after the
 * other, a share each (core/work.h): a uid with many connections gets what a uid with one gets.
 * The daemon's own work has a lane of its own.
 *
 * Whenever a share's time is over we look at what has come meanwhile. A lane that had no work is
 * served next, so a uid that asks for little waits for one share of another's work, however many
 * others are busy. It goes first again until its share is used up. Then it must let all those pass
 * who wait: after each service a lane stands behind them, with more work or without. The share of
 * one that comes anew is longer, so that short work is done in one go.
 *
 * What a share has done is told when it ends or goes on, of all its tasks together, and before a
 * request that may take long (rpc/dispatch.c).
 */
#ifndef SHMD_RPC_TURNS_H
#define SHMD_RPC_TURNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "daemon/core/work.h"
#include "daemon/util/cleanup.h"

struct lane;

/* Embedded in what has work. */
struct task {
    struct lane *lane;         /* NULL: it has not joined */
    TAILQ_ENTRY(task) in_lane; /* while it has work; tqe_prev is NULL else */
};

/* Does part of TASK's work. It adds itself again if there is more, and it may leave. */
typedef void task_serve(struct task *task);

enum { LANE_BUCKETS = 64 };

TAILQ_HEAD(row, lane);

struct turns {
    struct work *work;
    bool (*tell)(void *context); /* what was done leaves, if there is any; that may add tasks */
    void (*look)(void *context); /* adds the tasks to which work has come */
    void *context;
    LIST_HEAD(, lane) lanes[LANE_BUCKETS]; /* by uid */
    LIST_HEAD(, lane) own;                 /* the daemon's */
    struct row fresh;                      /* had no work, and have now; they are served first */
    struct row waiting;                    /* were served, and may have more work */
    const struct lane *served;             /* now */
    size_t n_tasks;                        /* with work */
};

/* TELL is called with CONTEXT at the end of each share, before what may take long, and before LOOK,
 * which is called while there is work; WORK's shares are those of the lanes. */
void turns_init(struct turns *t, struct work *work, bool (*tell)(void *context),
                void (*look)(void *context), void *context);

/* TASK gets a place in UID's lane, of which all are served by SERVE: 0 or -ENOMEM. */
int turns_join(struct turns *t, struct task *task, uint32_t uid, task_serve *serve) MUST_CHECK;
/* The same for work of the daemon's own, which has one lane for each such task. */
int turns_join_own(struct turns *t, struct task *task, task_serve *serve) MUST_CHECK;
/* Nothing happens to a task that has not joined. */
void turns_leave(struct turns *t, struct task *task);

/* TASK has work. */
void turns_add(struct turns *t, struct task *task);
/* How many others of its lane have work. */
size_t turns_others(const struct task *task);
/* Whether any task has work. */
bool turns_have_work(const struct turns *t);

/* Serves until there is no work or the turn is over; at least one share. */
void turns_serve(struct turns *t);

#endif
