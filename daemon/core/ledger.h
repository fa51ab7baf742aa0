/* SPDX-License-Identifier: MIT */
/*
 * The ledger: what the store has of the segments. It is the only file of the core that calls the
 * store.
 *
 * A change that a request makes is recorded alone, before anything of it is seen: it is durable
 * when ledger_write() has returned 0. Otherwise the caller takes back the one step that it has done
 * in the kernel; nothing else can have happened in between. Only what changes is recorded: a tie, a
 * tie less, a segment's own record.
 *
 * A fact - a segment that is gone or is being removed, a holder that has died - is true whatever
 * the store says. Facts are noted, and recorded with the next change or at the end of the turn.
 * While that fails, it is tried again. A fact that was never recorded shows itself again at the
 * next start, when records are compared with the kernel.
 *
 * However many facts wait, a store that takes none makes nobody pay for them all: they are written
 * in pieces of a bounded size, and a try ends with the first piece that is refused. A change is
 * written with the last piece, for its name may be one that a fact frees. Without a change, a turn
 * writes one piece, and the rest goes on as a chore.
 */
#ifndef SHMD_CORE_LEDGER_H
#define SHMD_CORE_LEDGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/core/outcome.h"
#include "daemon/core/ties.h"
#include "daemon/store/store.h"

enum { DISOWNED_SIZES_MAX = 16 };

struct core;
struct segment;

/* STORE_SEGMENT: its record has changed. STORE_GONE. STORE_UNTIE: of that role and process. */
struct ledger_fact {
    enum store_record_type type;
    uint64_t serial;
    enum tie_role role;
    struct process_identity identity;
};

/* Of the first kind there is room for when the disk is full. */
enum fact_kind { FACTS_OF_ENDS, FACTS_OF_CHANGES, FACT_KINDS };

struct ledger_notes {
    struct ledger_fact *facts; /* in the order in which they were noted */
    size_t count, capacity;
};

struct ledger {
    struct ledger_notes noted[FACT_KINDS]; /* and not recorded yet */
    bool is_due;                           /* something was noted since the last write was tried */
    bool has_more; /* a piece of what was noted is written, and the rest is to go on */
    /* After a failure, until then (boot clock) only a change has all facts tried again. */
    int64_t retry_at_ms, pause_ms;
    bool is_short;                 /* there may be segments that are is_unnoted */
    SLIST_HEAD(, segment) unnoted; /* those of them that are gone; owned */
    /* What a write is put together in. */
    struct store_record *records;
    struct stored_segment *images;
    size_t records_capacity, images_capacity;
    /* The ties of the segment that the store reads, when it writes its file anew. */
    struct stored_tie *live_ties;
    size_t live_ties_capacity;
    struct store_counters counters; /* as they are recorded */
    struct store_daemon self;
    bool is_entered; /* this daemon is recorded */
    /* The pids in the records are another namespace's, and what was found out of that at the start
     * is noted: it is recorded together with this daemon, as the next takes them for this one's
     * then. */
    bool has_foreign_pids;
    bool awaits_numbers; /* no sweep has found out all of that yet (segment.h: is_unnumbered) */
    /* Different sizes of segments that a daemon of this pid has made, and this one has given up. */
    uint64_t disowned_sizes[DISOWNED_SIZES_MAX];
    size_t n_disowned_sizes;      /* above DISOWNED_SIZES_MAX: there are more */
    int64_t records_since_at_ms;  /* wall clock: of older segments the records may be lost */
    bool has_written;             /* and the store was not tended since */
    bool has_more_to_tend;        /* the store has more to do, at once */
    uint64_t n_written, n_failed; /* changes, since the start */
    uint64_t longest_write;       /* the most bytes of facts in one of them, the start apart */
    /* How the last write ended that tells whether the store takes changes, until it is reported. */
    bool has_result;
    int result;
    const char *reason;
};

/* A change of a segment. Zeros: nothing of the kind. */
struct ledger_change {
    const struct segment *record; /* the record as it will be; NULL: it stays as it is */
    const struct tie *added[2];   /* not bound yet */
    const struct tie *dropped;
    unsigned dropped_roles; /* all ties in these roles, a bit 1 << role for each */
    /* A second segment that changes in the same write: its record as it will be. */
    const struct segment *also;
    unsigned also_dropped_roles;
    bool is_gone; /* ledger_write_gone() */
};

