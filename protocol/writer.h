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

/* Gives the memory of an empty writer back; it goes on where it was. */
void writer_free_buffer(struct writer *w);

struct writer_mark writer_mark(const struct writer *w);
/* Back to MARK; clears `failed`. */
void writer_rewind(struct writer *w, struct writer_mark mark);

void writer_object_begin(struct writer *w);
void writer_object_end(struct writer *w);
void writer_array_begin(struct writer *w);
void writer_array_end(struct writer *w);
/* KEY is one of ours: it is not escaped. */
void writer_key_n(struct writer *w, const char *key, size_t len);
/* Here, so that the length of a literal is known when it is compiled. */
static inline void writer_key(struct writer *w, const char *key)
{
    writer_key_n(w, key, strlen(key));
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
/* Bytes as they are, outside of any comma's reckoning (a line's end, for one). */
void writer_bytes(struct writer *w, const char *bytes, size_t len);
/* Starts a new top-level value: no comma. */
void writer_restart(struct writer *w);

#endif
