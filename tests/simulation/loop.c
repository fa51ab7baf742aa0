/* SPDX-License-Identifier: MIT */
#include "tests/simulation/loop.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/core/ends.h"
#include "daemon/util/container_of.h"
#include "protocol/limits.h"
#include "tests/fakes/fake_memory.h"
#include "tests/simulation/oracle.h"

enum {
    READ_BYTES = 65536, /* as daemon/io reads at a time */
    ACCEPTS_A_TURN = 16,
    /* What a user may have while another one waits, whatever the daemon makes of it: the bounds are
     * promised, and not the daemon's own numbers. */
    MOST_OF_A_USER_US = 250,
    /* Looks at the clock by which a turn, and what a user has, may be longer. */
    SETTLES_IN = 40,
    SHARE_SETTLES_IN = 4,
    CHORE_UIDS = 1000000, /* stand for what the daemon does of itself */
};

/* --- shares */

static void check_shares(struct world *w, uint32_t uid, int64_t from_us)
{
    const int64_t most = MOST_OF_A_USER_US + SHARE_SETTLES_IN * w->clock.mono_step_us;
    int64_t had;
    const uint32_t *waits = shares_served(&w->shares, uid, from_us, w->clock.mono_us, most, &had);
    if (waits)
        world_fail(w, "uid %u had %lld us while uid %u waited, which is more than %lld", uid,
                   (long long)had, *waits, (long long)most);
}

/* --- chores */

static void serve_chore(struct task *task)
{
    const struct chore_task *chore = container_of(task, struct chore_task, task);
    struct world *w = chore->world;
    const int64_t from_us = w->clock.mono_us;
    chore->does->go_on(&w->core);
    if (!w->is_killed)
        check_shares(w, CHORE_UIDS + (uint32_t)(chore - w->chores), from_us);
}

/* In the midst of a turn nothing new comes: the world stands still while the daemon works. */
static void take_reports_meanwhile(void *context)
{
    (void)context;
}

static bool send_answers(void *context);

int loop_begin(struct world *w)
{
    w->shares = (struct shares){0};
    w->n_answered = 0;
    turns_init(&w->turns, &w->core.work, send_answers, take_reports_meanwhile, w);
    int r = 0;
    for (size_t i = 0; i < CORE_CHORES; i++)
        w->chores[i] = (struct chore_task){.world = w, .does = &core_chores[i]};
    for (size_t i = 0; i < CORE_CHORES && r == 0; i++)
        r = turns_join_own(&w->turns, &w->chores[i].task, serve_chore);
    return r;
}

void loop_end(struct world *w)
{
    for (size_t i = 0; i < CORE_CHORES; i++)
        turns_leave(&w->turns, &w->chores[i].task);
}

/* --- a connection */

static void add_work(struct connection *c)
{
    if (!c->has_work)
        shares_wait(&c->world->shares, c->session.caller.uid, c->world->clock.mono_us);
    c->has_work = true;
    turns_add(&c->world->turns, &c->task);
}

static void drop_work(struct connection *c)
{
    if (c->has_work)
        shares_wait_no_more(&c->world->shares, c->session.caller.uid);
    c->has_work = false;
}

void loop_wake(void *context, struct outbox *outbox)
{
    struct connection *c = container_of(outbox, struct connection, session.outbox);
    (void)context;
    c->is_woken = true;
    add_work(c);
}

/* As daemon/io/connection.c does. */
static void forget_answers(struct world *w, const struct connection *c)
{
    for (int i = 0; i < w->n_answered; i++)
        if (w->answered[i] == c)
            w->answered[i] = NULL;
}

void loop_close(struct connection *c)
{
    struct world *w = c->world;
    forget_answers(w, c);
    struct account *account = c->session.caller.account;
    oracle_closed(w->oracle, c);
    drop_work(c);
    session_deinit(&c->session);
    turns_leave(&w->turns, &c->task);
    quota_give(&w->core.quota, account, QUOTA_CONNECTIONS, 1);
    c->is_open = false;
    c->input_len = 0;
}

