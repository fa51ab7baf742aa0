/* SPDX-License-Identifier: MIT */
#include "daemon/io/failed_start.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <time.h>

#include "daemon/io/listener.h"
#include "protocol/jsonrpc.h"

enum { STAY_MS = 1000 };

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Answers the next client. False: there is none, or no descriptor for it. */
static bool answer_next(int listening, const struct writer *answer)
{
    int fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0)
        return errno == EINTR || errno == ECONNABORTED;
    listener_turn_out(fd, answer);
    return true;
}

void failed_start_answer(const struct failure *failure)
{
    struct reply reply = {.kind = REPLY_FAILURE, .u.failure = *failure};
    char *error CLEANUP(cleanup_free) = NULL;
    struct writer answer;
    int fd = -1;
    if (listener_inherit(&fd, &error) < 0)
        return;
    writer_init(&answer);
    jsonrpc_dialect.reply(&answer, NULL, &reply, false);
    struct pollfd waiting = {.fd = fd, .events = POLLIN};
    int64_t end = now_ms(); /* the first client decides whether the daemon stays */
    bool is_first = true;
    while (!answer.failed && poll(&waiting, 1, end > now_ms() ? (int)(end - now_ms()) : 0) > 0) {
        if (!answer_next(fd, &answer))
            break;
        if (is_first)
            end = now_ms() + STAY_MS;
        is_first = false;
        if (now_ms() >= end)
            break;
    }
    writer_deinit(&answer);
    close(fd);
}
