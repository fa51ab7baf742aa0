#include "daemon/util/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

const char *const log_level_words[] = {"error", "warning", "notice", "info", "debug", NULL};

static enum log_level max_level = LOG_LEVEL_INFO;

void log_set_level(enum log_level level)
{
    max_level = level;
}

void log_line(enum log_level level, const char *format, ...)
{
    if (level > max_level)
        return;
    char line[1024];
    int len = 0;
    if (getenv("JOURNAL_STREAM"))
        len = snprintf(line, sizeof(line), "<%d>", (int)level + 3); /* syslog's LOG_ERR is 3 */
    else
        len = snprintf(line, sizeof(line), "shmd: ");
    va_list args;
    va_start(args, format);
    int more = vsnprintf(line + len, sizeof(line) - (size_t)len, format, args);
    va_end(args);
    size_t total = (size_t)len + (more > 0 ? (size_t)more : 0);
    if (total > sizeof(line) - 1)
        total = sizeof(line) - 1;
    line[total++] = '\n';
    if (write(STDERR_FILENO, line, total) < 0)
        return; /* there is nowhere else to say it */
}
