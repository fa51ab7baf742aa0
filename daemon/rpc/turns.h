/*
 * Uids take turns. What has work stands in its uid's lane, and the lanes are served one after the
 * other, a share each (core/work.h): a uid with many connections gets what a uid with one gets.
 * The daemon's own work has a lane of its own.
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
    struct lane *lane;
    bool is_waiting; /* in its lane */
    TAILQ_ENTRY(task) in_lane;
    /* Does part of the work. It adds itself again if there is more, and it may leave. */
    void (*serve)(struct task *task);
};

enum { LANE_BUCKETS = 64 };

TAILQ_HEAD(waiting_lanes, lane);

struct turns {
    struct work *work;
    LIST_HEAD(, lane) lanes[LANE_BUCKETS]; /* by uid */
    LIST_HEAD(, lane) own;                 /* the daemon's */
    struct waiting_lanes waiting;          /* those with work, the next first */
};

void turns_init(struct turns *t, struct work *work);

/* TASK gets a place in UID's lane: 0 or -ENOMEM. Its `serve` must be set. */
int turns_join(struct turns *t, struct task *task, uint32_t uid) MUST_CHECK;
/* The same for work of the daemon's own, which has one lane for each such task. */
int turns_join_own(struct turns *t, struct task *task) MUST_CHECK;
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
