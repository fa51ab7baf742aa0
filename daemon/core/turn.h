/*
 * A turn of the event loop is one transaction: what requests changed is written to the store at its
 * end, and only then are replies sent and events told.
 *
 * When that fails, everything that requests changed is taken back - in the kernel, in the records
 * and in the ties - and their answers become StoreFailure. Facts (a segment that is gone, one that
 * was removed) are not taken back: they are true whatever the store says, and the next start finds
 * them out again by looking at the kernel. They are written with the next commit.
 *
 * A change is made in four steps:
 *   turn_reserve()   so that nothing below can fail for lack of memory,
 *   turn_remember()  before the first touch of an existing segment,
 *   the change itself,
 *   turn_changed() or turn_created(), and turn_tell() for the event.
 */
#ifndef SHMD_CORE_TURN_H
#define SHMD_CORE_TURN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/sys/sysv.h"
#include "daemon/util/cleanup.h"
#include "protocol/terms.h"

struct core;
struct segment_event;
struct segment;
struct tie;

struct turn {
    struct segment **dirty; /* to be written; each once */
    size_t n_dirty, dirty_capacity;
    uint64_t *gone; /* serials to be deleted */
    size_t n_gone, gone_capacity;
    struct segment_event *first_event, *last_event; /* to be published */
    struct segment *dropped;       /* out of the registry; freed when replies are written */
    bool has_news;                 /* something has changed since the last commit tried */
    unsigned n_looks;              /* charge.h: before somebody was refused */
    uint32_t looked_for;           /* the uid of the last */
    int64_t all_looked_at_from_ms; /* boot clock: before it others' are not looked at again */
};

void turn_deinit(struct turn *turn);

int turn_reserve(struct core *core) MUST_CHECK;

/* Remembers how SEGMENT is, once a turn: 0 or -ENOMEM. KERNEL: as it is before the change. */
int turn_remember(struct core *core, struct segment *segment,
                  const struct sysv_stat *kernel) MUST_CHECK;

/* Nothing came of it: what turn_remember() kept is needed only if SEGMENT has changed before. */
void turn_forget(struct segment *segment);

/* SEGMENT, remembered, is removed by its record alone: it has been marked for destruction since it
 * was made, and so the kernel will not tell the next start. */
void turn_removed(struct segment *segment);
/* Whether it has changed in this turn, and the end may take it back. */
bool turn_can_take_back(const struct segment *segment);

/* SEGMENT is new in the registry. */
void turn_created(struct core *core, struct segment *segment);
void turn_changed(struct core *core, struct segment *segment);
/* SEGMENT has left the registry; the turn owns it now. */
void turn_gone(struct core *core, struct segment *segment);
/* Cuts a tie: it is dropped with the commit, or at once when it was made in this very turn. */
void turn_cut(struct core *core, struct tie *tie);

/* Once COMMITTED, ties that were cut go; else those that were made do, and cut ones come back. */
void turn_settle_ties(struct core *core, struct segment *segment, bool committed);

/* An event about SEGMENT, as KERNEL has it. */
void turn_tell(struct core *core, const struct segment *segment, const struct sysv_stat *kernel,
               enum event_kind kind, enum reason reason);

/* Sees to it that the store knows of this daemon: by that the next start tells what it created and
 * nobody was told of. 0, or a negative errno with the reason (static). */
int turn_enter(struct core *core, const char **ret_reason) MUST_CHECK;

/* Writes the changes: 0, or a negative errno with the reason, and all is taken back. */
int turn_commit(struct core *core, const char **ret_reason) MUST_CHECK;

/* After the last turn: whoever starts next goes on with the serials of events where this daemon
 * stopped. If it cannot be written, they go on further up. */
void turn_settle_event_serials(struct core *core);

/* Whether something waits for a turn's end. */
bool turn_is_due(const struct core *core);

/* Takes the next event that is due, or NULL; to be published by the caller. */
struct segment_event *turn_next_event(struct core *core);

/* Frees what left the registry: nothing may point to it any more. */
void turn_bury(struct core *core);

#endif
