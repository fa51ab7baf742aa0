/* SPDX-License-Identifier: MIT */
/*
 * The screen of top: a model, a view and the size of a terminal become lines of text, each column
 * of which has a look. What a look is on a terminal, top_terminal.c knows; here is no terminal.
 *
 * What always holds: there are as many lines as the terminal has, none is wider than it, and none
 * holds a control character.
 */
#ifndef SHMD_CLIENT_CLI_TOP_DRAW_H
#define SHMD_CLIENT_CLI_TOP_DRAW_H

#include "client/cli/top_model.h"
#include "client/cli/top_view.h"

enum top_look {
    TOP_LOOK_PLAIN,
    TOP_LOOK_TITLE,
    TOP_LOOK_HEADING,
    TOP_LOOK_SORTED, /* the heading of the column that is sorted by */
    TOP_LOOK_NEW,
    TOP_LOOK_FADING, /* it is being removed; what matters less */
    TOP_LOOK_GOOD,
    TOP_LOOK_HIGH,
    TOP_LOOK_FULL,
    TOP_LOOK_ALARM,
    TOP_LOOK_KEY,
    TOP_LOOKS,
};

struct top_line {
    char *text;           /* owned; valid UTF-8 */
    unsigned char *looks; /* owned: one for each column that the text takes */
    int width;            /* columns that the text takes */
};

struct top_screen {
    struct top_line *lines; /* owned */
    int width, height;
    size_t n_rows; /* of the table, on the screen or not */
    size_t shown;  /* for how many of them there is room */
};

/* 0 or -ENOMEM. Where VIEW is scrolled beyond the end of its table, it is scrolled back. */
int top_draw(const struct top_model *m, struct top_view *view, int width, int height,
             struct top_screen *ret) MUST_CHECK;
void top_screen_deinit(struct top_screen *screen);

#endif
