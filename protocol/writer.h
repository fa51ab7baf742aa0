/* SPDX-License-Identifier: MIT */
/*
 * Append-only JSON output, compact. Replies are written with it instead of being built as trees
 * and dumped. The buffer grows; when memory runs out the writer is `failed`, takes nothing more,
 * and what was written before stays whole, so that writer_rewind() can undo the last piece.
 *
 * Commas are put by the writer. Nothing checks that begin and end match: the callers are few.
 */
#ifndef SHMD_PROTOCOL_WRITER_H
#define SHMD_PROTOCOL_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct writer {
    char *data; /* owned; not NUL-terminated */
    size_t len;
    size_t capacity;
    bool comma; /* the next value or key needs one before it */
    bool failed;
};

struct writer_mark {
    size_t len;
    bool comma;
};

void writer_init(struct writer *w);
void writer_deinit(struct writer *w);

struct writer_mark writer_mark(const struct writer *w);
/* Back to MARK; clears `failed`. */
void writer_rewind(struct writer *w, struct writer_mark mark);

/* --- how a piece is put: whole or not at all, with one look at the room. Inline, so that the
 * length of a literal is known when it is compiled and its bytes are moved without a call. */

/* Makes room for N more bytes: 0 or -ENOMEM. */
int writer_grow(struct writer *w, size_t n);

/* Where the next piece of at most N bytes goes, behind a comma if one is due; NULL: there is no
 * room. The piece's end is told by writer_end_at(). */
static inline char *writer_begin(struct writer *w, size_t n)
{
    if ((w->failed || w->capacity - w->len <= n) && writer_grow(w, n + 1) < 0)
        return NULL;
    char *at = w->data + w->len;
    *at = ',';
    return at + w->comma;
}

static inline void writer_end_at(struct writer *w, const char *end, bool comma_after)
{
    w->len = (size_t)(end - w->data);
    w->comma = comma_after;
}

static inline void writer_put(struct writer *w, const char *bytes, size_t len, bool comma_after)
{
    char *at = writer_begin(w, len);
    if (!at)
        return;
    memcpy(at, bytes, len);
    writer_end_at(w, at + len, comma_after);
}

/* Where the value of the member KEY goes, which has at most N bytes. */
static inline char *writer_begin_member(struct writer *w, const char *key, size_t n)
{
    size_t len = strlen(key);
    char *at = writer_begin(w, len + 3 + n);
    if (!at)
        return NULL;
    at[0] = '"';
    memcpy(at + 1, key, len);
    memcpy(at + 1 + len, "\":", 2);
    return at + len + 3;
}

/* The most bytes that an integer takes. */
enum { WRITER_INT_MAX = 20 };
/* Puts it at AT, where there is room for so many; returns its end. */
char *writer_put_int(char *at, int64_t value);
char *writer_put_uint(char *at, uint64_t value);

/* --- values */

static inline void writer_object_begin(struct writer *w)
{
    writer_put(w, "{", 1, false);
}

static inline void writer_array_begin(struct writer *w)
{
    writer_put(w, "[", 1, false);
}

static inline void writer_object_end(struct writer *w)
{
    w->comma = false;
    writer_put(w, "}", 1, true);
}

static inline void writer_array_end(struct writer *w)
{
    w->comma = false;
    writer_put(w, "]", 1, true);
}

/* VALUE must be UTF-8; what JSON forbids is escaped. */
void writer_string(struct writer *w, const char *value);
void writer_string_n(struct writer *w, const char *value, size_t len);
void writer_int(struct writer *w, int64_t value);
/* No number above int64 leaves the daemon: larger ones are clamped. */
void writer_uint(struct writer *w, uint64_t value);
void writer_bool(struct writer *w, bool value);
void writer_null(struct writer *w);
/* One value that is JSON already. */
void writer_value(struct writer *w, const char *json, size_t len);
/* TEXT, a literal, as it is: the beginning of an object up to behind a colon, or to behind a
 * bracket that was opened. */
static inline void writer_opening(struct writer *w, const char *text)
{
    writer_put(w, text, strlen(text), false);
}
/* Bytes as they are, outside of any comma's reckoning (a line's end, for one). */
void writer_bytes(struct writer *w, const char *bytes, size_t len);
/* Starts a new top-level value: no comma. */
void writer_restart(struct writer *w);

/* --- members of an object. KEY is one of ours: it is not escaped. */

/* The key alone: its value is put next. */
static inline void writer_key(struct writer *w, const char *key)
{
    const char *end = writer_begin_member(w, key, 0);
    if (end)
        writer_end_at(w, end, false);
}

static inline void writer_member_int(struct writer *w, const char *key, int64_t value)
{
    char *at = writer_begin_member(w, key, WRITER_INT_MAX);
    if (at)
        writer_end_at(w, writer_put_int(at, value), true);
}

static inline void writer_member_uint(struct writer *w, const char *key, uint64_t value)
{
    char *at = writer_begin_member(w, key, WRITER_INT_MAX);
    if (at)
        writer_end_at(w, writer_put_uint(at, value), true);
}

static inline void writer_member_bool(struct writer *w, const char *key, bool value)
{
    char *at = writer_begin_member(w, key, 5);
    if (!at)
        return;
    memcpy(at, value ? "true" : "fals", 4);
    at[4] = 'e'; /* of false; behind true it is written over */
    writer_end_at(w, at + 5 - value, true);
}

/* VALUE is one of ours, too. */
static inline void writer_member_word(struct writer *w, const char *key, const char *value)
{
    size_t len = strlen(value);
    char *at = writer_begin_member(w, key, len + 2);
    if (!at)
        return;
    at[0] = '"';
    memcpy(at + 1, value, len);
    at[len + 1] = '"';
    writer_end_at(w, at + len + 2, true);
}

static inline void writer_member_string(struct writer *w, const char *key, const char *value)
{
    writer_key(w, key);
    writer_string(w, value);
}

#endif
