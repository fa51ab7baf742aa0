/* SPDX-License-Identifier: MIT */
/*
 * Memory for jansson that never runs out while it decodes. jansson (2.14) aborts, or writes past
 * the end of a block, when an allocation fails in the midst of a text. So the daemon reserves what
 * the tree of a text can take at most before jansson sees the text; if that fails, the text is not
 * decoded.
 *
 * jansson has one allocator for the whole process, and it is not told for which text it allocates.
 * That is why there is one arena that is open at a time, and why a program must choose this
 * allocator: the daemon does at its start. A library must not choose for the program it is loaded
 * into, so without the choice texts are decoded into ordinary memory.
 */
#ifndef SHMD_PROTOCOL_JSON_ARENA_H
#define SHMD_PROTOCOL_JSON_ARENA_H

#include <stddef.h>

struct json_arena;
struct json_facts;

/* Makes jansson allocate from the open arena; while none is open, by malloc as before. */
void json_arena_install(void);

/* The most bytes that jansson takes to decode a text, temporary ones among them. */
size_t json_arena_bound(const struct json_facts *facts);

/* Reserves SIZE bytes and opens the arena: 0 or -ENOMEM. RET is NULL when the program did not
 * choose arenas. */
int json_arena_open(size_t size, struct json_arena **ret) __attribute__((warn_unused_result));
/* The tree is decoded: jansson allocates by malloc again. What is in ARENA stays. */
void json_arena_close(struct json_arena *arena);
/* All that jansson allocated in ARENA is gone at once: it must not be released by jansson. */
void json_arena_free(struct json_arena *arena);

/* The bytes that were taken of those reserved. */
size_t json_arena_used(const struct json_arena *arena);

#endif
