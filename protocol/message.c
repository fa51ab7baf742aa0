/* SPDX-License-Identifier: MIT */
#include "protocol/message.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/json_arena.h"
#include "protocol/json_check.h"
#include "protocol/json_number.h"
#include "protocol/limits.h"

/* The length of the string at the start of TEXT, with its quotes. */
static size_t string_length(const char *text, size_t len)
{
    size_t i = 1;
    while (i < len && text[i] != '"')
        i += text[i] == '\\' ? 2 : 1;
    return i + 1;
}

/*
 * jansson refuses the whole text for one integer that does not fit 64 bits. To name the parameter
 * and keep the id, a real beyond int64 stands in for each such integer in a copy, and the copy is
 * decoded. Each byte of the copy stands where it stands in the text.
 */
static void widen(char *text, size_t len)
{
    static const char stand_in[] = "1e300";
    for (size_t i = 0; i < len;) {
        if (text[i] == '"') {
            i += string_length(text + i, len - i);
            continue;
        }
        struct json_number n = json_number_read(text + i, len - i);
        if (!n.is_number) {
            i++;
            continue;
        }
        if (n.is_beyond_int64) { /* it has 19 digits or more */
            size_t sign = text[i] == '-', used = sign + sizeof(stand_in) - 1;
            memcpy(text + i + sign, stand_in, sizeof(stand_in) - 1);
            memset(text + i + used, ' ', n.len - used);
        }
        i += n.len;
    }
}

static json_t *load(const char *text, size_t len, json_error_t *error)
{
    *error = (json_error_t){0};
    return json_loadb(text, len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, error);
}

static json_t *load_widened(const char *text, size_t len, json_error_t *error)
{
    json_t *root = NULL;
    char *copy = malloc(len);
    *error = (json_error_t){0};
    if (copy) {
        memcpy(copy, text, len);
        widen(copy, len);
        root = load(copy, len, error);
    }
    free(copy);
    return root;
}

/* --- refusals */

/* Where byte AT is, for people. */
struct place {
    unsigned line;
    char text[64];
};

static struct place place_of(const char *text, size_t at)
{
    struct place p = {.line = 1};
    for (size_t i = 0; i < at; i++)
        p.line += text[i] == '\n';
    if (p.line > 1)
        snprintf(p.text, sizeof(p.text), "at byte %zu in line %u", at, p.line);
    else
        snprintf(p.text, sizeof(p.text), "at byte %zu", at);
    return p;
}

static int out_of_memory(struct failure *f)
{
    failure_init(f, PROTOCOL_ERROR_INTERNAL);
    return -ENOMEM;
}

static int refuse_text(const char *text, const struct json_fault *fault, struct failure *f)
{
    const struct place place = place_of(text, fault->at);
    failure_init(f, PROTOCOL_ERROR_PARSE);
    f->line = place.line;
    failure_set_message(f, "not JSON: %s, %s", fault->what, place.text);
    return -EBADMSG;
}

static int refuse_depth(const char *text, size_t at, struct failure *f)
{
    const struct place place = place_of(text, at);
    failure_init(f, PROTOCOL_ERROR_INVALID_REQUEST);
    f->line = place.line;
    failure_set_message(f,
                        "the depth is greater than %d, %s: open fewer brackets inside each other",
                        JSON_DEPTH_MAX, place.text);
    return -EBADMSG;
}

static int refuse_nul(const char *text, size_t at, struct failure *f)
{
    const struct place place = place_of(text, at);
    failure_init(f, PROTOCOL_ERROR_INVALID_REQUEST);
    f->line = place.line;
    failure_set_message(f, "\\u0000 in a string, %s: the character U+0000 is not allowed",
                        place.text);
    return -EBADMSG;
}

static int refuse_number(const char *text, size_t end, struct failure *f)
{
    const struct place place = place_of(text, end);
    failure_init(f, PROTOCOL_ERROR_INVALID_REQUEST);
    f->line = place.line;
    failure_set_message(f, "a number that ends %s is too large: no double holds it", place.text);
    return -EBADMSG;
}

/* END is behind the key's closing quote. */
static int refuse_duplicate(const char *text, size_t end, struct failure *f)
{
    enum { SHOWN_MAX = 100 };
    size_t start = end > 0 ? end - 1 : 0;
    /* A quote inside the key has a backslash before it. The one that opens it has none. */
    while (start > 0 && (text[start - 1] != '"' || (start > 1 && text[start - 2] == '\\')))
        start--;
    size_t len = end - 1 - start;
    failure_init(f, PROTOCOL_ERROR_INVALID_REQUEST);
    f->line = place_of(text, end).line;
    if (end <= start || len > SHOWN_MAX)
        failure_set_message(f, "duplicate key, %s: an object may have each key once",
                            place_of(text, end).text);
    else
        failure_set_message(f, "duplicate key \"%.*s\", %s: an object may have each key once",
                            (int)len, text + start, place_of(text, start).text);
    return -EBADMSG;
}

/* Why jansson refused TEXT, which is JSON. */
static int refuse_tree(const char *text, size_t len, const json_error_t *error, struct failure *f)
{
    size_t at = error->position > 0 && (size_t)error->position <= len ? (size_t)error->position : 0;
    if (json_error_code(error) == json_error_duplicate_key)
        return refuse_duplicate(text, at, f);
    if (json_error_code(error) == json_error_numeric_overflow)
        return refuse_number(text, at, f);
    return out_of_memory(f); /* nothing else is left, and it has many codes for that */
}

/* --- decoding */

int message_decode(const char *value, size_t len, struct message *ret, struct failure *f)
{
    struct json_facts facts;
    struct json_fault fault;
    struct json_arena *arena;
    json_error_t error;
    int r = json_check(value, len, &facts, &fault);
    if (r == -EBADMSG)
        return refuse_text(value, &fault, f);
    if (r < 0)
        return out_of_memory(f);
    if (facts.is_deep)
        return refuse_depth(value, facts.deep_at, f);
    if (facts.has_nul)
        return refuse_nul(value, facts.nul_at, f);
    if (json_arena_open(json_arena_bound(&facts), &arena) < 0)
        return out_of_memory(f);
    json_t *root =
        facts.has_beyond_int64 ? load_widened(value, len, &error) : load(value, len, &error);
    json_arena_close(arena);
    if (!root) {
        json_arena_free(arena);
        return refuse_tree(value, len, &error, f);
    }
    *ret = (struct message){.root = root, .arena = arena, .widened = facts.has_beyond_int64};
    return 0;
}

bool message_has_sure_end(const char *value, size_t len)
{
    if (len == 0)
        return false;
    char last = value[len - 1];
    return last == '}' || last == ']' || last == '"';
}

void message_free(struct message *m)
{
    if (!m->arena)
        json_decref(m->root);
    json_arena_free(m->arena);
    m->root = NULL;
    m->arena = NULL;
}

size_t message_bytes(const struct message *m)
{
    return m->arena ? json_arena_used(m->arena) : 0;
}

bool message_is_empty(const struct message *m)
{
    return !m->root;
}

bool message_is_batch(const struct message *m)
{
    return json_is_array(m->root);
}

size_t message_calls(const struct message *m)
{
    return json_is_array(m->root) ? json_array_size(m->root) : 1;
}

const json_t *message_member(const struct message *m, size_t index)
{
    if (json_is_array(m->root))
        return json_array_get(m->root, index);
    return index == 0 ? m->root : NULL;
}
