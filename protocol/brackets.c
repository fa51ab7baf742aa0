#include "protocol/brackets.h"

#include <errno.h>
#include <stdlib.h>

enum { WORD_BITS = 64 };

/* The word that holds the bit of LEVEL, which counts from 0. */
static uint64_t *word_of(struct brackets *b, uint32_t level)
{
    return level < WORD_BITS ? &b->first_levels : &b->deep[level / WORD_BITS - 1];
}

static bool is_array(const struct brackets *b, uint32_t level)
{
    uint64_t word = level < WORD_BITS ? b->first_levels : b->deep[level / WORD_BITS - 1];
    return word >> level % WORD_BITS & 1;
}

/* Makes room for a level that lies on the heap. */
static int grow(struct brackets *b)
{
    uint32_t words = b->deep_words > 0 ? b->deep_words * 2 : 2;
    uint64_t *deep = realloc(b->deep, words * sizeof(*deep));
    if (!deep)
        return -ENOMEM;
    b->deep = deep;
    b->deep_words = words;
    return 0;
}

int brackets_push(struct brackets *b, char open)
{
    uint64_t bit = UINT64_C(1) << b->depth % WORD_BITS;
    if (b->depth / WORD_BITS > b->deep_words && grow(b) < 0)
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
    free(b->deep);
    *b = (struct brackets){0};
}
