/* SPDX-License-Identifier: MIT */
/*
 * Calls that do not wait: requests that are on their way, and their answers in whatever call they
 * come. An answer is told from shmd_process() alone, so that no call calls back by surprise.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "client/internal.h"

size_t shmd_unanswered(const struct shmd *shmd)
{
    return shmd->unanswered.n;
}

short shmd_poll_events(const struct shmd *shmd)
{
    return shmd->output.len > 0 ? POLLIN | POLLOUT : POLLIN;
}

/* --- sending */

/* What follows an answer. HOLDS: the caller is then a holder, unless it was only found with
 * `no_hold`. SUBSCRIBED: what is noted then; its prefix goes to the call, if that is sent. */
struct after {
    bool holds;
    const struct subscribed *subscribed; /* NULL: none */
};

static int send_with(struct shmd *shmd, enum method method, const union params *params,
                     const struct after *after, shmd_answer_fn *answered, void *data)
{
    connection_begin(shmd);
    if (shmd->broken)
        return failure_set(shmd, -ENOTCONN, "the connection to the daemon is lost");
    if (held_make_room(shmd) < 0)
        return shmd->failure.code;
    struct unanswered *call = malloc(sizeof(*call));
    const struct writer_mark before = writer_mark(&shmd->output);
    jsonrpc_client_request(&shmd->output, ++shmd->last_id, method, params);
    if (!call || shmd->output.failed) {
        writer_rewind(&shmd->output, before);
        free(call);
        return failure_set(shmd, -ENOMEM, "out of memory");
    }
    *call = (struct unanswered){.id = shmd->last_id,
                                .answered = answered,
                                .data = data,
                                .method = method,
                                .holds = after->holds};
    if (after->subscribed)
        call->subscribed = *after->subscribed;
    unanswered_put(&shmd->unanswered, call);
    return 0;
}

static int send_call(struct shmd *shmd, enum method method, const union params *params, bool holds,
                     shmd_answer_fn *answered, void *data)
{
    return send_with(shmd, method, params, &(struct after){.holds = holds}, answered, data);
}

int shmd_send_create(struct shmd *shmd, const struct shmd_create_options *options,
                     shmd_answer_fn *answered, void *data)
{
    union params params;
    int r = option_create(shmd, options, &params);
    bool holds = !option_create_given(options)->no_hold;
    return r < 0 ? r : send_call(shmd, METHOD_CREATE, &params, holds, answered, data);
}

int shmd_send_set(struct shmd *shmd, const struct shmd_target *target,
                  const struct shmd_set_options *options, shmd_answer_fn *answered, void *data)
{
    union params params;
    int r = option_set(shmd, target, options, &params);
    bool holds = r == 0 && params.set.lifetime.given;
    return r < 0 ? r : send_call(shmd, METHOD_SET, &params, holds, answered, data);
}

int shmd_send_remove(struct shmd *shmd, const struct shmd_target *target, unsigned flags,
                     shmd_answer_fn *answered, void *data)
{
    union params params;
    int r = option_remove(shmd, target, flags, &params);
    return r < 0 ? r : send_call(shmd, METHOD_REMOVE, &params, false, answered, data);
}

int shmd_send_wait(struct shmd *shmd, const char *name, int64_t timeout_ms, unsigned flags,
                   shmd_answer_fn *answered, void *data)
{
    union params params;
    int r = option_wait(shmd, name, timeout_ms, flags, &params);
    return r < 0 ? r
                 : send_call(shmd, METHOD_WAIT, &params, flags & SHMD_WAIT_HOLD, answered, data);
}

static int send_target(struct shmd *shmd, enum method method, const struct shmd_target *target,
                       shmd_answer_fn *answered, void *data)
{
    union params params = {0};
    int r = option_needed(shmd, target, "the target");
    if (r < 0)
        return r;
    params.target = (struct target_params){.target = option_target(target)};
    return send_call(shmd, method, &params, method == METHOD_HOLD, answered, data);
}

int shmd_send_stat(struct shmd *shmd, const struct shmd_target *target, shmd_answer_fn *answered,
                   void *data)
{
    return send_target(shmd, METHOD_STAT, target, answered, data);
}

int shmd_send_ready(struct shmd *shmd, const struct shmd_target *target, shmd_answer_fn *answered,
                    void *data)
{
    return send_target(shmd, METHOD_READY, target, answered, data);
}

