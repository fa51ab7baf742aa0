/* SPDX-License-Identifier: MIT */
#include "daemon/rpc/session.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/core/ends.h"
#include "daemon/rpc/audit.h"
#include "daemon/rpc/dispatch.h"
#include "daemon/rpc/outcome_to_error.h"
#include "daemon/rpc/subscription.h"
#include "protocol/jsonrpc.h"

/* A message of which some calls may be answered already. It takes memory only when that is not done
 * at once. */
struct underway {
    struct message message; /* empty: it was given up */
    size_t next_call;
    bool batch_begun;
    struct batch *batch; /* that gathers the answers, of which members may wait; NULL: none does */
};

static bool is_answering(const struct session *s)
{
    return s->underway && !message_is_empty(&s->underway->message);
}

void session_init(struct session *s, struct rpc *rpc, const struct caller *caller)
{
    *s = (struct session){.rpc = rpc, .caller = *caller};
    outbox_init(&s->outbox, &rpc->outboxes, caller->account);
    TAILQ_INSERT_TAIL(&rpc->sessions, s, of_rpc);
    scanner_init(&s->scanner, (size_t)rpc->core->settings.limits.max_message_bytes);
}

/* What of it waits goes with the session's waits. */
static void end_underway(struct session *s)
{
    struct underway *u = steal_pointer(&s->underway);
    message_free(&u->message);
    if (u->batch) {
        u->batch->is_executed = true;
        if (u->batch->n_waiting == 0)
            batch_free(u->batch);
    }
}

static void drop_underway(struct session *s)
{
    struct underway *u = s->underway;
    if (u)
        end_underway(s);
    free(u);
}

void session_deinit(struct session *s)
{
    TAILQ_REMOVE(&s->rpc->sessions, s, of_rpc);
    subscription_end(steal_pointer(&s->subscription));
    drop_underway(s);
    waits_free(steal_pointer(&s->waits));
    if (s->caller.party)
        ends_with_party(s->rpc->core, steal_pointer(&s->caller.party));
    scanner_deinit(&s->scanner);
    free(s->caller.groups);
    free(s->held);
    buffers_set(&s->outbox.buffers, &s->counted, 0);
    outbox_deinit(&s->outbox);
}

/* --- output */

static void write_failure(struct session *s, const struct failure *f)
{
    struct reply reply = {.kind = REPLY_FAILURE, .u.failure = *f};
    outbox_answer(&s->outbox, NULL, &reply, false);
    s->rpc->counters.errors++;
}

__attribute__((format(printf, 3, 4))) static void write_envelope_failure(struct session *s,
                                                                         enum protocol_error error,
                                                                         const char *format, ...)
{
    char text[160];
    struct failure f;
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    failure_init(&f, error);
    failure_set_message(&f, "%s", text);
    write_failure(s, &f);
}

void session_refuse_connection(struct writer *w, struct rpc *rpc, const struct caller *caller,
                               int outcome, const struct outcome_detail *detail)
{
    struct reply reply = {.kind = REPLY_FAILURE};
    outcome_to_failure(outcome, detail, NULL, NULL, &reply.u.failure);
    jsonrpc_dialect.reply(w, NULL, &reply, false);
    audit_connection_refused(rpc, caller, outcome, detail, &reply.u.failure);
}

static void out_of_memory(struct session *s)
{
    write_envelope_failure(s, PROTOCOL_ERROR_INTERNAL, "the daemon is out of memory");
    s->outbox.is_closed = true;
}

/* --- calls */

static struct request request_of(struct session *s, const struct call *call, struct wait *wait)
{
    return (struct request){.rpc = s->rpc,
                            .core = s->rpc->core,
                            .caller = &s->caller,
                            .outbox = &s->outbox,
                            .subscription = &s->subscription,
                            .waiter = wait ? wait_waiter(wait) : NULL,
                            .method = call->method,
                            .params = &call->params};
}

