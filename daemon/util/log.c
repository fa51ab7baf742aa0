/* SPDX-License-Identifier: MIT */
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

#include "daemon/util/journal_entry.h"

#define PREFIX "shmd: "

/* A line with its LF has at most 1024 bytes. */
enum { PREFIX_BYTES = sizeof(PREFIX) - 1, LINE_MAX_BYTES = 1024, FIELD_MAX_BYTES = 320 };
/* A pipe takes so much in one piece or not at all. */
enum { HELD_MAX_BYTES = 4096 };
/* Of entries for the journal; some thirty of the usual ones. */
enum { HELD_ENTRIES_BYTES = 16 * 1024 };

const char *const log_level_words[] = {"error", "warning", "notice", "info", "debug", NULL};

/* How a line is written without waiting for a reader: by RWF_NOWAIT, unless that is refused. */
enum way { WAY_NOWAIT, WAY_POLL, WAY_FILE };

/* Who has the other end of standard error. */
enum reader {
    READER_UNKNOWN, /* not looked yet */
    READER_OF_TEXT,
    READER_OF_PRIORITIES, /* of lines that begin with one */
    READER_JOURNAL,
};

/* An entry that is to be sent. Its text, which its bytes have, too, is for the stream. */
struct held_entry {
    enum log_level level;
    const char *text;
    size_t text_len;
};

static struct {
    enum log_level max_level;
    enum reader reader;
    enum way way;               /* for what standard error is */
    uint64_t lost, lost_untold; /* lines */
    int journal;                /* a socket to send to it by; -1: not needed yet */
    bool is_holding;
    uint64_t n_held; /* lines */
    size_t held;     /* bytes of `lines` that they take */
    char lines[HELD_MAX_BYTES];
    size_t n_entries, entry_bytes;
    struct held_entry entries[JOURNAL_ENTRIES_MAX];
    struct iovec sent[JOURNAL_ENTRIES_MAX]; /* the same, within `entries_held` */
    char entries_held[HELD_ENTRIES_BYTES];
} state = {.max_level = LOG_LEVEL_INFO, .journal = -1};

uint64_t log_lost(void)
{
    return state.lost;
}

/* syslog's numbers, which the journal has too: LOG_ERR is 3. */
static int priority(enum log_level level)
{
    return (int)level + 3;
}

/* RWF_NOWAIT is refused: by a file, which nobody reads, by a terminal, or by a kernel that does not
 * know it of pipes. */
static enum way other_way(void)
{
    struct stat st;
    return fstat(STDERR_FILENO, &st) == 0 && S_ISREG(st.st_mode) ? WAY_FILE : WAY_POLL;
}

static bool is_writable(void)
{
    struct pollfd p = {.fd = STDERR_FILENO, .events = POLLOUT};
    return poll(&p, 1, 0) == 1 && (p.revents & POLLOUT);
}

/*
 * Writes whole lines if that can be done at once; whether it was. Standard error may be a pipe or a
 * socket that somebody else reads, or does not. It is shared with other processes, so its flags
 * stay as they are.
 */
static bool write_now(const char *lines, size_t len)
{
    if (state.way == WAY_NOWAIT) {
        struct iovec iov = {(char *)lines, len};
        ssize_t n = pwritev2(STDERR_FILENO, &iov, 1, -1, RWF_NOWAIT);
        if (n >= 0 || errno == EAGAIN)
            return n > 0;
        if (errno == EOPNOTSUPP)
            state.way = other_way();
    }
    /* A pipe that is writable has room for as much as it takes in one piece. */
    return (state.way == WAY_FILE || is_writable()) && write(STDERR_FILENO, lines, len) > 0;
}

/* What was lost before is told first. */
static void write_lines(const char *lines, size_t len, uint64_t n)
{
    if (state.lost_untold > 0) {
        char told[128];
        int told_len =
            snprintf(told, sizeof(told),
                     PREFIX "lines lost because standard error did not take them: %" PRIu64 "\n",
                     state.lost_untold);
        if (write_now(told, (size_t)told_len))
            state.lost_untold = 0;
    }
    if (write_now(lines, len))
        return;
    state.lost += n;
    state.lost_untold += n;
}

static void write_held(void)
{
    if (state.n_held > 0)
        write_lines(state.lines, state.held, state.n_held);
    state.n_held = 0;
    state.held = 0;
}

static void write_line(const char *line, size_t len)
{
    if (!state.is_holding) {
        write_lines(line, len, 1);
        return;
    }
    if (len > sizeof(state.lines) - state.held)
        write_held();
    memcpy(state.lines + state.held, line, len);
    state.held += len;
    state.n_held++;
}

