#include "protocol/message.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/plain.h"

/*
 * jansson refuses the whole text for one integer that does not fit 64 bits. To name the parameter
 * and keep the id, a real stands in for each such integer in a copy, and the copy is decoded.
 * Returns the copy's length, 0 when there was nothing to widen.
 */
static size_t widen(const char *text, size_t len, char *copy)
{
    size_t out = 0;
    bool in_string = false, found = false;
    for (size_t i = 0; i < len;) {
        char c = text[i];
        if (in_string) {
            copy[out++] = c;
            if (c == '\\' && i + 1 < len)
                copy[out++] = text[++i];
            in_string = c != '"';
            i++;
            continue;
        }
        size_t digits = 0, start = i + (c == '-');
        while (start + digits < len && text[start + digits] >= '0' && text[start + digits] <= '9')
            digits++;
        if (digits == 0) {
            in_string = c == '"';
            copy[out++] = c;
            i++;
            continue;
        }
        size_t end = start + digits;
        /* 18 digits always fit; what has a fraction or an exponent is a real already. */
        bool real = end < len && strchr(".eE", text[end]);
        memcpy(copy + out, text + i, end - i);
        out += end - i;
        i = end;
        if (real) {
            while (i < len && strchr("0123456789.eE+-", text[i]))
                copy[out++] = text[i++];
        } else if (digits > 18) {
            char number[24] = "";
            errno = 0;
            if (digits < 21) {
                memcpy(number, text + start - (c == '-'), digits + (c == '-'));
                (void)strtoll(number, NULL, 10);
            }
            if (digits >= 21 || errno == ERANGE) {
                /* Whatever its value: any real beyond int64 will do, and there is room for it. */
                out -= digits;
                memcpy(copy + out, "1e300", 5);
                out += 5;
                found = true;
            }
        }
    }
    return found ? out : 0;
}

static json_t *load(const char *text, size_t len, json_error_t *error)
{
    *error = (json_error_t){0};
    return json_loadb(text, len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, error);
}

/* jansson gives most of its failed allocations neither code nor text. */
static bool is_out_of_memory(const json_error_t *error)
{
    return json_error_code(error) == json_error_out_of_memory || error->text[0] == '\0';
}

/* ERROR is that of the first reading; it stays, for it tells the right byte, unless memory runs
 * out. */
static json_t *load_widened(const char *text, size_t len, json_error_t *error)
{
    json_error_t second = {0};
    json_t *root = NULL;
    char *copy = malloc(len); /* what stands in is shorter */
    size_t n = copy ? widen(text, len, copy) : 0;
    if (n > 0)
        root = load(copy, n, &second);
    if (!copy || (n > 0 && !root && is_out_of_memory(&second)))
        *error = second;
    free(copy);
    return root;
}

int message_decode(const char *value, size_t len, struct message *ret, struct failure *f)
{
    json_error_t error;
    bool widened = false;
    json_t *root = load(value, len, &error);
    if (!root && json_error_code(&error) == json_error_numeric_overflow) {
        root = load_widened(value, len, &error);
        widened = root != NULL;
    }
    if (root) {
        *ret = (struct message){.root = root, .widened = widened};
        return 0;
    }
    if (is_out_of_memory(&error)) {
        failure_init(f, PROTOCOL_ERROR_INTERNAL);
        return -ENOMEM;
    }
    failure_init(f, PROTOCOL_ERROR_PARSE);
    /* What follows «near» is the peer's text, cut anywhere: also within a character. */
    const char *near = strstr(error.text, " near ");
    size_t cause = near ? (size_t)(near - error.text) : strlen(error.text);
    char line[32] = ""; /* which of several */
    if (error.line > 1)
        snprintf(line, sizeof(line), " in line %d", error.line);
    f->line = error.line > 0 ? (unsigned)error.line : 1;
    failure_set_message(f, "not JSON: %.*s, at byte %d%s", (int)cause, error.text, error.position,
                        line);
    return -EBADMSG;
}

int message_decode_request(const char *value, size_t len, struct message *ret, struct failure *f)
{
    struct plain *plain = plain_read(value, len);
    if (!plain)
        return message_decode(value, len, ret, f);
    *ret = (struct message){.plain = plain};
    return 0;
}

void message_free(struct message *m)
{
    json_decref(m->root);
    free(m->plain);
    m->root = NULL;
    m->plain = NULL;
}

bool message_is_empty(const struct message *m)
{
    return !m->root && !m->plain;
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
