/* SPDX-License-Identifier: MIT */
/*
 * The connection: one request at a time goes out, lines come in. A line is the answer that is
 * waited for, an event (kept for shmd_next_event()), or the late answer to a call that timed out,
 * which is passed over by its id.
 */
#include "client/internal.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

void connection_begin(struct shmd *shmd)
{
    jsonrpc_client_free(&shmd->reply);
    free(shmd->line);
    shmd->line = NULL;
    free(shmd->failure_params);
    shmd->failure_params = NULL;
    shmd->failure = (struct shmd_failure){.parameters = "{}"};
}

/* The strings of the failure lie in the reply, which moves along, or in failure_text. */
void connection_keep(struct shmd *shmd, struct kept_call *ret)
{
    *ret = (struct kept_call){
        .failure = shmd->failure,
        .params = shmd->failure_params,
        .line = shmd->line,
        .reply = shmd->reply,
    };
    memcpy(ret->text, shmd->failure_text, sizeof(ret->text));
    shmd->failure_params = NULL;
    shmd->line = NULL;
    shmd->reply = (struct client_message){0};
}

void connection_put_back(struct shmd *shmd, struct kept_call *kept)
{
    connection_begin(shmd);
    shmd->failure = kept->failure;
    shmd->failure_params = kept->params;
    shmd->line = kept->line;
    shmd->reply = kept->reply;
    memcpy(shmd->failure_text, kept->text, sizeof(kept->text));
}

/* The daemon's refusal becomes the failure. */
static int fail_by_reply(struct shmd *shmd)
{
    struct client_failure f;
    int r = jsonrpc_client_failure(&shmd->reply, &f);
    if (r < 0)
        return failure_of_answer(shmd, r);
    int code = f.error < 0 ? SHMD_ERROR_UNKNOWN : error_row((enum protocol_error)f.error)->code;
    shmd->failure_params = f.params;
    shmd->failure = (struct shmd_failure){
        .code = code < 0 ? -code : code,
        .name = f.name,
        .message = f.message,
        .parameters = f.params,
    };
    return shmd->failure.code;
}

/* --- messages */

int line_queue_put(struct shmd *shmd, struct line_queue *queue, char *line, size_t len)
{
    bool is_full = queue->bytes + len > INPUT_MAX_BYTES;
    struct queued_line *item = is_full ? NULL : malloc(sizeof(*item));
    if (!item) {
        free(line);
        return is_full ? failure_set(shmd, -EMSGSIZE, "the daemon sends events without an end")
                       : failure_set(shmd, -ENOMEM, "out of memory");
    }
    *item = (struct queued_line){NULL, line, len};
    *(queue->first ? queue->end : &queue->first) = item;
    queue->end = &item->next;
    queue->bytes += len;
    return 0;
}

bool line_queue_take(struct line_queue *queue, char **ret_line, size_t *ret_len)
{
    struct queued_line *first = queue->first;
    if (!first)
        return false;
    *ret_line = first->line;
    *ret_len = first->len;
    queue->first = first->next;
    queue->bytes -= first->len;
    free(first);
    return true;
}

static void line_queue_drop(struct line_queue *queue)
{
    char *line;
    size_t len;
    while (line_queue_take(queue, &line, &len))
        free(line);
}

/* The answer to request ID, as shmd->line and shmd->reply: the result or a failure. */
static int read_reply(struct shmd *shmd, int64_t id, struct call_clock *clock)
{
    for (;;) {
        char *line;
        size_t len;
        struct client_message m;
        int r = stream_read_line(shmd, clock, &line, &len);
        if (r < 0)
            return r;
        r = jsonrpc_client_decode(line, len, &m);
        if (r < 0) {
            free(line);
            return failure_of_answer(shmd, r);
        }
        if (m.kind == CLIENT_EVENT) {
            jsonrpc_client_free(&m);
            r = line_queue_put(shmd, &shmd->events, line, len);
            if (r < 0)
                return r;
        } else if (m.has_id && unanswered_has(&shmd->unanswered, m.id)) {
            jsonrpc_client_free(&m);
            r = line_queue_put(shmd, &shmd->answers, line, len);
            if (r < 0)
                return r;
        } else if (m.has_id && m.id != id) {
            jsonrpc_client_free(&m);
            free(line);
        } else {
            shmd->reply = m;
            shmd->line = line;
            return 0;
        }
    }
}

/* Sends REQUEST and reads its answer, which the daemon may give after DUE_MS (-1: at any time). */
static int exchange(struct shmd *shmd, const struct writer *request, int64_t due_ms)
{
    bool is_endless = shmd->timeout_ms < 0 || due_ms < 0;
    struct call_clock clock =
        call_clock_start(shmd, is_endless ? -1 : shmd->timeout_ms + due_ms, due_ms);
    if (shmd->broken)
        return failure_set(shmd, -ENOTCONN, "the connection to the daemon is lost");
    if (request->failed)
        return failure_set(shmd, -ENOMEM, "out of memory");
    int r = stream_send(shmd, request->data, request->len, &clock);
    return r < 0 ? r : read_reply(shmd, shmd->last_id, &clock);
}

