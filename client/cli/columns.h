/* SPDX-License-Identifier: MIT */
/*
 * What there is to say about a segment: the columns of tables, the lines of `stat`, the members
 * that
 * --json --output picks, and what --sort compares. A new one is a row of the table in columns.c.
 */
#ifndef SHMD_CLIENT_CLI_COLUMNS_H
#define SHMD_CLIENT_CLI_COLUMNS_H

#include "client/cli/cli.h"
#include "protocol/limits.h"

/* The longest is LABELS: all pairs with = and a space. */
enum { COLUMN_TEXT_MAX = SEGMENT_LABELS_MAX * (LABEL_KEY_MAX + LABEL_VALUE_MAX + 2) + 1 };

struct column_text {
    char buffer[COLUMN_TEXT_MAX];
    bool bytes; /* sizes as bytes */
    enum time_format times;
};

enum column_kind {
    COLUMN_TEXT,   /* may be cut where a terminal is narrow */
    COLUMN_WORD,   /* short, and a part of it would say nothing */
    COLUMN_NUMBER, /* a whole number, or a size */
    COLUMN_TIME,
};

struct column {
    const char *name;
    const char *alias; /* as lsipc calls it; NULL: the same, or it has no such column */
    enum column_kind kind;
    const char *help;
    /* The member of the daemon's segment object, "creator.pid" for one of an object in it. NULL: it
     * is found out here, and its member is its name in small letters. */
    const char *member;
    /* Into the buffer, which is empty before; what there is not stays empty. */
    void (*print)(const struct shmd_segment *segment, struct column_text *text);
};

extern const struct column columns[];
extern const size_t columns_count;

enum { COLUMNS_MAX = 64 };

struct column_choice {
    const struct column *columns[COLUMNS_MAX];
    size_t n;
    size_t n_by_default; /* the first of them are the default ones */
};

/* What SPEC asks for, "A,B" or, besides the default columns, "+A,B"; NULL: the default columns. 0
 * or EXIT_USAGE: it was told which there are. */
int columns_choose(const char *spec, struct column_choice *ret) MUST_CHECK;
/* One column. */
int column_find(const char *name, const struct column **ret) MUST_CHECK;

/* The text of COLUMN for SEGMENT, which stays in TEXT. */
const char *column_print(const struct column *column, const struct shmd_segment *segment,
                         struct column_text *text);

/* A line for each column, on standard output. */
void columns_list(void);

#endif
