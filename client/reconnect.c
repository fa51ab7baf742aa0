/* SPDX-License-Identifier: MIT */
/*
 * A new connection for a handle whose daemon was restarted: what the old one held is held again,
 * and what it had subscribed to goes on.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "client/internal.h"

enum { PAUSE_MS = 20 };

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Nobody serves there now; somebody may in a moment. */
static bool is_away(int r)
{
    return r == -ENOENT || r == -ECONNREFUSED;
}

/* Tries until DEADLINE (-1: for ever). */
static int open_again(const struct shmd *shmd, int64_t deadline, int *ret_fd)
{
    for (;;) {
        const int64_t left = deadline < 0 ? shmd->timeout_ms : deadline - now_ms();
        const int r =
            stream_open(&shmd->address, (int)(left < 0 && deadline >= 0 ? 0 : left), ret_fd);
        if (!is_away(r) || (deadline >= 0 && now_ms() + PAUSE_MS > deadline))
            return r;
        nanosleep(&(struct timespec){.tv_nsec = PAUSE_MS * 1000000L}, NULL);
    }
}

/* Holds SERIAL again: 0, what the daemon refused with, or a negative errno. */
static int hold_again(struct shmd *shmd, uint64_t serial)
{
    union params params = {0};
    params.target.target = option_target(&(struct shmd_target){.serial = serial});
    return connection_call(shmd, METHOD_HOLD, &params, 0);
}

/* A refusal that says nothing of the segment: the daemon may take it at another time. */
static bool may_pass(int code)
{
    return code == SHMD_ERROR_SHUTTING_DOWN || code == SHMD_ERROR_QUOTA_EXCEEDED ||
           code == SHMD_ERROR_LIMIT_REACHED || code == SHMD_ERROR_STORE_FAILURE ||
           code == SHMD_ERROR_INTERNAL;
}

/* What the daemon refused to hold again. */
struct refused_hold {
    uint64_t serial;
    int code;
    char reason[FAILURE_TEXT_SIZE];
};

/* What is gone for good is told before what may pass, which the next connection tells again. */
static void note_refused(struct refused_hold *refused, uint64_t serial, int code,
                         const char *reason)
{
    if (refused->code != 0 && may_pass(code) && !may_pass(refused->code))
        return;
    refused->serial = serial;
    refused->code = code;
    snprintf(refused->reason, sizeof(refused->reason), "%s", reason);
}

static int tell_refused(struct shmd *shmd, const struct refused_hold *refused)
{
    connection_begin(shmd);
    if (refused->code == SHMD_ERROR_NO_SUCH_SEGMENT)
        return failure_set(shmd, refused->code,
                           "the segment with serial %" PRIu64 " was held, and is gone",
                           refused->serial);
    if (may_pass(refused->code))
        return failure_set(shmd, refused->code,
                           "the segment with serial %" PRIu64
                           " was held, and is not now; the next shmd_reconnect() tries again: %s",
                           refused->serial, refused->reason);
    return failure_set(shmd, refused->code,
                       "the segment with serial %" PRIu64 " was held, and is not any more: %s",
                       refused->serial, refused->reason);
}

/* TELLS: refusals are told, and what is refused for good is forgotten. Else the next time does. */
static int hold_all_again(struct shmd *shmd, bool tells)
{
    struct refused_hold refused = {0};
    for (size_t i = shmd->held.n; i-- > 0;) {
        const uint64_t serial = shmd->held.segments[i].serial;
        const int r = hold_again(shmd, serial);
        if (r < 0)
            return r;
        if (r > 0 && tells) {
            note_refused(&refused, serial, r, shmd->failure.message);
            if (!may_pass(r))
                held_drop(&shmd->held, serial);
        }
    }
    return refused.code != 0 ? tell_refused(shmd, &refused) : 0;
}

static int subscribe_again(struct shmd *shmd)
{
    const struct subscribed *s = &shmd->subscribed;
    const union params params = {.subscribe = {
                                     .prefix = s->prefix,
                                     .kinds = option_int(s->kinds != 0, s->kinds),
                                     .after = option_int(true, (int64_t)s->last),
                                 }};
    return s->is_on ? connection_call(shmd, METHOD_SUBSCRIBE, &params, 0) : 0;
}

int shmd_reconnect(struct shmd *shmd, int timeout_ms)
{
    int fd;
    connection_begin(shmd);
    if (shmd->unanswered.n > 0)
        return failure_set(shmd, -EBUSY, "calls are unanswered: shmd_process() tells their end");
    int r = open_again(shmd, timeout_ms < 0 ? -1 : now_ms() + timeout_ms, &fd);
    if (r < 0)
        return failure_set(shmd, r, "no daemon serves at %s: %s", shmd->address.sun_path,
                           strerror(-r));
    connection_renew(shmd, fd);
    r = subscribe_again(shmd);
    if (r <= 0)
        return r < 0 ? r : hold_all_again(shmd, true);
    /* Without the events, too, what is held must stay. */
    struct kept_call subscription;
    connection_keep(shmd, &subscription);
    (void)hold_all_again(shmd, false);
    connection_put_back(shmd, &subscription);
    return r;
}
