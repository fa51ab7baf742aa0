/* SPDX-License-Identifier: MIT */
#include "daemon/core/ledger.h"

#include <errno.h>

#include "daemon/core/core.h"
#include "daemon/core/ledger_batch.h"
#include "daemon/util/array.h"

enum { TEND_BUDGET_US = 500 }; /* of a turn, for what can wait */

void ledger_deinit(struct ledger *ledger)
{
    free(ledger->noted);
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

/* --- a create under way */

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

int ledger_intend(struct core *core, uint32_t key, uint64_t size, struct outcome_detail *detail)
{
    const struct store *store = &core->on.store;
    const struct clock *clock = &core->on.clock;
    struct ledger *l = &core->ledger;
    /* A segment of the size that was given up looks like this one as soon as its owner changes it,
     * and must not be taken for it: rather leave one behind. */
    const struct store_intent intent = {
        .key = key,
        .size = size,
        .pid = core->own_pid,
        .at_s = was_disowned(l, size) ? STORE_INTENT_UNSURE : clock->ops->kernel_s(clock->context)};
    int r = store->ops->intend(store->context, &intent, &l->reason);
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

/* --- writing */

/* Which facts are written. */
enum facts { FACTS_ALL, FACTS_REMOVALS };

static bool is_among(const struct ledger_fact *fact, enum facts which)
{
    return which == FACTS_ALL || fact->type != STORE_SEGMENT;
}

static void forget_noted(struct core *core, enum facts which)
{
    struct ledger *l = &core->ledger;
    size_t n = 0;
    for (size_t i = 0; i < l->n_noted; i++) {
        const struct ledger_fact *fact = &l->noted[i];
        struct segment *segment = NULL;
        if (!is_among(fact, which))
            l->noted[n++] = *fact;
        else if (fact->type == STORE_SEGMENT)
            segment = registry_by_serial(&core->registry, fact->serial);
        if (segment)
            segment->is_noted = false;
    }
    l->n_noted = n;
}

/* Writes what is in L's arrays: 0 or a negative errno with the reason. */
static int write_batch(struct core *core, const struct batch *b)
{
    const struct store *store = &core->on.store;
    struct ledger *l = &core->ledger;
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

/* Writes the noted facts, and CHANGE of SEGMENT unless that is NULL. */
static int try_write(struct core *core, enum facts which, const struct segment *segment,
                     const struct ledger_change *change)
{
    struct ledger *l = &core->ledger;
    struct batch b = {.core = core, .counters = l->counters};
    int r = batch_reserve(l, 0, segment, segment ? batch_second(core, change) : NULL);
    if (r < 0) {
        note_result(l, r);
        l->reason = "the daemon is out of memory";
        return r;
    }
    batch_add_own(&b, segment ? 1 : 0, which == FACTS_ALL);
    for (size_t i = 0; i < l->n_noted; i++)
        if (is_among(&l->noted[i], which))
            batch_add_fact(&b, &l->noted[i]);
    if (segment)
        batch_add_change(&b, segment, change);
    r = b.n_records > 0 ? write_batch(core, &b) : 0;
    if (r == 0)
        forget_noted(core, which);
    return r;
}

/* Room to note MORE facts. */
static int reserve_notes(struct ledger *l, size_t more)
{
    struct ledger_fact *noted =
        array_reserve(l->noted, &l->noted_capacity, l->n_noted, more, sizeof(l->noted[0]));
    if (!noted)
        return -ENOMEM;
    l->noted = noted;
    return 0;
}

/* 0 or -ENOMEM. */
static int note(struct core *core, const struct ledger_fact *fact)
{
    struct ledger *l = &core->ledger;
    l->is_due = true;
    int r = reserve_notes(l, 1);
    if (r == 0)
        l->noted[l->n_noted++] = *fact;
    return r;
}

/* TYPE: STORE_SEGMENT or STORE_GONE. 0 or -ENOMEM. */
static int note_segment(struct core *core, struct segment *segment, enum store_record_type type)
{
    /* What is written is the record as it is then. While the store takes nothing, a segment that
     * changes again and again, as by each use, is noted once. */
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
    if (r == 0)
        r = reserve_notes(&core->ledger, NOTED_SOON);
    if (r < 0)
        return r;
    return batch_reserve(&core->ledger, NOTED_SOON, segment, also);
}

int ledger_write(struct core *core, const struct segment *segment,
                 const struct ledger_change *change, struct outcome_detail *detail)
{
    if (!batch_is_needed(segment, change))
        return 0;
    int r = try_write(core, FACTS_ALL, segment, change);
    if (r == 0)
        core->ledger.is_due = false;
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

void ledger_note_gone(struct core *core, struct segment *segment)
{
    struct ledger *l = &core->ledger;
    /* Its last holders, which were noted right before, go with it. */
    while (l->n_noted > 0 && l->noted[l->n_noted - 1].serial == segment->serial)
        l->n_noted--;
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

/* All facts; or, when the store has no room for all, those by which it gets smaller. */
static void write_facts(struct core *core)
{
    struct ledger *l = &core->ledger;
    int r = try_write(core, FACTS_ALL, NULL, NULL);
    if (r != -ENOSPC)
        return;
    bool is_mixed = false;
    for (size_t i = 1; i < l->n_noted; i++)
        is_mixed |=
            is_among(&l->noted[i], FACTS_REMOVALS) != is_among(&l->noted[0], FACTS_REMOVALS);
    r = is_mixed ? try_write(core, FACTS_REMOVALS, NULL, NULL) : 0;
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
    core->ledger.is_due |= core->ledger.n_noted > 0;
}

bool ledger_is_due(const struct core *core)
{
    return core->ledger.is_due;
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
