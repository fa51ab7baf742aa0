/* SPDX-License-Identifier: MIT */
/*
 * How somebody looks at what top shows: which table, in which order, what is filtered, how far it
 * is scrolled; and what each key does to that. No terminal is needed for it.
 */
#ifndef SHMD_CLIENT_CLI_TOP_VIEW_H
#define SHMD_CLIENT_CLI_TOP_VIEW_H

#include "client/cli/top_model.h"

enum top_panel { TOP_SEGMENTS, TOP_PROCESSES, TOP_USERS, TOP_PANELS };

/* What rows are sorted by. Each is the heading of a column. */
enum top_order {
    TOP_BY_SIZE,
    TOP_BY_RSS,
    TOP_BY_GROWTH,
    TOP_BY_NATTCH,
    TOP_BY_NAME,
    TOP_BY_OWNER,
    TOP_BY_HOLDERS,
    TOP_BY_SHMID,
    TOP_BY_CREATED,
    TOP_BY_SEGMENTS,
    TOP_BY_USER,
    TOP_BY_PID,
    TOP_BY_COMMAND,
    TOP_ORDERS,
};

/* The heading of its column. */
const char *top_order_word(enum top_order order);
/* What the Ith order of PANEL is; TOP_ORDERS: there are no more. */
enum top_order top_panel_order(enum top_panel panel, size_t i);
/* The order of PANEL that WORD (in capitals or not) names; TOP_ORDERS: none. */
enum top_order top_find_order(enum top_panel panel, const char *word);

enum { TOP_FILTER_SIZE = 128 };

struct top_view {
    enum top_panel panel;
    enum top_order order[TOP_PANELS];
    bool reverse;
    bool shows_events, shows_help;
    bool is_typing; /* the filter */
    char filter[TOP_FILTER_SIZE];
    size_t first; /* row of the table that stands on top */
    bool quits;
};

void top_view_init(struct top_view *view);

/* What a key is: a character of Unicode, or one of these. */
enum {
    TOP_KEY_NONE = 0x110000,
    TOP_KEY_UP,
    TOP_KEY_DOWN,
    TOP_KEY_PAGE_UP,
    TOP_KEY_PAGE_DOWN,
    TOP_KEY_HOME,
    TOP_KEY_END,
    TOP_KEY_ENTER,
    TOP_KEY_ESCAPE,
    TOP_KEY_BACKSPACE,
    TOP_KEY_REDRAW,
};

/* N_ROWS: of the table; SHOWN: how many of them the terminal shows. */
void top_view_key(struct top_view *view, uint32_t key, size_t n_rows, size_t shown);
/* The table has N_ROWS now: what is scrolled beyond their end comes back. */
void top_view_clamp(struct top_view *view, size_t n_rows, size_t shown);

/* The rows of the panel that the filter lets through, in order: indices into the model's array. */
struct top_rows {
    size_t *rows; /* owned */
    size_t n;
};

int top_view_rows(const struct top_view *view, const struct top_model *m,
                  struct top_rows *ret) MUST_CHECK;
void top_rows_deinit(struct top_rows *rows);

#endif
