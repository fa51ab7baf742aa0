/* SPDX-License-Identifier: MIT */
/*
 * Whether a text is JSON (RFC 8259, in strict UTF-8), without decoding it and without recursion;
 * and what is in it: how much memory its tree will take, and what is JSON but more than the
 * protocol allows.
 */
#ifndef SHMD_PROTOCOL_JSON_CHECK_H
#define SHMD_PROTOCOL_JSON_CHECK_H

#include <stdbool.h>
#include <stddef.h>

/* Of a text that is JSON. Strings are counted by the bytes between their quotes, as written. */
struct json_facts {
    size_t objects, arrays, numbers;
    size_t strings;  /* keys among them */
    size_t members;  /* of all objects */
    size_t elements; /* of all arrays */
    size_t string_bytes;
    size_t longest_token; /* the longest string or number */
    bool has_beyond_int64;
    bool is_deep;   /* more brackets open at once than JSON_DEPTH_MAX */
    size_t deep_at; /* the byte where the first such stands */
    bool has_nul;   /* U+0000, written as an escape */
    size_t nul_at;
};

struct json_fault {
    const char *what; /* in words, static */
    size_t at;        /* the byte, from 0 */
};

/* 0; -EBADMSG with what is wrong; -ENOMEM, which only very deep texts can meet. */
int json_check(const char *text, size_t len, struct json_facts *ret_facts,
               struct json_fault *ret_fault) __attribute__((warn_unused_result));

#endif
