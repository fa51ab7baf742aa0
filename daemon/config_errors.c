/* SPDX-License-Identifier: MIT */
#include "daemon/config_errors.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* The length of the UTF-8 character at TEXT and its number in Unicode, or 0 when there is none. */
static size_t read_character(const unsigned char *text, uint32_t *ret)
{
    static const struct {
        unsigned char mask, lead;
        uint32_t least; /* a smaller number has a shorter form */
    } forms[] = {{0x80, 0x00, 0}, {0xE0, 0xC0, 0x80}, {0xF0, 0xE0, 0x800}, {0xF8, 0xF0, 0x10000}};
    for (size_t n = 0; n < sizeof(forms) / sizeof(forms[0]); n++) {
        if ((text[0] & forms[n].mask) != forms[n].lead)
            continue;
        uint32_t number = text[0] & (unsigned char)~forms[n].mask;
        for (size_t i = 1; i <= n; i++) {
            if ((text[i] & 0xC0) != 0x80)
                return 0;
            number = number << 6 | (text[i] & 0x3F);
        }
        bool is_surrogate = number >= 0xD800 && number < 0xE000;
        *ret = number;
        return number < forms[n].least || is_surrogate || number > 0x10FFFF ? 0 : n + 1;
    }
    return 0;
}

/* Control characters, and what shmdctl escapes as well: what is not seen, or turns the order of a
 * line. */
static bool is_control(uint32_t c)
{
    static const struct {
        uint32_t first, last;
    } ranges[] = {{0, 0x1F},        {0x7F, 0x9F},     {0xAD, 0xAD},       {0x61C, 0x61C},
                  {0x180E, 0x180E}, {0x200B, 0x200F}, {0x2028, 0x202E},   {0x2060, 0x206F},
                  {0xFEFF, 0xFEFF}, {0xFFF9, 0xFFFB}, {0x1D173, 0x1D17A}, {0xE0000, 0xE007F}};
    for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++)
        if (c >= ranges[i].first && c <= ranges[i].last)
            return true;
    return false;
}

/* What goes to terminals, the log and JSON has printable UTF-8 alone. */
static void make_printable(char *string)
{
    unsigned char *text = (unsigned char *)string;
    while (*text) {
        uint32_t c = 0;
        size_t len = read_character(text, &c);
        if (len == 0 || is_control(c)) {
            memset(text, '?', len > 0 ? len : 1);
            len = len > 0 ? len : 1;
        }
        text += len;
    }
}

/* A printable copy; NULL: out of memory. */
static char *copy_of(const char *string)
{
    char *copy = strdup(string);
    if (copy)
        make_printable(copy);
    return copy;
}

static void free_error(struct config_error *error)
{
    free((char *)(uintptr_t)error->file);
    free((char *)(uintptr_t)error->key);
    free((char *)(uintptr_t)error->message);
}

bool config_errors_is_full(const struct config_errors *errors)
{
    return errors->count >= CONFIG_ERRORS_MAX;
}

/* Takes MESSAGE, which may be NULL: out of memory. */
static void append(struct config_errors *errors, const char *file, unsigned line, const char *key,
                   char *message)
{
    struct config_error error = {
        .file = copy_of(file), .line = line, .key = copy_of(key ? key : ""), .message = message};
    struct config_error *items = NULL;
    if (message)
        make_printable(message);
    if (error.file && error.key && error.message)
        items = reallocarray(errors->items, errors->count + 1, sizeof(*items));
    if (!items) {
        free_error(&error);
        errors->out_of_memory = true;
        return;
    }
    errors->items = items;
    errors->items[errors->count++] = error;
}

void config_errors_add(struct config_errors *errors, const char *file, unsigned line,
                       const char *key, const char *format, ...)
{
    char *message = NULL;
    va_list args;
    if (errors->count > CONFIG_ERRORS_MAX)
        return;
    if (config_errors_is_full(errors)) {
        append(errors, file, line, NULL,
               strdup("there may be more errors from here on: correct those above first"));
        return;
    }
    va_start(args, format);
    if (vasprintf(&message, format, args) < 0)
        message = NULL;
    va_end(args);
    append(errors, file, line, key, message);
}

void config_error_text(const struct config_error *error, char *ret, size_t size)
{
    if (error->line > 0)
        snprintf(ret, size, "%s:%u: %s", error->file, error->line, error->message);
    else
        snprintf(ret, size, "%s: %s", error->file, error->message);
}

void config_errors_deinit(struct config_errors *errors)
{
    for (size_t i = 0; i < errors->count; i++)
        free_error(&errors->items[i]);
    free(errors->items);
    *errors = (struct config_errors){0};
}
