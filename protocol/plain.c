#include "protocol/plain.h"

#include <stdlib.h>
#include <string.h>

/* A place in the copy, which ends in a NUL: no token goes beyond that. Strings get a NUL in place
 * of the quote that ends them. */
struct cursor {
    char *at;
};

static void skip_space(struct cursor *c)
{
    while (*c->at == ' ' || *c->at == '\t' || *c->at == '\n' || *c->at == '\r')
        c->at++;
}

/* Whether BYTE comes next, blanks aside; takes it. */
static bool take(struct cursor *c, char byte)
{
    skip_space(c);
    if (*c->at != byte)
        return false;
    c->at++;
    return true;
}

/* Of ASCII, and written in JSON as it is. */
static bool is_plain(char c)
{
    unsigned char byte = (unsigned char)c;
    return byte >= 0x20 && byte < 0x80 && byte != '"' && byte != '\\';
}

static bool take_string(struct cursor *c, const char **ret, size_t *ret_len)
{
    if (!take(c, '"'))
        return false;
    char *begin = c->at;
    while (is_plain(*c->at))
        c->at++;
    if (*c->at != '"')
        return false;
    *ret = begin;
    *ret_len = (size_t)(c->at - begin);
    *c->at++ = '\0';
    return true;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Up to 18 digits, which always fit. */
static bool take_integer(struct cursor *c, int64_t *ret)
{
    bool negative = *c->at == '-';
    const char *begin = c->at += negative;
    int64_t value = 0;
    for (; is_digit(*c->at) && c->at - begin < 18; c->at++)
        value = value * 10 + (*c->at - '0');
    /* 01, -0, 1.5, 1e3 and what is longer have a meaning of their own, or none. */
    if (c->at == begin || (*begin == '0' && (negative || c->at - begin > 1)) || is_digit(*c->at) ||
        *c->at == '.' || *c->at == 'e' || *c->at == 'E')
        return false;
    *ret = negative ? -value : value;
    return true;
}

static bool take_word(struct cursor *c, const char *word, size_t len)
{
    if (strncmp(c->at, word, len) != 0)
        return false;
    c->at += len;
    return true;
}

static bool take_value(struct cursor *c, struct value *ret)
{
    skip_space(c);
    switch (*c->at) {
    case '"': ret->kind = VALUE_STRING; return take_string(c, &ret->text, &ret->len);
    case 't':
    case 'f':
        ret->kind = VALUE_BOOL;
        ret->boolean = *c->at == 't';
        return ret->boolean ? take_word(c, "true", 4) : take_word(c, "false", 5);
    default: ret->kind = VALUE_INT; return take_integer(c, &ret->integer);
    }
}

static bool take_name(struct cursor *c, const char **ret, size_t *ret_len)
{
    return take_string(c, ret, ret_len) && take(c, ':');
}

static bool take_params(struct cursor *c, struct plain *p)
{
    if (!take(c, '{'))
        return false;
    if (take(c, '}'))
        return true;
    do {
        size_t len;
        if (p->n_params == PLAIN_PARAMS_MAX)
            return false;
        struct plain_param *param = &p->params[p->n_params];
        param->value = (struct value){.kind = VALUE_NONE};
        if (!take_name(c, &param->name, &len) || !take_value(c, &param->value))
            return false;
        for (size_t i = 0; i < p->n_params; i++)
            if (strcmp(p->params[i].name, param->name) == 0)
                return false;
        p->n_params++;
    } while (take(c, ','));
    return take(c, '}');
}

static bool is_word(const char *text, size_t len, const char *word)
{
    return strlen(word) == len && memcmp(text, word, len) == 0;
}

enum member { MEMBER_JSONRPC = 1, MEMBER_ID = 2, MEMBER_METHOD = 4, MEMBER_PARAMS = 8 };

static int find_member(const char *name, size_t len)
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
    struct value version = {.kind = VALUE_NONE};
    if (!take_name(c, &name, &len))
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

struct plain *plain_read(const char *text, size_t len)
{
    if (len > PLAIN_TEXT_MAX)
        return NULL;
    struct plain *p = malloc(sizeof(*p) + len + 1);
    if (!p)
        return NULL;
    memcpy(p->text, text, len);
    p->text[len] = '\0';
    p->id = p->method = (struct value){.kind = VALUE_NONE};
    p->n_params = 0;
    struct cursor c = {p->text};
    bool taken = take_request(&c, p);
    if (taken)
        skip_space(&c);
    /* A NUL in the midst of the text looks like its end. */
    if (!taken || c.at != p->text + len) {
        free(p);
        return NULL;
    }
    return p;
}