/* CALL is one of the message U. */
static void write_answer_of(struct session *s, struct underway *u, const struct call *call,
                            const struct reply *reply)
{
    bool in_batch = message_is_batch(&u->message);
    if (u->batch) {
        batch_answer(u->batch, u->next_call - 1, call, reply);
        return;
    }
    if (in_batch && !u->batch_begun) {
        outbox_begin_batch(&s->outbox);
        u->batch_begun = !s->outbox.is_closed;
    }
    if (!s->outbox.is_closed)
        outbox_answer(&s->outbox, call, reply, in_batch);
}

static void write_answer(struct session *s, const struct call *call, const struct reply *reply)
{
    if (!call->answered)
        return;
    if (s->underway)
        write_answer_of(s, s->underway, call, reply);
    else
        outbox_answer(&s->outbox, call, reply, false);
}

/* Answers CALL, or keeps WAIT (NULL: it is no `wait`) until it can be. */
static void execute(struct session *s, const struct call *call, struct wait *wait)
{
    struct request rq = request_of(s, call, wait);
    struct answer answer;
    dispatch(&rq, &answer);
    if (answer.is_waiting) {
        wait_keep(s->waits, wait);
        return;
    }
    write_answer(s, call, &answer.reply);
    dispatch_done(&rq);
    wait_free(wait);
}

/* Without memory there is no wait, and the request fails for that. */
static void execute_wait(struct session *s, struct call *call)
{
    if (!call->answered)
        return; /* nobody would hear of it */
    if (!s->waits)
        s->waits = waits_new(s->rpc, &s->caller, &s->outbox);
    struct underway *u = s->underway;
    struct wait *wait =
        s->waits ? wait_new(s->waits, call, u ? u->batch : NULL, u ? u->next_call - 1 : 0) : NULL;
    if (wait && !wait_id_fits(wait)) {
        struct reply refused = {.kind = REPLY_FAILURE};
        failure_init(&refused.u.failure, PROTOCOL_ERROR_INVALID_REQUEST);
        failure_set_message(&refused.u.failure,
                            "not a JSON-RPC 2.0 request: the id of a wait has at most %d bytes",
                            WAIT_ID_MAX);
        s->rpc->counters.errors++;
        write_answer(s, call, &refused);
        wait_free(wait);
        return;
    }
    execute(s, call, wait);
}

static void answer_call(struct session *s, struct call *call)
{
    if (s->is_unheard && !call->failed && dispatch_only_reads(call->method))
        return;
    if (call->failed) {
        struct reply refused = {.kind = REPLY_FAILURE, .u.failure = call->failure};
        s->rpc->counters.errors++;
        write_answer(s, call, &refused);
    } else if (call->method == METHOD_WAIT) {
        execute_wait(s, call);
    } else {
        execute(s, call, NULL);
    }
}

/* --- its share */

/* The uid's share is over. A session that has served nothing goes on all the same. */
static bool must_yield(const struct session *s)
{
    return s->has_served && work_share_is_over(&s->rpc->core->work);
}

static void served(struct session *s)
{
    s->has_served = true;
    rpc_count_time(s->rpc, work_request_done(&s->rpc->core->work));
}

/* Answers the rest of the message; false when it must stop in the midst of it. */
static bool finish_message(struct session *s)
{
    struct underway *u = s->underway;
    while (is_answering(s) && u->next_call < message_calls(&u->message)) {
        if (s->outbox.is_closed || outbox_is_above_high_water(&s->outbox) || must_yield(s))
            return false;
        struct call call;
        s->outbox.common->dialect->call(&u->message, u->next_call++, &call);
        answer_call(s, &call);
        served(s);
    }
    if (u->batch)
        batch_executed(steal_pointer(&u->batch));
    if (u->batch_begun)
        outbox_end_batch(&s->outbox);
    end_underway(s);
    s->outbox.in_answer = false;
    return true;
}

static void refuse_cut_off(struct session *s)
{
    write_envelope_failure(s, PROTOCOL_ERROR_PARSE, "unexpected end of the input in a value");
    s->outbox.is_closed = true;
}

