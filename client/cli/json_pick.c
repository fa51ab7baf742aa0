/* SPDX-License-Identifier: MIT */
#include "client/cli/json_pick.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

/* "creator.pid" -> "creator" and "pid"; RET_PART is "" for a plain member. */
static void split(const char *member, char ret_whole[32], const char **ret_part)
{
    size_t len = strcspn(member, ".");
    snprintf(ret_whole, 32, "%.*s", (int)len, member);
    *ret_part = member[len] ? member + len + 1 : "";
}

static bool is_part_of(const char *member, const char *whole)
{
    size_t len = strlen(whole);
    return member && strncmp(member, whole, len) == 0 && member[len] == '.';
}

static void write_member(struct writer *w, const char *key, struct json_slice value)
{
    writer_key(w, key);
    writer_value(w, value.text, value.len);
}

/* The object WHOLE with the chosen ones of its members. */
static void pick_parts(struct writer *w, const struct column_choice *choice, const char *whole,
                       struct json_slice object)
{
    writer_key(w, whole);
    writer_object_begin(w);
    for (size_t i = 0; i < choice->n; i++) {
        const char *member = choice->columns[i]->member;
        struct json_slice value;
        if (is_part_of(member, whole) &&
            json_slice_member(object, member + strlen(whole) + 1, &value))
            write_member(w, member + strlen(whole) + 1, value);
    }
    writer_object_end(w);
}

static void write_found_out(struct writer *w, const struct column *column,
                            const struct shmd_segment *segment)
{
    struct column_text text = {.bytes = true};
    char key[32];
    size_t len = 0;
    if (!*column_print(column, segment, &text))
        return;
    for (; column->name[len] && len + 1 < sizeof(key); len++)
        key[len] = (char)tolower((unsigned char)column->name[len]);
    key[len] = '\0';
    writer_key(w, key);
    writer_string(w, text.buffer);
}

/* Whether column I of CHOICE brings nothing that an earlier one has not. */
static bool is_done(const struct column_choice *choice, size_t i, const char *whole)
{
    for (size_t before = 0; before < i; before++) {
        const struct column *other = choice->columns[before];
        if (other == choice->columns[i] || is_part_of(other->member, whole))
            return true;
    }
    return false;
}

void json_pick(struct writer *w, const struct column_choice *choice, struct json_slice text,
               const struct shmd_segment *segment)
{
    writer_object_begin(w);
    for (size_t i = 0; i < choice->n; i++) {
        const struct column *column = choice->columns[i];
        char whole[32] = "";
        const char *part = "";
        struct json_slice value;
        if (column->member)
            split(column->member, whole, &part);
        if (is_done(choice, i, *part ? whole : "."))
            continue;
        if (!column->member)
            write_found_out(w, column, segment);
        else if (!json_slice_member(text, whole, &value))
            continue;
        else if (*part)
            pick_parts(w, choice, whole, value);
        else
            write_member(w, whole, value);
    }
    writer_object_end(w);
}

void json_pick_result(struct writer *w, const struct column_choice *choice,
                      struct json_slice result, const struct shmd_segment *segment)
{
    struct json_walk walk = json_walk_begin(result);
    struct json_slice key, value;
    writer_object_begin(w);
    while (json_walk_next(&walk, &key, &value)) {
        char word[32]; /* the daemon's are shorter */
        snprintf(word, sizeof(word), "%.*s", (int)key.len, key.text);
        if (strcmp(word, "segment") != 0) {
            write_member(w, word, value);
            continue;
        }
        writer_key(w, word);
        json_pick(w, choice, value, segment);
    }
    writer_object_end(w);
}
