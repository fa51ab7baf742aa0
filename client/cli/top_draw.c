/* SPDX-License-Identifier: MIT */
#include "client/cli/top_draw.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/cli/format.h"
#include "client/cli/plain_text.h"
#include "client/cli/top_tables.h"

enum {
    LINE_SIZE = 2048,
    EVENTS_LEAST_HEIGHT = 14, /* of a terminal that has room for events */
    EVENTS_MOST = 12,
    METERS_LEAST_HEIGHT = 8,
    HIGH_PERCENT = 75,
    FULL_PERCENT = 90,
};

void top_screen_deinit(struct top_screen *screen)
{
    for (int i = 0; screen->lines && i < screen->height; i++) {
        free(screen->lines[i].text);
        free(screen->lines[i].looks);
    }
    free(screen->lines);
    *screen = (struct top_screen){.lines = NULL};
}

/* What is drawn, from the top down. */
struct pen {
    const struct top_model *model;
    struct top_view *view;
    struct top_rows rows; /* owned */
    struct top_screen *screen;
    int next; /* line */
    bool failed;
};

/* --- lines */

/* The line that is written now; NULL: the screen is full. */
static struct top_line *line_of(struct pen *pen)
{
    return pen->next < pen->screen->height && !pen->failed ? &pen->screen->lines[pen->next] : NULL;
}

static void end_line(struct pen *pen)
{
    pen->next++;
}

/* Bytes of a line's text: what UTF-8 takes, and as much again for accents. */
static size_t line_size(const struct top_screen *screen)
{
    return (size_t)screen->width * 8 + 1;
}

/* Appends TEXT, which is harmless, as far as there is room. */
static void put(struct pen *pen, enum top_look look, const char *text)
{
    struct top_line *line = line_of(pen);
    size_t used = 0;
    if (!line)
        return;
    const size_t len = strlen(line->text), room = line_size(pen->screen) - 1 - len;
    size_t width = (size_t)(pen->screen->width - line->width);
    size_t bytes = plain_text_cut(text, width, &used);
    /* Characters that take no column: not more of them than a line has room for. */
    while (bytes > room) {
        width /= 2;
        bytes = plain_text_cut(text, width, &used);
        if (width == 0 && bytes > room)
            bytes = 0;
    }
    memcpy(line->text + len, text, bytes);
    line->text[len + bytes] = '\0';
    memset(line->looks + line->width, (int)look, used);
    line->width += (int)used;
}

