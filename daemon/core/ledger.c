#include "daemon/core/ledger.h"

#include <errno.h>
#include <string.h>

#include "daemon/core/core.h"
#include "daemon/util/array.h"

/* Serials of events are promised to the store a block ahead, so that no daemon tells one twice. */
enum { EVENT_BLOCK = 1024 };

void ledger_deinit(struct ledger *ledger)
{
    free(ledger->noted);
    *ledger = (struct ledger){0};
}

int ledger_load(struct core *core, const struct store_visitor *visitor)
{
    const struct store *store = &core->on.store;
    struct ledger *l = &core->ledger;
    int r = store->ops->load(store->context, visitor, &l->meta);
    if (r < 0)
        return r;
    event_log_init(&core->events, l->meta.event_serial);
    if (l->meta.last_serial > core->registry.last_serial)
        core->registry.last_serial = l->meta.last_serial;
    return 0;
}

int ledger_enter(struct core *core)
{
    const struct store *store = &core->on.store;
    struct ledger *l = &core->ledger;
    if (l->is_entered)
        return 0;
    int r = store->ops->enter(store->context, &l->self);
    if (r < 0)
        l->reason = "not even that this daemon runs can be recorded: is the disk full?";
    l->is_entered = r == 0;
    return r;
}

static int store_failure(const struct ledger *l, struct outcome_detail *detail)
{
    *detail = (struct outcome_detail){.hint = l->reason};
    return OUTCOME_STORE_FAILURE;
}

int ledger_intend(struct core *core, uint32_t key, uint64_t size, struct outcome_detail *detail)
{
    (void)key;
    (void)size;
    return ledger_enter(core) < 0 ? store_failure(&core->ledger, detail) : 0;
}

void ledger_abandon(struct core *core)
{
    (void)core;
}

/* --- writing */

