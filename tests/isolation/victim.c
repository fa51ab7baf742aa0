/* SPDX-License-Identifier: MIT */
/*
 * An honest client of the daemon. Once every PERIOD milliseconds it plays a round: it connects
 * anew, asks for something on that connection, and then works on the connection that it keeps.
 *
 *   victim SOCKET user PREFIX ROUNDS PERIOD SECONDS    wait, create, stat and remove
 *   victim SOCKET admin - ROUNDS PERIOD SECONDS        info
 *
 * Each call is a line on standard output, "METHOD NANOSECONDS OUTCOME". OUTCOME is "ok", "closed"
 * (the daemon closed the connection instead of an answer), "silent" (there was no answer in
 * SECONDS; the program then ends) or "refused" with the answer behind it. A round does not wait for
 * its time when the one before it took longer.
 */
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "tests/isolation/support.h"

enum { ANSWER_MAX = 1 << 16 };

struct victim {
    const char *socket, *prefix;
    bool is_admin;
    int64_t deadline_ns;
};

/* What came in on one connection and is no whole line yet. */
struct input {
    char bytes[ANSWER_MAX];
    size_t len;
};

/* A connection that lasts from round to round. */
struct line {
    int fd; /* negative: to be made */
    struct input input;
};

static struct line kept = {.fd = -1}, waiting = {.fd = -1};
static struct input new_input;

static void tell(const char *method, int64_t since, const char *outcome, const char *answer)
{
    printf("%s %lld %s%s%s\n", method, (long long)(now_ns() - since), outcome, *answer ? " " : "",
           answer);
}

