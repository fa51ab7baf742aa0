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

/* Rarely called, and kept out of the way of what is called for every piece. */
__attribute__((noinline, cold)) static int grow(struct writer *w, size_t n)
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

static inline int reserve(struct writer *w, size_t n)
{
    return !w->failed && w->capacity - w->len >= n ? 0 : grow(w, n);
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
    if (len == 0 || reserve(w, len) < 0)
        return;
    memcpy(w->data + w->len, bytes, len);
    w->len += len;
}

/* Where the next piece of at most N bytes goes, behind a comma if one is due; NULL: there is no
 * room. The piece's end is told by end_at(). */
static inline char *begin(struct writer *w, size_t n)
{
    if (reserve(w, n + 1) < 0)
        return NULL;
    char *at = w->data + w->len;
    if (w->comma)
        *at++ = ',';
    return at;
}

static inline void end_at(struct writer *w, const char *end, bool comma_after)
{
    w->len = (size_t)(end - w->data);
    w->comma = comma_after;
}

/* LEN bytes, whole or not at all. */
static inline void put(struct writer *w, const char *bytes, size_t len, bool comma_after)
{
    char *at = begin(w, len);
    if (!at)
        return;
    memcpy(at, bytes, len);
    end_at(w, at + len, comma_after);
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

void writer_key_n(struct writer *w, const char *key, size_t len)
{
    char *at = begin(w, len + 3);
    if (!at)
        return;
    *at++ = '"';
    memcpy(at, key, len);
    at += len;
    *at++ = '"';
    *at++ = ':';
    end_at(w, at, false);
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

static inline bool is_plain(unsigned char c)
{
    return c >= 0x20 && c != '"' && c != '\\' && c != 0x7F;
}

/* The rest of a string that is not all plain, with the quote that ends it. */
static void put_escaped(struct writer *w, const char *value, size_t len)
{
    size_t start = 0;
    for (size_t i = 0; i < len; i++) {
        char escaped[6];
        if (is_plain((unsigned char)value[i]))
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
    char *at = begin(w, len + 2);
    if (!at)
        return;
    *at++ = '"';
    size_t i = 0;
    for (; i < len && is_plain((unsigned char)value[i]); i++)
        at[i] = value[i];
    at += i;
    if (i == len)
        *at++ = '"';
    end_at(w, at, true);
    if (i < len)
        put_escaped(w, value + i, len - i);
}

static void put_digits(struct writer *w, uint64_t magnitude, bool negative)
{
    static const char pairs[] = "0001020304050607080910111213141516171819"
                                "2021222324252627282930313233343536373839"
                                "4041424344454647484950515253545556575859"
                                "6061626364656667686970717273747576777879"
                                "8081828384858687888990919293949596979899";
    char digits[21];
    size_t at = sizeof(digits);
    for (; magnitude >= 100; magnitude /= 100)
        memcpy(digits + (at -= 2), pairs + magnitude % 100 * 2, 2);
    if (magnitude >= 10)
        memcpy(digits + (at -= 2), pairs + magnitude * 2, 2);
    else
        digits[--at] = (char)('0' + magnitude);
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
