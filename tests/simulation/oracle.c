/* SPDX-License-Identifier: MIT */
#include "tests/simulation/oracle_state.h"

#include <stdlib.h>
#include <string.h>

#include "tests/fakes/fake_memory.h"

enum {
    LOOKS_A_PAGE = 600,
    LOOKS_A_CREATE = 8,    /* more are a look through all segments of a user */
    LONG_LOOKS_A_TURN = 4, /* as many as a turn has time for */
};

struct oracle *oracle_new(struct world *w)
{
    struct oracle *o = calloc(1, sizeof(*o));
    if (!o)
        abort();
    o->w = o->m.w = w;
    log_lines_read_by(o);
    return o;
}

static void ask_free(struct ask *ask)
{
    json_decref(ask->message);
    json_decref(ask->written);
    ask->message = ask->written = NULL;
}

static void forget_talk(struct talk *t)
{
    for (size_t i = t->n_done; i < t->n_asks; i++)
        ask_free(&t->asks[i]);
    for (size_t i = 0; i < t->n_waits; i++)
        ask_free(&t->waits[i]);
    free(t->asks);
    free(t->waits);
    free(t->text);
    *t = (struct talk){0};
}

void oracle_free(struct oracle *o)
{
    for (size_t i = 0; i < CONNECTIONS_MAX; i++)
        forget_talk(&o->talks[i]);
    log_lines_read_by(NULL);
    cut_off_forget(o);
    model_free(&o->m);
    free(o);
}

/* --- what is asked */

static void add_ask(struct talk *t, const struct ask *ask)
{
    if (t->n_done > 64 && t->n_done == t->n_asks)
        t->n_done = t->n_asks = 0;
    if (t->n_asks == t->capacity) {
        t->capacity = t->capacity ? t->capacity * 2 : 16;
        t->asks = realloc(t->asks, t->capacity * sizeof(*t->asks));
        if (!t->asks)
            abort();
    }
    t->asks[t->n_asks++] = *ask;
}

static void add_request(struct oracle *o, struct connection *c, json_t *request, unsigned batch,
                        bool is_deferred)
{
    const char *word = json_string_value(json_object_get(request, "method"));
    const json_t *id = json_object_get(request, "id");
    struct ask ask = {.connection = c,
                      .message = json_incref(request),
                      .params = json_object_get(request, "params"),
                      .id = json_integer_value(id),
                      .batch = batch,
                      .is_answered = id != NULL,
                      .is_deferred = is_deferred};
    int method = 0;
    while (method < METHOD_COUNT && strcmp(method_word((enum method)method), word) != 0)
        method++;
    ask.method = (enum method)method;
    add_ask(talk_of(o, c), &ask);
}

static bool calls_wait(const json_t *batch)
{
    size_t i;
    json_t *member;
    json_array_foreach (batch, i, member)
        if (strcmp(json_string_value(json_object_get(member, "method")), "wait") == 0)
            return true;
    return false;
}

void oracle_said(struct oracle *o, struct connection *c, const char *text)
{
    json_t *message = json_loads(text, 0, NULL);
    size_t i;
    json_t *member;
    talk_of(o, c)->connection = c;
    if (!message)
        abort();
    if (json_is_array(message)) {
        const bool is_deferred = calls_wait(message);
        const unsigned batch = ++talk_of(o, c)->n_batches;
        json_array_foreach (message, i, member)
            add_request(o, c, member, batch, is_deferred);
    } else {
        add_request(o, c, message, 0, false);
    }
    json_decref(message);
}

void oracle_said_badly(struct oracle *o, struct connection *c, int code, long long id)
{
    struct ask ask = {.connection = c, .id = id, .is_answered = true, .is_bad = true, .code = code};
    talk_of(o, c)->connection = c;
    add_ask(talk_of(o, c), &ask);
}

/* --- what is executed */

static void keep_wait(struct talk *t, const struct ask *ask)
{
    if (t->n_waits == t->waits_capacity) {
        t->waits_capacity = t->waits_capacity ? t->waits_capacity * 2 : 8;
        t->waits = realloc(t->waits, t->waits_capacity * sizeof(*t->waits));
        if (!t->waits)
            abort();
    }
    t->waits[t->n_waits++] = *ask;
}