static bool is_kept(const struct ledger_change *change, const struct tie *tie)
{
    return !tie->party->is_connection && tie != change->dropped &&
           !(change->dropped_roles & (1U << tie->role));
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

/* The ties that SEGMENT (NULL: it is gone) has after CHANGE, into INTO unless that is NULL; how
 * many they are. */
static size_t collect_ties(const struct segment *segment, const struct ledger_change *change,
                           struct stored_tie *into)
{
    size_t n = 0;
    for (size_t i = 0; i < sizeof(change->added) / sizeof(change->added[0]); i++) {
        if (!change->added[i] || change->added[i]->party->is_connection)
            continue;
        if (into)
            into[n] = stored_tie(change->added[i]);
        n++;
    }
    if (!segment)
        return n;
    const struct tie *tie;
    LIST_FOREACH (tie, &segment->ties, of_segment) {
        if (!is_kept(change, tie))
            continue;
        if (into)
            into[n] = stored_tie(tie);
        n++;
    }
    return n;
}

/* What is written together: the facts that were noted, and a change of SEGMENT, which may be NULL.
 */
struct batch {
    struct core *core;
    const struct segment *segment;
    const struct ledger_change *change;
    struct store_change *changes;
    size_t n_changes;
    struct stored_tie *ties; /* NULL: they are only counted */
    size_t n_ties;
};

static void add_change(struct batch *b, uint64_t serial, const struct segment *ties_of,
                       const struct segment *record, const struct ledger_change *change)
{
    struct stored_tie *into = b->ties ? b->ties + b->n_ties : NULL;
    size_t n = collect_ties(ties_of, change, into);
    if (b->ties)
        b->changes[b->n_changes++] = (struct store_change){serial, record, into, n};
    b->n_ties += n;
}

static void add_all(struct batch *b)
{
    static const struct ledger_change none;
    const struct ledger *l = &b->core->ledger;
    b->n_ties = 0;
    for (size_t i = 0; i < l->n_noted; i++) {
        const struct segment *segment = registry_by_serial(&b->core->registry, l->noted[i]);
        if (!b->segment || l->noted[i] != b->segment->serial)
            add_change(b, l->noted[i], segment, segment, &none);
    }
    if (b->segment)
        add_change(b, b->segment->serial, b->segment,
                   b->change->record ? b->change->record : b->segment, b->change);
}

/* N_EVENTS: how many events of the change will be told. */
static struct store_meta next_meta(const struct core *core, const struct segment *segment,
                                   size_t n_events)
{
    struct store_meta meta = core->ledger.meta;
    uint64_t event = core->events.last + core->news.count + n_events;
    meta.last_serial = core->registry.last_serial;
    if (segment && segment->serial > meta.last_serial)
        meta.last_serial = segment->serial;
    if (event > meta.event_serial)
        meta.event_serial = event + EVENT_BLOCK;
    return meta;
}

static int commit(struct core *core, const struct segment *segment,
                  const struct ledger_change *change)
{
    const struct store *store = &core->on.store;
    struct ledger *l = &core->ledger;
    struct batch b = {.core = core, .segment = segment, .change = change};
    const struct store_meta meta = next_meta(core, segment, segment ? 1 : 0);
    add_all(&b); /* counts */
    struct store_change *changes CLEANUP(cleanup_free) = calloc(l->n_noted + 1, sizeof(*changes));
    struct stored_tie *ties CLEANUP(cleanup_free) = calloc(b.n_ties + 1, sizeof(*ties));
    if (!changes || !ties) {
        l->reason = "the daemon is out of memory";
        return -ENOMEM;
    }
    b.changes = changes;
    b.ties = ties;
    add_all(&b);
    int r = ledger_enter(core);
    if (r == 0)
        r = store->ops->commit(store->context, changes, b.n_changes, &meta, &l->reason);
    if (r == 0)
        l->meta = meta;
    return r;
}

static void forget_noted(struct core *core)
{
    struct ledger *l = &core->ledger;
    for (; l->n_noted > 0; l->n_noted--) {
        struct segment *segment = registry_by_serial(&core->registry, l->noted[l->n_noted - 1]);
        if (segment)
            segment->is_noted = false;
    }
}

static int try_write(struct core *core, const struct segment *segment,
                     const struct ledger_change *change)
{
    struct ledger *l = &core->ledger;
    l->is_due = false;
    l->has_result = true;
    l->result = commit(core, segment, change);
    if (l->result == 0)
        forget_noted(core);
    return l->result;
}

static bool is_recorded(const struct tie *tie)
{
    return tie && !tie->party->is_connection;
}

/* Whether the store has anything of what CHANGE changes. */
static bool is_empty(const struct segment *segment, const struct ledger_change *change)
{
    if (change->record || is_recorded(change->added[0]) || is_recorded(change->added[1]) ||
        is_recorded(change->dropped))
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
    if (is_empty(segment, change) || try_write(core, segment, change) == 0)
        return 0;
    return store_failure(&core->ledger, detail);
}

/* --- facts */

static int reserve(struct ledger *l, size_t more)
{
    uint64_t *noted = array_reserve(l->noted, &l->capacity, l->n_noted, more, sizeof(l->noted[0]));
    if (!noted)
        return -ENOMEM;
    l->noted = noted;
    return 0;
}

int ledger_reserve(struct core *core)
{
    return reserve(&core->ledger, 2);
}

static void note(struct core *core, struct segment *segment)
{
    struct ledger *l = &core->ledger;
    l->is_due = true;
    /* Without memory it is not noted: the next start finds it out again. */
    if (segment->is_noted || reserve(l, 1) < 0)
        return;
    l->noted[l->n_noted++] = segment->serial;
    segment->is_noted = true;
}

void ledger_note_changed(struct core *core, struct segment *segment)
{
    note(core, segment);
}

void ledger_note_gone(struct core *core, struct segment *segment)
{
    note(core, segment);
}

void ledger_note_untied(struct core *core, const struct tie *tie)
{
    if (is_recorded(tie))
        note(core, tie->segment);
}

void ledger_catch_up(struct core *core)
{
    const struct ledger *l = &core->ledger;
    if (l->is_due || next_meta(core, NULL, 0).event_serial > l->meta.event_serial)
        (void)try_write(core, NULL, NULL);
}

void ledger_retry(struct core *core)
{
    core->ledger.is_due |= core->ledger.n_noted > 0;
}

bool ledger_is_due(const struct core *core)
{
    return core->ledger.is_due;
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
    const struct store_meta exact = {core->registry.last_serial, core->events.last};
    const char *ignored;
    if (core->ledger.is_entered &&
        store->ops->commit(store->context, NULL, 0, &exact, &ignored) == 0)
        core->ledger.meta = exact;
}
