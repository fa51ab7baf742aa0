/* SPDX-License-Identifier: MIT */
#include "client/cli/table.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "client/cli/plain_text.h"

enum { GAP = 1, NARROWEST = 6 /* of a text that is cut */ };

struct layout {
    struct table_column column;
    size_t width;
    bool is_left_out;
};

struct table {
    struct table_style style;
    struct layout *layout; /* owned, one for each column */
    size_t n_columns;
    char **cells; /* owned: texts, row after row */
    size_t n_cells, capacity;
};

int terminal_width(void)
{
    struct winsize size;
    if (!isatty(STDOUT_FILENO) || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0)
        return 0;
    return size.ws_col;
}

struct table *table_new(const struct table_column *columns, size_t n, struct table_style style)
{
    struct table *table = calloc(1, sizeof(*table));
    if (!table)
        return NULL;
    table->style = style;
    table->n_columns = n;
    table->layout = calloc(n, sizeof(*table->layout));
    if (!table->layout) {
        free(table);
        return NULL;
    }
    for (size_t i = 0; i < n; i++)
        table->layout[i].column = columns[i];
    return table;
}

void table_free(struct table *table)
{
    if (!table)
        return;
    for (size_t i = 0; i < table->n_cells; i++)
        free(table->cells[i]);
    free(table->cells);
    free(table->layout);
    free(table);
}

static int make_room(struct table *table)
{
    if (table->n_cells + table->n_columns <= table->capacity)
        return 0;
    size_t capacity = (table->capacity + table->n_columns) * 2;
    char **more = reallocarray(table->cells, capacity, sizeof(*more));
    if (!more)
        return -ENOMEM;
    table->cells = more;
    table->capacity = capacity;
    return 0;
}

int table_add(struct table *table, const char *const *cells)
{
    int r = make_room(table);
    for (size_t i = 0; r == 0 && i < table->n_columns; i++) {
        size_t room = strlen(cells[i]) * PLAIN_TEXT_GROWTH + 1;
        char *cell = malloc(room);
        if (!cell) {
            /* No half rows. */
            while (i-- > 0)
                free(table->cells[--table->n_cells]);
            return -ENOMEM;
        }
        plain_text(cells[i], cell, room);
        table->cells[table->n_cells++] = cell;
    }
    return r;
}

size_t table_rows(const struct table *table)
{
    return table->n_cells / table->n_columns;
}

/* --- which, and in which order */

struct by_column {
    const struct table *table;
    size_t column;
    int sign;
};

static int compare_numbers(const char *a, const char *b)
{
    long long x = strtoll(a, NULL, 10), y = strtoll(b, NULL, 10);
    return (x > y) - (x < y);
}

/* Of numbers of rows. Rows that are the same stay as they came. */
static int compare_rows(const void *a, const void *b, void *context)
{
    const struct by_column *by = context;
    const struct table *table = by->table;
    const size_t x = *(const size_t *)a, y = *(const size_t *)b;
    int difference = 0;
    if (by->column < table->n_columns) {
        const char *one = table->cells[x * table->n_columns + by->column];
        const char *other = table->cells[y * table->n_columns + by->column];
        difference = table->layout[by->column].column.is_number ? compare_numbers(one, other)
                                                                : strcmp(one, other);
    }
    if (difference == 0)
        difference = (x > y) - (x < y);
    return difference * by->sign;
}

int table_sort(struct table *table, size_t column, bool is_reversed)
{
    const size_t n = table_rows(table), width = table->n_columns;
    size_t *rows = calloc(n + 1, sizeof(*rows));
    char **sorted = calloc(table->n_cells + 1, sizeof(*sorted));
    if (!rows || !sorted) {
        free(rows);
        free(sorted);
        return -ENOMEM;
    }
    for (size_t i = 0; i < n; i++)
        rows[i] = i;
    struct by_column by = {table, column, is_reversed ? -1 : 1};
    qsort_r(rows, n, sizeof(*rows), compare_rows, &by);
    for (size_t i = 0; i < n; i++)
        memcpy(&sorted[i * width], &table->cells[rows[i] * width], width * sizeof(*sorted));
    free(rows);
    free(table->cells);
    table->cells = sorted;
    table->capacity = table->n_cells + 1;
    return 0;
}

int table_choose(struct table *table, const size_t *columns, size_t n, size_t n_usual)
{
    struct table *chosen = table_new(&table->layout[0].column, 1, table->style);
    struct layout *layout = calloc(n, sizeof(*layout));
    const char **row = calloc(n, sizeof(*row));
    int r = chosen && layout && row ? 0 : -ENOMEM;
    if (r == 0) {
        free(chosen->layout);
        chosen->layout = layout;
        chosen->n_columns = n;
        layout = NULL;
    }
    for (size_t i = 0; r == 0 && i < n; i++) {
        chosen->layout[i] = table->layout[columns[i]];
        if (i >= n_usual)
            chosen->layout[i].column.may_be_left_out = 0;
    }
    for (size_t i = 0; r == 0 && i < table->n_cells; i += table->n_columns) {
        for (size_t j = 0; j < n; j++)
            row[j] = table->cells[i + columns[j]];
        r = table_add(chosen, row);
    }
    if (r == 0) {
        const struct table before = *table;
        *table = *chosen;
        *chosen = before;
    }
    table_free(chosen);
    free(layout);
    free(row);
    return r;
}

