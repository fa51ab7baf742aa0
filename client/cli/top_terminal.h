/* SPDX-License-Identifier: MIT */
/*
 * The terminal of top, by ncurses: it shows screens and tells keys, and is put back as it was.
 */
#ifndef SHMD_CLIENT_CLI_TOP_TERMINAL_H
#define SHMD_CLIENT_CLI_TOP_TERMINAL_H

#include "client/cli/top_draw.h"

/* Takes the terminal that standard input and output are: 0, or -ENOTTY when they are none, or
 * -ENOENT when nobody knows what kind it is. */
int top_terminal_open(void) MUST_CHECK;
/* Puts it back. */
void top_terminal_close(void);

void top_terminal_size(int *ret_width, int *ret_height);
void top_terminal_show(const struct top_screen *screen);
/* The next key that was pressed, as top_view.h has it; TOP_KEY_NONE: there is none. */
uint32_t top_terminal_key(void);
/* The terminal has another size, or others have written to it. */
void top_terminal_renew(void);
/* Puts it back until top_terminal_renew(), for a program that is stopped. */
void top_terminal_leave(void);

#endif
