/* SPDX-License-Identifier: MIT */
#include "tests/simulation/oracle_state.h"

#include <inttypes.h>
#include <string.h>

enum { SWEEP_LISTENED_TO_MS = 200, KEPT = 1024 };

static struct model_segment *any_segment(const struct oracle *o, uint64_t serial)
{
    for (size_t i = o->m.n_all; serial != 0 && i-- > 0;)
        if (o->m.all[i]->serial == serial)
            return o->m.all[i];
    return NULL;
}

/* What became of S in this turn is not known for sure. */
static bool is_excused(const struct oracle *o, const struct model_segment *s)
{
    return s->is_unsure || s->is_news_unsure || s->is_of_the_past ||
           s->outside != OUTSIDE_NOTHING || world_faults(o->w) != o->turn_faults ||
           (s->has_ended && oracle_had_fault(o));
}

/* A removal that no answer has told of: there must be a cause. */
static void take_removal(struct oracle *o, struct model_segment *s, enum reason reason)
{
    if (s->removal_is_told && !s->is_of_the_past)
        world_fail(o->w, "the removal of segment %" PRIu64 " is told twice", s->serial);
    s->removal_is_told = true;
    if (s->has_ended || s->state == STATE_REMOVING) {
        if (s->ended_by != 0 && !(s->ended_by & 1U << reason) && !is_excused(o, s))
            world_fail(o->w, "segment %" PRIu64 " (%s) was removed as %s, which is not so",
                       s->serial, s->new_name, reason_words[reason]);
        return;
    }
    const unsigned reasons = model_reasons(&o->m, s);
    if (!(reasons & 1U << reason) && !s->is_unsure)
        world_fail(o->w, "segment %" PRIu64 " (%s) was removed as %s, which is not so", s->serial,
                   s->name, reason_words[reason]);
    model_end_by_itself(&o->m, s);
}

/* What never changes of a segment, and what it was called when it was removed. */
static void check_lasting(struct oracle *o, const struct model_segment *s,
                          const struct segment_event *e)
{
    const struct wire_segment *shown = &e->segment;
    const bool is_over = s->has_ended || s->state == STATE_REMOVING;
    const char *name = is_over ? s->new_name : s->name, *what = NULL;
    if (is_excused(o, s))
        return;
    if (!shown->managed)
        what = "managed";
    else if (shown->shmid != s->kernel.shmid)
        what = "shmid";
    else if (shown->size != s->kernel.size)
        what = "size";
    else if (shown->creator.uid != s->creator_uid || shown->creator.gid != s->creator_gid ||
             shown->creator.pid != s->creator_pid)
        what = "creator";
    else if (shown->noreserve != s->noreserve || shown->huge_page_size != s->huge_page_size)
        what = "noreserve or huge_page_size";
    else if (e->kind == EVENT_REMOVED && strcmp(shown->name ? shown->name : "", name) != 0)
        what = "name";
    else if (e->kind == EVENT_REMOVED && shown->state < STATE_REMOVING)
        what = "state";
    if (what)
        world_fail(o->w, "event %" PRIu64 " (%s) shows segment %" PRIu64 " with another %s",
                   e->serial, event_words[e->kind], s->serial, what);
}

/* Somebody has attached S, or detached it. */
static void take_use(struct oracle *o, struct model_segment *s, const struct segment_event *e)
{
    const bool came = e->kind == EVENT_ATTACHED;
    if (!(came ? s->users.may_tell_came : s->users.may_tell_went) && !is_excused(o, s))
        world_fail(o->w, "segment %" PRIu64 " is told as %s, and nobody has done that", s->serial,
                   event_words[e->kind]);
    if (came)
        s->users.may_tell_came = s->users.must_tell_came = false;
    else
        s->users.may_tell_went = s->users.must_tell_went = false;
    s->users.n_told = e->segment.nattch;
    if (s->users.n_told != s->users.n && !s->has_ended && !is_excused(o, s))
        world_fail(o->w,
                   "event %" PRIu64 " (%s) shows %" PRIu64 " attachments of segment %" PRIu64
                   ", which has %" PRIu64,
                   e->serial, event_words[e->kind], s->users.n_told, s->serial, s->users.n);
}