void ledger_deinit(struct ledger *ledger);

/* How many facts wait. */
static inline size_t ledger_noted(const struct ledger *ledger)
{
    return ledger->noted[FACTS_OF_ENDS].count + ledger->noted[FACTS_OF_CHANGES].count;
}

/* --- the start */

/* Reads the store: 0 or a negative errno. RET is freed by store_contents_deinit(). */
int ledger_load(struct core *core, struct store_contents *ret) MUST_CHECK;

/* The registry has what was loaded: from now on it is what lives. */
void ledger_follow(struct core *core);

/* Records this daemon, and all facts that were noted: 0 or a negative errno. What a former daemon
 * was about to create has been dealt with. */
int ledger_enter(struct core *core) MUST_CHECK;

/* --- a create under way: what a crash leaves of it is found by this at the next start */

/* Before shmget(): 0, or OUTCOME_STORE_FAILURE with the reason. */
int ledger_intend(struct core *core, uint32_t key, uint64_t size,
                  struct outcome_detail *ret_detail) MUST_CHECK;
/* The create has failed, and nothing is left of it. */
void ledger_abandon(struct core *core);

/* --- changes */

/* Gets the memory to record a change of SEGMENT (NULL: of a new one) and ALSO of a second one
 * (NULL: there is none), and to note two facts, so that neither fails for it afterwards: 0 or
 * -ENOMEM. */
int ledger_reserve_two(struct core *core, const struct segment *segment,
                       const struct segment *also) MUST_CHECK;
static inline int ledger_reserve(struct core *core, const struct segment *segment)
{
    return ledger_reserve_two(core, segment, NULL);
}

/* Records CHANGE of SEGMENT, and all facts that were noted: 0, OUTCOME_STORE_FAILURE with the
 * reason, or -ENOMEM. Nothing is written when there is nothing to record, as of a tie to a
 * connection. */
int ledger_write(struct core *core, const struct segment *segment,
                 const struct ledger_change *change, struct outcome_detail *ret_detail) MUST_CHECK;

/* Records that SEGMENT is the daemon's no more, though it lives on: as ledger_write(). */
int ledger_write_gone(struct core *core, const struct segment *segment,
                      struct outcome_detail *ret_detail) MUST_CHECK;

/* --- facts */

/* SEGMENT's record has changed. */
void ledger_note_changed(struct core *core, struct segment *segment);
/* The same, and only in when it was used last: users change that as often as they like. */
void ledger_note_used(struct core *core, struct segment *segment);
/* SEGMENT is gone; it still is in the registry. */
void ledger_note_gone(struct core *core, struct segment *segment);
/* Takes SEGMENT, which is gone and could not be noted: it is noted when there is memory. */
void ledger_keep_unnoted(struct core *core, struct segment *segment);
/* TIE of a segment is about to be freed, for its party has ended or its role is over. */
void ledger_note_untied(struct core *core, const struct tie *tie);

/* Records what was noted, if there is any, or a piece of it. */
void ledger_catch_up(struct core *core);
/* What could not be recorded earlier is to be tried again at the end of this turn. */
void ledger_retry(struct core *core);
/* The pids in all records are this namespace's, once what is noted is recorded. */
void ledger_is_numbered(struct core *core);
/* Whether something was noted that has not been tried to be recorded. */
bool ledger_is_due(const struct core *core);
/* Whether facts wait that the store is likely to take. */
bool ledger_has_more(const struct core *core);
/* Records them, in pieces, until the share is over. */
void ledger_go_on(struct core *core);

/* The bytes that the records take up in the store. */
uint64_t ledger_size(const struct core *core);

/* Lets the store do what can wait, for a part of a millisecond: to be called when nothing is half
 * done. */
void ledger_tend(struct core *core);

/* Whether the store takes changes, as the last write has shown: true once after it, with 0, or a
 * negative errno and the reason. */
bool ledger_take_result(struct core *core, int *ret_result, const char **ret_reason);

/* Why the last change could not be recorded; NULL: it was, or there has been none. */
const char *ledger_failure(const struct core *core);

/* At an end in order: the next daemon goes on with the serials of events where this one stopped. If
 * that cannot be recorded, it starts further up. */
void ledger_write_event_serial(struct core *core);

#endif
