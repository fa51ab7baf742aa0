#include "daemon/core/turn.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/core/anchor.h"
#include "daemon/core/core.h"
#include "daemon/core/expiry.h"
#include "daemon/core/removal.h"
#include "daemon/core/verdict.h"
#include "daemon/core/view.h"

/* How a segment was before the turn. */
struct undo {
    bool was_created;
    bool was_removed; /* since then, and by the record alone */
    char *name;
    struct label *labels;
    size_t n_labels;
    enum segment_state state;
    enum lifetime lifetime;
    int64_t expires_at_ms;
    uint32_t uid, gid, mode;
    bool locked;
};

static void undo_free(struct undo *undo)
{
    if (!undo)
        return;
    free(undo->name);
    free(undo->labels);
    free(undo);
}

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
    if (segment->undo)
        return 0;
    struct undo *undo = calloc(1, sizeof(*undo));
    if (!undo)
        return -ENOMEM;
    undo->state = segment->state;
    undo->lifetime = segment->lifetime;
    undo->expires_at_ms = segment->expires_at_ms;
    undo->uid = kernel->uid;
    undo->gid = kernel->gid;
    undo->mode = kernel->mode;
    undo->locked = kernel->locked;
    undo->n_labels = segment->n_labels;
    if ((segment->name && !(undo->name = strdup(segment->name))) ||
        segment_copy_labels(segment->labels, segment->n_labels, &undo->labels) < 0) {
        undo_free(undo);
        return -ENOMEM;
    }
    segment->undo = undo;
    return 0;
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

static bool tells_fact(const struct core *core, const struct segment_event *event)
{
    const struct segment *segment = registry_by_serial(&core->registry, event->segment.serial);
    if (event->kind == EVENT_REMOVED)
        return !segment || !turn_can_take_back(segment);
    return event->kind == EVENT_ATTACHED || event->kind == EVENT_DETACHED;
}

/* Events of what is taken back are not told; those of facts are. */
static void forget_events(struct core *core)
{
    struct turn *t = &core->turn;
    struct segment_event **link = &t->first_event;
    struct segment_event *last = NULL;
    while (*link) {
        struct segment_event *event = *link;
        if (tells_fact(core, event)) {
            last = event;
            link = &event->next;
            continue;
        }
        *link = event->next;
        segment_event_free(event);
    }
    t->last_event = last;
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
static void settle_ties(struct core *core, struct segment *segment, bool committed)
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

static void take_back_creation(struct core *core, struct segment *segment)
{
    const struct sysv *sysv = &core->on.sysv;
    struct sysv_stat kernel;
    int r = sysv->ops->stat(sysv->context, segment->shmid, &kernel);
    bool adopted = segment->adopted;
    anchor_drop(core, segment);
    if (r == 0 && !adopted && kernel.cpid == segment->cpid && kernel.cuid == segment->cuid &&
        kernel.size == segment->size && !kernel.destroyed)
        (void)sysv->ops->remove(sysv->context, segment->shmid); /* what stays is foreign */
    deadlines_clear(&core->deadlines, &segment->expiry);
    while (segment->ties)
        tie_drop(&core->holders, segment->ties);
    quota_release(&core->quota, &segment->charge);
    undo_free(steal_pointer(&segment->undo));
    registry_take(&core->registry, segment);
    segment->next_dropped = core->turn.dropped;
    core->turn.dropped = segment;
}

static bool is_renamed(const struct segment *segment, const struct undo *undo)
{
    return undo->name ? !segment->name || strcmp(undo->name, segment->name) != 0
                      : segment->name != NULL;
}

static void take_back_settings(struct core *core, struct segment *segment, struct undo *undo)
{
    const struct sysv *sysv = &core->on.sysv;
    struct sysv_stat kernel;
    if (sysv->ops->stat(sysv->context, segment->shmid, &kernel) == 0 &&
        kernel.cpid == segment->cpid && kernel.cuid == segment->cuid &&
        kernel.size == segment->size) {
        int r = 0;
        if (kernel.uid != undo->uid || kernel.gid != undo->gid || kernel.mode != undo->mode)
            r = sysv->ops->set(sysv->context, segment->shmid, undo->uid, undo->gid, undo->mode);
        if (r == 0 && kernel.locked != undo->locked)
            r = sysv->ops->lock(sysv->context, segment->shmid, undo->locked);
        (void)r; /* the owner may have taken our rights; the next look tells how it is */
    }
    if (segment->state == STATE_REMOVING && !undo->was_removed)
        return; /* a fact since */
    if (segment->lifetime == LIFETIME_ATTACHED && undo->lifetime != LIFETIME_ATTACHED)
        anchor_unwatch(core, segment);
    segment->state = undo->state;
    segment->lifetime = undo->lifetime;
    if (expiry_set(core, segment, undo->expires_at_ms) < 0)
        segment->expires_at_ms = 0; /* its place was free a moment ago; it stays until removed */
    free(segment->labels);
    segment->labels = steal_pointer(&undo->labels);
    segment->n_labels = undo->n_labels;
    if (undo->name && !segment->name && registry_rename(&core->registry, segment, undo->name) == 0)
        undo->name = NULL;
}

/* What was created goes, and new names are given up: then all the old ones are free. */
static void free_names(struct core *core)
{
    struct turn *t = &core->turn;
    for (size_t i = 0; i < t->n_dirty; i++) {
        struct segment *segment = t->dirty[i];
        if (!segment->undo)
            continue;
        if (segment->undo->was_created) {
            segment->is_dirty = false;
            t->dirty[i] = NULL;
            take_back_creation(core, segment);
        } else if (segment->state != STATE_REMOVING && is_renamed(segment, segment->undo)) {
            registry_unname(&core->registry, segment);
        }
    }
}

static void take_back(struct core *core)
{
    struct turn *t = &core->turn;
    forget_events(core);
    free_names(core);
    size_t facts = 0;
    for (size_t i = 0; i < t->n_dirty; i++) {
        struct segment *segment = t->dirty[i];
        if (!segment)
            continue;
        settle_ties(core, segment, false);
        if (segment->undo)
            take_back_settings(core, segment, segment->undo);
        undo_free(steal_pointer(&segment->undo));
        /* It is written again with the next commit: it is as it was, or a fact. */
        t->dirty[facts++] = segment;
    }
    t->n_dirty = facts;
    /* Somebody who was let go of may have died since. */
    for (size_t i = t->n_dirty; i-- > 0;) {
        int r = removal_if_abandoned(core, t->dirty[i]);
        (void)r; /* as with every death: where the kernel will not, it stays */
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
    enum { BLOCK = 4096 };
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
    promise_event_serials(core);
    if (!t->has_news)
        return 0;
    t->has_news = false;
    int r = turn_enter(core, ret_reason);
    if (r == 0)
        r = write_changes(core, ret_reason);
    if (r < 0) {
        core->meta = before;
        take_back(core);
        return r;
    }
    for (size_t i = 0; i < t->n_dirty; i++) {
        t->dirty[i]->is_dirty = false;
        settle_lifetime(core, t->dirty[i]);
        undo_free(steal_pointer(&t->dirty[i]->undo));
        settle_ties(core, t->dirty[i], true);
    }
    t->n_dirty = 0;
    t->n_gone = 0;
    return 0;
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
