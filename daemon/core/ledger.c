/* SPDX-License-Identifier: MIT */
#include "daemon/core/ledger.h"

#include <errno.h>
#include <string.h>

#include "daemon/core/core.h"
#include "daemon/core/ledger_batch.h"
#include "daemon/util/array.h"

enum {
    TEND_BUDGET_US = 500, /* of a turn, for what can wait */
    /* Between tries that no change asks for. Each that fails doubles it. */
    FIRST_PAUSE_MS = 100,
    LONGEST_PAUSE_MS = 5000,
};

void ledger_deinit(struct ledger *ledger)
{
    for (size_t i = 0; i < FACT_KINDS; i++)
        free(ledger->noted[i].facts);
    free(ledger->records);
    free(ledger->images);
    free(ledger->live_ties);
    while (!SLIST_EMPTY(&ledger->unnoted)) {
        struct segment *segment = SLIST_FIRST(&ledger->unnoted);
        SLIST_REMOVE_HEAD(&ledger->unnoted, of_dead);
        segment_free(segment);
    }
    *ledger = (struct ledger){0};
}

/* --- the start */

int ledger_load(struct core *core, struct store_contents *ret)
{
    const struct store *store = &core->on.store;
    struct ledger *l = &core->ledger;
    int r = store->ops->load(store->context, ret);
    if (r < 0)
        return r;
    l->counters = ret->counters;
    l->records_since_at_ms = ret->records_since_at_ms;
    event_log_init(&core->events, l->counters.event_serial);
    return 0;
}

/* The next segment for the store, with its ties, the oldest first. */
static int next_live(void *context, uint64_t after, struct stored *ret)
{
    struct core *core = context;
    struct ledger *l = &core->ledger;
    const struct segment *segment = registry_next(&core->registry, after);
    if (!segment)
        return 0;
    size_t n = ties_count_recorded(segment), i = n;
    struct stored_tie *ties =
        array_reserve(l->live_ties, &l->live_ties_capacity, 0, n, sizeof(*ties));
    if (!ties)
        return -ENOMEM;
    l->live_ties = ties;
    const struct tie *tie;
    LIST_FOREACH (tie, &segment->ties, of_segment)
        if (tie_is_recorded(tie))
            ties[--i] = tie_stored(tie);
    *ret = (struct stored){segment_stored(segment), ties, n};
    return 1;
}

void ledger_follow(struct core *core)
{
    const struct store *store = &core->on.store;
    const struct store_source source = {next_live, core};
    store->ops->follow(store->context, &source);
}

/* --- results */

/* How a write ended, until it is reported. */
static void note_result(struct ledger *l, int result)
{
    l->has_result = true;
    l->result = result;
}

static int store_failure(const struct ledger *l, struct outcome_detail *detail)
{
    *detail = (struct outcome_detail){.hint = l->reason};
    return OUTCOME_STORE_FAILURE;
}

static bool was_disowned(const struct ledger *l, uint64_t size)
{
    for (size_t i = 0; i < l->n_disowned_sizes && i < DISOWNED_SIZES_MAX; i++)
        if (l->disowned_sizes[i] == size)
            return true;
    return l->n_disowned_sizes > DISOWNED_SIZES_MAX;
}

static void note_disowned(struct ledger *l, uint64_t size)
{
    if (was_disowned(l, size))
        return;
    if (l->n_disowned_sizes < DISOWNED_SIZES_MAX)
        l->disowned_sizes[l->n_disowned_sizes] = size;
    l->n_disowned_sizes++;
}

/* --- writing */

/* How many facts of each kind a try has written. */
struct progress {
    size_t n[FACT_KINDS];
};

static void forget_written(struct core *core, const struct progress *written)
{
    for (size_t kind = 0; kind < FACT_KINDS; kind++) {
        struct ledger_notes *notes = &core->ledger.noted[kind];
        const size_t n = written->n[kind];
        for (size_t i = 0; i < n && kind == FACTS_OF_CHANGES; i++) {
            struct segment *segment = registry_by_serial(&core->registry, notes->facts[i].serial);
            if (segment)
                segment->is_noted = false;
        }
        notes->count -= n;
        if (n > 0 && notes->count > 0)
            memmove(notes->facts, notes->facts + n, notes->count * sizeof(notes->facts[0]));
    }
}