/* Answers VALUE, which is not decoded, with its id if that can be told. */
static void refuse_value(struct session *s, const char *value, size_t len, const struct failure *f)
{
    struct call call = {.answered = true};
    struct reply reply = {.kind = REPLY_FAILURE, .u.failure = *f};
    if (f->error != PROTOCOL_ERROR_PARSE)
        call.id = s->outbox.common->dialect->find_id(value, len);
    outbox_answer(&s->outbox, &call, &reply, false);
    s->rpc->counters.errors++;
    served(s);
    if (f->error == PROTOCOL_ERROR_PARSE && !message_has_sure_end(value, len))
        scanner_resync(&s->scanner);
}

/* A message that was not answered at once is kept. */
static void keep_underway(struct session *s)
{
    struct underway *u = malloc(sizeof(*u));
    if (!u) {
        end_underway(s);
        out_of_memory(s);
        return;
    }
    *u = *s->underway;
    s->underway = u;
}

/* Answers MESSAGE, which is S's to free. */
static void begin_message(struct session *s, struct message *message)
{
    const struct dialect *dialect = s->outbox.common->dialect;
    struct underway u = {.message = *message};
    struct failure f;
    if (dialect->check(message, &f) < 0) {
        write_failure(s, &f);
        message_free(message);
        served(s);
        return;
    }
    if (message_is_batch(message) && dialect->calls(message, METHOD_WAIT)) {
        u.batch = batch_new(&s->outbox, message_calls(message));
        if (!u.batch) {
            message_free(message);
            out_of_memory(s);
            return;
        }
    }
    s->underway = &u;
    s->outbox.in_answer = true;
    if (!finish_message(s))
        keep_underway(s);
}

enum { LONG_VALUE = 4096 }; /* bytes that take the JSON library longer than many requests */

/* AT_END: nothing but the end of the input ended VALUE, and so it may be cut. */
static void begin_value(struct session *s, const char *value, size_t len, bool at_end)
{
    struct message message;
    struct failure f;
    if (len > LONG_VALUE)
        work_tell(&s->rpc->core->work);
    if (message_decode(value, len, &message, &f) == 0)
        begin_message(s, &message);
    else if (at_end && f.error == PROTOCOL_ERROR_PARSE)
        refuse_cut_off(s);
    else
        refuse_value(s, value, len, &f);
}

/* --- input */

static bool is_stopped(const struct session *s)
{
    return is_answering(s) || s->outbox.is_closed || outbox_is_above_high_water(&s->outbox);
}

/* The scanner stopped at AT, which may be behind the N bytes of DATA. Where the broken value ends
 * is known by its line, if it has not gone on over that line's end. */
static void refuse_input(struct session *s, enum scan_status status, const char *data, size_t at,
                         size_t n)
{
    struct failure f;
    char byte = '\0';
    if (at < n)
        byte = data[at];
    scanner_failure(&s->scanner, status, byte, &f);
    write_failure(s, &f);
    served(s);
    if (status == SCAN_BAD && !scanner_spans_lines(&s->scanner))
        scanner_resync(&s->scanner);
    else
        s->outbox.is_closed = true;
}

/* Answers the plain request at the start of DATA, which begins no value's rest; returns its length,
 * 0 when there is none. */
static size_t serve_plain(struct session *s, char *data, size_t n)
{
    struct call call;
    size_t taken = s->outbox.common->dialect->take_plain(data, n, &call);
    if (taken == 0)
        return 0;
    s->outbox.in_answer = true;
    answer_call(s, &call);
    s->outbox.in_answer = false;
    served(s);
    s->value_ended = true;
    return taken;
}

/* Deals with DATA, of which SCANNED bytes are scanned; returns how many are done with. */
static size_t consume(struct session *s, char *data, size_t n, size_t *scanned)
{
    size_t at = *scanned;
    while (at < n && !is_stopped(s) && !must_yield(s)) {
        size_t taken = scanner_is_between(&s->scanner) ? serve_plain(s, data + at, n - at) : 0;
        if (taken > 0) {
            at += taken;
            continue;
        }
        enum scan_status status = scanner_scan(&s->scanner, data + at, n - at, &taken);
        at += taken;
        s->value_ended = s->value_ended || status != SCAN_MORE;
        switch (status) {
        case SCAN_MORE: break;
        case SCAN_VALUE:
            begin_value(s, data + at - scanner_length(&s->scanner), scanner_length(&s->scanner),
                        false);
            break;
        case SCAN_BAD:
        case SCAN_FOREIGN:
        case SCAN_TOO_LARGE:
        case SCAN_NO_MEMORY: refuse_input(s, status, data, at, n); break;
        }
    }
    *scanned = at;
    return scanner_unfinished(&s->scanner) ? at - s->scanner.length : at;
}

