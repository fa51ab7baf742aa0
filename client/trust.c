/* SPDX-License-Identifier: MIT */
/*
 * Finding a segment that others could have made under the name one looks for. Whose it may be goes
 * with the request, so the daemon looks at the owner and answers in one step.
 */
#include "client/internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "protocol/json_slice.h"

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Whether the last call was refused because the segment is UID's. */
static bool is_refused_as_owned_by(const struct shmd *shmd, uint32_t uid)
{
    char text[16];
    const struct shmd_failure *failure = &shmd->failure;
    struct json_walk walk =
        json_walk_begin((struct json_slice){failure->parameters, strlen(failure->parameters)});
    struct json_slice key, value;
    size_t len = (size_t)snprintf(text, sizeof(text), "%u", uid);
    if (failure->code != SHMD_ERROR_PERMISSION_DENIED)
        return false;
    while (json_walk_next(&walk, &key, &value))
        if (key.len == 3 && memcmp(key.text, "uid", 3) == 0)
            return value.len == len && memcmp(value.text, text, len) == 0;
    return false;
}

/*
 * PARAMS has its owner in OWNER. The daemon takes one owner in a request, so that of TRUST is asked
 * for first and the caller then, if the segment turns out to be the caller's own. TIMEOUT_MS: how
 * long the daemon may wait, which is in TIMEOUT; NULL: it does not wait.
 */
static int call_trusted(struct shmd *shmd, enum method method, union params *params,
                        struct opt_int *owner, struct opt_int *timeout, int64_t timeout_ms,
                        const struct shmd_trust *trust, struct shmd_segment **ret_segment)
{
    static const struct shmd_trust nobody_else;
    const struct shmd_trust *t = trust ? trust : &nobody_else;
    uint32_t own = geteuid();
    int64_t end_ms = timeout_ms < 0 ? -1 : now_ms() + timeout_ms;
    *owner = option_int(!t->any_owner, t->has_owner ? t->owner : own);
    int r = connection_call(shmd, method, params, timeout_ms);
    if (r > 0 && owner->given && owner->value != own && is_refused_as_owned_by(shmd, own)) {
        int64_t left = end_ms < 0 ? -1 : end_ms - now_ms();
        left = end_ms >= 0 && left < 0 ? 0 : left;
        *owner = option_int(true, own);
        if (timeout)
            *timeout = option_int(left >= 0, left);
        r = connection_call(shmd, method, params, timeout ? left : 0);
    }
    return r != 0 ? r : result_reply_segment(shmd, ret_segment);
}

static int call_target_trusted(struct shmd *shmd, enum method method,
                               const struct shmd_target *target, const struct shmd_trust *trust,
                               struct shmd_segment **ret_segment)
{
    union params params = {0};
    int r = option_needed(shmd, target, "the target");
    if (r < 0)
        return r;
    params.target = (struct target_params){.target = option_target(target)};
    return call_trusted(shmd, method, &params, &params.target.owner, NULL, 0, trust, ret_segment);
}

int shmd_stat_trusted(struct shmd *shmd, const struct shmd_target *target,
                      const struct shmd_trust *trust, struct shmd_segment **ret_segment)
{
    return call_target_trusted(shmd, METHOD_STAT, target, trust, ret_segment);
}

int shmd_hold_trusted(struct shmd *shmd, const struct shmd_target *target,
                      const struct shmd_trust *trust, struct shmd_segment **ret_segment)
{
    int r = held_make_room(shmd);
    if (r == 0)
        r = call_target_trusted(shmd, METHOD_HOLD, target, trust, ret_segment);
    if (r == 0)
        held_add_reply(shmd);
    return r;
}

int shmd_wait_trusted(struct shmd *shmd, const char *name, int64_t timeout_ms, unsigned flags,
                      const struct shmd_trust *trust, struct shmd_segment **ret_segment)
{
    union params params;
    int r = option_wait(shmd, name, timeout_ms, flags, &params);
    if (r == 0)
        r = held_make_room(shmd);
    if (r < 0)
        return r;
    r = call_trusted(shmd, METHOD_WAIT, &params, &params.wait.owner, &params.wait.timeout_ms,
                     timeout_ms < 0 ? -1 : timeout_ms, trust, ret_segment);
    if (r == 0 && flags & SHMD_WAIT_HOLD)
        held_add_reply(shmd);
    return r;
}

int shmd_attach_name(struct shmd *shmd, const char *name, unsigned flags,
                     const struct shmd_trust *trust, struct shmd_segment **ret_segment,
                     void **ret_address)
{
    struct shmd_segment *segment;
    int r = option_flags(shmd, flags, SHMD_ATTACH_READONLY);
    if (r == 0)
        r = option_needed(shmd, ret_address, "ret_address");
    if (r == 0)
        r = shmd_stat_trusted(shmd, &(struct shmd_target){.name = name}, trust, &segment);
    if (r != 0)
        return r;
    r = shmd_attach(shmd, segment, flags, ret_address);
    if (r == 0 && ret_segment)
        *ret_segment = segment;
    else
        shmd_segment_free(segment);
    return r;
}
