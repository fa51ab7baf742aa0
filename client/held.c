/* SPDX-License-Identifier: MIT */
/*
 * The segments that a handle holds, so that they can be held again over a new connection.
 */
#include "client/internal.h"

#include <errno.h>

static size_t find(const struct held *held, uint64_t serial)
{
    size_t i = 0;
    while (i < held->n && held->segments[i].serial != serial)
        i++;
    return i;
}

int held_make_room(struct shmd *shmd)
{
    struct held *held = &shmd->held;
    const size_t needed = held->n + shmd->unanswered.n + 1;
    if (needed <= held->capacity)
        return 0;
    struct held_segment *segments = reallocarray(held->segments, needed * 2, sizeof(*segments));
    if (!segments)
        return failure_set(shmd, -ENOMEM, "out of memory");
    held->segments = segments;
    held->capacity = needed * 2;
    return 0;
}

static bool reply_has_holders(const struct shmd *shmd)
{
    return shmd->reply_lifetime == LIFETIME_PROCESS || shmd->reply_lifetime == LIFETIME_CONNECTION;
}

void held_add_reply(struct shmd *shmd)
{
    struct held *held = &shmd->held;
    if (reply_has_holders(shmd) && find(held, shmd->reply_segment.serial) == held->n)
        held->segments[held->n++] = shmd->reply_segment;
}

void held_drop(struct held *held, uint64_t serial)
{
    const size_t i = find(held, serial);
    if (i < held->n)
        held->segments[i] = held->segments[--held->n];
}

void held_drop_reply(struct shmd *shmd)
{
    held_drop(&shmd->held, shmd->reply_segment.serial);
}

void held_drop_disowned(struct shmd *shmd)
{
    struct held *held = &shmd->held;
    for (size_t i = held->n; i-- > 0;)
        if (held->segments[i].shmid == shmd->reply_segment.shmid)
            held->segments[i] = held->segments[--held->n];
}

void held_set_reply(struct shmd *shmd, bool lifetime_is_given)
{
    if (!reply_has_holders(shmd))
        held_drop_reply(shmd);
    else if (lifetime_is_given)
        held_add_reply(shmd);
}

void held_free(struct held *held)
{
    free(held->segments);
    *held = (struct held){0};
}