enum { HELD_STEP = 4096 };

/* Input that was not dealt with: an unfinished value, or what came behind a stop. */
struct held {
    size_t len, capacity;
    size_t scanned; /* by the scanner */
    char bytes[];
};

static bool has_unscanned(const struct session *s)
{
    return s->held && s->held->len > s->held->scanned;
}

/* Adds N bytes. */
static int hold(struct session *s, const char *data, size_t n)
{
    size_t len = s->held ? s->held->len : 0;
    if (!s->held || s->held->capacity - len < n) {
        /* Close to what it holds, for all of it is charged. */
        size_t capacity = len + n;
        if (capacity > HELD_STEP)
            capacity = (capacity + HELD_STEP - 1) / HELD_STEP * HELD_STEP;
        struct held *held = realloc(s->held, sizeof(*held) + capacity);
        if (!held)
            return -ENOMEM;
        if (!s->held)
            held->scanned = 0;
        held->capacity = capacity;
        s->held = held;
    }
    memcpy(s->held->bytes + len, data, n);
    s->held->len = len + n;
    return 0;
}

static void drop_held(struct session *s)
{
    free(steal_pointer(&s->held));
}

static void consume_held(struct session *s)
{
    struct held *held = s->held;
    size_t scanned = held->scanned;
    size_t done = consume(s, held->bytes, held->len, &scanned);
    if (done == held->len) {
        drop_held(s);
        return;
    }
    memmove(held->bytes, held->bytes + done, held->len - done);
    held->len -= done;
    held->scanned = scanned - done;
}

/* --- what is buffered */

static void count(struct session *s)
{
    uint64_t held = s->held ? sizeof(*s->held) + s->held->capacity : 0;
    uint64_t message = is_answering(s) ? message_bytes(&s->underway->message) : 0;
    buffers_set(&s->outbox.buffers, &s->counted, held + message);
}

/* Gives up all that S has buffered, and S with it. Its peer gets the reason if that cannot stand in
 * the midst of something else. */
static void give_up(struct session *s)
{
    const struct outbox *o = &s->outbox;
    const struct outcome_detail detail = {
        .what = "max_buffer_bytes_per_uid",
        .used = quota_used_by(s->outbox.buffers.account, QUOTA_BUFFER_BYTES),
        .max = s->rpc->core->quota.caps[QUOTA_BUFFER_BYTES].per_uid};
    bool can_hear = outbox_unsent(o) == 0 && !s->underway;
    drop_held(s);
    drop_underway(s);
    if (s->waits)
        waits_give_up(s->waits);
    count(s);
    if (can_hear) {
        struct failure f;
        outcome_to_failure(OUTCOME_QUOTA_EXCEEDED, &detail, NULL, NULL, &f);
        write_failure(s, &f);
        s->outbox.is_closed = true;
    } else {
        outbox_cut_off(&s->outbox);
    }
    s->rpc->wake(s->rpc->wake_context, &s->outbox);
}

/* The session of S's uid that has buffered most, and has not been given up. */
static struct session *largest_like(const struct session *s)
{
    struct session *other, *largest = NULL;
    TAILQ_FOREACH (other, &s->rpc->sessions, of_rpc)
        if (other->outbox.buffers.account == s->outbox.buffers.account &&
            !other->outbox.is_cut_off && other->outbox.buffers.total > 0 &&
            (!largest || other->outbox.buffers.total > largest->outbox.buffers.total))
            largest = other;
    return largest;
}

/* Counts what S has buffered now, until more comes. While its uid has too much, the largest are
 * given up. */
