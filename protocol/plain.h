/* SPDX-License-Identifier: MIT */
/*
 * Reads the requests that nearly everybody sends: one JSON-RPC object with none but the members
 * that the protocol knows, and in its params strings without escapes, integers and booleans. One
 * pass over the bytes as they came finds the end of the request and what is in it; nothing is
 * copied and nothing is allocated.
 *
 * It refuses nothing. What is of another kind, not whole, or not JSON at all, is left to the
 * scanner and the decoder, and what is taken here ends and means the same there.
 */
#ifndef SHMD_PROTOCOL_PLAIN_H
#define SHMD_PROTOCOL_PLAIN_H

#include "protocol/value.h"

enum {
    PLAIN_PARAMS_MAX = 8,
    PLAIN_TEXT_MAX = 512, /* bytes of a request; most have a hundred */
};

struct plain_param {
    const char *name;
    size_t name_len;
    struct value value;
};

/* "jsonrpc" was "2.0" and there was a method. All of it lies in the text that was read. */
struct plain {
    struct value id; /* VALUE_NONE: a notification */
    struct value method;
    size_t n_params;
    struct plain_param params[PLAIN_PARAMS_MAX];
};

/*
 * Takes the request at the start of TEXT, with the blanks before and behind it, and returns the
 * bytes taken: RET's strings end in a NUL then, which stands in TEXT in place of their closing
 * quotes. 0 when TEXT does not begin with a whole request of that kind: TEXT is as it was, and RET
 * undefined.
 */
size_t plain_take(char *text, size_t len, struct plain *ret);

#endif