static bool has_unsent(const struct connection *c)
{
    return outbox_unsent(&c->session.outbox) > 0 && !c->is_broken;
}

static void send_output(struct connection *c)
{
    struct outbox *o = &c->session.outbox;
    size_t n = outbox_unsent(o);
    if (n > 0 && c->client_closed) { /* EPIPE: nobody reads it */
        c->taken += n;
        outbox_took(o, n);
        return;
    }
    size_t room = c->is_deaf ? SOCKET_BYTES - c->in_socket : SIZE_MAX;
    if (n > room)
        n = room;
    if (n > 0) {
        c->taken += n;
        c->in_socket += c->is_deaf ? n : 0;
        outbox_took(o, n);
    }
    o->is_backed_up = has_unsent(c);
    outbox_tidy(o, session_has_work(&c->session));
}

/* What daemon/io/connection.c does after C was served. C may be closed after that. */
static void settle(struct connection *c)
{
    struct session *s = &c->session;
    struct world *w = c->world;
    if (!c->is_broken && !s->outbox.is_cut_off)
        send_output(c);
    if (!c->is_broken && !s->outbox.is_cut_off && !has_unsent(c) && session_is_over(s) &&
        !c->is_lingering) {
        if (s->outbox.is_closed && !s->input_ended && !c->client_closed)
            c->is_lingering = true;
        else
            c->is_broken = true;
    }
    if (c->client_closed && s->input_ended && !session_has_work(s))
        c->is_broken = true;
    if (c->is_broken || s->outbox.is_cut_off) {
        loop_close(c);
        return;
    }
    bool is_unfinished = session_is_unfinished(s) && session_wants_input(s);
    bool anew = session_took_value(s);
    if (!is_unfinished)
        c->overdue_at_ms = 0;
    else if (c->overdue_at_ms == 0 || anew)
        c->overdue_at_ms = w->clock.boot_ms + MESSAGE_TIMEOUT_MS;
    bool wants = c->is_lingering || session_wants_input(s);
    bool has_input = c->input_len > 0 || ((c->client_ended || c->client_closed) && !s->input_ended);
    if (session_has_work(s) || (wants && has_input))
        add_work(c);
}

static void receive(struct connection *c)
{
    size_t n = c->input_len < READ_BYTES ? c->input_len : READ_BYTES;
    if (c->piece > 0 && n > c->piece)
        n = c->piece;
    if (n == 0 && !c->client_ended && !c->client_closed)
        return;
    c->world->n_read += n;
    if (c->is_lingering && n == 0) {
        c->is_broken = true;
        return;
    }
    if (c->is_lingering) {
        c->input_len -= n;
        memmove(c->input, c->input + n, c->input_len);
        return;
    }
    if (n == 0) {
        if (!c->session.input_ended)
            session_end_input(&c->session);
        return;
    }
    /* Just as long as what is read, so that a reader beyond its end is seen. */
    fake_memory_pause();
    char *data = malloc(n);
    fake_memory_resume();
    if (!data)
        abort();
    memcpy(data, c->input, n);
    c->input_len -= n;
    memmove(c->input, c->input + n, c->input_len);
    session_receive(&c->session, data, n);
    fake_memory_pause();
    free(data);
    fake_memory_resume();
}

static void go_on(struct connection *c)
{
    struct session *s = &c->session;
    /* As when an edge of the socket shows that the peer is gone for good. */
    if (c->client_closed && !session_wants_input(s))
        session_give_up_waiting(s);
    session_continue(s);
    if (c->overdue_at_ms > 0 && c->world->clock.boot_ms >= c->overdue_at_ms) {
        c->overdue_at_ms = 0;
        if (session_is_unfinished(s))
            session_value_overdue(s);
    }
    if (!(c->is_lingering || session_wants_input(s)))
        return;
    if (work_share_is_over(&c->world->core.work))
        add_work(c);
    else
        receive(c);
}