/* Who hears of it is told by its mode. */
static void check_mode(struct oracle *o, const struct model_segment *s,
                       const struct segment_event *e)
{
    const uint32_t mode = e->kernel.mode & 0777;
    /* It went while no daemon ran: its owner alone hears. */
    const bool is_unseen = s->is_of_the_past && mode == 0600;
    if (!model_may_have_seen(s, mode) && !is_unseen && !s->is_unsure && !o->had_fault)
        world_fail(o->w,
                   "event %" PRIu64 " shows segment %" PRIu64 " with mode %o, which it had not",
                   e->serial, s->serial, mode);
}

static void take_event(struct oracle *o, const struct segment_event *e)
{
    struct model_segment *s = any_segment(o, e->segment.serial);
    if (!s) {
        const bool is_cut_off = o->may_tell_of_unknown;
        if (is_cut_off && e->segment.serial > o->last_serial)
            o->last_serial = e->segment.serial;
        if (!o->had_fault && !is_cut_off && e->segment.managed)
            world_fail(o->w,
                       "event %" PRIu64 " (%s) is about segment %" PRIu64
                       ", which nobody was told of",
                       e->serial, event_words[e->kind], e->segment.serial);
        return;
    }
    check_mode(o, s, e);
    if (e->kind == EVENT_REMOVED)
        take_removal(o, s, e->reason);
    else if (e->kind == EVENT_ATTACHED || e->kind == EVENT_DETACHED)
        take_use(o, s, e);
    check_lasting(o, s, e);
}

static void keep(struct oracle *o, uint64_t serial, const struct segment_event *e)
{
    struct told *t = &o->told[serial % TOLD_KEPT];
    *t = (struct told){.is_lost = !e};
    if (!e)
        return;
    t->kind = e->kind;
    t->reason = e->reason;
    t->at_ms = e->at_ms;
    t->kernel = e->kernel;
    shown_in_log(e, &t->shows);
}

void events_excuse(struct oracle *o)
{
    for (size_t i = 0; i < o->m.n_all; i++) {
        struct model_segment *s = o->m.all[i];
        s->is_of_the_past |=
            s->has_ended || s->state == STATE_REMOVING || model_may_be_gone(&o->m, s);
    }
}

/* One that is lost may have told who came and went. */
static void excuse_users(struct oracle *o)
{
    for (size_t i = 0; i < o->m.n_live; i++) {
        struct model_segment *s = o->m.live[i];
        s->users.must_tell_came = s->users.must_tell_went = false;
        s->users.n_told = s->users.n;
    }
}

static void read_log(struct oracle *o)
{
    const struct event_log *log = &o->w->core.events;
    while (o->last_told < log->last && !o->w->has_failed) {
        const struct segment_event *e = event_log_get(log, ++o->last_told);
        if (!e && world_faults(o->w) == 0)
            world_fail(o->w, "event %" PRIu64 " is lost", o->last_told);
        if (e && e->serial != o->last_told)
            world_fail(o->w, "event %" PRIu64 " has the serial %" PRIu64, o->last_told, e->serial);
        keep(o, o->last_told, e);
        o->w->counts.events++;
        if (e) {
            take_event(o, e);
            continue;
        }
        events_excuse(o);
        excuse_users(o);
    }
}

void events_read(struct oracle *o)
{
    read_log(o);
    for (size_t i = 0; i < o->m.n_live; i++)
        model_forget_modes(o->m.live[i]);
}

/* --- what a turn has changed */

/* The first change that T tells of, and that is not told yet: others of the same segment that come
 * before it, and need not be told, are not told any more. */
static struct due *due_of(const struct oracle *o, const struct told *t)
{
    for (size_t i = 0; i < o->m.n_dues; i++) {
        struct due *due = &o->m.dues[i];
        if (due->is_told || due->shows.serial != t->shows.serial ||
            due->shows.shmid != t->shows.shmid)
            continue;
        if (due->kind == t->kind)
            return due;
        if (due->is_sure)
            return NULL;
        due->is_told = true;
    }
    return NULL;
}

