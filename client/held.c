/* SPDX-License-Identifier: MIT */
/*
 * The segments that a handle holds, by serial, so that they can be held again over a new
 * connection.
 */
#include "client/internal.h"

#include <errno.h>

static size_t find(const struct held *held, uint64_t serial)
{
    size_t i = 0;
    while (i < held->n && held->serials[i] != serial)
        i++;
    return i;
}

int held_make_room(struct shmd *shmd)
{
    struct held *held = &shmd->held;
    const size_t needed = held->n + shmd->unanswered.n + 1;
    if (needed <= held->capacity)
        return 0;
    uint64_t *serials = reallocarray(held->serials, needed * 2, sizeof(*serials));
    if (!serials)
        return failure_set(shmd, -ENOMEM, "out of memory");
    held->serials = serials;
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
    if (reply_has_holders(shmd) && find(held, shmd->reply_serial) == held->n)
        held->serials[held->n++] = shmd->reply_serial;
}

void held_drop(struct held *held, uint64_t serial)
{
    const size_t i = find(held, serial);
    if (i < held->n)
        held->serials[i] = held->serials[--held->n];
}

void held_drop_reply(struct shmd *shmd)
{
    held_drop(&shmd->held, shmd->reply_serial);
}

void held_set_reply(struct shmd *shmd)
{
    if (!reply_has_holders(shmd))
        held_drop_reply(shmd);
}

void held_free(struct held *held)
{
    free(held->serials);
    *held = (struct held){0};
}
