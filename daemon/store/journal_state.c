/* SPDX-License-Identifier: MIT */
#include "daemon/store/journal_state.h"

#include <stdarg.h>
#include <stdio.h>

void journal_say(const struct journal_options *options, enum log_level level, const char *format,
                 ...)
{
    char sentence[800];
    va_list args;
    va_start(args, format);
    vsnprintf(sentence, sizeof(sentence), format, args);
    va_end(args);
    options->log(options->log_context, level, sentence);
}

int journal_fail(struct journal *j, int error, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(j->reason, sizeof(j->reason), format, args);
    va_end(args);
    return error;
}
