/* SPDX-License-Identifier: MIT */
/*
 * What is wrong in the administrator's files: the list that the readers of shmd.conf and segments.d
 * fill, and that the log, a refused reload and --check-config show.
 *
 * The list has at most CONFIG_ERRORS_MAX errors and one more that says that there are others. A
 * reader stops when the list is full.
 */
#ifndef SHMD_CONFIG_ERRORS_H
#define SHMD_CONFIG_ERRORS_H

#include <stdbool.h>
#include <stddef.h>

#include "daemon/util/cleanup.h"
#include "protocol/errors.h"

enum { CONFIG_ERRORS_MAX = 100 };

struct config_errors {
    struct config_error *items; /* owned, and so are their strings */
    size_t count;
    bool out_of_memory; /* an error could not be added */
};

/*
 * Adds an error in LINE of FILE (0: it is in no single line), about KEY (NULL: about no single
 * key). The message is a sentence without a full stop that can be read without the rest. Control
 * characters and what is not UTF-8 become `?`.
 */
void config_errors_add(struct config_errors *errors, const char *file, unsigned line,
                       const char *key, const char *format, ...)
    __attribute__((format(printf, 5, 6)));
bool config_errors_is_full(const struct config_errors *errors);
/* "FILE:LINE: MESSAGE", cut to SIZE. */
void config_error_text(const struct config_error *error, char *ret, size_t size);
/* The list is empty afterwards and can be used again. */
void config_errors_deinit(struct config_errors *errors);

#endif