/* Whether ASK may change S, whatever it denotes now. */
static bool may_mean(const struct oracle *o, const struct ask *ask, const struct model_segment *s)
{
    const uint32_t key = model_key(&o->m, s);
    const json_t *p = ask->params;
    const char *name = json_string_value(json_object_get(p, "name"));
    const char *new_name = json_string_value(json_object_get(p, "new_name"));
    return s->serial == (uint64_t)model_int(p, "serial", 0) ||
           s->kernel.shmid == model_int(p, "shmid", -1) ||
           (key != 0 && key == (uint32_t)model_int(p, "key", 0)) ||
           (name && (strcmp(s->name, name) == 0 || strcmp(s->new_name, name) == 0)) ||
           (new_name && strcmp(s->name, new_name) == 0);
}

static bool may_adopt(const struct ask *ask)
{
    return ask->method == METHOD_ADOPT || ask->method == METHOD_DISOWN;
}

static bool may_make(const struct ask *ask)
{
    return ask->method == METHOD_CREATE || may_adopt(ask);
}

static void note_cut_off(struct oracle *o, const struct ask *ask)
{
    if (may_make(ask))
        cut_off_note_new(o, ask);
    for (size_t i = 0; i < o->m.n_live; i++)
        if (may_mean(o, ask, o->m.live[i]))
            cut_off_note_change(o, ask, o->m.live[i]);
}

/* Those that ASK may have changed are as the daemon has them. */
void oracle_be_unsure(struct oracle *o, const struct ask *ask)
{
    struct model *m = &o->m;
    o->must_learn = o->has_unsure_news = true;
    note_cut_off(o, ask);
    for (size_t i = 0; i < m->n_live; i++) {
        m->live[i]->is_unsure |= may_mean(o, ask, m->live[i]);
        m->live[i]->is_news_unsure |= m->live[i]->is_unsure;
        m->live[i]->may_be_disowned |= ask->method == METHOD_DISOWN && m->live[i]->is_unsure;
    }
    /* `ready` of one that replaces another: that may be gone. */
    for (size_t i = 0; i < m->n_live && ask->method == METHOD_READY; i++)
        if (m->live[i]->is_unsure && m->live[i]->replaces) {
            struct model_segment *old = model_by_name(m, m->live[i]->new_name);
            if (old)
                old->is_unsure = old->is_news_unsure = true;
        }
    o->is_unsure_of_new |= may_make(ask);
    o->is_unsure_of_adopted |= may_adopt(ask);
}

void oracle_refused_by_store(struct oracle *o, const struct ask *ask)
{
    note_cut_off(o, ask);
    cut_off_refused(o);
    for (size_t i = 0; i < o->m.n_live; i++) {
        struct model_segment *s = o->m.live[i];
        s->may_be_recorded |= may_mean(o, ask, s);
        struct model_segment *old = ask->method == METHOD_READY && s->may_be_recorded && s->replaces
                                        ? model_by_name(&o->m, s->new_name)
                                        : NULL;
        if (old)
            old->may_be_recorded = true;
    }
    o->new_may_be_recorded |= may_make(ask);
    o->adopted_may_be_recorded |= may_adopt(ask);
}

/* The daemon has ended before it could take back what it could not record. */
static void be_unsure_of_refused(struct oracle *o)
{
    for (size_t i = 0; i < o->m.n_live; i++) {
        o->m.live[i]->is_unsure |= o->m.live[i]->may_be_recorded;
        o->m.live[i]->may_be_recorded = false;
    }
    o->is_unsure_of_new |= o->new_may_be_recorded;
    o->is_unsure_of_adopted |= o->adopted_may_be_recorded;
    o->new_may_be_recorded = o->adopted_may_be_recorded = false;
}

static void learn_unsure(struct oracle *o)
{
    for (size_t i = 0; i < o->m.n_live; i++) {
        struct model_segment *s = o->m.live[i];
        if (!s->is_unsure)
            continue;
        holds_learn(o, s);
        if (s->has_ended)
            i--;
    }
}

