/* SPDX-License-Identifier: MIT */
#include "daemon/core/ledger_batch.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "daemon/util/array.h"

enum {
    /* Serials of events are recorded ahead, so that no daemon gives one twice. */
    EVENT_BLOCK = 1024,
    /* What a batch has of facts, more or less: putting it together takes well below 0.1 ms. */
    FACT_BYTES_MOST = 32768,
    FACTS_MOST = 1024,
    ADDED_MAX = sizeof(((struct ledger_change *)NULL)->added) / sizeof(struct tie *),
};

bool tie_is_recorded(const struct tie *tie)
{
    return tie && !tie->party->is_connection && !party_is_unseen(tie->party);
}

struct stored_tie tie_stored(const struct tie *tie)
{
    struct stored_tie stored = {.role = tie->role,
                                .identity = tie->party->identity,
                                .uid = tie->party->uid,
                                .since_at_ms = tie->since_at_ms};
    memcpy(stored.comm, tie->party->comm, sizeof(stored.comm));
    return stored;
}

size_t ties_count_recorded(const struct segment *segment)
{
    size_t n = 0;
    const struct tie *tie;
    LIST_FOREACH (tie, &segment->ties, of_segment)
        n += tie_is_recorded(tie);
    return n;
}

bool batch_is_needed(const struct segment *segment, const struct ledger_change *change)
{
    if (change->record || change->also || change->is_gone || tie_is_recorded(change->dropped))
        return true;
    for (size_t i = 0; i < ADDED_MAX; i++)
        if (tie_is_recorded(change->added[i]))
            return true;
    const struct tie *tie;
    LIST_FOREACH (tie, &segment->ties, of_segment)
        if (tie_is_recorded(tie) && (change->dropped_roles & (1U << tie->role)))
            return true;
    return false;
}

int batch_reserve(struct core *core, size_t n_noted, const struct segment *segment,
                  const struct segment *also)
{
    struct ledger *l = &core->ledger;
    enum { SEGMENTS = 2, FIXED = 2 + SEGMENTS + ADDED_MAX }; /* with the daemon and the counters */
    size_t n_ties = segment ? ties_count_recorded(segment) : 0;
    n_ties += also ? ties_count_recorded(also) : 0;
    n_noted += ledger_noted(l);
    if (core->is_started && n_noted > FACTS_MOST)
        n_noted = FACTS_MOST;
    struct store_record *records = array_reserve(l->records, &l->records_capacity, 0,
                                                 FIXED + n_ties + n_noted, sizeof(*records));
    if (!records)
        return -ENOMEM;
    l->records = records;
    struct stored_segment *images =
        array_reserve(l->images, &l->images_capacity, 0, SEGMENTS + n_noted, sizeof(*images));
    if (!images)
        return -ENOMEM;
    l->images = images;
    return 0;
}

bool batch_is_full(const struct batch *b)
{
    return b->core->is_started && (b->n_facts >= FACTS_MOST || b->bytes >= FACT_BYTES_MOST);
}

/* What has changed of SEGMENT, as was noted; IMAGE gets its whole record. */
static struct store_record record_of(const struct segment *segment, struct stored_segment *image)
{
    struct store_record record = {
        .type = STORE_SEGMENT, .serial = segment->serial, .segment = image};
    *image = segment_stored(segment);
    if (segment->is_noted_whole || image->idle.since_ms == 0)
        return record;
    record.type = STORE_IDLE;
    record.idle = image->idle;
    return record;
}

/* The bytes of what is recorded of FACT. */
static size_t size_of(const struct core *core, const struct ledger_fact *fact)
{
    struct store_record record = {.type = fact->type};
    struct stored_segment image;
    if (fact->type == STORE_SEGMENT) {
        const struct segment *segment = registry_by_serial(&core->registry, fact->serial);
        if (!segment)
            return 0;
        record = record_of(segment, &image);
    }
    return store_record_size(&record);
}

bool batch_has_room_for_all(const struct core *core)
{
    const struct ledger *l = &core->ledger;
    size_t bytes = 0;
    if (ledger_noted(l) > FACTS_MOST / 2)
        return false;
    for (size_t kind = 0; kind < FACT_KINDS; kind++)
        for (size_t i = 0; i < l->noted[kind].count && bytes <= FACT_BYTES_MOST / 2; i++)
            bytes += size_of(core, &l->noted[kind].facts[i]);
    return bytes <= FACT_BYTES_MOST / 2;
}

