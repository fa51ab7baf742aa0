#include "daemon/core/turn.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/core/anchor.h"
#include "daemon/core/core.h"
#include "daemon/core/expiry.h"
#include "daemon/core/removal.h"
#include "daemon/core/undo.h"
#include "daemon/core/verdict.h"
#include "daemon/core/view.h"

void turn_deinit(struct turn *turn)
{
    for (struct segment_event *event = turn->first_event; event;) {
        struct segment_event *next = event->next;
        segment_event_free(event);
        event = next;
    }
    free(turn->dirty);
    free(turn->gone);
    *turn = (struct turn){0};
}

static int grow(void **array, size_t *capacity, size_t count, size_t more, size_t element)
{
    if (*capacity - count >= more)
        return 0;
    size_t larger = *capacity ? *capacity * 2 : 64;
    if (larger < count + more)
        larger = count + more;
    void *grown = reallocarray(*array, larger, element);
    if (!grown)
        return -ENOMEM;
    *array = grown;
    *capacity = larger;
    return 0;
}

int turn_reserve(struct core *core)
{
    struct turn *t = &core->turn;
    /* Each dirty segment may yet be gone before the turn ends. */
    int r = grow((void **)&t->dirty, &t->dirty_capacity, t->n_dirty, 1, sizeof(*t->dirty));
    if (r < 0)
        return r;
    return grow((void **)&t->gone, &t->gone_capacity, t->n_gone, t->n_dirty + 2, sizeof(*t->gone));
}

int turn_remember(struct core *core, struct segment *segment, const struct sysv_stat *kernel)
{
    (void)core;
    if (!segment->undo)
        segment->undo = undo_new(segment, kernel);
    return segment->undo ? 0 : -ENOMEM;
}

void turn_forget(struct segment *segment)
{
    if (segment->is_dirty)
        return;
    undo_free(steal_pointer(&segment->undo));
}

void turn_changed(struct core *core, struct segment *segment)
{
    struct turn *t = &core->turn;
    t->has_news = true;
    if (segment->is_dirty ||
        grow((void **)&t->dirty, &t->dirty_capacity, t->n_dirty, 1, sizeof(*t->dirty)) < 0)
        return; /* only a fact comes here unreserved, and the next start finds it out again */
    t->dirty[t->n_dirty++] = segment;
    segment->is_dirty = true;
}

void turn_removed(struct segment *segment)
{
    segment->undo->was_removed = true;
}

bool turn_can_take_back(const struct segment *segment)
{
    return segment->is_dirty && segment->undo &&
           (segment->state < STATE_REMOVING || segment->undo->was_removed);
}

void turn_created(struct core *core, struct segment *segment)
{
    segment->undo->was_created = true;
    turn_changed(core, segment);
}

void turn_gone(struct core *core, struct segment *segment)
{
    struct turn *t = &core->turn;
    t->has_news = true;
    if (grow((void **)&t->gone, &t->gone_capacity, t->n_gone, 1, sizeof(*t->gone)) == 0)
        t->gone[t->n_gone++] = segment->serial;
    if (segment->is_dirty) {
        size_t i = 0;
        while (t->dirty[i] != segment)
            i++;
        t->dirty[i] = t->dirty[--t->n_dirty];
        segment->is_dirty = false;
    }
    undo_free(steal_pointer(&segment->undo));
    segment->next_dropped = t->dropped;
    t->dropped = segment;
}

void turn_cut(struct core *core, struct tie *tie)
{
    if (tie->state == TIE_CUT)
        return;
    if (tie->state == TIE_MADE) {
        tie_drop(&core->holders, tie);
        return;
    }
    if (tie->role == TIE_HOLDER)
        tie->segment->n_holders--;
    tie->state = TIE_CUT;
}

void turn_tell(struct core *core, const struct segment *segment, const struct sysv_stat *kernel,
               enum event_kind kind, enum reason reason)
{
    struct wire_segment view;
    view_segment(core, segment, kernel, &view);
    struct segment_event *event =
        segment_event_new(kind, reason, core_realtime_ms(core), &view, kernel);
    if (!event) {
        event_log_publish(&core->events, NULL); /* subscribers are told of a gap */
        return;
    }
    event->next = NULL;
    if (core->turn.first_event)
        core->turn.last_event->next = event;
    else
        core->turn.first_event = event;
    core->turn.last_event = event;
}

struct segment_event *turn_next_event(struct core *core)
{
    struct segment_event *event = core->turn.first_event;
    if (event)
        core->turn.first_event = event->next;
    return event;
}

/* What only a recorded lifetime may set going in the kernel; a segment of our own has it already.
 */
static void settle_lifetime(struct core *core, struct segment *segment)
{
    const struct sysv *sysv = &core->on.sysv;
    const struct undo *undo = segment->undo;
    struct sysv_stat kernel;
    if (!undo || !(undo->was_created ? segment->adopted : undo->lifetime != segment->lifetime))
        return;
    int r = sysv->ops->stat(sysv->context, segment->shmid, &kernel);
    if (verdict_of(segment, r, &kernel) == VERDICT_MATCH)
        anchor_settle(core, segment, &kernel);
}

