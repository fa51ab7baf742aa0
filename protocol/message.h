/* SPDX-License-Identifier: MIT */
/*
 * What a peer asks, free of any dialect's envelope: a message is one JSON value, decoded. It is
 * one call, or several (a JSON-RPC batch).
 */
#ifndef SHMD_PROTOCOL_MESSAGE_H
#define SHMD_PROTOCOL_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>

#include "protocol/errors.h"

struct json_arena;
struct json_t;

struct message {
    struct json_t *root;
    /* Owned, and `root` lies in it; NULL: `root` is owned. */
    struct json_arena *arena;
    /* The text had integers beyond int64; reals stand in for them. */
    bool widened;
};

/*
 * Decodes VALUE, a slice of the scanner. 0 and a message to be freed, or -EBADMSG or -ENOMEM with
 * the failure to send: PARSE for what is not JSON; INVALID_REQUEST for what is JSON and more than
 * the protocol allows (a duplicate key, U+0000, too many brackets open, a number that neither an
 * int64 nor a double holds); INTERNAL when there is no memory.
 */
int message_decode(const char *value, size_t len, struct message *ret, struct failure *ret_failure)
    __attribute__((warn_unused_result));
/* Whether it is sure where VALUE ends, JSON or not: it does not end in a bare word or number. */
bool message_has_sure_end(const char *value, size_t len);
void message_free(struct message *m);
/* The bytes that its tree takes. */
size_t message_bytes(const struct message *m);
/* There is none: it was freed, or never decoded. */
bool message_is_empty(const struct message *m);

bool message_is_batch(const struct message *m);
/* 1, or a batch's members. */
size_t message_calls(const struct message *m);
/* The value of one of them, borrowed; NULL when INDEX is not below message_calls(). */
const struct json_t *message_member(const struct message *m, size_t index);

#endif
