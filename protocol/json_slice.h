/* SPDX-License-Identifier: MIT */
/*
 * Looks into JSON text without decoding it, so that a part can be handed on byte for byte as the
 * peer typed it. The text must be well-formed JSON (it was decoded before): nothing is checked, but
 * nothing beyond `len` is ever read either.
 */
#ifndef SHMD_PROTOCOL_JSON_SLICE_H
#define SHMD_PROTOCOL_JSON_SLICE_H

#include <stdbool.h>
#include <stddef.h>

struct json_slice {
    const char *text; /* borrowed; not NUL-terminated */
    size_t len;
};

/* A walk through the members of an object or an array. */
struct json_walk {
    struct json_slice rest;
    bool in_object;
};

struct json_walk json_walk_begin(struct json_slice container);
/* RET_KEY is empty in an array, and without its quotes (but still escaped) in an object. False at
 * the end, and at once when the container is none. */
bool json_walk_next(struct json_walk *walk, struct json_slice *ret_key,
                    struct json_slice *ret_value);

/* Whether KEY, as json_walk_next() gives it, is TEXT, which is of ASCII; its escapes are resolved.
 */
bool json_slice_is_key(struct json_slice key, const char *text);

/* The value of the member KEY of OBJECT; KEY is one that is never escaped. */
bool json_slice_member(struct json_slice object, const char *key, struct json_slice *ret_value);

#endif
