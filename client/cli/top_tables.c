/* SPDX-License-Identifier: MIT */
#include "client/cli/top_tables.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>

#include "client/cli/format.h"

enum { COLUMNS_MOST = 12, NARROW = 60 /* columns of a terminal */, WIDE = 120 };

/* --- texts */

static void put_size(uint64_t bytes, bool as_bytes, char *ret, size_t size)
{
    if (as_bytes)
        snprintf(ret, size, "%" PRIu64, bytes);
    else
        format_size(bytes, ret, size);
}

void top_amount(uint64_t used, uint64_t max, bool is_bytes, bool bytes, char ret[TOP_TEXT_SIZE])
{
    char have[32], most[32];
    put_size(used, bytes || !is_bytes, have, sizeof(have));
    put_size(max, bytes || !is_bytes, most, sizeof(most));
    if (max == UINT64_MAX)
        snprintf(ret, TOP_TEXT_SIZE, "%s", have);
    else
        snprintf(ret, TOP_TEXT_SIZE, "%s of %s", have, most);
}

unsigned top_percent(uint64_t used, uint64_t max)
{
    if (max == UINT64_MAX)
        return 0;
    if (max == 0)
        return used > 0 ? 100 : 0;
    double full = (double)used * 100 / (double)max;
    return full < UINT_MAX ? (unsigned)full : UINT_MAX;
}

void top_bar(uint64_t used, uint64_t max, size_t width, char ret[TOP_TEXT_SIZE])
{
    const size_t inside = width - 2;
    /* What is not nothing is seen, and what is not full is seen not to be. */
    const unsigned full = top_percent(used, max);
    size_t filled = full < 100 ? inside * full / 100 : inside;
    if (filled == 0 && used > 0 && max != UINT64_MAX)
        filled = 1;
    memset(ret, '#', width);
    memset(ret + 1 + filled, ' ', inside - filled);
    ret[0] = '[';
    ret[width - 1] = ']';
    ret[width] = '\0';
}

static void put_growth(int64_t growth, bool as_bytes, char *ret, size_t size)
{
    char text[32];
    put_size((uint64_t)(growth < 0 ? -growth : growth), as_bytes, text, sizeof(text));
    if (growth == 0)
        snprintf(ret, size, "0");
    else
        snprintf(ret, size, "%c%s/s", growth < 0 ? '-' : '+', text);
}

/* --- columns */

/* LEAST: where there is room, and where the terminal is narrow. */
struct top_column {
    struct table_column column;
    size_t least, least_when_narrow;
};

static const struct top_column segment_columns[] = {
    {{.heading = "NAME", .may_be_cut = true}, 16, 8},
    {{.heading = "SIZE", .is_number = true, .may_be_left_out = true}, 7, 6},
    {{.heading = "RSS", .is_number = true, .may_be_left_out = true}, 7, 6},
    {{.heading = "GROWTH", .is_number = true, .may_be_left_out = true}, 9, 7},
    {{.heading = "NATTCH", .is_number = true, .may_be_left_out = true}, 6, 6},
    {{.heading = "OWNER", .may_be_cut = true, .may_be_left_out = true}, 8, 6},
    {{.heading = "SHMID", .is_number = true, .may_be_left_out = true}, 6, 6},
    {{.heading = "STATE", .may_be_left_out = true}, 7, 7},
    {{.heading = "LIFETIME", .may_be_left_out = true}, 10, 10},
    {{.heading = "HOLDERS", .is_number = true, .may_be_left_out = true}, 7, 7},
    {{.heading = "CREATOR", .may_be_cut = true, .may_be_left_out = true}, 15, 15},
    {{.heading = "CREATED", .may_be_left_out = true}, 7, 7},
};
_Static_assert(sizeof(segment_columns) / sizeof(segment_columns[0]) <= COLUMNS_MOST, "they fit");

static const struct top_column process_columns[] = {
    {{.heading = "PID", .is_number = true}, 7, 6},
    {{.heading = "COMMAND", .may_be_cut = true}, 15, 8},
    {{.heading = "SIZE", .is_number = true, .may_be_left_out = true}, 7, 6},
    {{.heading = "SEGMENTS", .is_number = true, .may_be_left_out = true}, 8, 8},
    {{.heading = "NATTCH", .is_number = true, .may_be_left_out = true}, 6, 6},
    {{.heading = "USER", .may_be_cut = true, .may_be_left_out = true}, 8, 6},
    {{.heading = "UNIT", .may_be_cut = true, .may_be_left_out = true}, 12, 12},
};

static const struct top_column user_columns[] = {
    {{.heading = "USER", .may_be_cut = true}, 10, 8},
    {{.heading = "SEGMENTS", .is_number = true, .may_be_left_out = true}, 8, 8},
    {{.heading = "SIZE", .is_number = true, .may_be_left_out = true}, 7, 6},
    {{.heading = "OF BYTES", .may_be_left_out = true}, 8, 8},
    {{.heading = "RSS", .is_number = true, .may_be_left_out = true}, 7, 6},
    {{.heading = "GROWTH", .is_number = true, .may_be_left_out = true}, 9, 7},
    {{.heading = "NATTCH", .is_number = true, .may_be_left_out = true}, 6, 6},
    {{.heading = "OF SEGMENTS", .may_be_left_out = true}, 11, 11},
};

#define SET(columns) columns, sizeof(columns) / sizeof((columns)[0])
static const struct {
    const struct top_column *columns;
    size_t n;
} sets[TOP_PANELS] = {
    [TOP_SEGMENTS] = {SET(segment_columns)},
    [TOP_PROCESSES] = {SET(process_columns)},
    [TOP_USERS] = {SET(user_columns)},
};