/* Writes what is in L's arrays: 0 or a negative errno with the reason. */
static int write_batch(struct core *core, const struct batch *b)
{
    const struct store *store = &core->on.store;
    struct ledger *l = &core->ledger;
    work_add_records(&core->work, b->n_records);
    if (core->is_started && l->longest_write < b->bytes)
        l->longest_write = b->bytes;
    int r = store->ops->write(store->context, l->records, b->n_records, &l->reason);
    /* What removes has room when nothing else has: that it succeeds says nothing of the rest. */
    if (r < 0 || b->adds)
        note_result(l, r);
    if (r < 0) {
        l->n_failed++;
        return r;
    }
    l->n_written++;
    l->is_entered |= b->enters;
    l->counters = b->counters;
    l->has_written = true;
    return 0;
}

/* Adds facts of the kinds up to LAST, from P on, as many as B takes; whether these are all. */
static bool add_facts(struct batch *b, enum fact_kind last, struct progress *p)
{
    for (size_t kind = 0; kind <= last; kind++) {
        const struct ledger_notes *notes = &b->core->ledger.noted[kind];
        for (; p->n[kind] < notes->count; p->n[kind]++) {
            if (batch_is_full(b))
                return false;
            batch_add_fact(b, &notes->facts[p->n[kind]]);
        }
    }
    return true;
}

/* Writes the next facts behind P, and CHANGE of SEGMENT if that is not NULL and these are the last
 * ones. */
static int write_piece(struct core *core, enum fact_kind last, const struct segment *segment,
                       const struct ledger_change *change, struct progress *p, bool *ret_is_last)
{
    struct batch b = {.core = core, .counters = core->ledger.counters};
    struct progress then = *p;
    const bool is_last = add_facts(&b, last, &then);
    batch_add_own(&b, segment ? 1 : 0, is_last && last == FACTS_OF_CHANGES);
    if (segment && is_last)
        batch_add_change(&b, segment, change);
    int r = b.n_records > 0 ? write_batch(core, &b) : 0;
    if (r < 0)
        return r;
    *p = then;
    *ret_is_last = is_last;
    return 0;
}

/* Writes the noted facts of the kinds up to LAST, in pieces or the first piece alone, and CHANGE of
 * SEGMENT unless that is NULL. What is written before a failure stays written. */
static int try_write(struct core *core, enum fact_kind last, const struct segment *segment,
                     const struct ledger_change *change, bool is_one_piece)
{
    struct ledger *l = &core->ledger;
    struct progress written = {0};
    bool is_last = false;
    int r = batch_reserve(core, 0, segment, segment ? batch_second(core, change) : NULL);
    if (r < 0) {
        note_result(l, r);
        l->reason = "the daemon is out of memory";
        if (last == FACTS_OF_CHANGES)
            l->has_more = false; /* the end of the next sweep tries again */
        return r;
    }
    do
        r = write_piece(core, last, segment, change, &written, &is_last);
    while (r == 0 && !is_last && !is_one_piece);
    forget_written(core, &written);
    if (last == FACTS_OF_CHANGES)
        l->has_more = r == 0 && !is_last;
    return r;
}

/* --- a create under way */

int ledger_intend(struct core *core, uint32_t key, uint64_t size, struct outcome_detail *detail)
{
    const struct store *store = &core->on.store;
    const struct clock *clock = &core->on.clock;
    struct ledger *l = &core->ledger;
    /* The next write takes the intent out: it must be that of the segment's record. */
    int r = 0;
    if (!batch_has_room_for_all(core))
        r = try_write(core, FACTS_OF_CHANGES, NULL, NULL, false);
    if (r < 0)
        return r == -ENOMEM ? r : store_failure(l, detail);
    /* A segment of the size that was given up looks like this one as soon as its owner changes it,
     * and must not be taken for it: rather leave one behind. */
    const struct store_intent intent = {
        .key = key,
        .size = size,
        .pid = core->own_pid,
        .at_s = was_disowned(l, size) ? STORE_INTENT_UNSURE : clock->ops->kernel_s(clock->context)};
    r = store->ops->intend(store->context, &intent, &l->reason);
    if (r == 0)
        return 0;
    note_result(l, r);
    return store_failure(l, detail);
}

void ledger_abandon(struct core *core)
{
    const struct store *store = &core->on.store;
    const char *ignored;
    (void)store->ops->abandon(store->context, &ignored);
}

/* --- changes */

/* Room to note MORE facts of a kind. */
static int reserve_notes(struct ledger_notes *notes, size_t more)
{
    struct ledger_fact *facts =
        array_reserve(notes->facts, &notes->capacity, notes->count, more, sizeof(notes->facts[0]));
    if (!facts)
        return -ENOMEM;
    notes->facts = facts;
    return 0;
}