int connection_judge(struct shmd *shmd)
{
    if (shmd->reply.kind == CLIENT_FAILURE)
        return fail_by_reply(shmd);
    shmd->line[(size_t)(shmd->reply.text.text - shmd->line) + shmd->reply.text.len] = '\0';
    return 0;
}

int connection_call(struct shmd *shmd, enum method method, const union params *params,
                    int64_t due_ms)
{
    connection_begin(shmd);
    struct writer request;
    writer_init(&request);
    jsonrpc_client_request(&request, ++shmd->last_id, method, params);
    int r = exchange(shmd, &request, due_ms);
    writer_deinit(&request);
    return r < 0 ? r : connection_judge(shmd);
}

int connection_call_text(struct shmd *shmd, const char *method, const char *params,
                         char **ret_reply)
{
    connection_begin(shmd);
    struct writer request;
    writer_init(&request);
    int r = jsonrpc_client_request_text(&request, ++shmd->last_id, method, params);
    if (r < 0)
        r = failure_set(shmd, r, "the parameters are not one JSON value");
    else
        r = exchange(shmd, &request, 0);
    writer_deinit(&request);
    if (r < 0)
        return r;
    char *copy = strdup(shmd->line);
    if (!copy)
        return failure_set(shmd, -ENOMEM, "out of memory");
    r = connection_judge(shmd);
    *ret_reply = copy;
    return r;
}

int connection_event(struct shmd *shmd, int timeout_ms, char **ret_line, size_t *ret_len)
{
    connection_begin(shmd);
    if (line_queue_take(&shmd->events, ret_line, ret_len))
        return 0;
    struct call_clock clock = call_clock_start(shmd, timeout_ms, -1);
    for (;;) {
        struct client_message m;
        char *line = NULL;
        size_t len = 0;
        int r = stream_read_line(shmd, &clock, &line, &len);
        if (r < 0)
            return r;
        r = jsonrpc_client_decode(line, len, &m);
        bool is_event = r == 0 && m.kind == CLIENT_EVENT;
        bool is_answer = r == 0 && !is_event && m.has_id && unanswered_has(&shmd->unanswered, m.id);
        if (r == 0)
            jsonrpc_client_free(&m);
        if (is_event) {
            *ret_line = line;
            *ret_len = len;
            return 0;
        }
        if (is_answer) {
            r = line_queue_put(shmd, &shmd->answers, line, len);
            if (r < 0)
                return r;
            continue;
        }
        free(line);
        if (r < 0)
            return failure_of_answer(shmd, r);
    }
}

const char *shmd_last_result(const struct shmd *shmd)
{
    bool succeeded = shmd->line && shmd->reply.kind == CLIENT_RESULT && !shmd->failure.code;
    return succeeded ? shmd->reply.text.text : NULL;
}

void connection_renew(struct shmd *shmd, int fd)
{
    close(shmd->fd);
    shmd->fd = fd;
    shmd->broken = false;
    shmd->knows_daemon = false;
    shmd->input_start = shmd->input_end = shmd->input_searched = 0;
    shmd->output_sent = 0;
    writer_rewind(&shmd->output, (struct writer_mark){0});
    /* Events that were not given out come again. */
    line_queue_drop(&shmd->events);
    line_queue_drop(&shmd->answers);
}

int shmd_connect(const char *path, int timeout_ms, struct shmd **ret_shmd)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (!ret_shmd)
        return -EINVAL;
    if (!path) {
        int r = shmd_socket_path(address.sun_path, sizeof(address.sun_path));
        if (r < 0)
            return r;
    } else {
        size_t len = strlen(path);
        if (len >= sizeof(address.sun_path))
            return -ENAMETOOLONG;
        memcpy(address.sun_path, path, len + 1);
    }
    struct shmd *shmd = calloc(1, sizeof(*shmd));
    if (!shmd)
        return -ENOMEM;
    shmd->address = address;
    shmd->timeout_ms = timeout_ms;
    writer_init(&shmd->output);
    int r = stream_open(&address, timeout_ms, &shmd->fd);
    if (r < 0) {
        free(shmd);
        return r;
    }
    connection_begin(shmd);
    *ret_shmd = shmd;
    return 0;
}

void shmd_disconnect(struct shmd *shmd)
{
    if (!shmd)
        return;
    connection_begin(shmd);
    line_queue_drop(&shmd->events);
    line_queue_drop(&shmd->answers);
    unanswered_drop(&shmd->unanswered);
    held_free(&shmd->held);
    free(shmd->subscribed.prefix);
    writer_deinit(&shmd->output);
    free(shmd->input);
    close(shmd->fd);
    free(shmd);
}

void shmd_set_timeout(struct shmd *shmd, int timeout_ms)
{
    shmd->timeout_ms = timeout_ms;
}

void shmd_on_delay(struct shmd *shmd, int after_ms, shmd_delay_fn *tell, void *data)
{
    shmd->delay_ms = after_ms;
    shmd->on_delay = tell;
    shmd->delay_data = data;
}

int shmd_fd(const struct shmd *shmd)
{
    return shmd->fd;
}
