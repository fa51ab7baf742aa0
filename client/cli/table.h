/* SPDX-License-Identifier: MIT */
/*
 * Tables for people and scripts, the same for every command. Each cell is made harmless for a
 * terminal. On a terminal a table is made as narrow as that is: the longest texts are cut, and when
 * that is not enough, columns that nobody asked for are left out, the last first.
 */
#ifndef SHMD_CLIENT_CLI_TABLE_H
#define SHMD_CLIENT_CLI_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define MUST_CHECK __attribute__((warn_unused_result))

struct table_column {
    const char *heading; /* must stay */
    size_t least; /* columns of the terminal that it has at least, also where it is cut; 0: a few */
    bool is_number; /* at the right edge of its column */
    bool may_be_cut;
    int may_be_left_out; /* 0: it stays; else the greatest goes first, and of equal ones the last */
};

struct table_style {
    bool no_headings;
    bool raw;  /* one space between two cells; spaces in a text as \x20; "-" for an empty cell */
    int width; /* columns of the terminal; 0: as wide as it comes */
};

struct table;

/* NULL: out of memory. */
struct table *table_new(const struct table_column *columns, size_t n,
                        struct table_style style) MUST_CHECK;
/* One row, of as many CELLS as there are columns: 0 or -ENOMEM. */
int table_add(struct table *table, const char *const *cells) MUST_CHECK;
size_t table_rows(const struct table *table);
/* Puts the rows in the order of COLUMN (the number of columns: as they came), or the other way
 * round: 0 or -ENOMEM. */
int table_sort(struct table *table, size_t column, bool is_reversed) MUST_CHECK;
/* Has N columns from now on, those of COLUMNS, of which one may come twice: 0 or -ENOMEM. The first
 * N_USUAL may be left out as before, and the others, which somebody asked for, may not. */
int table_choose(struct table *table, const size_t *columns, size_t n, size_t n_usual) MUST_CHECK;
void table_print(struct table *table, FILE *file);
/* NULL is good. */
void table_free(struct table *table);

/* The columns of the terminal that standard output is; 0: it is none. */
int terminal_width(void);

#endif
