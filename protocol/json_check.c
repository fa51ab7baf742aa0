/* SPDX-License-Identifier: MIT */
#include "protocol/json_check.h"

#include <errno.h>
#include <string.h>

#include "protocol/brackets.h"
#include "protocol/json_number.h"
#include "protocol/limits.h"

/* What may come next. */
enum next {
    NEXT_VALUE,
    NEXT_VALUE_OR_END, /* after [ */
    NEXT_KEY,          /* after a comma in an object */
    NEXT_KEY_OR_END,   /* after { */
    NEXT_COLON,
    NEXT_COMMA_OR_END,
    NEXT_NOTHING, /* the value is complete */
};

struct check {
    const char *text;
    size_t len, at;
    enum next next;
    struct brackets brackets;
    struct json_facts facts;
    struct json_fault fault;
};

static int fault(struct check *c, size_t at, const char *what)
{
    c->fault = (struct json_fault){what, at};
    return -EBADMSG;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* --- strings */

/* The value of the four hexadecimal digits at AT, or -1. */
static int hex4(const struct check *c, size_t at)
{
    int value = 0;
    for (size_t i = at; i < at + 4; i++) {
        if (i >= c->len)
            return -1;
        char d = c->text[i];
        if (d >= '0' && d <= '9')
            value = value * 16 + (d - '0');
        else if (d >= 'a' && d <= 'f')
            value = value * 16 + (d - 'a' + 10);
        else if (d >= 'A' && d <= 'F')
            value = value * 16 + (d - 'A' + 10);
        else
            return -1;
    }
    return value;
}

/* At a \u; takes it, and the second half of a pair with it. */
static int take_unicode(struct check *c)
{
    size_t start = c->at;
    int unit = hex4(c, start + 2);
    if (unit < 0)
        return fault(c, start, "\\u wants four hexadecimal digits");
    if (unit == 0 && !c->facts.has_nul) {
        c->facts.has_nul = true;
        c->facts.nul_at = start;
    }
    c->at += 6;
    if (unit < 0xD800 || unit > 0xDFFF)
        return 0;
    bool is_pair =
        unit < 0xDC00 && c->len - c->at >= 2 && c->text[c->at] == '\\' && c->text[c->at + 1] == 'u';
    int low = is_pair ? hex4(c, c->at + 2) : -1;
    if (low < 0xDC00 || low > 0xDFFF)
        return fault(c, start, "half of a surrogate pair, which is no character");
    c->at += 6;
    return 0;
}

static int take_escape(struct check *c)
{
    char what = '\0';
    if (c->len - c->at > 1)
        what = c->text[c->at + 1];
    if (what == 'u')
        return take_unicode(c);
    if (what == '\0' || !strchr("\"\\/bfnrt", what))
        return fault(c, c->at, "no such escape");
    c->at += 2;
    return 0;
}

/* At a byte above 0x7F. */
static int take_utf8(struct check *c)
{
    const unsigned char *s = (const unsigned char *)c->text + c->at;
    size_t left = c->len - c->at;
    size_t n = s[0] >= 0xF0 ? 4 : s[0] >= 0xE0 ? 3 : 2;
    bool good = s[0] >= 0xC2 && s[0] <= 0xF4 && left >= n;
    for (size_t i = 1; good && i < n; i++)
        good = (s[i] & 0xC0) == 0x80;
    /* What could be written in fewer bytes, surrogates, and what is beyond U+10FFFF. */
    if (good && n > 2)
        good = !(s[0] == 0xE0 && s[1] < 0xA0) && !(s[0] == 0xED && s[1] > 0x9F) &&
               !(s[0] == 0xF0 && s[1] < 0x90) && !(s[0] == 0xF4 && s[1] > 0x8F);
    if (!good)
        return fault(c, c->at, "not UTF-8");
    c->at += n;
    return 0;
}

static void count_token(struct check *c, size_t len)
{
    if (len > c->facts.longest_token)
        c->facts.longest_token = len;
}

/* At a quote. */
static int take_string(struct check *c)
{
    size_t start = ++c->at;
    int r = 0;
    while (r == 0 && c->at < c->len && c->text[c->at] != '"') {
        unsigned char byte = (unsigned char)c->text[c->at];
        if (byte < 0x20)
            return fault(c, c->at, "a control character in a string; write it as an escape");
        if (byte == '\\')
            r = take_escape(c);
        else if (byte >= 0x80)
            r = take_utf8(c);
        else
            c->at++;
    }
    if (r < 0)
        return r;
    if (c->at >= c->len)
        return fault(c, c->len, "the text ends in a string");
    count_token(c, c->at - start);
    c->facts.strings++;
    c->facts.string_bytes += c->at - start;
    c->at++;
    return 0;
}

/* --- other values */

static int take_number(struct check *c)
{
    struct json_number n = json_number_read(c->text + c->at, c->len - c->at);
    if (!n.is_number)
        return fault(c, c->at + n.len, "not a number as JSON writes them");
    count_token(c, n.len);
    c->facts.numbers++;
    c->facts.has_beyond_int64 = c->facts.has_beyond_int64 || n.is_beyond_int64;
    c->at += n.len;
    return 0;
}

static int take_word(struct check *c)
{
    static const char *const words[] = {"true", "false", "null"};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        size_t n = strlen(words[i]);
        if (c->len - c->at >= n && memcmp(c->text + c->at, words[i], n) == 0) {
            c->at += n;
            return 0;
        }
    }
    return fault(c, c->at,
                 c->text[c->at] == '/' ? "a comment, which JSON does not have" : "not a value");
}

