/* SPDX-License-Identifier: MIT */
#include "protocol/plain_token.h"

const bool plain_is_plain[256] = {
    [' ' ... '!'] = true, ['#' ... '['] = true, [']' ... 0x7F] = true};

static inline bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Up to 18 digits, which always fit. */
static bool take_integer(struct plain_cursor *c, int64_t *ret)
{
    enum { DIGITS_MAX = 18 };
    bool negative = c->at < c->end && *c->at == '-';
    const char *begin = c->at + negative, *at = begin;
    int64_t value = 0;
    for (; at < c->end && is_digit(*at); at++) {
        if (at - begin == DIGITS_MAX)
            return false;
        value = value * 10 + (*at - '0');
    }
    /* 01 and -0 have a meaning of their own, or none. */
    if (at == begin || (*begin == '0' && (negative || at - begin > 1)))
        return false;
    c->at = at;
    *ret = negative ? -value : value;
    return true;
}

static bool take_word(struct plain_cursor *c, const char *word, size_t len)
{
    if ((size_t)(c->end - c->at) < len || memcmp(c->at, word, len) != 0)
        return false;
    c->at += len;
    return true;
}

bool plain_take_value(struct plain_cursor *c, struct value *ret)
{
    plain_skip_space(c);
    char first = '\0';
    if (c->at < c->end)
        first = *c->at;
    ret->json = NULL;
    switch (first) {
    case '"': ret->kind = VALUE_STRING; return plain_take_string(c, &ret->text, &ret->len);
    case 't':
    case 'f':
        ret->kind = VALUE_BOOL;
        ret->boolean = first == 't';
        return ret->boolean ? take_word(c, "true", 4) : take_word(c, "false", 5);
    default: ret->kind = VALUE_INT; return take_integer(c, &ret->integer);
    }
}