/* --- cells */

struct cells {
    const char *texts[COLUMNS_MOST];
    char numbers[COLUMNS_MOST][TOP_TEXT_SIZE * 2]; /* those of the texts that are made here */
};

#define PUT(c, i, ...)                                                                             \
    ((void)snprintf((c)->numbers[i], sizeof((c)->numbers[i]), __VA_ARGS__),                        \
     (c)->texts[i] = (c)->numbers[i])

static void put_bytes(struct cells *c, size_t i, uint64_t value, bool as_bytes)
{
    put_size(value, as_bytes, c->numbers[i], sizeof(c->numbers[i]));
    c->texts[i] = c->numbers[i];
}

static void put_change(struct cells *c, size_t i, int64_t growth, bool is_known, bool as_bytes)
{
    c->texts[i] = "";
    if (!is_known)
        return;
    put_growth(growth, as_bytes, c->numbers[i], sizeof(c->numbers[i]));
    c->texts[i] = c->numbers[i];
}

static void fill_segment(const struct top_segment *s, bool bytes, struct cells *c)
{
    const char *lifetime = shmd_lifetime_word(s->lifetime), *state = shmd_state_word(s->state);
    c->texts[0] = *s->name ? s->name : "-";
    put_bytes(c, 1, s->size, bytes);
    c->texts[2] = "";
    if (s->has_memory)
        put_bytes(c, 2, s->memory, bytes);
    put_change(c, 3, s->growth, s->has_growth, bytes);
    PUT(c, 4, "%" PRIu64, s->nattch);
    c->texts[5] = s->owner;
    PUT(c, 6, "%d", s->shmid);
    c->texts[7] = state ? state : "";
    c->texts[8] = s->serial == 0 ? "foreign" : lifetime ? lifetime : "";
    PUT(c, 9, "%" PRIu32, s->holders);
    c->texts[10] = s->creator;
    format_time(TIME_SHORT, s->created_at_ms, c->numbers[11], sizeof(c->numbers[11]));
    c->texts[11] = c->numbers[11];
}

static void fill_process(const struct top_process *p, bool bytes, struct cells *c)
{
    PUT(c, 0, "%" PRId32, p->pid);
    c->texts[1] = *p->command ? p->command : "?";
    put_bytes(c, 2, p->bytes, bytes);
    PUT(c, 3, "%" PRIu64, p->segments);
    PUT(c, 4, "%" PRIu64, p->attachments);
    c->texts[5] = p->user;
    c->texts[6] = p->unit;
}

/* What a user has of QUOTA, or, where there is none, of the kernel's limit. */
static void put_share(const struct top_model *m, struct cells *c, size_t i, uint64_t used,
                      uint64_t quota, bool is_bytes, const struct top_table_style *style)
{
    char bar[TOP_TEXT_SIZE], amount[TOP_TEXT_SIZE];
    const size_t width = style->columns >= WIDE ? 22 : 12;
    uint64_t max = quota;
    for (size_t k = 0; quota == UINT64_MAX && k < m->n_meters; k++)
        if (strcmp(m->meters[k].name, is_bytes ? "kernel bytes" : "kernel segments") == 0)
            max = m->meters[k].max;
    top_amount(used, max, is_bytes, style->bytes, amount);
    top_bar(used, max, width, bar);
    if (max == UINT64_MAX)
        PUT(c, i, "no limit");
    else
        PUT(c, i, "%s %3u %% of %s%s", bar, top_percent(used, max), strstr(amount, " of ") + 4,
            quota == UINT64_MAX ? " (kernel)" : "");
}

static void fill_user(const struct top_model *m, const struct top_user *u,
                      const struct top_table_style *style, struct cells *c)
{
    const bool bytes = style->bytes;
    c->texts[0] = u->name;
    PUT(c, 1, "%" PRIu64, u->segments);
    put_bytes(c, 2, u->bytes, bytes);
    put_share(m, c, 3, u->charged_bytes, m->user_max_bytes, true, style);
    put_bytes(c, 4, u->memory, bytes);
    put_change(c, 5, u->growth, m->n_looks > 1, bytes);
    PUT(c, 6, "%" PRIu64, u->attachments);
    put_share(m, c, 7, u->charged_segments, m->user_max_segments, false, style);
}

static void fill(const struct top_model *m, enum top_panel panel, size_t row,
                 const struct top_table_style *style, struct cells *c)
{
    if (panel == TOP_SEGMENTS)
        fill_segment(&m->now.segments[row], style->bytes, c);
    else if (panel == TOP_PROCESSES)
        fill_process(&m->processes[row], style->bytes, c);
    else
        fill_user(m, &m->users[row], style, c);
}

int top_table_print(const struct top_model *m, enum top_panel panel, const struct top_rows *rows,
                    size_t first, size_t n, const struct top_table_style *style, FILE *out)
{
    struct table_column columns[COLUMNS_MOST];
    struct cells cells;
    for (size_t i = 0; i < sets[panel].n; i++) {
        const struct top_column *column = &sets[panel].columns[i];
        columns[i] = column->column;
        if (style->columns > 0)
            columns[i].least = style->columns < NARROW ? column->least_when_narrow : column->least;
    }
    struct table *table = table_new(columns, sets[panel].n, style->table);
    int r = table ? 0 : -ENOMEM;
    for (size_t i = first; r == 0 && i < first + n && i < rows->n; i++) {
        fill(m, panel, rows->rows[i], style, &cells);
        r = table_add(table, cells.texts);
    }
    if (r == 0)
        table_print(table, out);
    table_free(table);
    return r;
}
