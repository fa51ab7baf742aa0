/* SPDX-License-Identifier: MIT */
#include "protocol/writer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_CAPACITY = 1024 };

void writer_init(struct writer *w)
{
    *w = (struct writer){0};
}

void writer_deinit(struct writer *w)
{
    free(w->data);
    writer_init(w);
}

int writer_grow(struct writer *w, size_t n)
{
    if (w->failed)
        return -ENOMEM;
    size_t capacity = w->capacity ? w->capacity : FIRST_CAPACITY;
    while (capacity - w->len < n) {
        if (capacity > SIZE_MAX / 2) {
            w->failed = true;
            return -ENOMEM;
        }
        capacity *= 2;
    }
    char *data = realloc(w->data, capacity);
    if (!data) {
        w->failed = true;
        return -ENOMEM;
    }
    w->data = data;
    w->capacity = capacity;
    return 0;
}

struct writer_mark writer_mark(const struct writer *w)
{
    return (struct writer_mark){w->len, w->comma};
}

void writer_rewind(struct writer *w, struct writer_mark mark)
{
    w->len = mark.len;
    w->comma = mark.comma;
    w->failed = false;
}

void writer_bytes(struct writer *w, const char *bytes, size_t len)
{
    if (len == 0 || ((w->failed || w->capacity - w->len < len) && writer_grow(w, len) < 0))
        return;
    memcpy(w->data + w->len, bytes, len);
    w->len += len;
}

void writer_string(struct writer *w, const char *value)
{
    writer_string_n(w, value, strlen(value));
}

static size_t escape(unsigned char c, char out[static 6])
{
    static const char hex[] = "0123456789abcdef";
    static const char shorts[] = "\"\\\b\f\n\r\t", letters[] = "\"\\bfnrt";
    const char *found = c ? strchr(shorts, c) : NULL;
    out[0] = '\\';
    if (found) {
        out[1] = letters[found - shorts];
        return 2;
    }
    memcpy(out + 1, "u00", 3);
    out[4] = hex[c >> 4];
    out[5] = hex[c & 15];
    return 6;
}

/* What is written as an escape. */
static const bool is_escaped[256] = {
    [0 ... 0x1F] = true, ['"'] = true, ['\\'] = true, [0x7F] = true};

static inline bool is_plain(char c)
{
    return !is_escaped[(unsigned char)c];
}

/* The rest of a string that is not all plain, with the quote that ends it. */
static void put_escaped(struct writer *w, const char *value, size_t len)
{
    size_t start = 0;
    for (size_t i = 0; i < len; i++) {
        char escaped[6];
        if (is_plain(value[i]))
            continue;
        size_t n = escape((unsigned char)value[i], escaped);
        writer_bytes(w, value + start, i - start);
        writer_bytes(w, escaped, n);
        start = i + 1;
    }
    writer_bytes(w, value + start, len - start);
    writer_bytes(w, "\"", 1);
}

void writer_string_n(struct writer *w, const char *value, size_t len)
{
    char *at = writer_begin(w, len + 2);
    if (!at)
        return;
    *at++ = '"';
    size_t i = 0;
    for (; i < len && is_plain(value[i]); i++)
        at[i] = value[i];
    at += i;
    if (i == len)
        *at++ = '"';
    writer_end_at(w, at, true);
    if (i < len)
        put_escaped(w, value + i, len - i);
}

/* How many decimal digits VALUE has. */
static unsigned count_digits(uint64_t value)
{
    unsigned n = 1;
    while (value >= 10000) {
        value /= 10000;
        n += 4;
    }
    return n + (value >= 10) + (value >= 100) + (value >= 1000);
}

static char *put_digits(char *at, uint64_t value)
{
    if (value < 10) { /* as most are */
        *at = (char)('0' + value);
        return at + 1;
    }
    static const char pairs[] = "0001020304050607080910111213141516171819"
                                "2021222324252627282930313233343536373839"
                                "4041424344454647484950515253545556575859"
                                "6061626364656667686970717273747576777879"
                                "8081828384858687888990919293949596979899";
    char *end = at + count_digits(value);
    for (at = end; value >= 100; value /= 100)
        memcpy(at -= 2, pairs + value % 100 * 2, 2);
    if (value >= 10)
        memcpy(at - 2, pairs + value * 2, 2);
    else
        at[-1] = (char)('0' + value);
    return end;
}

char *writer_put_int(char *at, int64_t value)
{
    if (value >= 0)
        return put_digits(at, (uint64_t)value);
    *at = '-';
    return put_digits(at + 1, 0 - (uint64_t)value);
}

char *writer_put_uint(char *at, uint64_t value)
{
    return put_digits(at, value > INT64_MAX ? INT64_MAX : value);
}

void writer_int(struct writer *w, int64_t value)
{
    char *at = writer_begin(w, WRITER_INT_MAX);
    if (at)
        writer_end_at(w, writer_put_int(at, value), true);
}

void writer_uint(struct writer *w, uint64_t value)
{
    char *at = writer_begin(w, WRITER_INT_MAX);
    if (at)
        writer_end_at(w, writer_put_uint(at, value), true);
}

void writer_bool(struct writer *w, bool value)
{
    writer_put(w, value ? "true" : "false", value ? 4 : 5, true);
}

void writer_null(struct writer *w)
{
    writer_put(w, "null", 4, true);
}

void writer_value(struct writer *w, const char *json, size_t len)
{
    writer_put(w, json, len, true);
}

void writer_restart(struct writer *w)
{
    w->comma = false;
}