static void learn(struct oracle *o)
{
    learn_unsure(o);
    o->may_tell_of_unknown |= o->is_unsure_of_new;
    if (o->is_unsure_of_new)
        holds_check_records(o, false);
    o->is_unsure_of_new = o->is_unsure_of_adopted = o->must_learn = false;
}

void oracle_execute_unheard(struct oracle *o, struct ask *ask)
{
    struct model_segment *doubt;
    const struct answer a = model_answer(&o->m, ask);
    ask->is_judged = true;
    if (o->faults_seen || model_doubtful(&o->m, ask, &doubt, 1) > 0) {
        oracle_be_unsure(o, ask);
        learn_unsure(o);
        oracle_refused_by_store(o, ask); /* it may have been */
    } else if (a.code == CODE_OK) {
        model_apply(&o->m, ask, &a, NULL);
    }
}

void oracle_learn_wait(struct oracle *o, const struct ask *wait)
{
    oracle_note_faults(o);
    oracle_be_unsure(o, wait);
    learn_unsure(o);
}

/* A wait that holds may have become a holder, and nobody was told. */
static void waits_are_unsure(struct oracle *o)
{
    for (size_t i = 0; i < CONNECTIONS_MAX; i++)
        for (size_t k = 0; k < o->talks[i].n_waits; k++)
            if (!o->talks[i].waits[k].written)
                oracle_be_unsure(o, &o->talks[i].waits[k]);
}

void oracle_note_faults(struct oracle *o)
{
    if (o->faults_counted == world_faults(o->w))
        return;
    o->faults_counted = world_faults(o->w);
    o->last_fault_ms = o->w->clock.boot_ms;
    o->had_fault = true;
}

/* A request that is refused, or finds nothing, costs a bounded amount of work. */
static void judge_work(struct oracle *o, const struct ask *ask)
{
    struct world *w = o->w;
    if (ask->is_bad)
        return;
    if (ask->method == METHOD_LIST && w->n_looks > LOOKS_A_PAGE)
        world_fail(w, "request %lld, a list, looks at %lu segments", ask->id, w->n_looks);
    if (o->long_looks_turn != w->counts.turns)
        o->n_long_looks = 0;
    o->long_looks_turn = w->counts.turns;
    o->n_long_looks += (ask->method == METHOD_CREATE || ask->method == METHOD_ADOPT) &&
                       w->n_looks > LOOKS_A_CREATE;
    if (o->n_long_looks > LONG_LOOKS_A_TURN)
        world_fail(w, "%u requests of one turn look through the segments of their users",
                   o->n_long_looks);
}

/* The daemon closes it: for want of memory, or since its client has broken the rules. */
static bool is_closing(const struct connection *c)
{
    return c->session.outbox.is_cut_off || c->session.outbox.is_closed;
}

static void count_executed(struct oracle *o, const struct ask *ask)
{
    if (ask->is_bad)
        o->n_bad++;
    else
        o->executed[ask->method]++;
}