/* 0 or -ENOMEM. */
static int note(struct core *core, const struct ledger_fact *fact)
{
    struct ledger *l = &core->ledger;
    struct ledger_notes *notes =
        &l->noted[fact->type == STORE_SEGMENT ? FACTS_OF_CHANGES : FACTS_OF_ENDS];
    l->is_due = true;
    int r = reserve_notes(notes, 1);
    if (r == 0)
        notes->facts[notes->count++] = *fact;
    return r;
}

/* TYPE: STORE_SEGMENT or STORE_GONE. 0 or -ENOMEM. */
static int note_segment(struct core *core, struct segment *segment, enum store_record_type type)
{
    /* What is written is the record as it is then. While the store takes nothing, a segment that
     * changes again and again, as by each use, is noted once. */
    segment->is_noted_whole = true;
    if (type == STORE_SEGMENT && segment->is_noted) {
        core->ledger.is_due = true;
        return 0;
    }
    int r = note(core, &(struct ledger_fact){.type = type, .serial = segment->serial});
    segment->is_noted = r == 0 && type == STORE_SEGMENT;
    segment->is_unnoted = r < 0;
    core->ledger.is_short |= r < 0;
    return r;
}

static int note_unnoted(struct core *core)
{
    struct ledger *l = &core->ledger;
    struct segment *segment;
    int r = 0;
    while (r == 0 && (segment = SLIST_FIRST(&l->unnoted))) {
        r = note_segment(core, segment, STORE_GONE);
        if (r == 0) {
            SLIST_REMOVE_HEAD(&l->unnoted, of_dead);
            segment_free(segment);
        }
    }
    SLIST_FOREACH (segment, &core->dead, of_dead)
        if (r == 0 && segment->is_unnoted)
            r = note_segment(core, segment, STORE_GONE);
    struct registry_walk walk = {0};
    while (r == 0 && (segment = registry_step(&core->registry, &walk)))
        if (segment->is_unnoted)
            r = note_segment(core, segment, STORE_SEGMENT);
    return r;
}

/* Notes what could not be noted for lack of memory: 0 or -ENOMEM. Until it is, a name and a key
 * that are free may have a record, and must not get another: the next start would take that for
 * damage. */
static int note_again(struct core *core)
{
    if (!core->ledger.is_short)
        return 0;
    int r = note_unnoted(core);
    core->ledger.is_short = r < 0;
    return r;
}

int ledger_reserve_two(struct core *core, const struct segment *segment, const struct segment *also)
{
    enum { NOTED_SOON = 2 };
    int r = note_again(core);
    for (size_t kind = 0; r == 0 && kind < FACT_KINDS; kind++)
        r = reserve_notes(&core->ledger.noted[kind], NOTED_SOON);
    if (r < 0)
        return r;
    return batch_reserve(core, (size_t)FACT_KINDS * NOTED_SOON, segment, also);
}

int ledger_write(struct core *core, const struct segment *segment,
                 const struct ledger_change *change, struct outcome_detail *detail)
{
    if (!batch_is_needed(segment, change))
        return 0;
    int r = try_write(core, FACTS_OF_CHANGES, segment, change, false);
    if (r == 0) {
        core->ledger.is_due = false;
        core->ledger.pause_ms = 0;
    }
    return r == 0 || r == -ENOMEM ? r : store_failure(&core->ledger, detail);
}

int ledger_write_gone(struct core *core, const struct segment *segment,
                      struct outcome_detail *detail)
{
    const struct ledger_change change = {.is_gone = true};
    int r = ledger_write(core, segment, &change, detail);
    if (r == 0 && segment->cpid == core->own_pid)
        note_disowned(&core->ledger, segment->size);
    return r;
}

/* --- facts */

void ledger_keep_unnoted(struct core *core, struct segment *segment)
{
    SLIST_INSERT_HEAD(&core->ledger.unnoted, segment, of_dead);
}

void ledger_note_changed(struct core *core, struct segment *segment)
{
    int r = note_segment(core, segment, STORE_SEGMENT);
    (void)r; /* it is noted again when there is memory */
}

void ledger_note_used(struct core *core, struct segment *segment)
{
    /* What else has changed of it may wait to be recorded, too. */
    bool is_whole = segment->is_unnoted || (segment->is_noted && segment->is_noted_whole);
    ledger_note_changed(core, segment);
    segment->is_noted_whole = is_whole;
}