const struct segment *batch_second(const struct core *core, const struct ledger_change *change)
{
    return change->also ? registry_by_serial(&core->registry, change->also->serial) : NULL;
}

static void add(struct batch *b, const struct store_record *record)
{
    struct ledger *l = &b->core->ledger;
    assert(b->n_records < l->records_capacity);
    l->records[b->n_records++] = *record;
    b->adds |=
        record->type == STORE_SEGMENT || record->type == STORE_TIE || record->type == STORE_IDLE;
}

static struct stored_segment *next_image(struct batch *b)
{
    struct ledger *l = &b->core->ledger;
    assert(b->n_images < l->images_capacity);
    return &l->images[b->n_images++];
}

static void add_segment(struct batch *b, const struct segment *segment)
{
    struct stored_segment *image = next_image(b);
    *image = segment_stored(segment);
    add(b,
        &(struct store_record){.type = STORE_SEGMENT, .serial = segment->serial, .segment = image});
}

static void add_tie(struct batch *b, enum store_record_type type, uint64_t serial,
                    const struct tie *tie)
{
    if (tie_is_recorded(tie))
        add(b, &(struct store_record){.type = type, .serial = serial, .tie = tie_stored(tie)});
}

/* DROPPED, and all ties in ROLES. */
static void add_dropped(struct batch *b, const struct segment *segment, const struct tie *dropped,
                        unsigned roles)
{
    const struct tie *tie;
    LIST_FOREACH (tie, &segment->ties, of_segment)
        if (tie == dropped || (roles & (1U << tie->role)))
            add_tie(b, STORE_UNTIE, segment->serial, tie);
}

void batch_add_change(struct batch *b, const struct segment *segment,
                      const struct ledger_change *change)
{
    if (change->is_gone) {
        add(b, &(struct store_record){.type = STORE_GONE, .serial = segment->serial});
        return;
    }
    if (change->record)
        add_segment(b, change->record);
    add_dropped(b, segment, change->dropped, change->dropped_roles);
    for (size_t i = 0; i < ADDED_MAX; i++)
        add_tie(b, STORE_TIE, segment->serial, change->added[i]);
    if (!change->also)
        return;
    const struct segment *now = batch_second(b->core, change);
    add_segment(b, change->also);
    if (now)
        add_dropped(b, now, NULL, change->also_dropped_roles);
}

void batch_add_fact(struct batch *b, const struct ledger_fact *fact)
{
    struct store_record record = {.type = fact->type, .serial = fact->serial};
    b->n_facts++;
    if (fact->type == STORE_SEGMENT) {
        /* It may be gone by now, which is a fact of its own. */
        const struct segment *segment = registry_by_serial(&b->core->registry, fact->serial);
        if (!segment)
            return;
        record = record_of(segment, next_image(b));
        b->bytes += store_record_size(&record);
        add(b, &record);
        return;
    }
    if (fact->type == STORE_UNTIE)
        record.tie = (struct stored_tie){.role = fact->role, .identity = fact->identity};
    add(b, &record);
}

/* The serials of events that are given soon; N_EVENTS are the change's own. */
bool batch_needs_event_serials(const struct core *core, size_t n_events, uint64_t *ret)
{
    uint64_t event = core->events.last + core->news.count + n_events;
    *ret = event + EVENT_BLOCK;
    return event > core->ledger.counters.event_serial;
}

/* This daemon, unless it is recorded, and the counters, unless what is recorded suffices. */
void batch_add_own(struct batch *b, size_t n_events, bool has_all_facts)
{
    const struct core *core = b->core;
    const struct ledger *l = &core->ledger;
    uint64_t event_serial;
    b->enters = !l->is_entered && !l->awaits_numbers && (has_all_facts || !l->has_foreign_pids);
    if (b->enters)
        add(b, &(struct store_record){.type = STORE_DAEMON, .daemon = l->self});
    if (!batch_needs_event_serials(core, n_events, &event_serial))
        return;
    b->counters = (struct store_counters){core->registry.last_serial, event_serial};
    add(b, &(struct store_record){.type = STORE_COUNTERS, .counters = b->counters});
}