/* The oracle hears of what has been executed since it did last. */
static void tell_oracle(struct world *w, uint64_t executed)
{
    const uint64_t n = executed - w->requests_seen;
    w->requests_seen = executed;
    w->counts.requests += (unsigned long)n;
    oracle_served(w->oracle, w->serving, n, world_faults(w) != w->serve_faults, w->is_killed);
    w->n_looks = 0;
}

/* While C's peer has much to read, nothing more of it is executed. */
static void check_output(struct world *w, struct connection *c, bool has_executed)
{
    if (has_executed && c->is_above)
        world_fail(w, "connection %d was answered although %zu bytes of answers are unsent",
                   c->label, outbox_unsent(&c->session.outbox));
    c->is_above = outbox_unsent(&c->session.outbox) > w->settings.limits.output_high_water;
}

void loop_look_at_requests(struct world *w)
{
    const uint64_t executed = w->core.work.turn.requests;
    /* A request that is under way goes on, though events may have come meanwhile. */
    if (!w->serving || w->is_killed || executed == w->requests_seen)
        return;
    check_output(w, w->serving, true);
    tell_oracle(w, executed);
}

static void serve(struct task *task)
{
    struct connection *c = container_of(task, struct connection, task);
    struct world *w = c->world;
    if (w->is_killed)
        return;
    const uint32_t uid = c->session.caller.uid;
    const int64_t from_us = w->clock.mono_us;
    forget_answers(w, c);
    if (w->n_answered == ANSWERED_MAX)
        work_tell(&w->core.work);
    drop_work(c);
    w->serve_faults = world_faults(w);
    w->requests_seen = w->core.work.turn.requests;
    w->serving = c;
    w->n_looks = 0;
    check_output(w, c, false);
    go_on(c);
    tell_oracle(w, w->is_killed ? w->kill_requests : w->core.work.turn.requests);
    w->serving = NULL;
    if (w->is_killed)
        return;
    w->answered[w->n_answered++] = c;
    check_shares(w, uid, from_us);
}

/* Of what one uid was served. It may come while one of its connections is. */
static bool send_answers(void *context)
{
    struct world *w = context;
    const int64_t from_us = w->clock.mono_us;
    uint32_t uid = 0;
    bool has_sent = false;
    if (w->n_answered == 0 || w->is_killed)
        return false;
    if (core_turn_is_due(&w->core))
        rpc_publish(&w->rpc);
    oracle_published(w->oracle);
    for (int i = 0; i < w->n_answered && !w->is_killed; i++) {
        struct connection *c = w->answered[i];
        if (!c)
            continue;
        uid = c->session.caller.uid;
        has_sent = true;
        settle(c);
    }
    w->n_answered = 0;
    if (has_sent && !w->is_killed)
        check_shares(w, uid, from_us);
    return true;
}

/* --- a turn */

static void note_exits(struct world *w)
{
    if (w->p.n_watched == 0)
        return;
    for (size_t i = 0; i < FAKE_PIDFDS; i++) {
        const struct fake_pidfd *p = &w->p.pidfds[i];
        if (p->task && p->party && p->task->is_dead)
            ends_note(&w->core, p->party);
    }
}

static struct caller caller_of(struct world *w, const struct connection *c)
{
    struct caller caller = {.uid = c->by->uid,
                            .gid = c->by->gid,
                            .pid = c->by->pid,
                            .socket = c->by->socket,
                            .after_ticks = w->queue_empty_ticks,
                            .until_ticks = w->p.now};
    if (c->by->group != 0) {
        fake_memory_pause();
        caller.groups = malloc(sizeof(uint32_t));
        fake_memory_resume();
        if (!caller.groups)
            abort();
        caller.groups[0] = c->by->group;
        caller.n_groups = 1;
    }
    return caller;
}

static void refuse(struct connection *c, struct caller *caller, int outcome,
                   const struct outcome_detail *detail)
{
    struct world *w = c->world;
    struct writer answer;
    writer_init(&answer);
    free(caller->groups);
    session_refuse_connection(&answer, &w->rpc, caller, outcome, detail);
    oracle_refused(w->oracle, c, &answer);
    writer_deinit(&answer);
}