int shmd_send_hold(struct shmd *shmd, const struct shmd_target *target, shmd_answer_fn *answered,
                   void *data)
{
    return send_target(shmd, METHOD_HOLD, target, answered, data);
}

int shmd_send_release(struct shmd *shmd, const struct shmd_target *target, shmd_answer_fn *answered,
                      void *data)
{
    return send_target(shmd, METHOD_RELEASE, target, answered, data);
}

int shmd_send_list_page(struct shmd *shmd, const struct shmd_list_options *options,
                        const char *cursor, shmd_answer_fn *answered, void *data)
{
    union params params;
    int r = option_list(shmd, options, cursor, &params);
    return r < 0 ? r : send_call(shmd, METHOD_LIST, &params, false, answered, data);
}

int shmd_send_info(struct shmd *shmd, shmd_answer_fn *answered, void *data)
{
    const union params none = {0};
    return send_call(shmd, METHOD_INFO, &none, false, answered, data);
}

int shmd_send_subscribe(struct shmd *shmd, const struct shmd_subscribe_options *options,
                        shmd_answer_fn *answered, void *data)
{
    union params params;
    struct subscribed wanted = {.prefix = NULL};
    int r = option_subscribe(shmd, options, &params, &wanted);
    if (r < 0)
        return r;
    r = send_with(shmd, METHOD_SUBSCRIBE, &params, &(struct after){.subscribed = &wanted}, answered,
                  data);
    if (r < 0)
        free(wanted.prefix);
    return r;
}

/* --- answers */

/* Tells CALL, which is freed, that it has failed as noted in the handle. */
static void tell_failure(struct shmd *shmd, struct unanswered *call)
{
    const struct shmd_answer answer = {.code = shmd->failure.code, .failure = &shmd->failure};
    if (call->answered)
        call->answered(shmd, &answer, call->data);
    unanswered_free(call);
}

/* What the daemon has answered with. */
struct told {
    struct shmd_segment *segment; /* each is owned; NULL: it is not that */
    struct shmd_page *page;
    struct shmd_info *info;
};

/* The reply to CALL, one that answers with a segment: 0, or the failure. */
static int read_segment(struct shmd *shmd, const struct unanswered *call,
                        struct shmd_answer *answer, struct told *told)
{
    int r = 0;
    if (call->method == METHOD_CREATE) {
        r = jsonrpc_client_created(&shmd->reply, &answer->created);
        r = r < 0 ? failure_of_answer(shmd, r) : 0;
    }
    if (r == 0)
        r = result_reply_segment(shmd, &told->segment);
    if (r != 0)
        return r;
    if (call->method == METHOD_SET)
        held_set_reply(shmd, call->holds);
    else if (call->holds || answer->created)
        held_add_reply(shmd);
    else if (call->method == METHOD_RELEASE || call->method == METHOD_REMOVE)
        held_drop_reply(shmd);
    answer->segment = told->segment;
    return 0;
}

static int read_answer(struct shmd *shmd, struct unanswered *call, struct shmd_answer *answer,
                       struct told *told)
{
    int r;
    switch ((int)call->method) {
    case METHOD_LIST:
        r = result_reply_page(shmd, &told->page);
        answer->page = told->page;
        return r;
    case METHOD_INFO:
        r = result_reply_info(shmd, &told->info);
        answer->info = told->info;
        return r;
    case METHOD_SUBSCRIBE: return subscribed_note(shmd, &call->subscribed, &answer->event_serial);
    default: return read_segment(shmd, call, answer, told);
    }
}

/* The reply of the handle is that to CALL, which is freed. */
static void tell(struct shmd *shmd, struct unanswered *call)
{
    struct told told = {NULL, NULL, NULL};
    struct shmd_answer answer = {.code = connection_judge(shmd)};
    if (answer.code == 0)
        answer.code = read_answer(shmd, call, &answer, &told);
    if (answer.code != 0) {
        tell_failure(shmd, call);
        return;
    }
    if (call->answered)
        call->answered(shmd, &answer, call->data);
    shmd_segment_free(told.segment);
    shmd_page_free(told.page);
    shmd_info_free(told.info);
    unanswered_free(call);
}

/* Why the connection is lost: what the daemon said before it closed, or else a sentence of ours. */
struct loss {
    int code;   /* a negative errno */
    char *line; /* the daemon's; owned; NULL: it said nothing */
    size_t len;
    char text[FAILURE_TEXT_SIZE];
};