/* With the PREFIX that its reader asks. */
static void write_text(const char *prefix, const char *text, size_t len)
{
    char line[LINE_MAX_BYTES];
    char *end = stpcpy(line, prefix);
    memcpy(end, text, len);
    end[len] = '\n';
    write_line(line, (size_t)(end - line) + len + 1);
}

static void write_with_priority(enum log_level level, const char *text, size_t len)
{
    char prefix[] = "<0>";
    prefix[1] = (char)('0' + priority(level));
    write_text(prefix, text, len);
}

/* What the journal does not take, and what comes behind it, its stream may, which has no fields. */
static void send_entries(void)
{
    const size_t n = state.n_entries;
    if (n == 0)
        return;
    if (state.journal < 0)
        state.journal = journal_entry_socket();
    size_t taken = journal_entries_send(state.sent, n, state.journal, JOURNAL_SOCKET);
    for (size_t i = taken; i < n; i++)
        write_with_priority(state.entries[i].level, state.entries[i].text,
                            state.entries[i].text_len);
    write_held();
    state.n_entries = 0;
    state.entry_bytes = 0;
}

static void keep_entry(const struct journal_entry *entry, enum log_level level, size_t text_at,
                       size_t text_len)
{
    if (state.n_entries == JOURNAL_ENTRIES_MAX ||
        entry->len > sizeof(state.entries_held) - state.entry_bytes)
        send_entries();
    char *bytes = memcpy(state.entries_held + state.entry_bytes, entry->bytes, entry->len);
    state.entries[state.n_entries] = (struct held_entry){level, bytes + text_at, text_len};
    state.sent[state.n_entries++] = (struct iovec){bytes, entry->len};
    state.entry_bytes += entry->len;
}

static void put_entry(enum log_level level, const struct log_field *fields, size_t n_fields,
                      const char *text)
{
    struct journal_entry entry = {.len = 0};
    char name[64], value[FIELD_MAX_BYTES];
    journal_entry_add(&entry, "MESSAGE", text);
    const size_t text_len = strlen(text), text_at = entry.len - text_len - 1;
    snprintf(value, sizeof(value), "%d", priority(level));
    journal_entry_add(&entry, "PRIORITY", value);
    journal_entry_add(&entry, "SYSLOG_IDENTIFIER", "shmd");
    for (size_t i = 0; i < n_fields; i++) {
        snprintf(name, sizeof(name), "SHMD_%s", fields[i].name);
        if (fields[i].string)
            snprintf(value, sizeof(value), "%s", fields[i].string);
        else
            snprintf(value, sizeof(value), "%" PRId64, fields[i].integer);
        journal_entry_add(&entry, name, value);
    }
    keep_entry(&entry, level, text_at, text_len);
    if (!state.is_holding)
        send_entries();
}

void log_hold(void)
{
    state.is_holding = true;
}

void log_release(void)
{
    send_entries();
    write_held();
    state.is_holding = false;
}

void log_set_level(enum log_level level)
{
    send_entries();
    write_held();
    state.max_level = level;
    state.reader = READER_UNKNOWN;
    if (state.journal >= 0)
        close(state.journal);
    state.journal = -1;
    state.way = WAY_NOWAIT;
}

/* As systemd.exec(5) says to find out: standard error is the journal's stream if it is that file.
 */
static enum reader reader_of_stderr(void)
{
    struct stat st;
    uint64_t device, inode;
    const char *stream = getenv("JOURNAL_STREAM");
    if (!stream)
        return READER_OF_TEXT;
    return sscanf(stream, "%" SCNu64 ":%" SCNu64, &device, &inode) == 2 &&
                   fstat(STDERR_FILENO, &st) == 0 && st.st_dev == device && st.st_ino == inode
               ? READER_JOURNAL
               : READER_OF_PRIORITIES;
}

__attribute__((format(printf, 4, 0))) static void put(enum log_level level,
                                                      const struct log_field *fields,
                                                      size_t n_fields, const char *format,
                                                      va_list args)
{
    char text[LINE_MAX_BYTES - PREFIX_BYTES];
    if (level > state.max_level)
        return;
    vsnprintf(text, sizeof(text), format, args);
    if (state.reader == READER_UNKNOWN)
        state.reader = reader_of_stderr();
    if (state.reader == READER_JOURNAL)
        put_entry(level, fields, n_fields, text);
    else if (state.reader == READER_OF_PRIORITIES)
        write_with_priority(level, text, strlen(text));
    else
        write_text(PREFIX, text, strlen(text));
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
