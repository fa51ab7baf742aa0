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
    "bytes, or a number with K, M, G, T, P or E, such as 64K (whole numbers; K means KiB)"
#define DURATION_ACCEPTED "a whole number with ms, s, m, h or d, such as 500ms or 10s"
#define MODE_ACCEPTED     "three or four octal digits up to 0777, such as 0640"
#define KEY_ACCEPTED      "a number of 32 bits, such as 0x1234"

/* Bytes; the units are powers of 1024. */
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

/* BYTES for people: 512B, 4K or 1.5G, rounded to one decimal. */
void format_size(uint64_t bytes, char *ret, size_t size);

#endif
