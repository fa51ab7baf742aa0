/* SPDX-License-Identifier: MIT */
#include "protocol/plain.h"

#include <string.h>

#include "protocol/plain_token.h"

static bool take_params(struct plain_cursor *c, struct plain *p)
{
    if (!plain_take_byte(c, '{'))
        return false;
    if (plain_take_byte(c, '}'))
        return true;
    do {
        if (p->n_params == PLAIN_PARAMS_MAX)
            return false;
        struct plain_param *param = &p->params[p->n_params];
        if (!plain_take_key(c, &param->name, &param->name_len) ||
            !plain_take_value(c, &param->value))
            return false;
        for (size_t i = 0; i < p->n_params; i++)
            if (plain_is_same(param->name, param->name_len, p->params[i].name,
                              p->params[i].name_len))
                return false;
        p->n_params++;
    } while (plain_take_byte(c, ','));
    return plain_take_byte(c, '}');
}

static inline bool is_word(const char *text, size_t len, const char *word)
{
    return plain_is_same(text, len, word, strlen(word));
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

static bool take_member(struct plain_cursor *c, struct plain *p, unsigned *seen)
{
    const char *name;
    size_t len;
    struct value version;
    if (!plain_take_key(c, &name, &len))
        return false;
    int member = find_member(name, len);
    if (member == 0 || (*seen & (unsigned)member))
        return false;
    *seen |= (unsigned)member;
    switch ((enum member)member) {
    case MEMBER_JSONRPC:
        return plain_take_value(c, &version) && version.kind == VALUE_STRING &&
               is_word(version.text, version.len, "2.0");
    case MEMBER_ID: return plain_take_value(c, &p->id) && p->id.kind != VALUE_BOOL;
    case MEMBER_METHOD: return plain_take_value(c, &p->method) && p->method.kind == VALUE_STRING;
    case MEMBER_PARAMS: return take_params(c, p);
    }
    return false;
}

static bool take_request(struct plain_cursor *c, struct plain *p)
{
    unsigned seen = 0;
    if (!plain_take_byte(c, '{'))
        return false;
    do {
        if (!take_member(c, p, &seen))
            return false;
    } while (plain_take_byte(c, ','));
    return plain_take_byte(c, '}') && (seen & MEMBER_JSONRPC) && (seen & MEMBER_METHOD);
}

/* Puts a NUL in place of the quote that ends the string of VALUE, which lies in TEXT. */
static void end_string(char *text, const struct value *value)
{
    if (value->kind == VALUE_STRING)
        text[value->text + value->len - text] = '\0';
}

size_t plain_take(char *text, size_t len, struct plain *ret)
{
    struct plain_cursor c = {text, text + (len < PLAIN_TEXT_MAX ? len : PLAIN_TEXT_MAX)};
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
    plain_skip_space(&c);
    return (size_t)(c.at - text);
}
