/* SPDX-License-Identifier: MIT */
#include "protocol/errors.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Bytes of a peer's parameter that a sentence repeats. */
enum { SHOWN_MAX = 100 };

static const struct error_row rows[PROTOCOL_ERROR_COUNT] = {
#define X(id, name, code, err, message) [PROTOCOL_ERROR_##id] = {name, code, err, message},
    PROTOCOL_ERRORS(X)
#undef X
};

const struct error_row *error_row(enum protocol_error error)
{
    return &rows[error];
}

int error_find(const char *name, int64_t code)
{
    for (int i = 0; i < PROTOCOL_ERROR_COUNT; i++)
        if (name ? rows[i].name && strcmp(rows[i].name, name) == 0 : rows[i].code == code)
            return i;
    return -1;
}

void failure_init(struct failure *f, enum protocol_error error)
{
    f->error = error;
    f->message = NULL;
    f->n_params = 0;
    f->config_errors = NULL;
    f->n_config_errors = 0;
    f->line = 0;
    f->text_used = 0;
}

static struct failure_param *add(struct failure *f, const char *name)
{
    if (f->n_params == FAILURE_PARAMS_MAX)
        return NULL;
    struct failure_param *param = &f->params[f->n_params++];
    *param = (struct failure_param){.name = name};
    return param;
}

void failure_add_string(struct failure *f, const char *name, const char *value)
{
    struct failure_param *param = add(f, name);
    if (param)
        param->string = value;
}

void failure_add_int(struct failure *f, const char *name, int64_t value)
{
    struct failure_param *param = add(f, name);
    if (param)
        param->integer = value;
}

/* The length of TEXT without a UTF-8 sequence that a cut at LEN would leave half. */
static size_t whole_characters(const char *text, size_t len)
{
    size_t start = len;
    while (start > 0 && ((unsigned char)text[start - 1] & 0xC0) == 0x80)
        start--;
    if (start == 0)
        return 0;
    unsigned char lead = (unsigned char)text[start - 1];
    size_t need = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC0 ? 2 : 1;
    return len - (start - 1) < need ? start - 1 : len;
}

__attribute__((format(printf, 2, 0))) static const char *format_text(struct failure *f,
                                                                     const char *format,
                                                                     va_list args)
{
    size_t room = sizeof(f->text) - f->text_used;
    if (room < 2)
        return "";
    char *text = f->text + f->text_used;
    int made = vsnprintf(text, room, format, args);
    size_t len = made < 0 ? 0 : (size_t)made;
    if (len >= room)
        len = whole_characters(text, room - 1);
    text[len] = '\0';
    f->text_used += len + 1;
    return text;
}

void failure_set_message(struct failure *f, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    f->message = format_text(f, format, args);
    va_end(args);
}

void failure_invalid_parameter(struct failure *f, const char *parameter, const char *format, ...)
{
    failure_init(f, PROTOCOL_ERROR_INVALID_PARAMETER);
    failure_add_string(f, "parameter", parameter);
    va_list args;
    va_start(args, format);
    const char *reason = format_text(f, format, args);
    va_end(args);
    failure_add_string(f, "reason", reason);
    size_t shown = strnlen(parameter, SHOWN_MAX + 1);
    if (shown > SHOWN_MAX)
        shown = whole_characters(parameter, SHOWN_MAX);
    failure_set_message(f, "parameter %.*s: %s", (int)shown, parameter, reason);
}

const char *failure_message(const struct failure *f)
{
    return f->message ? f->message : rows[f->error].message;
}