static void accept_one(struct connection *c)
{
    struct world *w = c->world;
    struct outcome_detail detail = {0};
    struct caller caller = caller_of(w, c);
    c->is_arriving = false;
    int r =
        quota_take(&w->core.quota, caller.uid, access_is_admin(&w->core.settings.access, &caller),
                   QUOTA_CONNECTIONS, 1, &caller.account, &detail);
    if (r == 0) {
        r = turns_join(&w->turns, &c->task, caller.uid, serve);
        if (r < 0)
            quota_give(&w->core.quota, caller.account, QUOTA_CONNECTIONS, 1);
    }
    if (r != 0) {
        refuse(c, &caller, r, &detail);
        return;
    }
    session_init(&c->session, &w->rpc, &caller);
    c->is_open = true;
    c->taken = c->heard = 0;
    c->has_work = false;
    add_work(c);
}

static unsigned accept_some(struct world *w)
{
    unsigned n = 0;
    for (int i = 0; i < w->n_connections && n < ACCEPTS_A_TURN; i++) {
        if (!w->connections[i].is_arriving)
            continue;
        accept_one(&w->connections[i]);
        n++;
    }
    if (n < ACCEPTS_A_TURN)
        w->queue_empty_ticks = w->p.now;
    return n;
}

void loop_note(struct connection *c)
{
    if (c->is_open)
        add_work(c);
}

static void note_overdue(struct world *w)
{
    for (int i = 0; i < w->n_connections; i++) {
        struct connection *c = &w->connections[i];
        if (c->is_open && c->overdue_at_ms > 0 && w->clock.boot_ms >= c->overdue_at_ms)
            add_work(c);
    }
}

bool loop_has_work(const struct world *w)
{
    if (turns_have_work(&w->turns))
        return true;
    for (int i = 0; i < w->n_connections; i++)
        if (w->connections[i].is_arriving)
            return true;
    for (size_t i = 0; i < CORE_CHORES; i++)
        if (core_chores[i].is_due(&w->core))
            return true;
    for (size_t i = 0; w->p.n_watched > 0 && i < FAKE_PIDFDS; i++) {
        const struct fake_pidfd *p = &w->p.pidfds[i];
        if (p->task && p->party && p->task->is_dead)
            return true;
    }
    return false;
}

static void end_rpc_turn(struct world *w)
{
    int result;
    const char *reason;
    rpc_end_turn(&w->rpc);
    if (ledger_take_result(&w->core, &result, &reason) && result < 0 && !reason)
        world_fail(w, "a write to the store failed and has no reason");
}

/* A turn may do as much as its time, and what a user has that was begun in it. */
static void check_length(struct world *w, int64_t from_us)
{
    const int64_t had = w->clock.mono_us - from_us;
    const int64_t most =
        w->settings.turn_work_us + MOST_OF_A_USER_US + SETTLES_IN * w->clock.mono_step_us;
    if (had > most)
        world_fail(w, "a turn lasted %lld us, which is more than %lld", (long long)had,
                   (long long)most);
}

void loop_turn(struct world *w)
{
    struct work *work = &w->core.work;
    if (!w->is_running || w->is_killed)
        return;
    const int64_t from_us = w->clock.mono_us;
    w->counts.turns++;
    note_exits(w);
    note_overdue(w);
    work_begin_turn(work);
    for (size_t i = 0; i < CORE_CHORES; i++)
        if (core_chores[i].is_due(&w->core))
            turns_add(&w->turns, &w->chores[i].task);
    turns_serve(&w->turns);
    end_rpc_turn(w);
    oracle_published(w->oracle);
    oracle_turn_ended(w->oracle);
    unsigned accepted = w->is_killed ? 0 : accept_some(w);
    work_end_turn(work, accepted);
    check_length(w, from_us);
}

void loop_drain(struct world *w)
{
    rpc_shut_down(&w->rpc);
    for (int i = 0; i < w->n_connections; i++)
        loop_note(&w->connections[i]);
    for (int i = 0; i < 1000 && turns_have_work(&w->turns) && !w->is_killed; i++)
        loop_turn(w);
}
