/* SPDX-License-Identifier: MIT */
/*
 * Reads the answers that a client hears most: a segment, as create, stat and the like give it, in
 * plain JSON. That takes a tenth of the time of decoding into a tree.
 *
 * It refuses nothing. What is of another kind, has a member or a word that is not known here, or is
 * not JSON at all, is left to the decoder, and what is taken here means the same there.
 */
#ifndef SHMD_PROTOCOL_PLAIN_ANSWER_H
#define SHMD_PROTOCOL_PLAIN_ANSWER_H

#include "protocol/json_slice.h"
#include "protocol/segment_json.h"

enum {
    PLAIN_HOLDERS_MAX = 8,
    PLAIN_TEXTS_MAX = 1024, /* bytes of a segment's name, labels and so on, with a NUL each */
};

struct plain_answer {
    int64_t id;
    struct json_slice result; /* a part of the line */
    bool has_created, created;
    struct wire_segment segment;
    /* What the segment points to. */
    struct labels labels;
    struct wire_holder holders[PLAIN_HOLDERS_MAX];
    char texts[PLAIN_TEXTS_MAX];
};

/* An answer on the heap, to be freed by free(); NULL when LINE is none of that kind, or there is no
 * memory. */
struct plain_answer *plain_answer_read(const char *line, size_t len);

#endif
