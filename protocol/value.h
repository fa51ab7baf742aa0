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
};

/* Borrowed from the message. */
struct value {
    enum value_kind kind;
    bool boolean;
    const char *text; /* a string's bytes, with a NUL behind them */
    size_t len;
    int64_t integer;
    const struct json_t *json; /* NULL when it was not decoded into a tree */
};

/* JSON NULL: absent. */
struct value value_of_json(const struct json_t *json);

/* A real too large for an integer of 64 bits, as those that stand in for such integers are. */
bool value_is_beyond_int64(const struct json_t *json);

#endif
