/*
 * Reads the requests that nearly everybody sends: one JSON-RPC object with none but the members
 * that the protocol knows, and in its params strings without escapes, integers and booleans. That
 * takes a tenth of the time of decoding into a tree.
 *
 * It refuses nothing. What is of another kind, or not JSON at all, is left to the decoder, and what
 * is taken here means the same there.
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
    struct value value;
};

/* "jsonrpc" was "2.0" and there was a method. */
struct plain {
    struct value id; /* VALUE_NONE: a notification */
    struct value method;
    size_t n_params;
    struct plain_param params[PLAIN_PARAMS_MAX];
    char text[]; /* what all of it points into */
};

/* A request on the heap, to be freed by free(); NULL when TEXT is none of that kind, or there is no
 * memory. */
struct plain *plain_read(const char *text, size_t len);

#endif