static int open_bracket(struct check *c, char open)
{
    if (brackets_push(&c->brackets, open) < 0)
        return -ENOMEM;
    if (c->brackets.depth > JSON_DEPTH_MAX && !c->facts.is_deep) {
        c->facts.is_deep = true;
        c->facts.deep_at = c->at;
    }
    c->facts.objects += open == '{';
    c->facts.arrays += open == '[';
    c->next = open == '{' ? NEXT_KEY_OR_END : NEXT_VALUE_OR_END;
    c->at++;
    return 0;
}

static void end_value(struct check *c)
{
    c->next = c->brackets.depth > 0 ? NEXT_COMMA_OR_END : NEXT_NOTHING;
}

static int close_bracket(struct check *c, char close)
{
    if (!brackets_pop(&c->brackets, close))
        return fault(c, c->at,
                     close == '}' ? "a } that closes nothing" : "a ] that closes nothing");
    c->at++;
    end_value(c);
    return 0;
}

static int take_value(struct check *c, char first)
{
    int r;
    if (brackets_in_array(&c->brackets))
        c->facts.elements++;
    if (first == '{' || first == '[')
        return open_bracket(c, first);
    if (first == '"')
        r = take_string(c);
    else if (first == '-' || (first >= '0' && first <= '9'))
        r = take_number(c);
    else
        r = take_word(c);
    end_value(c);
    return r;
}

static int take_key(struct check *c, char first)
{
    if (first != '"')
        return fault(c, c->at, "expected a key in double quotes");
    c->facts.members++;
    c->next = NEXT_COLON;
    return take_string(c);
}

static int take_comma(struct check *c, char first)
{
    bool in_array = brackets_in_array(&c->brackets);
    if (first != ',')
        return fault(c, c->at, in_array ? "expected a comma or ]" : "expected a comma or }");
    c->next = in_array ? NEXT_VALUE : NEXT_KEY;
    c->at++;
    return 0;
}

/* Takes what begins with FIRST, which is no blank. */
static int take(struct check *c, char first)
{
    bool closes = first == '}' || first == ']';
    switch (c->next) {
    case NEXT_VALUE: return take_value(c, first);
    case NEXT_VALUE_OR_END: return closes ? close_bracket(c, first) : take_value(c, first);
    case NEXT_KEY: return take_key(c, first);
    case NEXT_KEY_OR_END: return closes ? close_bracket(c, first) : take_key(c, first);
    case NEXT_COLON:
        if (first != ':')
            return fault(c, c->at, "expected a colon after the key");
        c->next = NEXT_VALUE;
        c->at++;
        return 0;
    case NEXT_COMMA_OR_END: return closes ? close_bracket(c, first) : take_comma(c, first);
    case NEXT_NOTHING: break;
    }
    return fault(c, c->at, "more behind the end of the value");
}

static int check(struct check *c)
{
    int r = 0;
    if (c->len >= 3 && memcmp(c->text, "\xEF\xBB\xBF", 3) == 0)
        return fault(c, 0, "a byte order mark; leave it out");
    while (r == 0) {
        while (c->at < c->len && is_space(c->text[c->at]))
            c->at++;
        if (c->at == c->len)
            break;
        r = take(c, c->text[c->at]);
    }
    if (r == 0 && c->next != NEXT_NOTHING)
        r = fault(c, c->len,
                  c->brackets.depth > 0 ? "the text ends in the midst of a value"
                                        : "there is no value");
    return r;
}

int json_check(const char *text, size_t len, struct json_facts *ret_facts,
               struct json_fault *ret_fault)
{
    struct check c = {.text = text, .len = len, .next = NEXT_VALUE};
    int r = check(&c);
    brackets_clear(&c.brackets);
    if (r == 0)
        *ret_facts = c.facts;
    else if (r == -EBADMSG)
        *ret_fault = c.fault;
    return r;
}
