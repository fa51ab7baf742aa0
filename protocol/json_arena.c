/* SPDX-License-Identifier: MIT */
#include "protocol/json_arena.h"

#include <errno.h>
#include <jansson.h>
#include <stdalign.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "protocol/json_check.h"

enum { ALIGNMENT = alignof(max_align_t) };

struct json_arena {
    size_t size, used;
    alignas(max_align_t) char bytes[];
};

/* jansson's allocator has no context, so these cannot be members of anything. */
static bool is_installed;
static struct json_arena *current; /* the one that is open */

static void *allocate(size_t n)
{
    struct json_arena *a = current;
    if (!a)
        return malloc(n);
    size_t rounded = (n + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    if (rounded < n || rounded > a->size - a->used)
        return NULL;
    void *block = a->bytes + a->used;
    a->used += rounded;
    return block;
}

/* What lies in the arena is given back with it. */
static void release(void *block)
{
    uintptr_t at = (uintptr_t)block;
    if (current && at >= (uintptr_t)current->bytes &&
        at < (uintptr_t)current->bytes + current->size)
        return;
    free(block);
}

void json_arena_install(void)
{
    json_set_alloc_funcs(allocate, release);
    is_installed = true;
}

/*
 * What jansson 2.14 takes on a machine of 64 bits, and half as much again for other versions:
 *
 *   the token being read   16 bytes, doubled as it grows, and the old copies are not reused
 *   a string               its bytes, and a struct of 32
 *   a key                  its bytes twice, and a struct of 57
 *   a number               24
 *   an array               40, and room for 8 elements; the room is doubled as it grows
 *   an object              72, and 8 buckets of 16; doubled as it grows
 */
size_t json_arena_bound(const struct json_facts *f)
{
    return 256 + 6 * f->longest_token + 3 * f->string_bytes + 160 * f->strings + 48 * f->numbers +
           192 * f->arrays + 64 * f->elements + 320 * f->objects + 128 * f->members;
}

int json_arena_open(size_t size, struct json_arena **ret)
{
    struct json_arena *a = NULL;
    if (is_installed) {
        a = malloc(sizeof(*a) + size);
        if (!a)
            return -ENOMEM;
        a->size = size;
        a->used = 0;
        current = a;
    }
    *ret = a;
    return 0;
}

void json_arena_close(struct json_arena *arena)
{
    if (arena && current == arena)
        current = NULL;
}

void json_arena_free(struct json_arena *arena)
{
    json_arena_close(arena);
    free(arena);
}

size_t json_arena_used(const struct json_arena *arena)
{
    return arena->used;
}
