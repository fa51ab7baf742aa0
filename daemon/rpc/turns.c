/* SPDX-License-Identifier: MIT */
#include "daemon/rpc/turns.h"

#include <errno.h>
#include <stdlib.h>

/* Of a lane that comes anew: what is done in that time costs no look at what has come. */
enum { FIRST_SHARE_US = 3 * SHARE_US };

struct lane {
    uint32_t uid;
    task_serve *serve;
    size_t n_members; /* tasks that have joined */
    size_t n_tasks;   /* of these, those with work */
    int64_t left_us;  /* of its share, while it stands in a row */
    struct row *row;  /* where it stands; NULL: nowhere, for it has no work */
    TAILQ_HEAD(, task) tasks;
    LIST_ENTRY(lane) in_bucket;
    TAILQ_ENTRY(lane) in_row;
};

/* Whether any lane but the one that is served has work. */
static bool others_have_work(const struct turns *t)
{
    return t->n_tasks > (t->served ? t->served->n_tasks : 0);
}

static bool tell_now(void *context)
{
    const struct turns *t = context;
    return t->tell(t->context);
}

static bool others_came(void *context)
{
    const struct turns *t = context;
    tell_now(context);
    t->look(t->context);
    return others_have_work(t);
}

void turns_init(struct turns *t, struct work *work, bool (*tell)(void *context),
                void (*look)(void *context), void *context)
{
    *t = (struct turns){.work = work, .tell = tell, .look = look, .context = context};
    TAILQ_INIT(&t->fresh);
    TAILQ_INIT(&t->waiting);
    work->others_have_work = others_came;
    work->tell = tell_now;
    work->context = t;
}

static void stand_in(struct row *row, struct lane *lane)
{
    TAILQ_INSERT_TAIL(row, lane, in_row);
    lane->row = row;
}

static void leave_row(struct lane *lane)
{
    TAILQ_REMOVE(lane->row, lane, in_row);
    lane->row = NULL;
}

/* --- joining and leaving */

static struct lane *lane_new(task_serve *serve)
{
    struct lane *lane = calloc(1, sizeof(*lane));
    if (!lane)
        return NULL;
    lane->serve = serve;
    TAILQ_INIT(&lane->tasks);
    return lane;
}

static struct lane *lane_of(struct turns *t, uint32_t uid, task_serve *serve)
{
    struct lane *lane;
    LIST_FOREACH (lane, &t->lanes[uid % LANE_BUCKETS], in_bucket)
        if (lane->uid == uid)
            return lane;
    lane = lane_new(serve);
    if (!lane)
        return NULL;
    lane->uid = uid;
    LIST_INSERT_HEAD(&t->lanes[uid % LANE_BUCKETS], lane, in_bucket);
    return lane;
}

static void lane_put(struct lane *lane)
{
    if (--lane->n_members > 0)
        return;
    if (lane->row)
        leave_row(lane);
    LIST_REMOVE(lane, in_bucket);
    free(lane);
}

static void join(struct task *task, struct lane *lane)
{
    task->lane = lane;
    task->in_lane.tqe_prev = NULL;
    lane->n_members++;
}

int turns_join(struct turns *t, struct task *task, uint32_t uid, task_serve *serve)
{
    struct lane *lane = lane_of(t, uid, serve);
    if (!lane)
        return -ENOMEM;
    join(task, lane);
    return 0;
}

int turns_join_own(struct turns *t, struct task *task, task_serve *serve)
{
    struct lane *lane = lane_new(serve);
    if (!lane)
        return -ENOMEM;
    LIST_INSERT_HEAD(&t->own, lane, in_bucket);
    join(task, lane);
    return 0;
}

static bool is_waiting(const struct task *task)
{
    return task->in_lane.tqe_prev != NULL;
}

static void take_out(struct turns *t, struct task *task)
{
    TAILQ_REMOVE(&task->lane->tasks, task, in_lane);
    task->in_lane.tqe_prev = NULL;
    task->lane->n_tasks--;
    t->n_tasks--;
}

void turns_leave(struct turns *t, struct task *task)
{
    struct lane *lane = task->lane;
    if (!lane)
        return;
    if (is_waiting(task))
        take_out(t, task);
    task->lane = NULL;
    lane_put(lane);
}

/* --- work */

/* LANE had no work, and has now. */
static void come(struct turns *t, struct lane *lane)
{
    if (!lane->row) {
        lane->left_us = FIRST_SHARE_US;
        stand_in(&t->fresh, lane);
    } else if (lane->row == &t->waiting && lane->left_us > 0) {
        leave_row(lane);
        stand_in(&t->fresh, lane);
    }
}

void turns_add(struct turns *t, struct task *task)
{
    struct lane *lane = task->lane;
    if (is_waiting(task))
        return;
    TAILQ_INSERT_TAIL(&lane->tasks, task, in_lane);
    lane->n_tasks++;
    t->n_tasks++;
    if (lane->n_tasks == 1 && lane != t->served)
        come(t, lane);
}

size_t turns_others(const struct task *task)
{
    return task->lane->n_tasks - is_waiting(task);
}

bool turns_have_work(const struct turns *t)
{
    return t->n_tasks > 0;
}

/* The lane that is served next. There is one with work. */
static struct lane *next_lane(struct turns *t)
{
    struct lane *lane = TAILQ_FIRST(&t->fresh);
    if (lane)
        return lane;
    while ((lane = TAILQ_FIRST(&t->waiting))->n_tasks == 0)
        leave_row(lane);
    lane->left_us = SHARE_US;
    return lane;
}

static void serve_share(struct turns *t, struct lane *lane)
{
    bool others_waited = t->n_tasks > lane->n_tasks;
    lane->n_members++; /* it stays though its last task may leave */
    t->served = lane;
    work_begin_share(t->work, lane->left_us);
    for (struct task *task; (task = TAILQ_FIRST(&lane->tasks)) && !work_share_is_over(t->work);) {
        take_out(t, task);
        lane->serve(task);
        if (lane->n_tasks == 0)
            t->tell(t->context); /* it may have more work then */
        if (turns_have_work(t))
            work_go_on(t->work);
        else
            work_look_at_clock(t->work); /* the turn is over, and the next one looks */
    }
    t->tell(t->context);
    if (lane->n_tasks > 0)
        work_look_at_clock(t->work); /* that was done in this share, and not in the next */
    lane->left_us = work_left_of_share(t->work);
    work_end_share(t->work, others_waited || others_have_work(t));
    t->served = NULL;
    leave_row(lane);
    stand_in(&t->waiting, lane);
    lane_put(lane);
}

void turns_serve(struct turns *t)
{
    while (turns_have_work(t) && !t->work->turn_is_over)
        serve_share(t, next_lane(t));
}
