/* SPDX-License-Identifier: MIT */
/*
 * What people type -> numbers: sizes, durations, modes, ids, keys, users. Each returns 0, or
 * -EINVAL and leaves its output alone; the caller says what would have been right. A size or a
 * duration that no number holds is -ERANGE.
 */
#ifndef SHMD_CLIENT_CLI_PARSE_H
#define SHMD_CLIENT_CLI_PARSE_H

#include <stddef.h>
#include <stdint.h>

#define MUST_CHECK __attribute__((warn_unused_result))

#define SIZE_ACCEPTED                                                                              \
    "bytes, or a number with K, M, G, T, P or E, such as 64K, 1.5M or 4KiB (K means KiB), or "     \
    "0x1000"
#define DURATION_ACCEPTED "numbers with d, h, m, s or ms, such as 500ms, 10s or 1h30m"
#define MODE_ACCEPTED     "three or four octal digits up to 0777, such as 0640"
#define KEY_ACCEPTED      "a number of 32 bits, such as 0x1234"

/* Bytes; the units are powers of 1024. A part of a byte counts as one. */
int parse_size(const char *text, uint64_t *ret) MUST_CHECK;
/* Milliseconds. */
int parse_duration(const char *text, int64_t *ret_ms) MUST_CHECK;
int parse_mode(const char *text, uint32_t *ret) MUST_CHECK;
/* Decimal, MIN to MAX. */
int parse_number(const char *text, uint64_t min, uint64_t max, uint64_t *ret) MUST_CHECK;
/* Decimal or 0x; -2^31 to 2^32-1. */
int parse_key(const char *text, uint32_t *ret) MUST_CHECK;
/* A user's or a group's name, or its number; what begins with a digit is never a name. */
int parse_user(const char *text, uint32_t *ret) MUST_CHECK;
int parse_group(const char *text, uint32_t *ret) MUST_CHECK;

#endif