/* What was made in this turn goes, what was cut comes back; or, once committed, what was cut goes.
 */
void turn_settle_ties(struct core *core, struct segment *segment, bool committed)
{
    for (struct tie *tie = segment->ties, *next; tie; tie = next) {
        next = tie->next_of_segment;
        if (tie->state == (committed ? TIE_CUT : TIE_MADE)) {
            tie_drop(&core->holders, tie);
            continue;
        }
        if (tie->state == TIE_CUT && tie->role == TIE_HOLDER)
            segment->n_holders++;
        tie->state = TIE_KEPT;
    }
}

static size_t count_process_ties(const struct segment *segment)
{
    size_t n = 0;
    for (const struct tie *tie = segment->ties; tie; tie = tie->next_of_segment)
        n += tie->state != TIE_CUT && !tie->party->is_connection;
    return n;
}

static size_t collect_ties(const struct segment *segment, struct stored_tie *into)
{
    size_t n = 0;
    for (const struct tie *tie = segment->ties; tie; tie = tie->next_of_segment) {
        if (tie->state == TIE_CUT || tie->party->is_connection)
            continue;
        into[n] = (struct stored_tie){.role = tie->role,
                                      .identity = tie->party->identity,
                                      .uid = tie->party->uid,
                                      .since_at_ms = tie->since_at_ms};
        memcpy(into[n].comm, tie->party->comm, sizeof(into[n].comm));
        n++;
    }
    return n;
}

static int write_changes(struct core *core, const char **ret_reason)
{
    struct turn *t = &core->turn;
    size_t n_ties = 0, n = 0;
    for (size_t i = 0; i < t->n_dirty; i++)
        n_ties += count_process_ties(t->dirty[i]);
    struct store_change *changes CLEANUP(cleanup_free) =
        calloc(t->n_dirty + t->n_gone, sizeof(*changes));
    struct stored_tie *ties CLEANUP(cleanup_free) = calloc(n_ties + 1, sizeof(*ties));
    if (!changes || !ties) {
        *ret_reason = "the daemon is out of memory";
        return -ENOMEM;
    }
    struct stored_tie *next = ties;
    for (size_t i = 0; i < t->n_gone; i++)
        changes[n++] = (struct store_change){.serial = t->gone[i]};
    for (size_t i = 0; i < t->n_dirty; i++) {
        size_t used = collect_ties(t->dirty[i], next);
        changes[n++] = (struct store_change){t->dirty[i]->serial, t->dirty[i], next, used};
        next += used;
    }
    core->meta.last_serial = core->registry.last_serial;
    return core->on.store.ops->commit(core->on.store.context, changes, n, &core->meta, ret_reason);
}

/* Event serials are promised to the store a block ahead, so that none is told twice. */
static void promise_event_serials(struct core *core)
{
    enum { BLOCK = 1024 };
    uint64_t needed = core->events.last;
    for (const struct segment_event *event = core->turn.first_event; event; event = event->next)
        needed++;
    if (needed > core->meta.event_serial) {
        core->meta.event_serial = needed + BLOCK;
        core->turn.has_news = true;
    }
}

int turn_enter(struct core *core, const char **ret_reason)
{
    const struct store *store = &core->on.store;
    if (core->is_entered)
        return 0;
    int r = store->ops->enter(store->context, &core->self);
    if (r < 0)
        *ret_reason = "not even that this daemon runs can be recorded: is the disk full?";
    core->is_entered = r == 0;
    return r;
}

int turn_commit(struct core *core, const char **ret_reason)
{
    struct turn *t = &core->turn;
    struct store_meta before = core->meta;
    t->n_looks = 0;
    promise_event_serials(core);
    if (!t->has_news)
        return 0;
    t->has_news = false;
    int r = turn_enter(core, ret_reason);
    if (r == 0)
        r = write_changes(core, ret_reason);
    if (r < 0) {
        core->meta = before;
        undo_turn(core);
        return r;
    }
    for (size_t i = 0; i < t->n_dirty; i++) {
        t->dirty[i]->is_dirty = false;
        settle_lifetime(core, t->dirty[i]);
        undo_free(steal_pointer(&t->dirty[i]->undo));
        turn_settle_ties(core, t->dirty[i], true);
    }
    t->n_dirty = 0;
    t->n_gone = 0;
    return 0;
}

void turn_settle_event_serials(struct core *core)
{
    const struct store *store = &core->on.store;
    const struct store_meta exact = {core->registry.last_serial, core->events.last};
    const char *ignored;
    if (core->is_entered && store->ops->commit(store->context, NULL, 0, &exact, &ignored) == 0)
        core->meta = exact;
}

bool turn_is_due(const struct core *core)
{
    return core->turn.has_news || core->turn.first_event || core->turn.dropped;
}

void turn_bury(struct core *core)
{
    while (core->turn.dropped) {
        struct segment *segment = core->turn.dropped;
        core->turn.dropped = segment->next_dropped;
        segment_free(segment);
    }
}
