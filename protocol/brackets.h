/* SPDX-License-Identifier: MIT */
/*
 * The brackets that are open in a JSON text, as a stack of one bit a level, 1 for an array. 64
 * levels lie in the struct; when there are more, which nearly nobody sends, all are on the heap.
 */
#ifndef SHMD_PROTOCOL_BRACKETS_H
#define SHMD_PROTOCOL_BRACKETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* All zero: none is open. */
struct brackets {
    uint32_t depth;
    uint32_t words; /* the capacity of `heap`; 0: `word` is in use */
    union {
        uint64_t word;
        uint64_t *heap; /* owned */
    } in;
};

/* OPEN is { or [. 0 or -ENOMEM, and then nothing has changed. */
int brackets_push(struct brackets *b, char open) __attribute__((warn_unused_result));
/* CLOSE is } or ]. False when it does not match the innermost open bracket, which stays open. */
bool brackets_pop(struct brackets *b, char close);
/* Whether the innermost open bracket is a [. False when none is open. */
bool brackets_in_array(const struct brackets *b);
/* None is open any more; gives the memory back. */
void brackets_clear(struct brackets *b);

#endif