void ledger_note_gone(struct core *core, struct segment *segment)
{
    struct ledger_notes *ends = &core->ledger.noted[FACTS_OF_ENDS];
    /* Its last holders, which were noted right before, go with it. */
    while (ends->count > 0 && ends->facts[ends->count - 1].serial == segment->serial)
        ends->count--;
    int r = note_segment(core, segment, STORE_GONE);
    (void)r; /* it is noted again when there is memory */
}

void ledger_note_untied(struct core *core, const struct tie *tie)
{
    int r = 0;
    if (tie_is_recorded(tie))
        r = note(core, &(struct ledger_fact){.type = STORE_UNTIE,
                                             .serial = tie->segment->serial,
                                             .role = tie->role,
                                             .identity = tie->party->identity});
    (void)r; /* without memory: the next start finds it out again */
}

static void put_off(struct core *core)
{
    struct ledger *l = &core->ledger;
    l->pause_ms = l->pause_ms == 0 ? FIRST_PAUSE_MS : l->pause_ms * 2;
    if (l->pause_ms > LONGEST_PAUSE_MS)
        l->pause_ms = LONGEST_PAUSE_MS;
    l->retry_at_ms = core_boottime_ms(core) + l->pause_ms;
}

static bool is_put_off(const struct core *core)
{
    const struct ledger *l = &core->ledger;
    return l->pause_ms > 0 && core_boottime_ms(core) < l->retry_at_ms;
}

/* A piece of all facts; or, when the store has no room for all, those by which it gets smaller. */
static void write_facts(struct core *core)
{
    struct ledger *l = &core->ledger;
    int r = -ENOSPC;
    if (!is_put_off(core)) {
        r = try_write(core, FACTS_OF_CHANGES, NULL, NULL, true);
        if (r < 0)
            put_off(core);
        else
            l->pause_ms = 0;
        if (l->noted[FACTS_OF_CHANGES].count == 0)
            return;
    }
    r = r == -ENOSPC ? try_write(core, FACTS_OF_ENDS, NULL, NULL, false) : 0;
    (void)r; /* it is tried again with the others */
}

void ledger_catch_up(struct core *core)
{
    struct ledger *l = &core->ledger;
    uint64_t ignored;
    int r = note_again(core);
    (void)r; /* the rest waits for memory */
    if (!l->is_due && !batch_needs_event_serials(core, 0, &ignored))
        return;
    l->is_due = false;
    write_facts(core);
}

int ledger_enter(struct core *core)
{
    core->ledger.is_due = true;
    ledger_catch_up(core);
    return core->ledger.is_entered ? 0 : core->ledger.result;
}

void ledger_retry(struct core *core)
{
    struct ledger *l = &core->ledger;
    l->is_due |= ledger_noted(l) > 0;
    l->retry_at_ms = 0;
}

void ledger_is_numbered(struct core *core)
{
    struct ledger *l = &core->ledger;
    l->is_due |= l->awaits_numbers; /* this daemon waited for it */
    l->awaits_numbers = false;
}

bool ledger_is_due(const struct core *core)
{
    return core->ledger.is_due;
}

bool ledger_has_more(const struct core *core)
{
    return core->ledger.has_more;
}

void ledger_go_on(struct core *core)
{
    do {
        write_facts(core);
        work_look_at_clock(&core->work);
    } while (core->ledger.has_more && !work_share_is_over(&core->work));
}

uint64_t ledger_size(const struct core *core)
{
    const struct store *store = &core->on.store;
    return store->ops->size(store->context);
}

void ledger_tend(struct core *core)
{
    const struct store *store = &core->on.store;
    struct ledger *l = &core->ledger;
    l->has_written = false;
    l->has_more_to_tend = store->ops->tend(store->context, TEND_BUDGET_US);
}

bool ledger_take_result(struct core *core, int *ret_result, const char **ret_reason)
{
    struct ledger *l = &core->ledger;
    if (!l->has_result)
        return false;
    l->has_result = false;
    *ret_result = l->result;
    *ret_reason = l->reason;
    return true;
}

const char *ledger_failure(const struct core *core)
{
    return core->ledger.result < 0 ? core->ledger.reason : NULL;
}

void ledger_write_event_serial(struct core *core)
{
    const struct store *store = &core->on.store;
    struct ledger *l = &core->ledger;
    const struct store_record record = {
        .type = STORE_COUNTERS, .counters = {core->registry.last_serial, core->events.last}};
    const char *ignored;
    if (l->counters.event_serial != core->events.last &&
        store->ops->write(store->context, &record, 1, &ignored) == 0)
        l->counters = record.counters;
}