static void put_format(struct pen *pen, enum top_look look, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static void put_format(struct pen *pen, enum top_look look, const char *format, ...)
{
    char given[LINE_SIZE], harmless[LINE_SIZE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(given, sizeof(given), format, arguments);
    va_end(arguments);
    plain_text(given, harmless, sizeof(harmless));
    put(pen, look, harmless);
}

static void fill_up(struct pen *pen, enum top_look look, int to)
{
    const struct top_line *line = line_of(pen);
    char spaces[LINE_SIZE];
    int n = line ? to - line->width : 0;
    if (n <= 0)
        return;
    if (n >= (int)sizeof(spaces))
        n = (int)sizeof(spaces) - 1;
    memset(spaces, ' ', (size_t)n);
    spaces[n] = '\0';
    put(pen, look, spaces);
}

/* --- the head */

static void draw_title(struct pen *pen)
{
    static const char *const one[TOP_PANELS] = {
        [TOP_SEGMENTS] = "segment", [TOP_PROCESSES] = "process", [TOP_USERS] = "user"};
    static const char *const many[TOP_PANELS] = {
        [TOP_SEGMENTS] = "segments", [TOP_PROCESSES] = "processes", [TOP_USERS] = "users"};
    const char *const *words = pen->rows.n == 1 ? one : many;
    const struct top_view *view = pen->view;
    char size[32];
    format_size(pen->model->bytes, size, sizeof(size));
    if (pen->model->n_looks == 0)
        put_format(pen, TOP_LOOK_TITLE, "shmd: looking");
    else
        put_format(pen, TOP_LOOK_TITLE, "shmd: %zu %s, %s", pen->rows.n, words[view->panel], size);
    if (*view->filter && !view->is_typing)
        put_format(pen, TOP_LOOK_TITLE, ", filter %s", view->filter);
    if (view->first > 0)
        put_format(pen, TOP_LOOK_TITLE, ", from row %zu", view->first + 1);
    put_format(pen, TOP_LOOK_TITLE, ", by %s%s", top_order_word(view->order[view->panel]),
               view->reverse ? " reversed" : "");
    put_format(pen, TOP_LOOK_TITLE, ", %s", pen->model->daemon);
    fill_up(pen, TOP_LOOK_TITLE, pen->screen->width);
    end_line(pen);
}

static enum top_look look_of_percent(unsigned percent)
{
    if (percent >= FULL_PERCENT)
        return TOP_LOOK_FULL;
    return percent >= HIGH_PERCENT ? TOP_LOOK_HIGH : TOP_LOOK_GOOD;
}

/* A meter in WIDTH columns from the line's end on. */
static void draw_meter(struct pen *pen, const struct top_meter *meter, int width)
{
    enum { NAME = 16, BAR_LEAST = 6, BAR_MOST = 60 };
    char amount[TOP_TEXT_SIZE], bar[TOP_TEXT_SIZE];
    top_amount(meter->used, meter->max, meter->is_bytes, false, amount);
    int room = width - NAME - (int)strlen(amount) - 1;
    put_format(pen, TOP_LOOK_PLAIN, "%-*.*s", NAME, NAME - 1, meter->name);
    if (room >= BAR_LEAST && meter->max != UINT64_MAX) {
        top_bar(meter->used, meter->max, (size_t)(room < BAR_MOST ? room : BAR_MOST), bar);
        put(pen, look_of_percent(top_percent(meter->used, meter->max)), bar);
        put(pen, TOP_LOOK_PLAIN, " ");
    }
    put_format(pen, TOP_LOOK_PLAIN, "%s", amount);
}

static int meters_a_line(const struct pen *pen)
{
    const int width = pen->screen->width;
    return width >= 150 ? 3 : width >= 78 ? 2 : 1;
}

static int meter_lines(const struct pen *pen)
{
    const int height = pen->screen->height, a_line = meters_a_line(pen);
    const int wanted = ((int)pen->model->n_meters + a_line - 1) / a_line;
    if (height < METERS_LEAST_HEIGHT)
        return 0;
    return wanted < height / 5 ? wanted : height / 5;
}

static void draw_meters(struct pen *pen)
{
    const int lines = meter_lines(pen), a_line = meters_a_line(pen);
    const int width = pen->screen->width / a_line;
    for (int i = 0; i < lines * a_line; i++) {
        if (i < (int)pen->model->n_meters) {
            fill_up(pen, TOP_LOOK_PLAIN, i % a_line * width);
            draw_meter(pen, &pen->model->meters[i], a_line > 1 ? width - 2 : width);
        }
        if (i % a_line == a_line - 1)
            end_line(pen);
    }
}

static void draw_status(struct pen *pen)
{
    if (!*pen->model->status)
        return;
    put_format(pen, TOP_LOOK_ALARM, "%s", pen->model->status);
    fill_up(pen, TOP_LOOK_ALARM, pen->screen->width);
    end_line(pen);
}

/* --- the table */

/* Each bar in LINE gets the look of the percentage behind it. */
static void colour_bars(struct top_line *line)
{
    for (const char *at = line->text; (at = strchr(at, '[')); at++) {
        const char *end = strchr(at, ']');
        if (!end)
            return;
        const size_t before = (size_t)(at - line->text);
        char *head = strndup(line->text, before);
        if (!head)
            return;
        const size_t column = plain_text_width(head);
        free(head);
        const size_t width = (size_t)(end - at) + 1;
        const enum top_look look = look_of_percent((unsigned)strtoul(end + 1, NULL, 10));
        if (column + width <= (size_t)line->width)
            memset(line->looks + column, (int)look, width);
    }
}

/* The heading of the order, in the line of headings. */
static void mark_order(struct pen *pen, struct top_line *line)
{
    const char *word = top_order_word(pen->view->order[pen->view->panel]);
    const size_t len = strlen(word);
    for (const char *at = line->text; (at = strstr(at, word)); at += len) {
        bool begins = at == line->text || at[-1] == ' ';
        if (begins && (at[len] == ' ' || at[len] == '\0')) {
            memset(line->looks + (at - line->text), TOP_LOOK_SORTED, len);
            return;
        }
    }
}

static enum top_look look_of_row(const struct pen *pen, size_t row)
{
    const struct top_segment *s;
    if (pen->view->panel != TOP_SEGMENTS)
        return TOP_LOOK_PLAIN;
    s = &pen->model->now.segments[pen->rows.rows[row]];
    if (s->state == SHMD_STATE_REMOVING || s->state == SHMD_STATE_REMOVED)
        return TOP_LOOK_FADING;
    return s->is_new ? TOP_LOOK_NEW : TOP_LOOK_PLAIN;
}

/* The lines of TEXT, of which the first has the headings. */
static void take_table(struct pen *pen, char *text)
{
    size_t row = pen->view->first;
    for (char *line = text, *end; *line; line = end) {
        const bool is_heading = line == text;
        end = line + strcspn(line, "\n");
        if (*end)
            *end++ = '\0';
        put(pen, is_heading ? TOP_LOOK_HEADING : look_of_row(pen, row), line);
        if (is_heading)
            fill_up(pen, TOP_LOOK_HEADING, pen->screen->width);
        struct top_line *drawn = line_of(pen);
        if (drawn && is_heading)
            mark_order(pen, drawn);
        else if (drawn && pen->view->panel == TOP_USERS)
            colour_bars(drawn);
        row += !is_heading;
        end_line(pen);
    }
}

static void draw_table(struct pen *pen, int lines)
{
    const struct top_table_style style = {
        .table = {.width = pen->screen->width},
        .columns = pen->screen->width,
    };
    const int below = pen->next + lines;
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    int r = out ? top_table_print(pen->model, pen->view->panel, &pen->rows, pen->view->first,
                                  (size_t)(lines - 1), &style, out)
                : -ENOMEM;
    if (out && fclose(out) != 0)
        r = -ENOMEM;
    if (r == 0)
        take_table(pen, text);
    else
        pen->failed = true;
    free(text);
    pen->next = below;
}

/* --- events */

static int event_lines(const struct pen *pen)
{
    const int height = pen->screen->height;
    if (!pen->view->shows_events || height < EVENTS_LEAST_HEIGHT)
        return 0;
    const int lines = height / 4;
    return (lines < EVENTS_MOST ? lines : EVENTS_MOST) + 1;
}

static void draw_event(struct pen *pen, const struct top_event *event)
{
    char time[64], size[32];
    if (event->kind == SHMD_EVENT_GAP) {
        put_format(pen, TOP_LOOK_HIGH, "gap: %" PRIu64 " events were missed", event->missed);
        return;
    }
    const char *word = shmd_event_word(event->kind);
    const char *reason = event->reason ? shmd_reason_word(event->reason) : NULL;
    format_time(TIME_ISO, event->at_ms, time, sizeof(time));
    format_size(event->size, size, sizeof(size));
    /* The time of the day, of the date behind which it stands. */
    put_format(pen, TOP_LOOK_FADING, "%.8s ", strlen(time) > 11 ? time + 11 : "");
    put_format(pen, TOP_LOOK_PLAIN, "%-8s %s", word ? word : "?", *event->name ? event->name : "-");
    if (event->shmid >= 0)
        put_format(pen, TOP_LOOK_FADING, "  shmid %d, %s, nattch %" PRIu64, event->shmid, size,
                   event->nattch);
    if (reason)
        put_format(pen, TOP_LOOK_PLAIN, "  %s", reason);
}

static void draw_events(struct pen *pen, int lines)
{
    if (lines == 0)
        return;
    put(pen, TOP_LOOK_HEADING, "EVENTS");
    fill_up(pen, TOP_LOOK_HEADING, pen->screen->width);
    end_line(pen);
    /* The newest one is at the bottom. */
    for (int i = lines - 2; i >= 0; i--) {
        const struct top_event *event = top_model_event_at(pen->model, (size_t)i);
        if (!event)
            continue;
        draw_event(pen, event);
        end_line(pen);
    }
}

/* --- keys */

static const struct {
    const char *key, *does, *explained;
} keys[] = {
    {"q", "quit", "quit"},
    {"?", "help", "this help"},
    {"s", "sort", "sort by the next column; S: by the one before"},
    {"/", "filter", "show only what has a text: Enter keeps the filter, Escape drops it"},
    {"r", "reverse", "reverse the order"},
    {"p", "processes", "the processes that have segments attached, or the segments again"},
    {"u", "users", "what each user has made, and how much of the quota that is"},
    {"e", "events", "show events, or do not"},
    {"Up Down", NULL, "scroll by a row; Page Up, Page Down, Home, End: further"},
    {"Escape", NULL, "all segments, without a filter"},
};

enum { KEYS = sizeof(keys) / sizeof(keys[0]) };

static void draw_keys(struct pen *pen)
{
    enum { GAP = 2 };
    pen->next = pen->screen->height - 1;
    if (pen->view->is_typing) {
        put_format(pen, TOP_LOOK_KEY, "/%s_", pen->view->filter);
        return;
    }
    for (int i = 0, width = 0; i < KEYS && keys[i].does; i++) {
        width += (i ? GAP : 0) + (int)strlen(keys[i].key) + 1 + (int)strlen(keys[i].does);
        if (width > pen->screen->width)
            return; /* a part of a word would say nothing */
        put_format(pen, TOP_LOOK_PLAIN, "%*s", i ? GAP : 0, "");
        put(pen, TOP_LOOK_KEY, keys[i].key);
        put_format(pen, TOP_LOOK_PLAIN, " %s", keys[i].does);
    }
}

static void draw_help(struct pen *pen)
{
    static const char *const columns[] = {
        "RSS: how much of a segment is in memory or swap. GROWTH: its gain in a second.",
        "OF BYTES, OF SEGMENTS: a user's share of the quota, or of the kernel's limit.",
    };
    for (int i = 0; i < KEYS; i++) {
        put_format(pen, TOP_LOOK_KEY, "%8s", keys[i].key);
        put_format(pen, TOP_LOOK_PLAIN, "  %s", keys[i].explained);
        end_line(pen);
    }
    for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++) {
        put(pen, TOP_LOOK_PLAIN, columns[i]);
        end_line(pen);
    }
    put(pen, TOP_LOOK_TITLE, "Press any key to go back.");
    end_line(pen);
}

/* --- all of it */

static int make_lines(struct top_screen *screen)
{
    screen->lines = calloc((size_t)screen->height + 1, sizeof(*screen->lines));
    for (int i = 0; screen->lines && i < screen->height; i++) {
        screen->lines[i].text = calloc(line_size(screen), 1);
        screen->lines[i].looks = calloc((size_t)screen->width + 1, 1);
        if (!screen->lines[i].text || !screen->lines[i].looks)
            return -ENOMEM;
    }
    return screen->lines ? 0 : -ENOMEM;
}

/* How the lines are shared out: the table gets what the others leave. */
static void draw(struct pen *pen)
{
    const int height = pen->screen->height;
    const int title = height >= 3, footer = height >= 4 || pen->view->is_typing;
    const int head = title + meter_lines(pen) + (*pen->model->status != '\0');
    const int events = event_lines(pen);
    const int table = height - head - events - footer;
    pen->screen->n_rows = pen->rows.n;
    pen->screen->shown = table > 1 ? (size_t)(table - 1) : 0;
    top_view_clamp(pen->view, pen->screen->n_rows, pen->screen->shown);
    if (title)
        draw_title(pen);
    draw_meters(pen);
    draw_status(pen);
    if (pen->view->shows_help) {
        draw_help(pen);
    } else if (table > 0) {
        draw_table(pen, table);
        draw_events(pen, events);
    }
    if (footer && !pen->view->shows_help)
        draw_keys(pen);
}

int top_draw(const struct top_model *m, struct top_view *view, int width, int height,
             struct top_screen *ret)
{
    struct top_screen screen = {.width = width > 0 ? width : 1, .height = height > 0 ? height : 1};
    struct pen pen = {.model = m, .view = view, .screen = &screen};
    int r = make_lines(&screen);
    if (r == 0)
        r = top_view_rows(view, m, &pen.rows);
    if (r == 0)
        draw(&pen);
    top_rows_deinit(&pen.rows);
    if (r < 0 || pen.failed) {
        top_screen_deinit(&screen);
        return -ENOMEM;
    }
    *ret = screen;
    return 0;
}
