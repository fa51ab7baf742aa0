/* SPDX-License-Identifier: MIT */
#define NCURSES_WIDECHAR 1

#include "client/cli/top_terminal.h"

#include <errno.h>
#include <ncurses.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "client/cli/plain_text.h"

enum { ESCAPE_MS = 25 }; /* how long the rest of a key may take behind an escape */

static SCREEN *terminal; /* NULL: it is not open */
static attr_t attributes[TOP_LOOKS];

/* Without colours, as NO_COLOR or the terminal wants it, all is said by weight and inversion. */
static void choose_attributes(void)
{
    static const struct {
        enum top_look look;
        attr_t plain, coloured;
        short colour;
    } looks[] = {
        {TOP_LOOK_TITLE, A_BOLD, A_BOLD, -1},
        {TOP_LOOK_HEADING, A_REVERSE, A_REVERSE, -1},
        {TOP_LOOK_SORTED, A_REVERSE | A_BOLD | A_UNDERLINE, A_REVERSE | A_BOLD, COLOR_CYAN},
        {TOP_LOOK_NEW, A_BOLD, A_BOLD, COLOR_GREEN},
        {TOP_LOOK_FADING, A_DIM, A_DIM, -1},
        {TOP_LOOK_GOOD, A_NORMAL, A_NORMAL, COLOR_GREEN},
        {TOP_LOOK_HIGH, A_BOLD, A_NORMAL, COLOR_YELLOW},
        {TOP_LOOK_FULL, A_BOLD | A_REVERSE, A_BOLD, COLOR_RED},
        {TOP_LOOK_ALARM, A_BOLD | A_REVERSE, A_BOLD | A_REVERSE, COLOR_RED},
        {TOP_LOOK_KEY, A_BOLD, A_BOLD, -1},
    };
    const char *no_color = getenv("NO_COLOR");
    const bool has_colours = !(no_color && *no_color) && has_colors() && start_color() == OK &&
                             use_default_colors() == OK;
    for (size_t i = 0; i < sizeof(looks) / sizeof(looks[0]); i++) {
        attributes[looks[i].look] = looks[i].plain;
        if (!has_colours)
            continue;
        attributes[looks[i].look] = looks[i].coloured;
        if (looks[i].colour >= 0 && init_pair((short)(i + 1), looks[i].colour, -1) == OK)
            attributes[looks[i].look] |= (attr_t)COLOR_PAIR((int)i + 1);
    }
}

/* A terminal such as "dumb" is known, and nothing can be drawn on it. */
static bool can_move_cursor(void)
{
    const char *move = tigetstr("cup");
    return move && move != (const char *)-1;
}

int top_terminal_open(void)
{
    if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
        return -ENOTTY;
    terminal = newterm(NULL, stdout, stdin);
    if (!terminal)
        return -ENOENT;
    (void)set_term(terminal);
    if (!can_move_cursor()) {
        delscreen(terminal);
        terminal = NULL;
        return -ENOENT;
    }
    cbreak();
    noecho();
    nonl();
    nodelay(stdscr, TRUE);
    keypad(stdscr, TRUE);
    set_escdelay(ESCAPE_MS);
    (void)curs_set(0);
    choose_attributes();
    return 0;
}

void top_terminal_close(void)
{
    if (!terminal)
        return;
    (void)curs_set(1);
    endwin();
    delscreen(terminal);
    terminal = NULL;
}

void top_terminal_size(int *ret_width, int *ret_height)
{
    getmaxyx(stdscr, *ret_height, *ret_width);
}

/* The part of LINE that looks the same from COLUMN, at TEXT; how many columns. */
static int show_run(int y, int column, const struct top_line *line, const char **text)
{
    int end = column;
    size_t used;
    while (end < line->width && line->looks[end] == line->looks[column])
        end++;
    const size_t bytes = plain_text_cut(*text, (size_t)(end - column), &used);
    attrset((int)attributes[line->looks[column]]);
    mvaddnstr(y, column, *text, (int)bytes);
    *text += bytes;
    return (int)used;
}

void top_terminal_show(const struct top_screen *screen)
{
    attrset(A_NORMAL);
    erase();
    for (int y = 0; y < screen->height; y++) {
        const struct top_line *line = &screen->lines[y];
        const char *text = line->text;
        for (int column = 0, used = 1; column < line->width && used > 0; column += used)
            used = show_run(y, column, line, &text);
    }
    attrset(A_NORMAL);
    refresh();
}

static uint32_t special_key(wint_t code)
{
    switch (code) {
    case KEY_UP: return TOP_KEY_UP;
    case KEY_DOWN: return TOP_KEY_DOWN;
    case KEY_PPAGE: return TOP_KEY_PAGE_UP;
    case KEY_NPAGE: return TOP_KEY_PAGE_DOWN;
    case KEY_HOME: return TOP_KEY_HOME;
    case KEY_END: return TOP_KEY_END;
    case KEY_ENTER: return TOP_KEY_ENTER;
    case KEY_BACKSPACE: return TOP_KEY_BACKSPACE;
    default: return TOP_KEY_REDRAW; /* it means nothing here; the screen stays as it is */
    }
}

uint32_t top_terminal_key(void)
{
    wint_t code = 0;
    switch (get_wch(&code)) {
    case KEY_CODE_YES: return special_key(code);
    case OK: break;
    default: return TOP_KEY_NONE;
    }
    switch (code) {
    case '\r':
    case '\n': return TOP_KEY_ENTER;
    case 0x1B: return TOP_KEY_ESCAPE;
    case '\b':
    case 0x7F: return TOP_KEY_BACKSPACE;
    case 0x0C: /* Ctrl-L */ top_terminal_renew(); return TOP_KEY_REDRAW;
    default: return (uint32_t)code;
    }
}

void top_terminal_renew(void)
{
    struct winsize size;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 && size.ws_col > 0)
        (void)resizeterm(size.ws_row, size.ws_col);
    (void)clearok(stdscr, TRUE);
}

void top_terminal_leave(void)
{
    endwin();
}
