/* SPDX-License-Identifier: MIT */
/*
 * The log: lines on standard error, whole ones in each write. Where standard error is the journal,
 * entries go to it directly, with fields that can be searched for (SHMD_NAME=frames); under another
 * reader of the kind a line carries the priority prefix. A line never waits: what standard error
 * does not take at once is lost, and counted. Its state is the only mutable global of the daemon.
 */
#ifndef SHMD_UTIL_LOG_H
#define SHMD_UTIL_LOG_H

#include <stddef.h>
#include <stdint.h>

enum log_level {
    LOG_LEVEL_ERROR,
    LOG_LEVEL_WARNING,
    LOG_LEVEL_NOTICE,
    LOG_LEVEL_INFO,
    LOG_LEVEL_DEBUG
};

/* "error", "warning", "notice", "info", "debug"; NULL-terminated. */
extern const char *const log_level_words[];

/* A field of an entry in the journal, which the text does not show. */
struct log_field {
    const char *name;   /* "SHMD_" is put before it */
    const char *string; /* NULL: the integer counts */
    int64_t integer;
};

#define LOG_FIELDS_MAX 12

/* Also looks anew what standard error is. */
void log_set_level(enum log_level level);
/* Until log_release() lines and entries are kept, and leave in as few calls as they fit into. A
 * process that is killed in between has not written them. */
void log_hold(void);
void log_release(void);
/* Lines that were lost because standard error took none. */
uint64_t log_lost(void);
void log_line(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The same with at most LOG_FIELDS_MAX fields. */
void log_entry(enum log_level level, const struct log_field *fields, size_t n_fields,
               const char *format, ...) __attribute__((format(printf, 4, 5)));

#define log_error(...)   log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_notice(...)  log_line(LOG_LEVEL_NOTICE, __VA_ARGS__)
#define log_info(...)    log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)   log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
