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

void session_init(struct session *s, struct rpc *rpc, const struct caller *caller)
{
    *s = (struct session){.rpc = rpc, .caller = *caller};
    outbox_init(&s->outbox, &rpc->outboxes, &jsonrpc_dialect);
    scanner_init(&s->scanner, (size_t)rpc->core->settings.limits.max_message_bytes);
}

void session_deinit(struct session *s)
{
    subscription_end(steal_pointer(&s->subscription));
    if (s->waiter)
        wait_cancel(s->rpc->core, s->waiter);
    free(s->waiter);
    if (s->caller.party)
        ends_with_party(s->rpc->core, steal_pointer(&s->caller.party));
    message_free(&s->message);
    free(s->caller.groups);
    free(s->held);
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

/* --- calls */

static struct request request_of(struct session *s, const struct call *call)
{
    return (struct request){.rpc = s->rpc,
                            .core = s->rpc->core,
                            .caller = &s->caller,
                            .outbox = &s->outbox,
                            .subscription = &s->subscription,
                            .waiter = s->waiter,
                            .method = call->method,
                            .params = &call->params};
}

static void write_answer(struct session *s, const struct call *call, const struct reply *reply)
{
    bool in_batch = message_is_batch(&s->message);
    if (!call->answered)
        return;
    if (in_batch && !s->batch_begun) {
        outbox_begin_batch(&s->outbox);
        s->batch_begun = true;
    }
    if (!s->outbox.is_closed)
        outbox_answer(&s->outbox, call, reply, in_batch);
}

static void waited(struct waiter *waiter, int outcome, const struct found *found,
                   const struct outcome_detail *detail)
{
    struct session *s = waiter->context;
    struct call call;
    struct reply reply;
    s->is_waiting = false;
    s->outbox.dialect->call(&s->message, s->next_call, &call);
    struct request rq = request_of(s, &call);
    dispatch_waited(&rq, outcome, found, detail, &reply);
    write_answer(s, &call, &reply);
    s->next_call++;
    s->rpc->wake(s->rpc->wake_context, &s->outbox);
}

/* Without memory there is none, and `wait` fails for that. */
static void make_waiter(struct session *s)
{
    if (s->waiter)
        return;
    s->waiter = calloc(1, sizeof(*s->waiter));
    if (!s->waiter)
        return;
    s->waiter->answer = waited;
    s->waiter->context = s;
}

static void answer_call(struct session *s)
{
    struct call call;
    struct reply refused = {.kind = REPLY_FAILURE};
    s->outbox.dialect->call(&s->message, s->next_call, &call);
    if (call.failed) {
        refused.u.failure = call.failure;
        s->rpc->counters.errors++;
        write_answer(s, &call, &refused);
        s->next_call++;
        return;
    }
    if (call.method == METHOD_WAIT && !call.answered) {
        s->next_call++; /* it has no answer */
        return;
    }
    if (call.method == METHOD_WAIT)
        make_waiter(s);
    struct request rq = request_of(s, &call);
    struct answer answer;
    dispatch(&rq, &answer);
    if (answer.is_waiting) {
        s->is_waiting = true;
        return;
    }
    write_answer(s, &call, &answer.reply);
    dispatch_done(&rq);
    s->next_call++;
}

/* Answers the rest of the message; false when it must stop in the midst of it. */
static bool finish_message(struct session *s)
{
    while (!message_is_empty(&s->message) && s->next_call < message_calls(&s->message)) {
        if (s->is_waiting || s->outbox.is_closed || outbox_is_above_high_water(&s->outbox))
            return false;
        answer_call(s);
    }
    if (s->is_waiting)
        return false;
    if (s->batch_begun)
        outbox_end_batch(&s->outbox);
    s->batch_begun = false;
    message_free(&s->message);
    s->outbox.in_answer = false;
    /* Events that came meanwhile had to wait for the batch's end. */
    if (s->subscription)
        subscription_tell(s->subscription);
    return true;
}

static void refuse_cut_off(struct session *s)
{
    write_envelope_failure(s, PROTOCOL_ERROR_PARSE, "unexpected end of the input in a value");
    s->outbox.is_closed = true;
}

/* AT_END: nothing but the end of the input ended VALUE, and so it may be cut. */
static void begin_message(struct session *s, const char *value, size_t len, bool at_end)
{
    struct failure f;
    if (message_decode_request(value, len, &s->message, &f) < 0) {
        if (at_end && f.error == PROTOCOL_ERROR_PARSE) {
            refuse_cut_off(s);
            return;
        }
        write_failure(s, &f);
        if (f.error == PROTOCOL_ERROR_PARSE)
            scanner_resync(&s->scanner);
        return;
    }
    s->next_call = 0;
    if (s->outbox.dialect->check(&s->message, &f) < 0) {
        write_failure(s, &f);
        message_free(&s->message);
        return;
    }
    s->outbox.in_answer = true;
    finish_message(s);
}

/* --- input */

static bool is_stopped(const struct session *s)
{
    return !message_is_empty(&s->message) || s->outbox.is_closed || s->is_waiting ||
           outbox_is_above_high_water(&s->outbox);
}

static void refuse_too_large(struct session *s)
{
    write_envelope_failure(s, PROTOCOL_ERROR_INVALID_REQUEST, "message too large (limit %u)",
                           s->scanner.limit);
    s->outbox.is_closed = true;
}

/* Deals with DATA, of which SCANNED bytes are scanned; returns how many are done with. */
static size_t consume(struct session *s, const char *data, size_t n, size_t *scanned)
{
    size_t at = *scanned;
    while (at < n && !is_stopped(s)) {
        size_t taken;
        enum scan_status status = scanner_scan(&s->scanner, data + at, n - at, &taken);
        at += taken;
        s->value_ended = s->value_ended || status != SCAN_MORE;
        switch (status) {
        case SCAN_MORE: break;
        case SCAN_VALUE:
            begin_message(s, data + at - scanner_length(&s->scanner), scanner_length(&s->scanner),
                          false);
            break;
        case SCAN_BAD:
            write_envelope_failure(s, PROTOCOL_ERROR_PARSE,
                                   "not JSON: unexpected byte 0x%02x after %u bytes of a value",
                                   (unsigned char)data[at], s->scanner.length);
            scanner_resync(&s->scanner);
            break;
        case SCAN_TOO_LARGE: refuse_too_large(s); break;
        }
    }
    *scanned = at;
    return scanner_unfinished(&s->scanner) ? at - s->scanner.length : at;
}

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
        size_t capacity = len + n < 4096 ? len + n : (len + n) * 2;
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

static void out_of_memory(struct session *s)
{
    write_envelope_failure(s, PROTOCOL_ERROR_INTERNAL, "the daemon is out of memory");
    s->outbox.is_closed = true;
}

void session_receive(struct session *s, const char *data, size_t n)
{
    if (s->outbox.is_closed)
        return;
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
        begin_message(s, s->held->bytes + s->held->len - scanner_length(&s->scanner),
                      scanner_length(&s->scanner), true);
        break;
    case SCAN_BAD:
    case SCAN_TOO_LARGE: refuse_cut_off(s); break;
    }
    drop_held(s);
}

void session_continue(struct session *s)
{
    if (subscription_can_resume(s->subscription))
        subscription_tell(s->subscription);
    if (!message_is_empty(&s->message) && !finish_message(s))
        return;
    if (has_unscanned(s) && !is_stopped(s))
        consume_held(s);
    if (s->input_ended && !is_stopped(s))
        consume_end(s);
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
    if (s->is_waiting || s->outbox.is_closed || outbox_is_above_high_water(&s->outbox))
        return false;
    return !message_is_empty(&s->message) || has_unscanned(s) ||
           subscription_can_resume(s->subscription) ||
           (s->input_ended && scanner_unfinished(&s->scanner));
}

bool session_is_unfinished(const struct session *s)
{
    return !s->outbox.is_closed && scanner_unfinished(&s->scanner);
}

void session_give_up_waiting(struct session *s)
{
    if (!s->is_waiting)
        return;
    wait_cancel(s->rpc->core, s->waiter);
    s->is_waiting = false;
    s->next_call++;
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
           (s->input_ended && !s->subscription && message_is_empty(&s->message) &&
            !has_unscanned(s) && !scanner_unfinished(&s->scanner));
}
