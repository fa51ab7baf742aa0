#include "daemon/core/undo.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/core/anchor.h"
#include "daemon/core/core.h"
#include "daemon/core/expiry.h"
#include "daemon/core/removal.h"
#include "daemon/core/verdict.h"

struct undo *undo_new(const struct segment *segment, const struct sysv_stat *kernel)
{
    struct undo *undo = calloc(1, sizeof(*undo));
    if (!undo)
        return NULL;
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
        return NULL;
    }
    return undo;
}

void undo_free(struct undo *undo)
{
    if (!undo)
        return;
    free(undo->name);
    free(undo->labels);
    free(undo);
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

void undo_turn(struct core *core)
{
    struct turn *t = &core->turn;
    forget_events(core);
    free_names(core);
    size_t facts = 0;
    for (size_t i = 0; i < t->n_dirty; i++) {
        struct segment *segment = t->dirty[i];
        if (!segment)
            continue;
        turn_settle_ties(core, segment, false);
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