/* --- how wide */

static void measure(struct table *table)
{
    for (size_t i = 0; i < table->n_columns; i++) {
        struct layout *layout = &table->layout[i];
        layout->width = table->style.no_headings ? 0 : strlen(layout->column.heading);
        if (layout->width < layout->column.least)
            layout->width = layout->column.least;
    }
    for (size_t i = 0, column = 0; i < table->n_cells; i++) {
        struct layout *layout = &table->layout[column];
        column = column + 1 < table->n_columns ? column + 1 : 0;
        size_t width = plain_text_width(table->cells[i]);
        if (width > layout->width)
            layout->width = width;
    }
}

static size_t width_of(const struct table *table)
{
    size_t width = 0;
    for (size_t i = 0; i < table->n_columns; i++)
        if (!table->layout[i].is_left_out)
            width += table->layout[i].width + GAP;
    return width > 0 ? width - GAP : 0;
}

/* The widest column that may be cut; NULL: there is none. */
static struct layout *widest(const struct table *table)
{
    struct layout *found = NULL;
    for (size_t i = 0; i < table->n_columns; i++) {
        struct layout *layout = &table->layout[i];
        size_t least = layout->column.least ? layout->column.least : NARROWEST;
        if (layout->column.may_be_cut && !layout->is_left_out && layout->width > least &&
            (!found || layout->width > found->width))
            found = layout;
    }
    return found;
}

static bool leave_one_out(struct table *table)
{
    struct layout *found = NULL;
    for (size_t i = table->n_columns; i-- > 1;) {
        struct layout *layout = &table->layout[i];
        int rank = layout->is_left_out ? 0 : layout->column.may_be_left_out;
        if (rank > (found ? found->column.may_be_left_out : 0))
            found = layout;
    }
    if (found)
        found->is_left_out = true;
    return found;
}

/* Lets the table overflow only where nothing more can be done. */
static void fit(struct table *table)
{
    size_t wanted = (size_t)table->style.width;
    while (width_of(table) > wanted) {
        struct layout *layout = widest(table);
        if (layout)
            layout->width--;
        else if (leave_one_out(table))
            measure(table); /* perhaps there is room for the texts again */
        else
            return;
    }
}

/* --- printing */

static void print_spaces(FILE *file, size_t n)
{
    fprintf(file, "%*s", (int)n, "");
}

static void print_cell(FILE *file, const struct layout *layout, const char *text, bool is_last)
{
    size_t width = plain_text_width(text);
    if (width > layout->width) {
        /* The sign says that something is missing. Half of a wide character does not count. */
        size_t used, bytes = plain_text_cut(text, layout->width - 1, &used);
        fprintf(file, "%.*s~", (int)bytes, text);
        print_spaces(file, layout->width - 1 - used);
        return;
    }
    if (layout->column.is_number)
        print_spaces(file, layout->width - width);
    fputs(text, file);
    if (!layout->column.is_number && !is_last)
        print_spaces(file, layout->width - width);
}

static void print_row(const struct table *table, FILE *file, const char *const *cells)
{
    size_t last = table->n_columns - 1;
    const char *gap = "";
    while (last > 0 && (table->layout[last].is_left_out || !*cells[last]))
        last--;
    for (size_t i = 0; i <= last; i++) {
        if (table->layout[i].is_left_out)
            continue;
        fputs(gap, file);
        print_cell(file, &table->layout[i], cells[i], i == last);
        gap = " ";
    }
    fputc('\n', file);
}

static void print_raw_row(const struct table *table, FILE *file, const char *const *cells)
{
    for (size_t i = 0; i < table->n_columns; i++) {
        if (i > 0)
            fputc(' ', file);
        if (!*cells[i])
            fputc('-', file);
        for (const char *at = cells[i]; *at; at++)
            fputs(*at == ' ' ? "\\x20" : (const char[]){*at, '\0'}, file);
    }
    fputc('\n', file);
}

static void print_headings(const struct table *table, FILE *file,
                           void (*print)(const struct table *, FILE *, const char *const *))
{
    const char **headings = calloc(table->n_columns, sizeof(*headings));
    if (!headings)
        return;
    for (size_t i = 0; i < table->n_columns; i++)
        headings[i] = table->layout[i].column.heading;
    print(table, file, headings);
    free(headings);
}

void table_print(struct table *table, FILE *file)
{
    void (*print)(const struct table *, FILE *, const char *const *) =
        table->style.raw ? print_raw_row : print_row;
    /* One column alone goes into a script's variable: without spaces before it. */
    if (table->n_columns == 1)
        table->layout[0].column.is_number = false;
    measure(table);
    if (table->style.width > 0 && !table->style.raw)
        fit(table);
    if (!table->style.no_headings)
        print_headings(table, file, print);
    for (size_t i = 0; i < table->n_cells; i += table->n_columns)
        print(table, file, (const char *const *)table->cells + i);
}