void oracle_served(struct oracle *o, struct connection *c, uint64_t n, bool had_fault,
                   bool was_killed)
{
    struct talk *t = talk_of(o, c);
    fake_memory_pause();
    oracle_note_faults(o); /* of the timers, too: a wait may have been answered there */
    o->is_killed |= was_killed;
    /* Which of them is answered is told by the answers; those without one wait, or are unheard. */
    t->connection = c;
    size_t end = t->n_done + (size_t)n;
    if (end > t->n_asks) {
        if (!had_fault)
            world_fail(o->w, "connection %d: %zu requests were executed that nobody sent", c->label,
                       end - t->n_asks);
        end = t->n_asks;
    }
    o->faults_seen = had_fault;
    o->executed_is_unsure |= had_fault; /* one may not have been read */
    if (n == 1 && t->n_done < end)
        judge_work(o, &t->asks[t->n_done]);
    answers_read(o, c);
    for (; t->n_done < end && !o->w->has_failed; count_executed(o, &t->asks[t->n_done++])) {
        struct ask *ask = &t->asks[t->n_done];
        if ((ask->message == NULL && !ask->is_bad) || (ask->is_bad && !ask->is_answered))
            continue; /* its answer was heard */
        if (ask->is_bad) {
            if (!is_closing(c))
                world_fail(o->w, "connection %d: the bad request %lld was not answered", c->label,
                           ask->id);
        } else if (!ask->is_answered) {
            oracle_execute_unheard(o, ask);
        } else if (ask->method == METHOD_WAIT || ask->written) {
            if (!ask->is_judged)
                judge_answer(o, ask, ask->written, had_fault);
            ask->asked_at_ms = o->w->clock.boot_ms;
            keep_wait(t, ask);
            ask->message = ask->written = NULL;
        } else if (!is_closing(c)) {
            world_fail(o->w, "connection %d: request %lld was executed and not answered", c->label,
                       ask->id);
        } else { /* the answer was thrown away with the connection */
            oracle_be_unsure(o, ask);
        }
        ask_free(ask);
    }
    if (o->must_learn && !was_killed)
        learn(o);
    if (was_killed) {
        if (t->n_done < t->n_asks && !t->asks[t->n_done].is_bad)
            oracle_be_unsure(o, &t->asks[t->n_done]);
        waits_are_unsure(o);
    }
    fake_memory_resume();
}

void oracle_published(struct oracle *o)
{
    struct world *w = o->w;
    fake_memory_pause();
    if (w->is_killed) {
        o->is_killed = true;
        waits_are_unsure(o);
        fake_memory_resume();
        return;
    }
    o->faults_seen = false;
    oracle_note_faults(o);
    events_read(o);
    for (int i = 0; i < w->n_connections; i++) {
        struct connection *c = &w->connections[i];
        if (!c->is_open || !c->is_woken)
            continue;
        c->is_woken = false;
        answers_read(o, c);
    }
    if (o->must_learn)
        learn(o);
    fake_memory_resume();
}

void oracle_turn_ended(struct oracle *o)
{
    fake_memory_pause();
    if (!o->w->is_killed)
        events_check_turn(o);
    fake_memory_resume();
}

void oracle_closed(struct oracle *o, struct connection *c)
{
    struct talk *t = talk_of(o, c);
    fake_memory_pause();
    if (!o->w->is_killed && !o->is_killed) {
        answers_read(o, c);
        /* A client that sends no more, and reads, gets all its answers. */
        const bool is_owed = (t->n_done < t->n_asks || t->n_waits > 0) &&
                             !(c->is_deaf && o->w->rpc.is_shutting_down);
        if (is_owed && !c->client_closed && !c->is_lingering && !is_closing(c))
            world_fail(o->w, "connection %d was closed with %zu requests open", c->label,
                       t->n_asks - t->n_done + t->n_waits);
    }
    forget_talk(t);
    fake_memory_resume();
}

void oracle_refused(struct oracle *o, struct connection *c, const struct writer *answer)
{
    fake_memory_pause();
    if (answer->len == 0 && !o->w->memory_is_short && world_faults(o->w) == 0)
        world_fail(o->w, "connection %d was refused without a word", c->label);
    forget_talk(talk_of(o, c));
    c->client_closed = true;
    fake_memory_resume();
}

/* --- the kernel without the daemon */

void oracle_look_outside(struct oracle *o)
{
    fake_memory_pause();
    holds_look_outside(o);
    fake_memory_resume();
}

void oracle_note_times(struct oracle *o)
{
    for (size_t i = 0; i < o->m.n_live; i++)
        model_note_times(o->m.live[i], fake_sysv_segment(o->w->k, o->m.live[i]->kernel.shmid));
}

void oracle_daemon_moved(struct oracle *o, int32_t shmid)
{
    struct model_segment *s = model_by_shmid(&o->m, shmid);
    if (!s)
        return;
    s->users.must_tell_came = s->users.must_tell_went = false;
    model_note_times(s, fake_sysv_segment(o->w->k, shmid));
}

void oracle_attached(struct oracle *o, int32_t shmid)
{
    struct model_segment *s = model_by_shmid(&o->m, shmid);
    if (s)
        s->was_attached = true;
}

