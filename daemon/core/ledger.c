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
    free(ledger->changes);
    free(ledger->ties);
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

static const struct ledger_change no_change;

/* Room for one more noted segment than there are: for a change of SEGMENT, which may be NULL. */
static int reserve_write(struct core *core, const struct segment *segment)
{
    struct ledger *l = &core->ledger;
    size_t n_ties = sizeof(no_change.added) / sizeof(no_change.added[0]);
    for (size_t i = 0; i < l->n_noted; i++)
        n_ties += collect_ties(registry_by_serial(&core->registry, l->noted[i]), &no_change, NULL);
    if (segment)
        n_ties += collect_ties(segment, &no_change, NULL);
    struct store_change *changes =
        array_reserve(l->changes, &l->changes_capacity, 0, l->n_noted + 1, sizeof(*changes));
    if (!changes)
        return -ENOMEM;
    l->changes = changes;
    struct stored_tie *ties = array_reserve(l->ties, &l->ties_capacity, 0, n_ties, sizeof(*ties));
    if (!ties)
        return -ENOMEM;
    l->ties = ties;
    return 0;
}

/* Puts together all that is to be written: what was noted, and CHANGE of SEGMENT, which may be
 * NULL. Returns how many records that are. */
static size_t put_together(struct core *core, const struct segment *segment,
                           const struct ledger_change *change)
{
    struct ledger *l = &core->ledger;
    struct stored_tie *ties = l->ties;
    size_t n = 0;
    for (size_t i = 0; i < l->n_noted; i++) {
        uint64_t serial = l->noted[i];
        const struct segment *noted = registry_by_serial(&core->registry, serial);
        if (segment && serial == segment->serial)
            continue;
        size_t n_ties = collect_ties(noted, &no_change, ties);
        l->changes[n++] = (struct store_change){serial, noted, ties, n_ties};
        ties += n_ties;
    }
    if (segment) {
        size_t n_ties = collect_ties(segment, change, ties);
        l->changes[n++] = (struct store_change){
            segment->serial, change->record ? change->record : segment, ties, n_ties};
    }
    return n;
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
    const struct store_meta meta = next_meta(core, segment, segment ? 1 : 0);
    int r = reserve_write(core, segment);
    if (r < 0) {
        l->reason = "the daemon is out of memory";
        return r;
    }
    r = ledger_enter(core);
    if (r == 0)
        r = store->ops->commit(store->context, l->changes, put_together(core, segment, change),
                               &meta, &l->reason);
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

/* Room to note MORE facts. */
static int reserve_notes(struct ledger *l, size_t more)
{
    uint64_t *noted =
        array_reserve(l->noted, &l->noted_capacity, l->n_noted, more, sizeof(l->noted[0]));
    if (!noted)
        return -ENOMEM;
    l->noted = noted;
    return 0;
}

int ledger_reserve(struct core *core, const struct segment *segment)
{
    int r = reserve_notes(&core->ledger, 2);
    return r < 0 ? r : reserve_write(core, segment);
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
    int r = is_empty(segment, change) ? 0 : try_write(core, segment, change);
    return r == 0 || r == -ENOMEM ? r : store_failure(&core->ledger, detail);
}

/* --- facts */

static void note(struct core *core, struct segment *segment)
{
    struct ledger *l = &core->ledger;
    l->is_due = true;
    /* Without memory it is not noted: the next start finds it out again. */
    if (segment->is_noted || reserve_notes(l, 1) < 0)
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
