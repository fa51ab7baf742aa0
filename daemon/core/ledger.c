#include "daemon/core/ledger.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "daemon/core/core.h"
#include "daemon/util/array.h"

enum {
    EVENT_BLOCK =
        1024, /* serials of events are recorded ahead, so that no daemon gives one twice */
    TEND_BUDGET_US = 500, /* of a turn, for what can wait */
    ADDED_MAX = sizeof(((struct ledger_change *)NULL)->added) / sizeof(struct tie *),
};

void ledger_deinit(struct ledger *ledger)
{
    free(ledger->noted);
    free(ledger->records);
    free(ledger->images);
    free(ledger->live_ties);
    *ledger = (struct ledger){0};
}

static bool is_recorded(const struct tie *tie)
{
    return tie && !tie->party->is_connection && !party_is_unseen(tie->party);
}

static struct stored_tie stored_tie(const struct tie *tie)
{
    struct stored_tie stored = {.role = tie->role,
                                .identity = tie->party->identity,
                                .uid = tie->party->uid,
                                .since_at_ms = tie->since_at_ms};
    memcpy(stored.comm, tie->party->comm, sizeof(stored.comm));
    return stored;
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

static size_t count_ties(const struct segment *segment)
{
    size_t n = 0;
    const struct tie *tie;
    LIST_FOREACH (tie, &segment->ties, of_segment)
        n += is_recorded(tie);
    return n;
}

/* The next segment for the store, with its ties, the oldest first. */
static int next_live(void *context, uint64_t after, struct stored *ret)
{
    struct core *core = context;
    struct ledger *l = &core->ledger;
    const struct segment *segment = registry_next(&core->registry, after);
    if (!segment)
        return 0;
    size_t n = count_ties(segment), i = n;
    struct stored_tie *ties =
        array_reserve(l->live_ties, &l->live_ties_capacity, 0, n, sizeof(*ties));
    if (!ties)
        return -ENOMEM;
    l->live_ties = ties;
    const struct tie *tie;
    LIST_FOREACH (tie, &segment->ties, of_segment)
        if (is_recorded(tie))
            ties[--i] = stored_tie(tie);
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

int ledger_intend(struct core *core, uint32_t key, uint64_t size, struct outcome_detail *detail)
{
    const struct store *store = &core->on.store;
    const struct clock *clock = &core->on.clock;
    struct ledger *l = &core->ledger;
    int64_t now = clock->ops->kernel_s(clock->context);
    /* A segment that was disowned in this second looks like one of a create that begins in it, and
     * must not be taken for that, also when the clock was set back since: rather leave one behind.
     */
    const struct store_intent intent = {.key = key,
                                        .size = size,
                                        .pid = core->own_pid,
                                        .at_s =
                                            now > l->disowned_at_s ? now : l->disowned_at_s + 1};
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

/* --- putting a write together */

/* What is written together. */
struct batch {
    struct core *core;
    size_t n_records, n_images;
    bool adds;                      /* a segment's record or a tie */
    struct store_counters counters; /* as they will be */
};

static void add(struct batch *b, const struct store_record *record)
{
    struct ledger *l = &b->core->ledger;
    assert(b->n_records < l->records_capacity);
    l->records[b->n_records++] = *record;
    b->adds |= record->type == STORE_SEGMENT || record->type == STORE_TIE;
}

static void add_segment(struct batch *b, const struct segment *segment)
{
    struct ledger *l = &b->core->ledger;
    assert(b->n_images < l->images_capacity);
    struct stored_segment *image = &l->images[b->n_images++];
    *image = segment_stored(segment);
    add(b,
        &(struct store_record){.type = STORE_SEGMENT, .serial = segment->serial, .segment = image});
}

static void add_tie(struct batch *b, enum store_record_type type, uint64_t serial,
                    const struct tie *tie)
{
    if (is_recorded(tie))
        add(b, &(struct store_record){.type = type, .serial = serial, .tie = stored_tie(tie)});
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

static void add_change(struct batch *b, const struct segment *segment,
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
    const struct segment *now = registry_by_serial(&b->core->registry, change->also->serial);
    add_segment(b, change->also);
    if (now)
        add_dropped(b, now, NULL, change->also_dropped_roles);
}

static void add_fact(struct batch *b, const struct ledger_fact *fact)
{
    struct store_record record = {.type = fact->type, .serial = fact->serial};
    if (fact->type == STORE_SEGMENT) {
        /* It may be gone by now, which is a fact of its own. */
        const struct segment *segment = registry_by_serial(&b->core->registry, fact->serial);
        if (segment)
            add_segment(b, segment);
        return;
    }
    if (fact->type == STORE_UNTIE)
        record.tie = (struct stored_tie){.role = fact->role, .identity = fact->identity};
    add(b, &record);
}

/* The serials of events that are given soon; N_EVENTS are the change's own. */
static bool needs_event_serials(const struct core *core, size_t n_events, uint64_t *ret)
{
    uint64_t event = core->events.last + core->news.count + n_events;
    *ret = event + EVENT_BLOCK;
    return event > core->ledger.counters.event_serial;
}

/* This daemon, unless it is recorded, and the counters, unless what is recorded suffices. */
static void add_own(struct batch *b, size_t n_events)
{
    const struct core *core = b->core;
    const struct ledger *l = &core->ledger;
    uint64_t event_serial;
    if (!l->is_entered)
        add(b, &(struct store_record){.type = STORE_DAEMON, .daemon = l->self});
    if (!needs_event_serials(core, n_events, &event_serial))
        return;
    b->counters = (struct store_counters){core->registry.last_serial, event_serial};
    add(b, &(struct store_record){.type = STORE_COUNTERS, .counters = b->counters});
}

/* --- writing */

/* Which facts are written. */
enum facts { FACTS_ALL, FACTS_REMOVALS };

static bool is_among(const struct ledger_fact *fact, enum facts which)
{
    return which == FACTS_ALL || fact->type != STORE_SEGMENT;
}

/* Memory for a write of what is noted and of N_NOTED more facts, and of changes of two segments
 * that have N_TIES ties: 0 or -ENOMEM. */
static int reserve_write(struct ledger *l, size_t n_noted, size_t n_ties)
{
    enum { SEGMENTS = 2, FIXED = 2 + SEGMENTS + ADDED_MAX }; /* with the daemon and the counters */
    n_noted += l->n_noted;
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

static void forget_noted(struct ledger *l, enum facts which)
{
    size_t n = 0;
    for (size_t i = 0; i < l->n_noted; i++)
        if (!is_among(&l->noted[i], which))
            l->noted[n++] = l->noted[i];
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
    if (r < 0)
        return r;
    l->is_entered = true;
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
    size_t n_ties = segment ? count_ties(segment) : 0;
    if (segment && change->also)
        n_ties += count_ties(change->also);
    int r = reserve_write(l, 0, n_ties);
    if (r < 0) {
        note_result(l, r);
        l->reason = "the daemon is out of memory";
        return r;
    }
    add_own(&b, segment ? 1 : 0);
    for (size_t i = 0; i < l->n_noted; i++)
        if (is_among(&l->noted[i], which))
            add_fact(&b, &l->noted[i]);
    if (segment)
        add_change(&b, segment, change);
    r = b.n_records > 0 ? write_batch(core, &b) : 0;
    if (r == 0)
        forget_noted(l, which);
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

int ledger_reserve_two(struct core *core, const struct segment *segment, const struct segment *also)
{
    enum { NOTED_SOON = 2 };
    int r = reserve_notes(&core->ledger, NOTED_SOON);
    if (r < 0)
        return r;
    size_t n_ties = (segment ? count_ties(segment) : 0) + (also ? count_ties(also) : 0);
    return reserve_write(&core->ledger, NOTED_SOON, n_ties);
}

/* Whether the store has anything of what CHANGE changes. */
static bool is_empty(const struct segment *segment, const struct ledger_change *change)
{
    if (change->record || change->also || change->is_gone || is_recorded(change->dropped))
        return false;
    for (size_t i = 0; i < ADDED_MAX; i++)
        if (is_recorded(change->added[i]))
            return false;
    const struct tie *tie;
    LIST_FOREACH (tie, &segment->ties, of_segment)
        if (is_recorded(tie) && (change->dropped_roles & (1U << tie->role)))
            return false;
    return true;
}

int ledger_write(struct core *core, const struct segment *segment,
                 const struct ledger_change *change, struct outcome_detail *detail)
{
    if (is_empty(segment, change))
        return 0;
    int r = try_write(core, FACTS_ALL, segment, change);
    if (r == 0)
        core->ledger.is_due = false;
    return r == 0 || r == -ENOMEM ? r : store_failure(&core->ledger, detail);
}

int ledger_write_gone(struct core *core, const struct segment *segment,
                      struct outcome_detail *detail)
{
    const struct clock *clock = &core->on.clock;
    const struct ledger_change change = {.is_gone = true};
    int r = ledger_write(core, segment, &change, detail);
    if (r == 0)
        core->ledger.disowned_at_s = clock->ops->kernel_s(clock->context);
    return r;
}

/* --- facts */

static void note(struct core *core, const struct ledger_fact *fact)
{
    struct ledger *l = &core->ledger;
    l->is_due = true;
    /* Without memory it is not noted: the next start finds it out again. */
    if (reserve_notes(l, 1) < 0)
        return;
    l->noted[l->n_noted++] = *fact;
}

void ledger_note_changed(struct core *core, const struct segment *segment)
{
    note(core, &(struct ledger_fact){.type = STORE_SEGMENT, .serial = segment->serial});
}

void ledger_note_gone(struct core *core, const struct segment *segment)
{
    struct ledger *l = &core->ledger;
    /* Its last holders, which were noted right before, go with it. */
    while (l->n_noted > 0 && l->noted[l->n_noted - 1].serial == segment->serial)
        l->n_noted--;
    note(core, &(struct ledger_fact){.type = STORE_GONE, .serial = segment->serial});
}

void ledger_note_untied(struct core *core, const struct tie *tie)
{
    if (is_recorded(tie))
        note(core, &(struct ledger_fact){.type = STORE_UNTIE,
                                         .serial = tie->segment->serial,
                                         .role = tie->role,
                                         .identity = tie->party->identity});
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
    if (!l->is_due && !needs_event_serials(core, 0, &ignored))
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

void ledger_settle_events(struct core *core)
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