static void check_told(struct oracle *o, uint64_t serial)
{
    const struct told *t = &o->told[serial % TOLD_KEPT];
    const struct model_segment *s = any_segment(o, (uint64_t)t->shows.serial);
    if (t->kind == EVENT_REMOVED || t->kind == EVENT_ATTACHED || t->kind == EVENT_DETACHED)
        return;
    struct due *due = due_of(o, t);
    if (due)
        due->is_told = true;
    if (s ? is_excused(o, s) : world_faults(o->w) != o->turn_faults || o->may_tell_of_unknown)
        return;
    if (!due) {
        world_fail(o->w, "event %" PRIu64 " (%s) tells of segment %" PRId64 " (%s) what was not so",
                   serial, event_words[t->kind], t->shows.serial, t->shows.name);
        return;
    }
    const char *what = shown_difference(&due->shows, &t->shows, false);
    if (due->at_ms != t->at_ms)
        what = "at_ms";
    if (what)
        world_fail(o->w,
                   "event %" PRIu64 " (%s) shows segment %" PRId64 " (%s) with another %s than it "
                   "had then",
                   serial, event_words[t->kind], t->shows.serial, due->shows.name, what);
}

static void check_due(struct oracle *o, const struct due *due)
{
    const struct model_segment *s = any_segment(o, (uint64_t)due->shows.serial);
    if (!due->is_told && due->is_sure && !(s && is_excused(o, s)))
        world_fail(o->w, "segment %" PRId64 " (%s) is told nobody as %s", due->shows.serial,
                   due->shows.name, event_words[due->kind]);
}

void events_forget_turn(struct oracle *o)
{
    o->m.n_dues = 0;
    o->turn_after = o->last_told;
    o->turn_faults = world_faults(o->w);
}

void events_check_turn(struct oracle *o)
{
    const bool had_fault = world_faults(o->w) != o->turn_faults;
    if (o->w->core.sweep.is_under_way)
        o->sweep_until_ms = o->w->clock.boot_ms;
    if (o->last_told - o->turn_after < EVENTS_KEPT)
        for (uint64_t i = o->turn_after + 1; i <= o->last_told && !o->w->has_failed; i++)
            if (!o->told[i % TOLD_KEPT].is_lost)
                check_told(o, i);
    for (size_t i = 0; i < o->m.n_dues && !had_fault && !o->w->has_failed; i++)
        check_due(o, &o->m.dues[i]);
    for (size_t i = 0; i < o->m.n_all && o->has_unsure_news; i++)
        o->m.all[i]->is_news_unsure = false;
    o->has_unsure_news = false;
    events_forget_turn(o);
}

/* --- who came and went */

static bool listens(const struct oracle *o)
{
    const unsigned of_use = 1U << EVENT_ATTACHED | 1U << EVENT_DETACHED;
    for (int i = 0; i < o->w->n_connections; i++)
        if (o->w->connections[i].is_open && o->talks[i].listener.is_on &&
            (o->talks[i].listener.kinds & of_use))
            return true;
    return false;
}

/* By when the daemon has looked at what has happened to S. */
static int64_t looked_by(const struct oracle *o, const struct model_segment *s)
{
    const int64_t ms = s->users.since_ms;
    /* A sweep that was under way may have passed it. */
    const int64_t from = s->users.is_in_sweep && ms < o->sweep_until_ms ? o->sweep_until_ms : ms;
    const bool is_often = listens(o) && o->listens_since_ms < from;
    return from + (is_often ? SWEEP_LISTENED_TO_MS : o->w->settings.reconcile_ms) + 1;
}

