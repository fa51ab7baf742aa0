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

void writer_free_buffer(struct writer *w)
{
    free(w->data);
    w->data = NULL;
    w->len = w->capacity = 0;
}

int writer_reserve(struct writer *w, size_t n)
{
    if (w->failed)
        return -ENOMEM;
    if (w->capacity - w->len >= n)
        return 0;
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
    if (len == 0 || writer_reserve(w, len) < 0)
        return;
    memcpy(w->data + w->len, bytes, len);
    w->len += len;
}

/* A comma if one is due, then LEN bytes; whole or not at all. */
static void put(struct writer *w, const char *bytes, size_t len, bool comma_after)
{
    if (writer_reserve(w, len + 1) < 0)
        return;
    if (w->comma)
        w->data[w->len++] = ',';
    memcpy(w->data + w->len, bytes, len);
    w->len += len;
    w->comma = comma_after;
}

static void put_end(struct writer *w, char bracket)
{
    w->comma = false;
    put(w, &bracket, 1, true);
}

void writer_object_begin(struct writer *w)
{
    put(w, "{", 1, false);
}

void writer_object_end(struct writer *w)
{
    put_end(w, '}');
}

void writer_array_begin(struct writer *w)
{
    put(w, "[", 1, false);
}

void writer_array_end(struct writer *w)
{
    put_end(w, ']');
}

void writer_key(struct writer *w, const char *key)
{
    size_t len = strlen(key);
    if (writer_reserve(w, len + 4) < 0)
        return;
    put(w, "\"", 1, false);
    writer_bytes(w, key, len);
    writer_bytes(w, "\":", 2);
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

void writer_string_n(struct writer *w, const char *value, size_t len)
{
    put(w, "\"", 1, false);
    size_t start = 0;
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)value[i];
        if (c >= 0x20 && c != '"' && c != '\\' && c != 0x7F)
            continue;
        char escaped[6];
        size_t n = escape(c, escaped);
        writer_bytes(w, value + start, i - start);
        writer_bytes(w, escaped, n);
        start = i + 1;
    }
    writer_bytes(w, value + start, len - start);
    writer_bytes(w, "\"", 1);
    w->comma = true;
}

static void put_digits(struct writer *w, uint64_t magnitude, bool negative)
{
    char digits[21];
    size_t at = sizeof(digits);
    do {
        digits[--at] = (char)('0' + magnitude % 10);
        magnitude /= 10;
    } while (magnitude);
    if (negative)
        digits[--at] = '-';
    put(w, digits + at, sizeof(digits) - at, true);
}

void writer_int(struct writer *w, int64_t value)
{
    put_digits(w, value < 0 ? 0 - (uint64_t)value : (uint64_t)value, value < 0);
}

void writer_uint(struct writer *w, uint64_t value)
{
    put_digits(w, value > INT64_MAX ? INT64_MAX : value, false);
}

void writer_bool(struct writer *w, bool value)
{
    put(w, value ? "true" : "false", value ? 4 : 5, true);
}

void writer_null(struct writer *w)
{
    put(w, "null", 4, true);
}

void writer_value(struct writer *w, const char *json, size_t len)
{
    put(w, json, len, true);
}

void writer_restart(struct writer *w)
{
    w->comma = false;
}
