/* SPDX-License-Identifier: MIT */
/*
 * The tokens of plain JSON: strings of ASCII without escapes, integers of up to 18 digits, true and
 * false. They are taken one after the other from a text that is not changed; each function is false
 * when something else comes, and then the text is not plain, whatever else it is.
 */
#ifndef SHMD_PROTOCOL_PLAIN_TOKEN_H
#define SHMD_PROTOCOL_PLAIN_TOKEN_H

#include <string.h>

#include "protocol/value.h"

/* A place in the text, and its end, which no token goes beyond. */
struct plain_cursor {
    const char *at, *end;
};

static inline bool plain_is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static inline void plain_skip_space(struct plain_cursor *c)
{
    while (c->at < c->end && plain_is_space(*c->at))
        c->at++;
}

static inline bool plain_stands_at(const struct plain_cursor *c, char byte)
{
    return c->at < c->end && *c->at == byte;
}

/* Whether BYTE comes next, blanks aside; takes it. */
static inline bool plain_take_byte(struct plain_cursor *c, char byte)
{
    if (!plain_stands_at(c, byte)) { /* most texts have no blanks */
        plain_skip_space(c);
        if (!plain_stands_at(c, byte))
            return false;
    }
    c->at++;
    return true;
}

/* Of ASCII, and written in JSON as it is: no control, quote or backslash. */
extern const bool plain_is_plain[256];

/* The bytes between the quotes. */
static inline bool plain_take_string(struct plain_cursor *c, const char **ret, size_t *ret_len)
{
    if (!plain_take_byte(c, '"'))
        return false;
    const char *at = c->at;
    while (at < c->end && plain_is_plain[(unsigned char)*at])
        at++;
    if (at == c->end || *at != '"')
        return false;
    *ret = c->at;
    *ret_len = (size_t)(at - c->at);
    c->at = at + 1;
    return true;
}

/* A member's key, with its colon. */
static inline bool plain_take_key(struct plain_cursor *c, const char **ret, size_t *ret_len)
{
    return plain_take_string(c, ret, ret_len) && plain_take_byte(c, ':');
}

/* A string, an integer or a boolean. A number may go on behind it: what is taken next will tell. */
bool plain_take_value(struct plain_cursor *c, struct value *ret);

static inline bool plain_is_same(const char *a, size_t a_len, const char *b, size_t b_len)
{
    return a_len == b_len && memcmp(a, b, a_len) == 0;
}

#endif