static void check_users(struct oracle *o, const struct model_segment *s)
{
    const struct sysv_stat *k = fake_sysv_segment(o->w->k, s->kernel.shmid);
    if (!k || s->state == STATE_REMOVING || is_excused(o, s) || model_may_be_gone(&o->m, s) ||
        o->w->clock.boot_ms < looked_by(o, s))
        return;
    const char *what = NULL;
    if (s->users.n != s->users.n_told)
        what = s->users.n > s->users.n_told ? "attached" : "detached";
    /* When the daemon's own attachment moved last, it can tell no more than the count. */
    else if (k->lpid != o->w->k->self.pid && (s->users.must_tell_came || s->users.must_tell_went))
        what = s->users.must_tell_came ? "attached" : "detached";
    if (what)
        world_fail(o->w, "that somebody has %s segment %" PRIu64 " (%s) is told nobody", what,
                   s->serial, s->name);
}

void events_check_users(struct oracle *o)
{
    for (size_t i = 0; i < o->m.n_live && !o->had_fault && !oracle_had_fault(o); i++)
        check_users(o, o->m.live[i]);
}

/* --- those who listen */

void events_subscribe(struct oracle *o, const struct ask *ask, const json_t *result)
{
    struct listener *l = &talk_of(o, ask->connection)->listener;
    const json_t *p = ask->params;
    const json_t *kinds = json_object_get(p, "kinds");
    const char *prefix = json_string_value(json_object_get(p, "prefix"));
    const uint64_t newest = (uint64_t)model_int(result, "event_serial", 0);
    const uint64_t after = (uint64_t)model_int(p, "after", -1);
    size_t i;
    json_t *word;
    if (!listens(o))
        o->listens_since_ms = o->w->clock.boot_ms;
    *l = (struct listener){.is_on = true, .kinds = kinds ? 0 : UINT32_MAX, .next = newest + 1};
    json_array_foreach (kinds, i, word)
        l->kinds |= 1U << term_find(event_words, json_string_value(word));
    model_copy_name(l->prefix, prefix);
    read_log(o);
    if (newest != o->last_told)
        world_fail(o->w, "request %lld: the newest event is %" PRIu64 ", and not %" PRIu64, ask->id,
                   o->last_told, newest);
    if (json_object_get(p, "after") && after < newest)
        l->next = after + 1;
}

void events_may_subscribe(struct oracle *o, const struct ask *ask)
{
    talk_of(o, ask->connection)->listener = (struct listener){.is_unsure = true};
}

static bool is_for(const struct oracle *o, const struct talk *t, const struct told *e)
{
    return !e->is_lost && (t->listener.kinds & 1U << e->kind) &&
           strncmp(e->shows.name, t->listener.prefix, strlen(t->listener.prefix)) == 0 &&
           model_may_read(&o->m, t->connection->by, &e->kernel);
}

/* The first event that this daemon must still have: the newest KEPT are, as far as it has told any.
 */
static uint64_t first_kept(const struct oracle *o)
{
    const uint64_t oldest = o->last_told < KEPT ? 1 : o->last_told - KEPT + 1;
    return oldest > o->told_before ? oldest : o->told_before + 1;
}

/* There was no memory for it; or it is so old that nobody knows any more. */
static bool had_no_memory(const struct oracle *o, uint64_t serial)
{
    return o->told[serial % TOLD_KEPT].is_lost;
}

/* Passes over events up to SERIAL, none of which may be for T. */
static void pass(struct oracle *o, struct talk *t, uint64_t serial)
{
    for (; t->listener.next < serial && !o->w->has_failed; t->listener.next++) {
        if (o->last_told >= TOLD_KEPT && t->listener.next <= o->last_told - TOLD_KEPT)
            continue;
        if (had_no_memory(o, t->listener.next))
            world_fail(o->w, "connection %d was not told that event %" PRIu64 " is lost",
                       t->connection->label, t->listener.next);
        if (is_for(o, t, &o->told[t->listener.next % TOLD_KEPT]))
            world_fail(o->w, "connection %d was not told of event %" PRIu64, t->connection->label,
                       t->listener.next);
    }
}

/* The first event that T has not heard and for which there was no memory: the gap is told with the
 * next event. */
static uint64_t first_without_memory(const struct oracle *o, const struct talk *t)
{
    uint64_t serial = t->listener.next;
    if (o->last_told >= TOLD_KEPT && serial <= o->last_told - TOLD_KEPT)
        serial = o->last_told - TOLD_KEPT + 1;
    while (serial <= o->last_told && !had_no_memory(o, serial))
        serial++;
    return serial;
}

