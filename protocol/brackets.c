/* SPDX-License-Identifier: MIT */
#include "protocol/brackets.h"

#include <errno.h>
#include <stdlib.h>

enum { WORD_BITS = 64 };

/* The word that holds the bit of LEVEL, which counts from 0. */
static uint64_t *word_of(struct brackets *b, uint32_t level)
{
    return b->words == 0 ? &b->in.word : &b->in.heap[level / WORD_BITS];
}

static bool is_array(const struct brackets *b, uint32_t level)
{
    uint64_t word = b->words == 0 ? b->in.word : b->in.heap[level / WORD_BITS];
    return word >> level % WORD_BITS & 1;
}

/* Makes room for a level that does not fit. */
static int grow(struct brackets *b)
{
    uint32_t words = b->words > 0 ? b->words * 2 : 4;
    uint64_t *heap = realloc(b->words > 0 ? b->in.heap : NULL, words * sizeof(*heap));
    if (!heap)
        return -ENOMEM;
    if (b->words == 0)
        heap[0] = b->in.word;
    b->in.heap = heap;
    b->words = words;
    return 0;
}

int brackets_push(struct brackets *b, char open)
{
    uint64_t bit = UINT64_C(1) << b->depth % WORD_BITS;
    uint32_t room = b->words > 0 ? b->words : 1;
    if (b->depth / WORD_BITS >= room && grow(b) < 0)
        return -ENOMEM;
    uint64_t *word = word_of(b, b->depth);
    /* A word is written before it is read: a new level begins it. */
    *word = b->depth % WORD_BITS == 0 ? 0 : *word;
    *word = open == '[' ? *word | bit : *word & ~bit;
    b->depth++;
    return 0;
}

bool brackets_pop(struct brackets *b, char close)
{
    if (b->depth == 0 || is_array(b, b->depth - 1) != (close == ']'))
        return false;
    b->depth--;
    return true;
}

bool brackets_in_array(const struct brackets *b)
{
    return b->depth > 0 && is_array(b, b->depth - 1);
}

void brackets_clear(struct brackets *b)
{
    if (b->words > 0)
        free(b->in.heap);
    *b = (struct brackets){0};
}
