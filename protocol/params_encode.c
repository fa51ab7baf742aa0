/* SPDX-License-Identifier: MIT */
/*
 * Parameters -> JSON, by the same table that decodes them: what one side writes the other reads.
 * A value that has no spelling (a word's index past its list) is written as a number, so that the
 * daemon refuses it by the parameter's name instead of taking it for something else.
 */
#include "protocol/params.h"

#include <stdio.h>

#include "protocol/writer.h"

static size_t words_count(const char *const *words)
{
    size_t n = 0;
    while (words[n])
        n++;
    return n;
}

static void encode_word(struct writer *w, const char *const *words, int64_t index)
{
    if (index >= 0 && (uint64_t)index < words_count(words))
        writer_string(w, words[index]);
    else
        writer_int(w, index);
}

static void encode_words(struct writer *w, const char *const *words, int64_t bits)
{
    writer_array_begin(w);
    for (int i = 0; i < 63; i++)
        if (bits & (INT64_C(1) << i))
            encode_word(w, words, i);
    writer_array_end(w);
}

static void encode_mode(struct writer *w, int64_t mode)
{
    char text[32];
    int len = snprintf(text, sizeof(text), "%04llo", (unsigned long long)mode);
    writer_string_n(w, text, (size_t)len);
}

static void encode_labels(struct writer *w, const struct labels *labels)
{
    writer_object_begin(w);
    for (size_t i = 0; i < labels->count; i++) {
        /* A key is the user's, so writer_key(), which does not escape, will not do. */
        writer_string(w, labels->items[i].key);
        writer_bytes(w, ":", 1);
        w->comma = false;
        writer_string(w, labels->items[i].value);
    }
    writer_object_end(w);
}

static bool is_given(const struct field *field, const void *from)
{
    switch (field->type) {
    case FIELD_INT:
    case FIELD_WORD:
    case FIELD_WORDS:
    case FIELD_MODE: return ((const struct opt_int *)from)->given;
    case FIELD_BOOL: return ((const struct opt_bool *)from)->given;
    case FIELD_NAME:
    case FIELD_PREFIX:
    case FIELD_CURSOR: return *(const char *const *)from != NULL;
    case FIELD_LABELS: return ((const struct labels *)from)->given;
    }
    return false;
}

static void encode_field(struct writer *w, const struct field *field, const void *from)
{
    const struct opt_int *integer = from;
    writer_key(w, field->name);
    switch (field->type) {
    case FIELD_INT: writer_int(w, integer->value); return;
    case FIELD_BOOL: writer_bool(w, ((const struct opt_bool *)from)->value); return;
    case FIELD_WORD: encode_word(w, field->words, integer->value); return;
    case FIELD_WORDS: encode_words(w, field->words, integer->value); return;
    case FIELD_MODE: encode_mode(w, integer->value); return;
    case FIELD_NAME:
    case FIELD_PREFIX:
    case FIELD_CURSOR: writer_string(w, *(const char *const *)from); return;
    case FIELD_LABELS: encode_labels(w, from); return;
    }
}

void params_encode(struct writer *w, enum method method, const union params *params)
{
    const struct field_table *table = params_table(method);
    writer_object_begin(w);
    for (size_t i = 0; i < table->count; i++) {
        const struct field *field = &table->fields[i];
        const void *from = (const char *)params + field->offset;
        if (is_given(field, from))
            encode_field(w, field, from);
    }
    writer_object_end(w);
}
