#include "protocol/plain.h"

#include <string.h>

/* A place in the text, and its end, which no token goes beyond. */
struct cursor {
    char *at, *end;
};

static inline bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static inline void skip_space(struct cursor *c)
{
    while (c->at < c->end && is_space(*c->at))
        c->at++;
}

static inline bool stands_at(const struct cursor *c, char byte)
{
    return c->at < c->end && *c->at == byte;
}

/* Whether BYTE comes next, blanks aside; takes it. */
static inline bool take(struct cursor *c, char byte)
{
    if (!stands_at(c, byte)) { /* most requests have no blanks */
        skip_space(c);
        if (!stands_at(c, byte))
            return false;
    }
    c->at++;
    return true;
}

/* Of ASCII, and written in JSON as it is: no control, quote or backslash. */
static const bool is_plain[256] = {
    [' ' ... '!'] = true, ['#' ... '['] = true, [']' ... 0x7F] = true};

/* The quote that ends it stays for now. */
static inline bool take_string(struct cursor *c, const char **ret, size_t *ret_len)
{
    if (!take(c, '"'))
        return false;
    char *at = c->at;
    while (at < c->end && is_plain[(unsigned char)*at])
        at++;
    if (at == c->end || *at != '"')
        return false;
    *ret = c->at;
    *ret_len = (size_t)(at - c->at);
    c->at = at + 1;
    return true;
}

static inline bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Up to 18 digits, which always fit. What follows is looked at by who takes the next token. */
static bool take_integer(struct cursor *c, int64_t *ret)
{
    enum { DIGITS_MAX = 18 };
    bool negative = c->at < c->end && *c->at == '-';
    char *begin = c->at + negative, *at = begin;
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

static bool take_word(struct cursor *c, const char *word, size_t len)
{
    if ((size_t)(c->end - c->at) < len || memcmp(c->at, word, len) != 0)
        return false;
    c->at += len;
    return true;
}

static bool take_value(struct cursor *c, struct value *ret)
{
    skip_space(c);
    char first = '\0';
    if (c->at < c->end)
        first = *c->at;
    ret->json = NULL;
    switch (first) {
    case '"': ret->kind = VALUE_STRING; return take_string(c, &ret->text, &ret->len);
    case 't':
    case 'f':
        ret->kind = VALUE_BOOL;
        ret->boolean = first == 't';
        return ret->boolean ? take_word(c, "true", 4) : take_word(c, "false", 5);
    default: ret->kind = VALUE_INT; return take_integer(c, &ret->integer);
    }
}

static inline bool is_same(const char *a, size_t a_len, const char *b, size_t b_len)
{
    return a_len == b_len && memcmp(a, b, a_len) == 0;
}

static bool take_params(struct cursor *c, struct plain *p)
{
    if (!take(c, '{'))
        return false;
    if (take(c, '}'))
        return true;
    do {
        if (p->n_params == PLAIN_PARAMS_MAX)
            return false;
        struct plain_param *param = &p->params[p->n_params];
        if (!take_string(c, &param->name, &param->name_len) || !take(c, ':') ||
            !take_value(c, &param->value))
            return false;
        for (size_t i = 0; i < p->n_params; i++)
            if (is_same(param->name, param->name_len, p->params[i].name, p->params[i].name_len))
                return false;
        p->n_params++;
    } while (take(c, ','));
    return take(c, '}');
}

static inline bool is_word(const char *text, size_t len, const char *word)
{
    return is_same(text, len, word, strlen(word));
}

enum member { MEMBER_JSONRPC = 1, MEMBER_ID = 2, MEMBER_METHOD = 4, MEMBER_PARAMS = 8 };

static inline int find_member(const char *name, size_t len)
{
    return is_word(name, len, "jsonrpc")  ? MEMBER_JSONRPC
           : is_word(name, len, "id")     ? MEMBER_ID
           : is_word(name, len, "method") ? MEMBER_METHOD
           : is_word(name, len, "params") ? MEMBER_PARAMS
                                          : 0;
}

static bool take_member(struct cursor *c, struct plain *p, unsigned *seen)
{
    const char *name;
    size_t len;
    struct value version;
    if (!take_string(c, &name, &len) || !take(c, ':'))
        return false;
    int member = find_member(name, len);
    if (member == 0 || (*seen & (unsigned)member))
        return false;
    *seen |= (unsigned)member;
    switch ((enum member)member) {
    case MEMBER_JSONRPC:
        return take_value(c, &version) && version.kind == VALUE_STRING &&
               is_word(version.text, version.len, "2.0");
    case MEMBER_ID: return take_value(c, &p->id) && p->id.kind != VALUE_BOOL;
    case MEMBER_METHOD: return take_value(c, &p->method) && p->method.kind == VALUE_STRING;
    case MEMBER_PARAMS: return take_params(c, p);
    }
    return false;
}

static bool take_request(struct cursor *c, struct plain *p)
{
    unsigned seen = 0;
    if (!take(c, '{'))
        return false;
    do {
        if (!take_member(c, p, &seen))
            return false;
    } while (take(c, ','));
    return take(c, '}') && (seen & MEMBER_JSONRPC) && (seen & MEMBER_METHOD);
}

/* Puts a NUL in place of the quote that ends the string of VALUE, which lies in TEXT. */
static void end_string(char *text, const struct value *value)
{
    if (value->kind == VALUE_STRING)
        text[value->text + value->len - text] = '\0';
}

size_t plain_take(char *text, size_t len, struct plain *ret)
{
    struct cursor c = {text, text + (len < PLAIN_TEXT_MAX ? len : PLAIN_TEXT_MAX)};
    ret->id = (struct value){.kind = VALUE_NONE};
    ret->n_params = 0;
    if (!take_request(&c, ret))
        return 0;
    end_string(text, &ret->id);
    end_string(text, &ret->method);
    for (size_t i = 0; i < ret->n_params; i++) {
        const struct plain_param *param = &ret->params[i];
        text[param->name + param->name_len - text] = '\0';
        end_string(text, &param->value);
    }
    skip_space(&c);
    return (size_t)(c.at - text);
}
