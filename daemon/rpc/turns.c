#include "daemon/rpc/turns.h"

#include <errno.h>
#include <stdlib.h>

struct lane {
    uint32_t uid;
    bool is_own;      /* the daemon's: there is no uid */
    size_t n_members; /* tasks that have joined */
    size_t n_tasks;   /* of these, those with work */
    bool is_waiting;  /* among the lanes with work */
    TAILQ_HEAD(, task) tasks;
    LIST_ENTRY(lane) in_bucket;
    TAILQ_ENTRY(lane) in_waiting;
};

void turns_init(struct turns *t, struct work *work)
{
    *t = (struct turns){.work = work};
    TAILQ_INIT(&t->waiting);
}

/* --- joining and leaving */

static struct lane *lane_new(void)
{
    struct lane *lane = calloc(1, sizeof(*lane));
    if (lane)
        TAILQ_INIT(&lane->tasks);
    return lane;
}

static struct lane *lane_of(struct turns *t, uint32_t uid)
{
    struct lane *lane;
    LIST_FOREACH (lane, &t->lanes[uid % LANE_BUCKETS], in_bucket)
        if (lane->uid == uid)
            return lane;
    lane = lane_new();
    if (!lane)
        return NULL;
    lane->uid = uid;
    LIST_INSERT_HEAD(&t->lanes[uid % LANE_BUCKETS], lane, in_bucket);
    return lane;
}

static void lane_put(struct turns *t, struct lane *lane)
{
    if (--lane->n_members > 0)
        return;
    if (lane->is_waiting)
        TAILQ_REMOVE(&t->waiting, lane, in_waiting);
    LIST_REMOVE(lane, in_bucket);
    free(lane);
}

static void join(struct task *task, struct lane *lane)
{
    task->lane = lane;
    task->is_waiting = false;
    lane->n_members++;
}

int turns_join(struct turns *t, struct task *task, uint32_t uid)
{
    struct lane *lane = lane_of(t, uid);
    if (!lane)
        return -ENOMEM;
    join(task, lane);
    return 0;
}

int turns_join_own(struct turns *t, struct task *task)
{
    struct lane *lane = lane_new();
    if (!lane)
        return -ENOMEM;
    lane->is_own = true;
    LIST_INSERT_HEAD(&t->own, lane, in_bucket);
    join(task, lane);
    return 0;
}

static void take_out(struct task *task)
{
    TAILQ_REMOVE(&task->lane->tasks, task, in_lane);
    task->lane->n_tasks--;
    task->is_waiting = false;
}

void turns_leave(struct turns *t, struct task *task)
{
    struct lane *lane = task->lane;
    if (!lane)
        return;
    if (task->is_waiting)
        take_out(task);
    task->lane = NULL;
    lane_put(t, lane);
}

/* --- work */

static void line_up(struct turns *t, struct lane *lane)
{
    if (!lane->is_waiting)
        TAILQ_INSERT_TAIL(&t->waiting, lane, in_waiting);
    lane->is_waiting = true;
}

void turns_add(struct turns *t, struct task *task)
{
    struct lane *lane = task->lane;
    if (task->is_waiting)
        return;
    TAILQ_INSERT_TAIL(&lane->tasks, task, in_lane);
    lane->n_tasks++;
    task->is_waiting = true;
    line_up(t, lane);
}

size_t turns_others(const struct task *task)
{
    return task->lane->n_tasks - task->is_waiting;
}

bool turns_have_work(const struct turns *t)
{
    return !TAILQ_EMPTY(&t->waiting);
}

/* Whether a uid other than LANE's has work. */
static bool another_waits(const struct turns *t, const struct lane *lane)
{
    const struct lane *other;
    TAILQ_FOREACH (other, &t->waiting, in_waiting)
        if (other != lane && !other->is_own)
            return true;
    return false;
}

/* LANE stands behind all others that have work now, and behind those that come while it is served.
 */
static void serve_share(struct turns *t, struct lane *lane)
{
    bool others = !lane->is_own && another_waits(t, lane);
    lane->n_members++; /* it stays though its last task may leave */
    work_begin_share(t->work);
    for (struct task *task; (task = TAILQ_FIRST(&lane->tasks)) && !work_share_is_over(t->work);) {
        take_out(task);
        task->serve(task);
        work_look_at_clock(t->work);
    }
    work_end_share(t->work, others || (!lane->is_own && another_waits(t, lane)));
    TAILQ_REMOVE(&t->waiting, lane, in_waiting);
    lane->is_waiting = false;
    if (lane->n_tasks > 0)
        line_up(t, lane);
    lane_put(t, lane);
}

void turns_serve(struct turns *t)
{
    while (turns_have_work(t) && !t->work->turn_is_over) {
        serve_share(t, TAILQ_FIRST(&t->waiting));
        work_look_at_clock(t->work);
    }
}
