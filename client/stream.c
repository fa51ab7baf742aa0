/* SPDX-License-Identifier: MIT */
/*
 * The stream of bytes to the daemon and from it, cut into lines. A call that has a deadline ends
 * with it, whatever the daemon does: it is looked at before each read, so that neither a flood nor
 * a drip of bytes puts it off.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "client/internal.h"

enum {
    FIRST_FREE_FD = 3, /* behind the standard streams */
    READ_SIZE = 65536,
};

/* --- time */

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

struct call_clock call_clock_start(const struct shmd *shmd, int64_t timeout_ms, int64_t due_ms)
{
    int64_t now = now_ms();
    bool tells = shmd->on_delay && due_ms >= 0;
    return (struct call_clock){
        .deadline = timeout_ms < 0 ? -1 : now + timeout_ms,
        .delay_at = tells ? now + due_ms + shmd->delay_ms : -1,
    };
}

/* How long poll() may wait at NOW: up to the deadline, or until a delay is to be told. */
static int poll_time(const struct call_clock *clock, int64_t now)
{
    int64_t until = clock->deadline;
    if (clock->delay_at >= 0 && (until < 0 || clock->delay_at < until))
        until = clock->delay_at;
    if (until < 0)
        return -1;
    int64_t left = until > now ? until - now : 0;
    return left > INT32_MAX ? INT32_MAX : (int)left;
}

/* It looks once after the deadline, so that a timeout of 0 means to look. */
int stream_wait(const struct shmd *shmd, short events, struct call_clock *clock)
{
    for (;;) {
        int64_t now = now_ms();
        if (clock->delay_at >= 0 && now >= clock->delay_at) {
            clock->delay_at = -1;
            shmd->on_delay(shmd->delay_data);
        }
        if (clock->deadline >= 0 && now >= clock->deadline) {
            if (clock->has_looked)
                return -ETIMEDOUT;
            clock->has_looked = true;
        }
        struct pollfd fd = {.fd = shmd->fd, .events = events};
        int n = poll(&fd, 1, poll_time(clock, now));
        if (n > 0)
            return 0;
        if (n < 0 && errno != EINTR)
            return -errno;
    }
}

static bool is_timed(const struct call_clock *clock)
{
    return clock->deadline >= 0 || clock->delay_at >= 0;
}

/* --- bytes */

int stream_flush(struct shmd *shmd)
{
    struct writer *out = &shmd->output;
    while (shmd->output_sent < out->len) {
        ssize_t n = send(shmd->fd, out->data + shmd->output_sent, out->len - shmd->output_sent,
                         MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EAGAIN)
            return 0;
        if (n < 0 && errno != EINTR) {
            /* As in stream_send(): the reason may be there to be read. */
            if (errno == EPIPE || errno == ECONNRESET)
                break;
            shmd->broken = true;
            return failure_set(shmd, -errno, "cannot send to the daemon: %s", strerror(errno));
        }
        if (n > 0)
            shmd->output_sent += (size_t)n;
    }
    writer_rewind(out, (struct writer_mark){0});
    shmd->output_sent = 0;
    return 0;
}

/* What pipeline.c has sent goes first, all of it: requests are answered in the order they came. */
static int send_rest(struct shmd *shmd, struct call_clock *clock)
{
    for (;;) {
        int r = stream_flush(shmd);
        if (r < 0 || shmd->output.len == 0)
            return r;
        r = stream_wait(shmd, POLLOUT, clock);
        if (r < 0)
            return failure_set(shmd, r, "the daemon does not take requests");
    }
}

