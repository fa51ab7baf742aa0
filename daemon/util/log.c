#include <config.h>

#include "daemon/util/log.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#ifdef HAVE_LIBSYSTEMD
#define SD_JOURNAL_SUPPRESS_LOCATION /* where in the source says nothing to an administrator */
#include <systemd/sd-journal.h>
#endif

#define PREFIX "shmd: "

/* A line with its LF has at most 1024 bytes. */
enum { PREFIX_BYTES = sizeof(PREFIX) - 1, LINE_MAX_BYTES = 1024, FIELD_MAX_BYTES = 320 };

const char *const log_level_words[] = {"error", "warning", "notice", "info", "debug", NULL};

static struct {
    enum log_level max_level;
    uint64_t lost, lost_untold; /* lines */
} state = {.max_level = LOG_LEVEL_INFO};

void log_set_level(enum log_level level)
{
    state.max_level = level;
}

uint64_t log_lost(void)
{
    return state.lost;
}

/* syslog's numbers, which the journal has too: LOG_ERR is 3. */
static int priority(enum log_level level)
{
    return (int)level + 3;
}

#ifdef HAVE_LIBSYSTEMD
/* Whether standard error is the journal's STREAM, as systemd.exec(5) says to find out. */
static bool is_on_journal(const char *stream)
{
    struct stat st;
    uint64_t device, inode;
    return sscanf(stream, "%" SCNu64 ":%" SCNu64, &device, &inode) == 2 &&
           fstat(STDERR_FILENO, &st) == 0 && st.st_dev == device && st.st_ino == inode;
}

static bool send_to_journal(const char *stream, enum log_level level,
                            const struct log_field *fields, size_t n_fields, const char *text)
{
    char values[LOG_FIELDS_MAX + 2][FIELD_MAX_BYTES];
    char message[LINE_MAX_BYTES + sizeof("MESSAGE=")];
    struct iovec iov[LOG_FIELDS_MAX + 3];
    size_t n = 0;
    if (!is_on_journal(stream))
        return false;
    iov[n].iov_base = message;
    iov[n++].iov_len = (size_t)snprintf(message, sizeof(message), "MESSAGE=%s", text);
    snprintf(values[0], FIELD_MAX_BYTES, "PRIORITY=%d", priority(level));
    snprintf(values[1], FIELD_MAX_BYTES, "SYSLOG_IDENTIFIER=shmd");
    for (size_t i = 0; i < n_fields && i < LOG_FIELDS_MAX; i++) {
        if (fields[i].string)
            snprintf(values[i + 2], FIELD_MAX_BYTES, "SHMD_%s=%s", fields[i].name,
                     fields[i].string);
        else
            snprintf(values[i + 2], FIELD_MAX_BYTES, "SHMD_%s=%" PRId64, fields[i].name,
                     fields[i].integer);
    }
    for (size_t i = 0; i < n_fields + 2; i++) {
        iov[n].iov_base = values[i];
        iov[n++].iov_len = strlen(values[i]);
    }
    return sd_journal_sendv(iov, (int)n) == 0;
}
#else
static bool send_to_journal(const char *stream, enum log_level level,
                            const struct log_field *fields, size_t n_fields, const char *text)
{
    (void)stream;
    (void)level;
    (void)fields;
    (void)n_fields;
    (void)text;
    return false;
}
#endif

/*
 * Writes a line if that can be done at once; whether it was. Standard error may be a pipe or a
 * socket that somebody else reads, or does not. It is shared with other processes, so its flags
 * stay as they are.
 */
static bool write_now(const char *line, size_t len)
{
    struct iovec iov = {(char *)line, len};
    ssize_t n = pwritev2(STDERR_FILENO, &iov, 1, -1, RWF_NOWAIT);
    if (n < 0 && errno != EAGAIN) {
        /* A file, a terminal, or a kernel that does not know it of pipes: a pipe that is writable
         * has room for a whole line. */
        struct pollfd p = {.fd = STDERR_FILENO, .events = POLLOUT};
        if (poll(&p, 1, 0) == 1 && (p.revents & POLLOUT))
            n = write(STDERR_FILENO, line, len);
    }
    return n > 0;
}

/* What was lost before is told first. */
static void write_line(const char *line, size_t len)
{
    if (state.lost_untold > 0) {
        char told[128];
        int n = snprintf(told, sizeof(told),
                         PREFIX "lines lost because standard error took none: %" PRIu64 "\n",
                         state.lost_untold);
        if (write_now(told, (size_t)n))
            state.lost_untold = 0;
    }
    if (write_now(line, len))
        return;
    state.lost++;
    state.lost_untold++;
}

__attribute__((format(printf, 4, 0))) static void put(enum log_level level,
                                                      const struct log_field *fields,
                                                      size_t n_fields, const char *format,
                                                      va_list args)
{
    char line[LINE_MAX_BYTES], *text = line + PREFIX_BYTES;
    if (level > state.max_level)
        return;
    vsnprintf(text, LINE_MAX_BYTES - PREFIX_BYTES, format, args);
    const char *stream = getenv("JOURNAL_STREAM");
    if (stream && send_to_journal(stream, level, fields, n_fields, text))
        return;
    char prefix[] = PREFIX;
    size_t len = PREFIX_BYTES;
    if (stream)
        len = (size_t)snprintf(prefix, sizeof(prefix), "<%d>", priority(level));
    char *start = memcpy(text - len, prefix, len), *end = text + strlen(text);
    *end++ = '\n';
    write_line(start, (size_t)(end - start));
}

void log_line(enum log_level level, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    put(level, NULL, 0, format, args);
    va_end(args);
}

void log_entry(enum log_level level, const struct log_field *fields, size_t n_fields,
               const char *format, ...)
{
    va_list args;
    va_start(args, format);
    put(level, fields, n_fields, format, args);
    va_end(args);
}