void oracle_detached(struct oracle *o, int32_t shmid)
{
    struct model_segment *s = model_by_shmid(&o->m, shmid);
    if (s)
        s->idle_since_ms = o->w->clock.boot_ms;
}

/* --- lives of the daemon */

/* The next daemon finds a process again that it can see. */
static bool is_found_again(const struct process *p)
{
    return p->pid != 0 && !p->is_dead;
}

static void lose_ties(struct model_segment *s)
{
    size_t kept = 0;
    for (size_t i = 0; i < s->n_holders; i++) {
        struct holder *h = &s->holders[i];
        if (s->lifetime == LIFETIME_PROCESS && is_found_again(h->process))
            s->holders[kept++] = *h;
    }
    s->n_holders = kept;
    if (s->initialiser && !is_found_again(s->initialiser))
        s->initialiser = NULL;
    s->attacher = NULL;
    s->is_left_behind = s->has_unseen;
}

/* Serials of events are recorded ahead. What a store did not take of that may come again. */
static void forget_unrecorded_serials(struct oracle *o)
{
    const uint64_t recorded = o->w->core.ledger.counters.event_serial;
    if (o->last_told > recorded)
        o->last_told = recorded;
}

void oracle_daemon_ended(struct oracle *o, bool was_killed)
{
    fake_memory_pause();
    for (size_t i = 0; i < CONNECTIONS_MAX; i++)
        if (!o->w->connections[i].is_arriving) /* the next daemon accepts those */
            forget_talk(&o->talks[i]);
    const bool had_fault = o->had_fault || oracle_had_fault(o);
    if (was_killed)
        cut_off_check_kernel(o);
    if (had_fault)
        forget_unrecorded_serials(o);
    for (size_t i = 0; i < o->m.n_live; i++) {
        struct model_segment *s = o->m.live[i];
        lose_ties(s);
        s->was_attached |= s->lifetime == LIFETIME_ATTACHED;
        s->is_kept = false;
        s->idle_by_ms += 1000; /* the kernel's times are seconds */
        /* The store may not have taken that it is being removed. */
        s->is_unsure |= s->state == STATE_REMOVING && had_fault;
    }
    if (was_killed)
        events_excuse(o);
    events_forget_turn(o);
    o->ended_at_ms = o->w->clock.boot_ms;
    be_unsure_of_refused(o);
    o->is_killed = false;
    log_lines_begin_anew(o);
    holds_note_unacknowledged(o);
    holds_look_outside(o);
    fake_memory_resume();
}

/* Serials begin anew: no event is about the segments that there were. */
static void forget_serials(struct oracle *o)
{
    for (size_t i = 0; i < o->m.n_all; i++) {
        o->m.all[i]->is_of_the_past = true;
        o->m.all[i]->serial = 0;
    }
    o->last_told = 0;
    o->last_serial = 0;
}

/* It was deleted, and the daemon was killed before it could write it anew. */
static void lose_records(struct oracle *o)
{
    while (o->m.n_live > 0)
        model_end(&o->m, o->m.live[0]);
    forget_serials(o);
    holds_look_outside(o);
}

/* S is as the new daemon finds it. What the former may not have recorded of its use has begun an
 * idle time now. */
static void begin_again(struct oracle *o, struct model_segment *s, bool had_fault)
{
    const int64_t now = o->w->clock.boot_ms;
    model_begin_modes(s);
    model_begin_use(&o->m, s);
    /* What the start could not look at is news when the next sweep sees it. */
    s->users.may_tell_came = s->users.may_tell_went = had_fault;
    s->is_news_unsure = o->has_unsure_news = true;
    if (s->idle_by_ms > now || s->idle_by_ms > o->ended_at_ms - o->w->settings.reconcile_ms)
        s->idle_by_ms = now;
}