/* A gap stands for events that the daemon has not any more: for all that are not kept, or for one
 * for which there was no memory. Before it others may have come that were not for T. */
static void hear_gap(struct oracle *o, struct talk *t, uint64_t missed)
{
    struct listener *l = &t->listener;
    read_log(o); /* one for which there was no memory is in the log at once */
    const uint64_t kept = first_kept(o), without_memory = first_without_memory(o, t);
    uint64_t from = 0;
    if (kept > l->next && missed <= kept - l->next)
        from = kept - missed;
    else if (missed == 1 && without_memory <= o->last_told)
        from = without_memory;
    /* A new daemon has nothing of before, and so passes over nothing. */
    if (from == 0 || missed == 0 || (l->next <= o->told_before && from != l->next)) {
        world_fail(o->w,
                   "connection %d hears that %" PRIu64 " events are lost, of which the next is "
                   "%" PRIu64 ", and %" PRIu64 " is kept",
                   t->connection->label, missed, l->next, kept);
        return;
    }
    pass(o, t, from);
    l->next = from + missed;
}

/* What is heard is what the log has. */
static void check_as_told(struct oracle *o, const struct talk *t, const json_t *p,
                          const struct told *e)
{
    const char *reason = json_string_value(json_object_get(p, "reason"));
    const char *wanted = e->kind == EVENT_REMOVED ? reason_words[e->reason] : "";
    struct shown heard;
    shown_on_wire(json_object_get(p, "segment"), &heard);
    const char *what = shown_difference(&e->shows, &heard, true);
    if (strcmp(reason ? reason : "", wanted) != 0)
        what = "reason";
    else if (model_int(p, "at_ms", -1) != e->at_ms)
        what = "at_ms";
    if (what)
        world_fail(o->w, "connection %d hears event %lld (%s) with another %s than it was to have",
                   t->connection->label, model_int(p, "event_serial", 0), event_words[e->kind],
                   what);
}

void events_heard(struct oracle *o, struct talk *t, const json_t *p)
{
    const char *kind = json_string_value(json_object_get(p, "kind"));
    const uint64_t serial = (uint64_t)model_int(p, "event_serial", 0);
    if (t->listener.is_unsure)
        return;
    if (!t->listener.is_on) {
        world_fail(o->w, "connection %d hears events and has not subscribed", t->connection->label);
        return;
    }
    if (strcmp(kind, "gap") == 0) {
        hear_gap(o, t, (uint64_t)model_int(p, "missed", 0));
        return;
    }
    const struct told *e = &o->told[serial % TOLD_KEPT];
    if (serial < t->listener.next || serial > o->last_told) {
        world_fail(o->w, "connection %d hears event %" PRIu64 " when the next is %" PRIu64,
                   t->connection->label, serial, t->listener.next);
        return;
    }
    pass(o, t, serial);
    t->listener.next = serial + 1;
    if (!is_for(o, t, e) || strcmp(kind, event_words[e->kind]) != 0)
        world_fail(o->w, "connection %d hears event %" PRIu64 " (%s), which is not for it",
                   t->connection->label, serial, kind);
    check_as_told(o, t, p, e);
}

void events_check_heard(struct oracle *o)
{
    struct world *w = o->w;
    for (int i = 0; i < w->n_connections && !w->has_failed; i++) {
        const struct connection *c = &w->connections[i];
        struct talk *t = &o->talks[i];
        if (c->is_open && !c->is_deaf && !c->client_closed && t->listener.is_on &&
            !c->session.outbox.is_closed && !o->had_fault)
            pass(o, t, first_without_memory(o, t));
    }
    for (size_t i = 0; i < o->m.n_all && !w->has_failed && !o->had_fault; i++) {
        struct model_segment *s = o->m.all[i];
        if (s->has_ended && !s->removal_is_told && !s->is_disowned && !s->is_of_the_past &&
            !s->is_unsure)
            world_fail(w, "segment %" PRIu64 " has ended and nobody was told", s->serial);
    }
}
