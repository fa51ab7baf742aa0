/* SPDX-License-Identifier: MIT */
#include "protocol/json_slice.h"

#include <stdlib.h>
#include <string.h>

static bool is_one_of(char c, const char *set)
{
    return c != '\0' && strchr(set, c);
}

static void skip(struct json_slice *s, size_t n)
{
    s->text += n;
    s->len -= n;
}

static void skip_any_of(struct json_slice *s, const char *set)
{
    while (s->len > 0 && is_one_of(*s->text, set))
        skip(s, 1);
}

/* The length of the string at the start of S, with its quotes. */
static size_t string_length(struct json_slice s)
{
    for (size_t i = 1; i < s.len; i++) {
        if (s.text[i] == '\\')
            i++;
        else if (s.text[i] == '"')
            return i + 1;
    }
    return s.len;
}

static size_t container_length(struct json_slice s)
{
    size_t depth = 0;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.text[i];
        if (c == '"')
            i += string_length((struct json_slice){s.text + i, s.len - i}) - 1;
        else if (c == '{' || c == '[')
            depth++;
        else if ((c == '}' || c == ']') && --depth == 0)
            return i + 1;
    }
    return s.len;
}

/* The length of the value at the start of S, which is not empty. */
static size_t value_length(struct json_slice s)
{
    if (*s.text == '"')
        return string_length(s);
    if (*s.text == '{' || *s.text == '[')
        return container_length(s);
    size_t i = 0;
    while (i < s.len && !is_one_of(s.text[i], " \t\r\n,:]}"))
        i++;
    return i;
}

struct json_walk json_walk_begin(struct json_slice container)
{
    struct json_walk walk = {container, false};
    skip_any_of(&walk.rest, " \t\r\n");
    if (walk.rest.len == 0 || !is_one_of(*walk.rest.text, "{["))
        return (struct json_walk){{"", 0}, false};
    walk.in_object = *walk.rest.text == '{';
    skip(&walk.rest, 1);
    return walk;
}

static bool next_value(struct json_slice *rest, struct json_slice *ret)
{
    skip_any_of(rest, " \t\r\n,:");
    if (rest->len == 0 || is_one_of(*rest->text, "]}"))
        return false;
    *ret = (struct json_slice){rest->text, value_length(*rest)};
    skip(rest, ret->len);
    return ret->len > 0;
}

bool json_walk_next(struct json_walk *walk, struct json_slice *ret_key,
                    struct json_slice *ret_value)
{
    struct json_slice key = {"", 0}, value;
    if (walk->in_object) {
        if (!next_value(&walk->rest, &key) || key.len < 2)
            return false;
        key = (struct json_slice){key.text + 1, key.len - 2};
    }
    if (!next_value(&walk->rest, &value))
        return false;
    *ret_key = key;
    *ret_value = value;
    return true;
}

/* Takes one character off S: its byte if it is of ASCII, else some other. */
static unsigned take_character(struct json_slice *s)
{
    unsigned c = (unsigned char)*s->text;
    size_t n = 1;
    if (c == '\\' && s->len >= 6 && s->text[1] == 'u') {
        char digits[5] = "";
        memcpy(digits, s->text + 2, 4);
        c = (unsigned)strtoul(digits, NULL, 16);
        n = 6;
    }
    skip(s, n);
    return c;
}

bool json_slice_is_key(struct json_slice key, const char *text)
{
    while (key.len > 0 && *text)
        if (take_character(&key) != (unsigned char)*text++)
            return false;
    return key.len == 0 && *text == '\0';
}

bool json_slice_member(struct json_slice object, const char *key, struct json_slice *ret_value)
{
    struct json_walk walk = json_walk_begin(object);
    struct json_slice name, value;
    while (json_walk_next(&walk, &name, &value)) {
        if (name.len == strlen(key) && memcmp(name.text, key, name.len) == 0) {
            *ret_value = value;
            return true;
        }
    }
    return false;
}