void oracle_daemon_started(struct oracle *o, bool records_are_lost, bool had_fault)
{
    fake_memory_pause();
    if (records_are_lost)
        lose_records(o);
    if (o->w->core.events.last < o->last_told)
        world_fail(o->w, "the serials of events went back from %llu to %llu",
                   (unsigned long long)o->last_told, (unsigned long long)o->w->core.events.last);
    o->last_told = o->w->core.events.last;
    /* One for which the start had no memory has a serial at once. */
    if (had_fault && o->w->core.events.first <= o->last_told)
        o->last_told = o->w->core.events.first - 1;
    o->told_before = o->last_told;
    events_forget_turn(o);
    o->m.rmid_is_forced = o->w->k->shm_rmid_forced && !had_fault;
    for (size_t i = 0; i < o->m.n_live; i++)
        begin_again(o, o->m.live[i], had_fault);
    for (size_t i = 0; i < o->m.n_all; i++)
        o->m.all[i]->is_of_the_past |=
            o->m.all[i]->has_ended || o->m.all[i]->state == STATE_REMOVING;
    learn_unsure(o);
    o->must_learn = false;
    o->had_fault |= had_fault;
    holds_check_records(o, false);
    holds_check_unacknowledged(o, had_fault || records_are_lost);
    if (o->is_unsure_of_new)
        holds_forget_adopted(o);
    oracle_check_kernel(o);
    /* The record of a create that failed may have been written, and not taken back before a kill.
     */
    o->may_tell_of_unknown = o->is_unsure_of_new || o->last_fault_ms > 0;
    o->is_unsure_of_new = o->is_unsure_of_adopted = false;
    cut_off_forget(o);
    memset(o->executed, 0, sizeof(o->executed));
    o->n_bad = 0;
    o->executed_is_unsure = had_fault;
    o->had_fault = had_fault;
    fake_memory_resume();
}

void oracle_hung(struct oracle *o, int64_t ms)
{
    /* The sweeps that make up for a fault come later. */
    if (o->last_fault_ms > 0 &&
        o->last_fault_ms + 3 * o->w->settings.reconcile_ms >= o->w->clock.boot_ms - ms)
        o->last_fault_ms += ms;
    for (size_t i = 0; i < o->m.n_live; i++)
        if (o->m.live[i]->idle_by_ms > o->w->clock.boot_ms - ms)
            o->m.live[i]->idle_by_ms += ms;
    /* A sweep that is under way may end in the next turn, and has passed what came meanwhile. */
    if (o->w->is_running && o->w->core.sweep.is_under_way)
        o->sweep_until_ms = o->w->clock.boot_ms;
}

void oracle_rebooted(struct oracle *o)
{
    while (o->m.n_live > 0)
        model_end(&o->m, o->m.live[0]);
    o->m.n_foreign = 0;
    forget_serials(o);
}

/* --- when nothing has work */

static void check_waits(struct oracle *o, const struct talk *t)
{
    for (size_t i = 0; i < t->n_waits; i++) {
        const struct ask *ask = &t->waits[i];
        const json_t *p = ask->params;
        if (ask->method != METHOD_WAIT || ask->written)
            continue;
        const char *name = json_string_value(json_object_get(p, "name"));
        const struct model_segment *s = model_by_name(&o->m, name);
        const long long timeout = model_int(p, "timeout_ms", -1);
        if (timeout >= 0 && o->w->clock.boot_ms > ask->asked_at_ms + timeout + 1)
            world_fail(o->w, "request %lld has waited longer than its timeout of %lld ms", ask->id,
                       timeout);
        if (s && s->state == STATE_READY && !model_may_be_gone(&o->m, s) && !o->had_fault)
            world_fail(o->w, "request %lld still waits for %s, which is there and ready", ask->id,
                       name);
    }
}

void oracle_check_settled(struct oracle *o)
{
    struct world *w = o->w;
    fake_memory_pause();
    for (int i = 0; i < w->n_connections && !w->has_failed; i++) {
        const struct connection *c = &w->connections[i];
        const struct talk *t = &o->talks[i];
        if (!c->is_open || c->is_deaf || c->session.outbox.is_closed)
            continue;
        if (t->n_done < t->n_asks)
            world_fail(w, "connection %d: request %lld has no answer", i, t->asks[t->n_done].id);
        check_waits(o, t);
    }
    holds_check_records(o, true);
    events_check_heard(o);
    events_check_users(o);
    quotas_check_counts(o);
    o->had_fault = o->may_tell_of_unknown = false;
    fake_memory_resume();
}