static void note_loss(struct shmd *shmd, const struct loss *loss)
{
    struct client_message m;
    connection_begin(shmd);
    char *line = loss->line ? strdup(loss->line) : NULL;
    if (line && jsonrpc_client_decode(line, loss->len, &m) == 0) {
        shmd->line = line;
        shmd->reply = m;
        if (connection_judge(shmd) != 0)
            return;
    } else {
        free(line);
    }
    (void)failure_set(shmd, loss->code, "%s", loss->text);
}

/* Whatever is unanswered has failed. What the functions that are told send then is refused. */
static int tell_loss(struct shmd *shmd, struct loss *loss)
{
    struct unanswered *call;
    shmd->broken = true;
    while ((call = unanswered_take_first(&shmd->unanswered))) {
        note_loss(shmd, loss);
        tell_failure(shmd, call);
    }
    note_loss(shmd, loss);
    free(loss->line);
    return loss->code;
}

/* The loss that the handle's failure tells of. */
static struct loss loss_of(const struct shmd *shmd, int code)
{
    struct loss loss = {.code = code};
    snprintf(loss.text, sizeof(loss.text), "%s", shmd->failure_text);
    return loss;
}

/* Deals with LINE, which it takes: 1 when an answer was told, 0, or a negative errno with the
 * loss. */
static int take_line(struct shmd *shmd, char *line, size_t len, struct loss *ret_loss)
{
    struct client_message m;
    connection_begin(shmd);
    int r = jsonrpc_client_decode(line, len, &m);
    if (r < 0) {
        free(line);
        r = failure_of_answer(shmd, r);
        *ret_loss = loss_of(shmd, r);
        return r;
    }
    if (m.kind == CLIENT_EVENT) {
        jsonrpc_client_free(&m);
        r = line_queue_put(shmd, &shmd->events, line, len);
        if (r < 0)
            *ret_loss = loss_of(shmd, r);
        return r;
    }
    struct unanswered *call = m.has_id ? unanswered_take(&shmd->unanswered, m.id) : NULL;
    if (call) {
        shmd->line = line;
        shmd->reply = m;
        tell(shmd, call);
        return 1;
    }
    /* Without an id it is about the connection, which the daemon closes; else it comes too late. */
    bool is_about_all = !m.has_id && m.kind == CLIENT_FAILURE;
    jsonrpc_client_free(&m);
    if (is_about_all) {
        *ret_loss = (struct loss){.code = -ECONNRESET, .line = line, .len = len};
        return -ECONNRESET;
    }
    free(line);
    return 0;
}

/* Tells every answer that is in memory: how many, or a negative errno with the loss. */
static int take_all(struct shmd *shmd, struct loss *ret_loss)
{
    int told = 0;
    for (;;) {
        char *line;
        size_t len;
        int r = 1;
        if (!line_queue_take(&shmd->answers, &line, &len))
            r = stream_take_line(shmd, &line, &len);
        if (r == 0)
            return told;
        if (r < 0)
            *ret_loss = loss_of(shmd, r);
        else
            r = take_line(shmd, line, len, ret_loss);
        if (r < 0)
            return r;
        told += r;
    }
}

/* Once around: how many answers were told, or a negative errno with the loss. */
static int send_and_take(struct shmd *shmd, struct loss *ret_loss)
{
    int r = stream_flush(shmd);
    int told = r < 0 ? r : take_all(shmd, ret_loss);
    if (told > 0)
        r = stream_flush(shmd); /* what was sent meanwhile */
    if (r < 0)
        *ret_loss = loss_of(shmd, r);
    return r < 0 ? r : told;
}

int shmd_process(struct shmd *shmd, int timeout_ms)
{
    struct call_clock clock = call_clock_start(shmd, timeout_ms, -1);
    struct loss loss;
    connection_begin(shmd);
    for (;;) {
        int r = send_and_take(shmd, &loss);
        if (r < 0)
            return tell_loss(shmd, &loss);
        if (r > 0 || shmd->unanswered.n == 0)
            return r;
        if (stream_wait(shmd, shmd_poll_events(shmd), &clock) < 0)
            return 0;
        r = stream_receive(shmd);
        if (r < 0) {
            loss = loss_of(shmd, r);
            return tell_loss(shmd, &loss);
        }
    }
}
