/*
 * The connection: one request at a time goes out, lines come in. A line is the answer that is
 * waited for, an event (kept for shmd_next_event()), or the late answer to a call that timed out,
 * which is passed over by its id.
 */
#include "client/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define SYSTEM_SOCKET "/run/shmd/shmd.sock"
#define USER_SOCKET   "shmd/shmd.sock" /* below $XDG_RUNTIME_DIR */

enum {
    FIRST_USER_UID = 1000,
    FIRST_FREE_FD = 3, /* behind the standard streams */
    READ_SIZE = 65536,
    LINE_MAX_BYTES = 256 * 1024 * 1024, /* a peer that never ends its line is not our daemon */
};

/* --- the last failure */

void connection_begin(struct shmd *shmd)
{
    jsonrpc_client_free(&shmd->reply);
    free(shmd->line);
    shmd->line = NULL;
    free(shmd->failure_params);
    shmd->failure_params = NULL;
    shmd->failure = (struct shmd_failure){.parameters = "{}"};
}

int connection_fail(struct shmd *shmd, int code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(shmd->failure_text, sizeof(shmd->failure_text), format, args);
    va_end(args);
    shmd->failure =
        (struct shmd_failure){.code = code, .message = shmd->failure_text, .parameters = "{}"};
    return code;
}

int connection_fail_answer(struct shmd *shmd, int r)
{
    if (r == -ENOMEM)
        return connection_fail(shmd, r, "out of memory");
    return connection_fail(shmd, r, "the answer is not one of shmd's protocol");
}