static bool send_all(int fd, const char *text)
{
    size_t len = strlen(text);
    while (len > 0) {
        ssize_t n = send(fd, text, len, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return false;
        text += n;
        len -= (size_t)n;
    }
    return true;
}

/* The next line of FD into LINE, without its LF. 1: there is one; 0: closed; -1: none in time. */
static int read_line(const struct victim *v, int fd, struct input *in, char line[static ANSWER_MAX])
{
    int64_t end = now_ns() + v->deadline_ns;
    for (;;) {
        char *lf = memchr(in->bytes, '\n', in->len);
        if (lf) {
            size_t len = (size_t)(lf - in->bytes);
            memcpy(line, in->bytes, len);
            line[len] = '\0';
            in->len -= len + 1;
            memmove(in->bytes, lf + 1, in->len);
            return 1;
        }
        if (in->len == sizeof(in->bytes))
            die("an answer of more than %zu bytes", sizeof(in->bytes));
        struct pollfd p = {.fd = fd, .events = POLLIN};
        int64_t left_ms = (end - now_ns()) / 1000000;
        if (left_ms <= 0 || poll(&p, 1, (int)left_ms) == 0)
            return -1;
        ssize_t n = recv(fd, in->bytes + in->len, sizeof(in->bytes) - in->len, MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            continue;
        if (n <= 0)
            return 0;
        in->len += (size_t)n;
    }
}

/* Ends the program: what the daemon does after that is of no use to anybody. */
__attribute__((noreturn)) static void silent(const char *method, int64_t since)
{
    tell(method, since, "silent", "");
    exit(0);
}

enum answer { ANSWER_RESULT, ANSWER_ERROR, ANSWER_CLOSED };

/* Reads the answer to request ID and tells of it. */
static enum answer read_answer(const struct victim *v, int fd, struct input *in, const char *method,
                               int id, int64_t since)
{
    static char line[ANSWER_MAX];
    char good[80];
    snprintf(good, sizeof(good), "{\"jsonrpc\":\"2.0\",\"id\":%d,\"result\":", id);
    int r = read_line(v, fd, in, line);
    if (r < 0)
        silent(method, since);
    if (r == 0) {
        tell(method, since, "closed", "");
        return ANSWER_CLOSED;
    }
    if (strncmp(line, good, strlen(good)) != 0) {
        tell(method, since, "refused", line);
        return ANSWER_ERROR;
    }
    tell(method, since, "ok", "");
    return ANSWER_RESULT;
}

/* Sends REQUEST on a connection that lasts; it is made anew when the daemon has closed it. */
static bool ask(const struct victim *v, struct line *l, const char *method, const char *request)
{
    int64_t since = now_ns();
    if (l->fd < 0) {
        l->fd = connect_to(v->socket);
        l->input.len = 0;
        if (l->fd < 0) {
            tell(method, since, "refused", strerror(-l->fd));
            return false;
        }
    }
    send_all(l->fd, request); /* a failure is seen as a close when the answer is read */
    return true;
}

static void drop(struct line *l)
{
    close(l->fd);
    l->fd = -1;
}

/* Whether there was a result. */
static bool hear(const struct victim *v, struct line *l, const char *method, int id, int64_t since)
{
    enum answer answer = read_answer(v, l->fd, &l->input, method, id, since);
    if (answer == ANSWER_CLOSED)
        drop(l);
    return answer == ANSWER_RESULT;
}

static bool call(const struct victim *v, const char *method, const char *request, int id)
{
    int64_t since = now_ns();
    return ask(v, &kept, method, request) && hear(v, &kept, method, id, since);
}

static void connect_anew(const struct victim *v)
{
    int64_t since = now_ns();
    int fd = connect_to(v->socket);
    if (fd < 0) {
        tell("connect", since, "refused", strerror(-fd));
        return;
    }
    new_input.len = 0;
    send_all(fd,
             "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"list\",\"params\":{\"prefix\":\"none/\","
             "\"limit\":1}}\n");
    read_answer(v, fd, &new_input, "connect", 1, since);
    close(fd);
}

/* The wait begins before there is a segment of that name, so the daemon must keep it. */
static void play_user(const struct victim *v, long round)
{
    char wait[512], create[512], other[512];
    snprintf(wait, sizeof(wait),
             "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"wait\",\"params\":{\"name\":\"%s%ld\"}}\n",
             v->prefix, round);
    snprintf(create, sizeof(create),
             "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"create\",\"params\":{\"name\":\"%s%ld\","
             "\"size\":4096}}\n",
             v->prefix, round);
    bool waits = ask(v, &waiting, "wait", wait);
    int64_t since = now_ns();
    bool is_made = call(v, "create", create, 2);
    if (waits && is_made)
        hear(v, &waiting, "wait", 1, since);
    else if (waits)
        drop(&waiting); /* there is nothing that the wait could end with */
    if (!is_made)
        return;
    snprintf(other, sizeof(other),
             "{\"jsonrpc\":\"2.0\",\"id\":3,\"method\":\"stat\",\"params\":{\"name\":\"%s%ld\"}}\n",
             v->prefix, round);
    call(v, "stat", other, 3);
    snprintf(
        other, sizeof(other),
        "{\"jsonrpc\":\"2.0\",\"id\":4,\"method\":\"remove\",\"params\":{\"name\":\"%s%ld\"}}\n",
        v->prefix, round);
    call(v, "remove", other, 4);
}

int main(int argc, char **argv)
{
    if (argc != 7 || (strcmp(argv[2], "user") != 0 && strcmp(argv[2], "admin") != 0))
        die("usage: victim SOCKET user|admin PREFIX ROUNDS PERIOD SECONDS");
    struct victim v = {.socket = argv[1],
                       .prefix = argv[3],
                       .is_admin = strcmp(argv[2], "admin") == 0,
                       .deadline_ns = parse_number("SECONDS", argv[6]) * INT64_C(1000000000)};
    long rounds = parse_number("ROUNDS", argv[4]);
    int64_t period = parse_number("PERIOD", argv[5]) * INT64_C(1000000);
    int64_t end = now_ns() + v.deadline_ns;
    for (long i = 0; i < rounds && now_ns() < end; i++) {
        int64_t left = period, begin = now_ns();
        connect_anew(&v);
        if (v.is_admin)
            call(&v, "info", "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"info\"}\n", 1);
        else
            play_user(&v, i);
        fflush(stdout);
        left -= now_ns() - begin;
        if (left > 0)
            nanosleep(&(struct timespec){.tv_sec = (time_t)(left / 1000000000),
                                         .tv_nsec = (long)(left % 1000000000)},
                      NULL);
    }
    return 0;
}
