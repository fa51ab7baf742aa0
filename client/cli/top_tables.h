/* SPDX-License-Identifier: MIT */
/*
 * The tables of top: which columns each has and what stands in them, for the screen and for --once.
 */
#ifndef SHMD_CLIENT_CLI_TOP_TABLES_H
#define SHMD_CLIENT_CLI_TOP_TABLES_H

#include <stdio.h>

#include "client/cli/table.h"
#include "client/cli/top_model.h"
#include "client/cli/top_view.h"

struct top_table_style {
    struct table_style table;
    bool bytes;  /* sizes as bytes */
    int columns; /* of what it is made for, so that its columns do not jump; 0: it is printed once
                  */
};

/* Prints the rows FIRST to FIRST + N - 1 of ROWS, with headings. 0 or -ENOMEM. */
int top_table_print(const struct top_model *m, enum top_panel panel, const struct top_rows *rows,
                    size_t first, size_t n, const struct top_table_style *style,
                    FILE *out) MUST_CHECK;

enum { TOP_TEXT_SIZE = 96 };

/* "1.5G of 8G", "12", or, as BYTES wants it, "1610612736 of 8589934592". */
void top_amount(uint64_t used, uint64_t max, bool is_bytes, bool bytes, char ret[TOP_TEXT_SIZE]);
/* "[#####     ]", which takes WIDTH columns, at least 3 and less than TOP_TEXT_SIZE. */
void top_bar(uint64_t used, uint64_t max, size_t width, char ret[TOP_TEXT_SIZE]);
/* Of MAX, in percent; 0 where that is no limit. */
unsigned top_percent(uint64_t used, uint64_t max);

#endif