/* The daemon refused: what it said, as a failure. */
static int fail_by_reply(struct shmd *shmd)
{
    struct client_failure f;
    int r = jsonrpc_client_failure(&shmd->reply, &f);
    if (r < 0)
        return connection_fail_answer(shmd, r);
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

const struct shmd_failure *shmd_last_failure(const struct shmd *shmd)
{
    return shmd->failure.code ? &shmd->failure : NULL;
}

/* --- time */

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* When a call ends that may take so long; -1: never. */
static int64_t deadline_of(int64_t timeout_ms)
{
    return timeout_ms < 0 ? -1 : now_ms() + timeout_ms;
}

/* Waits until the socket is ready for EVENTS: 0, or -ETIMEDOUT. */
static int wait_for(const struct shmd *shmd, short events, int64_t deadline)
{
    for (;;) {
        int64_t left = deadline < 0 ? -1 : deadline - now_ms();
        if (deadline >= 0 && left < 0)
            left = 0;
        struct pollfd fd = {.fd = shmd->fd, .events = events};
        int n = poll(&fd, 1, left > INT32_MAX ? INT32_MAX : (int)left);
        if (n > 0)
            return 0;
        if (n == 0 && left <= INT32_MAX)
            return -ETIMEDOUT;
        if (n < 0 && errno != EINTR)
            return -errno;
    }
}

/* --- bytes */

static int send_all(struct shmd *shmd, const char *data, size_t len, int64_t deadline)
{
    size_t sent = 0;
    while (sent < len) {
        ssize_t n = send(shmd->fd, data + sent, len - sent,
                         MSG_NOSIGNAL | (deadline < 0 ? 0 : MSG_DONTWAIT));
        if (n >= 0) {
            sent += (size_t)n;
            continue;
        }
        int r = errno == EAGAIN ? wait_for(shmd, POLLOUT, deadline) : -errno;
        if (r == 0 || r == -EINTR)
            continue;
        /* The daemon may have said why before it closed: that is read, and then the end. */
        if (r == -EPIPE || r == -ECONNRESET)
            return 0;
        shmd->broken = shmd->broken || sent > 0;
        return r == -ETIMEDOUT
                   ? connection_fail(shmd, r, "the daemon does not take requests")
                   : connection_fail(shmd, r, "cannot send to the daemon: %s", strerror(-r));
    }
    return 0;
}

static int make_room(struct shmd *shmd)
{
    if (shmd->input_start > 0) {
        memmove(shmd->input, shmd->input + shmd->input_start, shmd->input_end - shmd->input_start);
        shmd->input_end -= shmd->input_start;
        shmd->input_searched -= shmd->input_start;
        shmd->input_start = 0;
    }
    if (shmd->input_capacity - shmd->input_end >= READ_SIZE)
        return 0;
    size_t capacity = shmd->input_capacity * 2 + READ_SIZE;
    if (capacity > LINE_MAX_BYTES)
        return connection_fail(shmd, -EMSGSIZE, "the daemon's answer does not end");
    char *input = realloc(shmd->input, capacity);
    if (!input)
        return connection_fail(shmd, -ENOMEM, "out of memory");
    shmd->input = input;
    shmd->input_capacity = capacity;
    return 0;
}

/* Reads what there is, at least a byte. */
static int receive(struct shmd *shmd, int64_t deadline)
{
    int r = make_room(shmd);
    if (r < 0)
        return r;
    for (;;) {
        if (deadline >= 0 && (r = wait_for(shmd, POLLIN, deadline)) < 0)
            return connection_fail(shmd, r, "no answer from the daemon in time");
        ssize_t n = recv(shmd->fd, shmd->input + shmd->input_end,
                         shmd->input_capacity - shmd->input_end, 0);
        if (n > 0) {
            shmd->input_end += (size_t)n;
            return 0;
        }
        if (n < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        shmd->broken = true;
        if (n == 0 || errno == ECONNRESET)
            return connection_fail(shmd, -ECONNRESET, "the daemon closed the connection");
        return connection_fail(shmd, -errno, "cannot read from the daemon: %s", strerror(errno));
    }
}

/* The next line without its LF, owned by the caller, and NUL-terminated for convenience. */
static int read_line(struct shmd *shmd, int64_t deadline, char **ret_line, size_t *ret_len)
{
    for (;;) {
        size_t unsearched = shmd->input_end - shmd->input_searched;
        const char *end =
            unsearched ? memchr(shmd->input + shmd->input_searched, '\n', unsearched) : NULL;
        if (end) {
            const char *start = shmd->input + shmd->input_start;
            size_t len = (size_t)(end - start);
            char *line = malloc(len + 1);
            if (!line)
                return connection_fail(shmd, -ENOMEM, "out of memory");
            memcpy(line, start, len);
            line[len] = '\0';
            shmd->input_start += len + 1;
            shmd->input_searched = shmd->input_start;
            *ret_line = line;
            *ret_len = len;
            return 0;
        }
        shmd->input_searched = shmd->input_end;
        int r = receive(shmd, deadline);
        if (r < 0)
            return r;
    }
}

/* --- messages */

/* Takes LINE. */
static int queue_event(struct shmd *shmd, char *line, size_t len)
{
    struct queued_event *event = malloc(sizeof(*event));
    if (!event) {
        free(line);
        return connection_fail(shmd, -ENOMEM, "out of memory");
    }
    *event = (struct queued_event){NULL, line, len};
    *shmd->events_tail = event;
    shmd->events_tail = &event->next;
    return 0;
}

/* The answer to the last request, as shmd->line and shmd->reply: the result or a failure. */
static int read_reply(struct shmd *shmd, int64_t deadline)
{
    for (;;) {
        char *line;
        size_t len;
        struct client_message m;
        int r = read_line(shmd, deadline, &line, &len);
        if (r < 0)
            return r;
        r = jsonrpc_client_decode(line, len, &m);
        if (r < 0) {
            free(line);
            return connection_fail_answer(shmd, r);
        }
        if (m.kind == CLIENT_EVENT) {
            jsonrpc_client_free(&m);
            r = queue_event(shmd, line, len);
            if (r < 0)
                return r;
        } else if (m.has_id && m.id != shmd->last_id) {
            jsonrpc_client_free(&m);
            free(line);
        } else {
            shmd->reply = m;
            shmd->line = line;
            return 0;
        }
    }
}

/* Sends REQUEST and reads its answer. */
static int exchange(struct shmd *shmd, const struct writer *request, int64_t timeout_ms)
{
    if (shmd->broken)
        return connection_fail(shmd, -ENOTCONN, "the connection to the daemon is lost");
    if (request->failed)
        return connection_fail(shmd, -ENOMEM, "out of memory");
    int64_t deadline = deadline_of(timeout_ms);
    int r = send_all(shmd, request->data, request->len, deadline);
    return r < 0 ? r : read_reply(shmd, deadline);
}

/* What the answer means to the caller. Ends the line after the result, for shmd_last_result(). */
static int judge_reply(struct shmd *shmd)
{
    if (shmd->reply.kind == CLIENT_FAILURE)
        return fail_by_reply(shmd);
    shmd->line[(size_t)(shmd->reply.text.text - shmd->line) + shmd->reply.text.len] = '\0';
    return 0;
}

int connection_call(struct shmd *shmd, enum method method, const union params *params,
                    int64_t extra_ms)
{
    connection_begin(shmd);
    struct writer request;
    writer_init(&request);
    jsonrpc_client_request(&request, ++shmd->last_id, method, params);
    bool endless = shmd->timeout_ms < 0 || extra_ms < 0;
    int r = exchange(shmd, &request, endless ? -1 : shmd->timeout_ms + extra_ms);
    writer_deinit(&request);
    return r < 0 ? r : judge_reply(shmd);
}

int connection_call_text(struct shmd *shmd, const char *method, const char *params,
                         char **ret_reply)
{
    connection_begin(shmd);
    struct writer request;
    writer_init(&request);
    int r = jsonrpc_client_request_text(&request, ++shmd->last_id, method, params);
    if (r < 0)
        r = connection_fail(shmd, r, "the parameters are not one JSON value");
    else
        r = exchange(shmd, &request, shmd->timeout_ms);
    writer_deinit(&request);
    if (r < 0)
        return r;
    char *copy = strdup(shmd->line);
    if (!copy)
        return connection_fail(shmd, -ENOMEM, "out of memory");
    r = judge_reply(shmd);
    *ret_reply = copy;
    return r;
}

int connection_event(struct shmd *shmd, int timeout_ms, char **ret_line, size_t *ret_len)
{
    connection_begin(shmd);
    struct queued_event *first = shmd->events;
    if (first) {
        *ret_line = first->line;
        *ret_len = first->len;
        shmd->events = first->next;
        if (!shmd->events)
            shmd->events_tail = &shmd->events;
        free(first);
        return 0;
    }
    int64_t deadline = deadline_of(timeout_ms);
    for (;;) {
        struct client_message m;
        char *line = NULL;
        size_t len = 0;
        int r = read_line(shmd, deadline, &line, &len);
        if (r < 0)
            return r;
        r = jsonrpc_client_decode(line, len, &m);
        bool is_event = r == 0 && m.kind == CLIENT_EVENT;
        if (r == 0)
            jsonrpc_client_free(&m);
        if (is_event) {
            *ret_line = line;
            *ret_len = len;
            return 0;
        }
        free(line);
        if (r < 0)
            return connection_fail_answer(shmd, r);
    }
}

const char *shmd_last_result(const struct shmd *shmd)
{
    bool succeeded = shmd->reply.root && shmd->reply.kind == CLIENT_RESULT && !shmd->failure.code;
    return succeeded ? shmd->reply.text.text : NULL;
}

/* --- from connect to disconnect */

static bool is_socket(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISSOCK(st.st_mode);
}

int shmd_socket_path(char *ret_path, size_t size)
{
    char path[4096];
    const char *given = secure_getenv("SHMD_SOCKET");
    const char *runtime = secure_getenv("XDG_RUNTIME_DIR");
    int len = -1;
    if (given && *given) {
        len = snprintf(path, sizeof(path), "%s", given);
    } else {
        if (runtime && *runtime && geteuid() >= FIRST_USER_UID)
            len = snprintf(path, sizeof(path), "%s/" USER_SOCKET, runtime);
        if (len < 0 || (size_t)len >= sizeof(path) || !is_socket(path))
            len = snprintf(path, sizeof(path), "%s", SYSTEM_SOCKET);
    }
    if (len < 0 || (size_t)len >= sizeof(path) || (size_t)len >= size)
        return -ENAMETOOLONG;
    memcpy(ret_path, path, (size_t)len + 1);
    return 0;
}

/* A socket in the place of a standard stream that the program lacks would be written to by whoever
 * writes to the stream, and the daemon would take that for requests. */
static int new_socket(void)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    if (fd >= FIRST_FREE_FD)
        return fd;
    int moved = fcntl(fd, F_DUPFD_CLOEXEC, FIRST_FREE_FD);
    int r = moved < 0 ? -errno : moved;
    close(fd);
    return r;
}

static int open_socket(const struct sockaddr_un *address, int timeout_ms, int *ret_fd)
{
    int fd = new_socket();
    if (fd < 0)
        return fd;
    /* This is what bounds connect(), which waits when the daemon accepts nobody. Zero would mean
     * no bound. */
    struct timeval bound = {timeout_ms / 1000, (timeout_ms % 1000) * 1000};
    const struct timeval none = {0, 0};
    if (timeout_ms == 0)
        bound.tv_usec = 1;
    int r = timeout_ms < 0 ? 0 : setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &bound, sizeof(bound));
    while (r == 0) {
        r = connect(fd, (const struct sockaddr *)address, sizeof(*address));
        if (r == 0 || errno != EINTR)
            break;
        r = 0;
    }
    if (r == 0 && timeout_ms >= 0)
        r = setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &none, sizeof(none));
    if (r < 0) {
        r = errno == EAGAIN ? -ETIMEDOUT : -errno;
        close(fd);
        return r;
    }
    *ret_fd = fd;
    return 0;
}

int shmd_connect(const char *path, int timeout_ms, struct shmd **ret_shmd)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
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
    shmd->timeout_ms = timeout_ms;
    shmd->events_tail = &shmd->events;
    int r = open_socket(&address, timeout_ms, &shmd->fd);
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
    while (shmd->events) {
        struct queued_event *next = shmd->events->next;
        free(shmd->events->line);
        free(shmd->events);
        shmd->events = next;
    }
    free(shmd->input);
    close(shmd->fd);
    free(shmd);
}

void shmd_set_timeout(struct shmd *shmd, int timeout_ms)
{
    shmd->timeout_ms = timeout_ms;
}

int shmd_fd(const struct shmd *shmd)
{
    return shmd->fd;
}