int stream_send(struct shmd *shmd, const char *data, size_t len, struct call_clock *clock)
{
    size_t sent = 0;
    int r = send_rest(shmd, clock);
    if (r < 0)
        return r;
    while (sent < len) {
        ssize_t n = send(shmd->fd, data + sent, len - sent,
                         MSG_NOSIGNAL | (is_timed(clock) ? MSG_DONTWAIT : 0));
        if (n >= 0) {
            sent += (size_t)n;
            continue;
        }
        r = errno == EAGAIN ? stream_wait(shmd, POLLOUT, clock) : -errno;
        if (r == 0 || r == -EINTR)
            continue;
        /* The daemon may have given the reason before it closed: read that first. */
        if (r == -EPIPE || r == -ECONNRESET)
            return 0;
        shmd->broken = shmd->broken || sent > 0;
        return r == -ETIMEDOUT
                   ? failure_set(shmd, r, "the daemon does not take requests")
                   : failure_set(shmd, r, "cannot send to the daemon: %s", strerror(-r));
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
    if (capacity > INPUT_MAX_BYTES)
        return failure_set(shmd, -EMSGSIZE, "the daemon's answer does not end");
    char *input = realloc(shmd->input, capacity);
    if (!input)
        return failure_set(shmd, -ENOMEM, "out of memory");
    shmd->input = input;
    shmd->input_capacity = capacity;
    return 0;
}

/* Without MSG_DONTWAIT in FLAGS it waits for a byte. */
static int receive(struct shmd *shmd, int flags)
{
    int r = make_room(shmd);
    if (r < 0)
        return r;
    ssize_t n = recv(shmd->fd, shmd->input + shmd->input_end,
                     shmd->input_capacity - shmd->input_end, flags);
    if (n > 0) {
        shmd->input_end += (size_t)n;
        return 0;
    }
    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return 0;
    shmd->broken = true;
    if (n == 0 || errno == ECONNRESET)
        return failure_set(shmd, -ECONNRESET, "the daemon closed the connection");
    return failure_set(shmd, -errno, "cannot read from the daemon: %s", strerror(errno));
}

int stream_receive(struct shmd *shmd)
{
    return receive(shmd, MSG_DONTWAIT);
}

int stream_take_line(struct shmd *shmd, char **ret_line, size_t *ret_len)
{
    size_t unsearched = shmd->input_end - shmd->input_searched;
    const char *end =
        unsearched ? memchr(shmd->input + shmd->input_searched, '\n', unsearched) : NULL;
    shmd->input_searched = shmd->input_end;
    if (!end)
        return 0;
    const char *start = shmd->input + shmd->input_start;
    size_t len = (size_t)(end - start);
    shmd->input_searched = shmd->input_start;
    char *line = malloc(len + 1);
    if (!line)
        return failure_set(shmd, -ENOMEM, "out of memory");
    memcpy(line, start, len);
    line[len] = '\0';
    shmd->input_start += len + 1;
    shmd->input_searched = shmd->input_start;
    *ret_line = line;
    *ret_len = len;
    return 1;
}

int stream_read_line(struct shmd *shmd, struct call_clock *clock, char **ret_line, size_t *ret_len)
{
    for (;;) {
        int r = stream_take_line(shmd, ret_line, ret_len);
        if (r != 0)
            return r < 0 ? r : 0;
        if (is_timed(clock) && (r = stream_wait(shmd, POLLIN, clock)) < 0)
            return failure_set(shmd, r, "no answer from the daemon in time");
        r = receive(shmd, is_timed(clock) ? MSG_DONTWAIT : 0);
        if (r < 0)
            return r;
    }
}

/* --- opening */

/* Not in the place of a standard stream that is closed: what the program writes to that stream
 * would reach the daemon as requests. */
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

/* Bounds what connect() may take; -1: nothing does. It waits while the daemon accepts nobody. */
static int set_bound(int fd, int64_t ms)
{
    struct timeval bound = {0, 0}; /* no bound */
    if (ms >= 0)
        bound = (struct timeval){(time_t)(ms / 1000), (suseconds_t)(ms % 1000) * 1000};
    if (ms == 0)
        bound.tv_usec = 1;
    return setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &bound, sizeof(bound)) < 0 ? -errno : 0;
}

static int connect_within(int fd, const struct sockaddr_un *address, int timeout_ms)
{
    int64_t deadline = timeout_ms < 0 ? -1 : now_ms() + timeout_ms;
    for (;;) {
        int64_t left = deadline < 0 ? -1 : deadline - now_ms();
        int r = deadline < 0 ? 0 : set_bound(fd, left > 0 ? left : 0);
        if (r < 0)
            return r;
        if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0)
            return deadline < 0 ? 0 : set_bound(fd, -1);
        r = -errno;
        if (r == -EAGAIN || (r == -EINTR && deadline >= 0 && now_ms() >= deadline))
            return -ETIMEDOUT;
        if (r != -EINTR)
            return r;
    }
}

int stream_open(const struct sockaddr_un *address, int timeout_ms, int *ret_fd)
{
    int fd = new_socket();
    if (fd < 0)
        return fd;
    int r = connect_within(fd, address, timeout_ms);
    if (r < 0)
        close(fd);
    else
        *ret_fd = fd;
    return r;
}
