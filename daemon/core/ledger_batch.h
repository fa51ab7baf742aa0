/* SPDX-License-Identifier: MIT */
/*
 * What the ledger writes together: a change, the facts that were noted, and what the daemon records
 * of itself. It is put together in the ledger's arrays, whose memory was got before.
 */
#ifndef SHMD_CORE_LEDGER_BATCH_H
#define SHMD_CORE_LEDGER_BATCH_H

#include "daemon/core/core.h"

struct batch {
    struct core *core;
    size_t n_records, n_images;     /* in the ledger's arrays */
    size_t n_facts, bytes;          /* facts, and what their large ones take up in the store */
    bool adds;                      /* a segment's record or a tie */
    bool enters;                    /* this daemon */
    struct store_counters counters; /* as they will be */
};

/* Whether TIE (NULL: it is not) has a record: connections do not survive the daemon. */
bool tie_is_recorded(const struct tie *tie);
struct stored_tie tie_stored(const struct tie *tie);
/* How many ties of SEGMENT have a record. */
size_t ties_count_recorded(const struct segment *segment);

/* Whether the store has anything of what CHANGE of SEGMENT changes. */
bool batch_is_needed(const struct segment *segment, const struct ledger_change *change);

/* Gets memory for a batch of the noted facts and N_NOTED more, as far as one batch takes them, and
 * of a change of SEGMENT and ALSO of a second one (each may be NULL): 0 or -ENOMEM. */
int batch_reserve(struct core *core, size_t n_noted, const struct segment *segment,
                  const struct segment *also) MUST_CHECK;

/* Whether B has so many facts that the next ones are for another batch. At the start all are in
 * one: nobody waits for it then. */
bool batch_is_full(const struct batch *b);

/* Whether all facts that wait, and some more, have room in one batch. */
bool batch_has_room_for_all(const struct core *core);

/* The segment that CHANGE changes as well, as it is now, or NULL. */
const struct segment *batch_second(const struct core *core, const struct ledger_change *change);

/* Whether events will soon be sent with serials above what is recorded; RET is what to record then.
 * N_EVENTS are the change's own. */
bool batch_needs_event_serials(const struct core *core, size_t n_events, uint64_t *ret);

/* This daemon and the counters, where what is recorded does not suffice. */
void batch_add_own(struct batch *b, size_t n_events, bool has_all_facts);
void batch_add_fact(struct batch *b, const struct ledger_fact *fact);
void batch_add_change(struct batch *b, const struct segment *segment,
                      const struct ledger_change *change);

#endif