static void bound_buffers(struct session *s)
{
    struct session *largest;
    count(s);
    while (buffers_are_over(&s->outbox.buffers) && (largest = largest_like(s)))
        give_up(largest);
}

static void receive(struct session *s, char *data, size_t n)
{
    s->has_served = false;
    if (s->held) {
        if (hold(s, data, n) < 0)
            out_of_memory(s);
        else
            consume_held(s);
        return;
    }
    size_t scanned = 0;
    size_t done = consume(s, data, n, &scanned);
    if (done == n || s->outbox.is_closed)
        return;
    if (hold(s, data + done, n - done) < 0)
        out_of_memory(s);
    else
        s->held->scanned = scanned - done;
}

/* What is left at the end of the input: a top-level scalar, or a value that was cut off. */
static void consume_end(struct session *s)
{
    switch (scanner_finish(&s->scanner)) {
    case SCAN_MORE: return;
    case SCAN_VALUE:
        begin_value(s, s->held->bytes + s->held->len - scanner_length(&s->scanner),
                    scanner_length(&s->scanner), true);
        break;
    case SCAN_BAD:
    case SCAN_FOREIGN:
    case SCAN_TOO_LARGE:
    case SCAN_NO_MEMORY: refuse_cut_off(s); break;
    }
    drop_held(s);
}

static void go_on(struct session *s)
{
    s->has_served = false;
    if (s->subscription)
        subscription_tell(s->subscription);
    if (is_answering(s)) {
        struct underway *u = s->underway;
        if (!finish_message(s))
            return;
        free(u);
    }
    if (has_unscanned(s) && !is_stopped(s))
        consume_held(s);
    if (s->input_ended && !is_stopped(s) && !has_unscanned(s) && !must_yield(s))
        consume_end(s);
}

void session_mark_active(struct session *s)
{
    TAILQ_REMOVE(&s->rpc->sessions, s, of_rpc);
    TAILQ_INSERT_TAIL(&s->rpc->sessions, s, of_rpc);
}

void session_receive(struct session *s, char *data, size_t n)
{
    if (s->outbox.is_closed || s->outbox.is_cut_off)
        return;
    receive(s, data, n);
    bound_buffers(s);
}

void session_continue(struct session *s)
{
    if (s->outbox.is_cut_off)
        return;
    go_on(s);
    bound_buffers(s);
}

void session_end_input(struct session *s)
{
    s->input_ended = true;
    session_continue(s);
}

void session_value_overdue(struct session *s)
{
    write_envelope_failure(s, PROTOCOL_ERROR_PARSE,
                           "the value was not finished within %d seconds of its first byte",
                           MESSAGE_TIMEOUT_MS / 1000);
    s->outbox.is_closed = true;
}

bool session_wants_input(const struct session *s)
{
    return !s->input_ended && !is_stopped(s) && !has_unscanned(s);
}

bool session_has_work(const struct session *s)
{
    if (subscription_has_work(s->subscription))
        return true;
    if (s->outbox.is_closed || s->outbox.is_cut_off || outbox_is_above_high_water(&s->outbox))
        return false;
    return is_answering(s) || has_unscanned(s) ||
           (s->input_ended && scanner_unfinished(&s->scanner));
}

bool session_is_plain(const struct session *s)
{
    return !s->caller.party && !s->subscription && !waits_are_pending(s->waits);
}

bool session_is_unfinished(const struct session *s)
{
    return !s->outbox.is_closed && scanner_unfinished(&s->scanner);
}

void session_nobody_hears(struct session *s)
{
    s->is_unheard = true;
}

void session_give_up_waiting(struct session *s)
{
    if (s->waits)
        waits_cancel(s->waits);
}

bool session_took_value(struct session *s)
{
    bool ended = s->value_ended;
    s->value_ended = false;
    return ended;
}

bool session_is_over(const struct session *s)
{
    return s->outbox.is_closed ||
           (s->input_ended && !s->subscription && !waits_are_pending(s->waits) &&
            !is_answering(s) && !has_unscanned(s) && !scanner_unfinished(&s->scanner));
}
