/* SPDX-License-Identifier: MIT */
/*
 * Numbers -> what people read: sizes, times, durations, users and groups. Each prints into RET,
 * which has SIZE bytes.
 */
#ifndef SHMD_CLIENT_CLI_FORMAT_H
#define SHMD_CLIENT_CLI_FORMAT_H

#include <stddef.h>
#include <stdint.h>

enum time_format {
    TIME_ISO,   /* 2026-11-28T09:15:42.123+0100 */
    TIME_SHORT, /* 09:15 today, Nov28, 2025-Nov28 */
    TIME_FULL,  /* Sat Nov 28 09:15:42 2026 */
    TIME_UNIX,  /* milliseconds, as JSON has them */
    TIME_FORMATS,
};

/* The word of FORMAT on the command line. */
const char *time_format_word(enum time_format format);

/* BYTES: 512B, 4K or 1.5G, rounded to one decimal. */
void format_size(uint64_t bytes, char *ret, size_t size);
/* Unix milliseconds as local time; "" for 0. */
void format_time(enum time_format format, int64_t at_ms, char *ret, size_t size);
/* Milliseconds as --timeout takes them: 500ms, 1s, 1h30m; 0 for none. */
void format_duration(int64_t ms, char *ret, size_t size);
/* In the largest unit of which there is one, as --older-than takes it: 42s, 5m, 3h, 2d. */
void format_age(int64_t seconds, char *ret, size_t size);
/* The name, or the number of one that has none. */
void format_user(uint32_t uid, char *ret, size_t size);
void format_group(uint32_t gid, char *ret, size_t size);

#endif
