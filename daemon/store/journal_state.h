/* SPDX-License-Identifier: MIT */
/* A journal that is open, as its files share it. */
#ifndef SHMD_STORE_JOURNAL_STATE_H
#define SHMD_STORE_JOURNAL_STATE_H

#include "daemon/store/contents.h"
#include "daemon/store/encoding.h"
#include "daemon/store/journal.h"
#include "daemon/store/journal_file.h"
#include "daemon/store/journal_live.h"

#define JOURNAL_NAME     "state.journal"
#define JOURNAL_NEW_NAME "state.journal.new"

/* The file that is to take the journal's place. */
struct journal_rewrite {
    bool is_active;
    struct journal_file file;
    uint64_t copied_to;          /* the serial of the last segment that was copied */
    struct record_buffer buffer; /* to be added to the file */
    int64_t retry_at_us;         /* not before, after a failure */
    int64_t delay_us;
};

struct journal {
    struct journal_options options;
    struct store_source source; /* what lives; next NULL: not known yet */
    struct journal_file file;   /* the one in force */
    struct journal_live live;
    struct store_counters counters;
    struct store_daemon daemons[STORE_DAEMONS_KEPT];
    size_t n_daemons;
    bool intent_is_ours;         /* an open intent was not found at the start */
    struct record_buffer buffer; /* a change */
    struct journal_rewrite rewrite;
    bool is_out_of_place; /* the directory that is entered, if one is, may not be the file's */
    bool has_contents;    /* what was read, until load() takes it */
    struct store_contents contents;
    char reason[300];
};

/* Says a sentence in the log. */
void journal_say(const struct journal_options *options, enum log_level level, const char *format,
                 ...) __attribute__((format(printf, 3, 4)));

/* Keeps the reason of a failure; returns ERROR. */
int journal_fail(struct journal *j, int error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
