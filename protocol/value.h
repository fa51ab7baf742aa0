/* SPDX-License-Identifier: MIT */
/* A JSON value as the decoders of parameters and envelopes see it, wherever it came from. */
#ifndef SHMD_PROTOCOL_VALUE_H
#define SHMD_PROTOCOL_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json_t;

enum value_kind {
    VALUE_NONE, /* absent */
    VALUE_STRING,
    VALUE_INT,
    VALUE_BOOL,
    VALUE_OTHER, /* null, a real, an array, an object: `json` tells */
    VALUE_RAW,   /* a value that was not decoded: `text` is its JSON, as the peer wrote it */
};

/* Borrowed from the message. */
struct value {
    enum value_kind kind;
    bool boolean;
    const char *text; /* a string's bytes, with a NUL behind them; or JSON, without one */
    size_t len;
    int64_t integer;
    const struct json_t *json; /* NULL when it was not decoded into a tree */
};

/* JSON NULL: absent. */
struct value value_of_json(const struct json_t *json);

/* Whether it is an integer: also one that is written as a real (4096.0, 4e3), up to 2^53, where
 * reals stop being exact. */
bool value_is_integer(const struct value *value, int64_t *ret);

/* A real too large for an integer of 64 bits, as those that stand in for such integers are. */
bool value_is_beyond_int64(const struct json_t *json);

#endif
