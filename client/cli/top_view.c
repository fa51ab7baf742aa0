/* SPDX-License-Identifier: MIT */
#include "client/cli/top_view.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* --- orders */

static const char *const words[TOP_ORDERS] = {
    [TOP_BY_SIZE] = "SIZE",         [TOP_BY_RSS] = "RSS",     [TOP_BY_GROWTH] = "GROWTH",
    [TOP_BY_NATTCH] = "NATTCH",     [TOP_BY_NAME] = "NAME",   [TOP_BY_OWNER] = "OWNER",
    [TOP_BY_HOLDERS] = "HOLDERS",   [TOP_BY_SHMID] = "SHMID", [TOP_BY_CREATED] = "CREATED",
    [TOP_BY_SEGMENTS] = "SEGMENTS", [TOP_BY_USER] = "USER",   [TOP_BY_PID] = "PID",
    [TOP_BY_COMMAND] = "COMMAND",
};

static const enum top_order orders[TOP_PANELS][TOP_ORDERS + 1] = {
    [TOP_SEGMENTS] = {TOP_BY_SIZE, TOP_BY_RSS, TOP_BY_GROWTH, TOP_BY_NATTCH, TOP_BY_NAME,
                      TOP_BY_OWNER, TOP_BY_HOLDERS, TOP_BY_SHMID, TOP_BY_CREATED, TOP_ORDERS},
    [TOP_PROCESSES] = {TOP_BY_SIZE, TOP_BY_SEGMENTS, TOP_BY_NATTCH, TOP_BY_PID, TOP_BY_USER,
                       TOP_BY_COMMAND, TOP_ORDERS},
    [TOP_USERS] = {TOP_BY_SIZE, TOP_BY_RSS, TOP_BY_GROWTH, TOP_BY_SEGMENTS, TOP_BY_NATTCH,
                   TOP_BY_USER, TOP_ORDERS},
};

const char *top_order_word(enum top_order order)
{
    return words[order];
}

enum top_order top_panel_order(enum top_panel panel, size_t i)
{
    return orders[panel][i];
}

enum top_order top_find_order(enum top_panel panel, const char *word)
{
    size_t i = 0;
    while (orders[panel][i] != TOP_ORDERS && strcasecmp(words[orders[panel][i]], word) != 0)
        i++;
    return orders[panel][i];
}

/* The order behind or before the present one, in a circle. */
static enum top_order next_order(enum top_panel panel, enum top_order order, bool forwards)
{
    size_t n = 0, at = 0;
    for (; orders[panel][n] != TOP_ORDERS; n++)
        if (orders[panel][n] == order)
            at = n;
    if (n == 0)
        return order;
    return orders[panel][(at + (forwards ? 1 : n - 1)) % n];
}

/* --- keys */

void top_view_init(struct top_view *view)
{
    *view = (struct top_view){.shows_events = true};
    for (int panel = 0; panel < TOP_PANELS; panel++)
        view->order[panel] = orders[panel][0];
}

void top_view_clamp(struct top_view *view, size_t n_rows, size_t shown)
{
    size_t last = n_rows > shown ? n_rows - shown : 0;
    if (view->first > last)
        view->first = last;
}

static void show_panel(struct top_view *view, enum top_panel panel)
{
    /* The same key leads back. */
    view->panel = view->panel == panel ? TOP_SEGMENTS : panel;
    view->first = 0;
}

/* KEY as UTF-8; how many bytes. */
static size_t encode(uint32_t key, char ret[4])
{
    if (key < 0x80) {
        ret[0] = (char)key;
        return 1;
    }
    size_t n = key < 0x800 ? 2 : key < 0x10000 ? 3 : 4;
    for (size_t i = n; i-- > 1; key >>= 6)
        ret[i] = (char)(0x80 | (key & 0x3F));
    ret[0] = (char)(key | (n == 2 ? 0xC0U : n == 3 ? 0xE0U : 0xF0U));
    return n;
}

static void type(struct top_view *view, uint32_t key)
{
    char bytes[4];
    size_t len = strlen(view->filter);
    if (key >= TOP_KEY_NONE || key < ' ' || key == 0x7F || (key >= 0x80 && key < 0xA0))
        return;
    size_t n = encode(key, bytes);
    if (len + n >= sizeof(view->filter))
        return;
    memcpy(view->filter + len, bytes, n);
    view->filter[len + n] = '\0';
    view->first = 0;
}

static void erase_last(struct top_view *view)
{
    size_t len = strlen(view->filter);
    while (len > 0 && ((unsigned char)view->filter[len - 1] & 0xC0) == 0x80)
        len--;
    view->filter[len > 0 ? len - 1 : 0] = '\0';
    view->first = 0;
}

/* While the filter is typed. */
static void key_of_filter(struct top_view *view, uint32_t key)
{
    switch (key) {
    case TOP_KEY_ENTER: view->is_typing = false; break;
    case TOP_KEY_ESCAPE:
        view->is_typing = false;
        *view->filter = '\0';
        view->first = 0;
        break;
    case TOP_KEY_BACKSPACE: erase_last(view); break;
    default: type(view, key); break;
    }
}

static bool scroll(struct top_view *view, uint32_t key, size_t n_rows, size_t shown)
{
    const size_t page = shown > 1 ? shown - 1 : 1;
    switch (key) {
    case TOP_KEY_UP: view->first -= view->first > 0; break;
    case TOP_KEY_DOWN: view->first++; break;
    case TOP_KEY_PAGE_UP: view->first -= view->first < page ? view->first : page; break;
    case TOP_KEY_PAGE_DOWN: view->first += page; break;
    case TOP_KEY_HOME: view->first = 0; break;
    case TOP_KEY_END: view->first = n_rows; break;
    default: return false;
    }
    top_view_clamp(view, n_rows, shown);
    return true;
}

static void set_order(struct top_view *view, bool forwards)
{
    view->order[view->panel] = next_order(view->panel, view->order[view->panel], forwards);
    view->first = 0;
}

void top_view_key(struct top_view *view, uint32_t key, size_t n_rows, size_t shown)
{
    if (!view->is_typing && (key == 'j' || key == 'k'))
        key = key == 'j' ? TOP_KEY_DOWN : TOP_KEY_UP;
    if (scroll(view, key, n_rows, shown))
        return;
    if (view->is_typing) {
        key_of_filter(view, key);
        return;
    }
    if (view->shows_help) {
        view->shows_help = false;
        return;
    }
    switch (key) {
    case 'q': view->quits = true; break;
    case 's': set_order(view, true); break;
    case 'S': set_order(view, false); break;
    case 'r': view->reverse = !view->reverse; break;
    case '/': view->is_typing = true; break;
    case '?':
    case 'h': view->shows_help = true; break;
    case 'p': show_panel(view, TOP_PROCESSES); break;
    case 'u': show_panel(view, TOP_USERS); break;
    case 'e': view->shows_events = !view->shows_events; break;
    case TOP_KEY_ESCAPE:
        *view->filter = '\0';
        view->panel = TOP_SEGMENTS;
        view->first = 0;
        break;
    default: break;
    }
}

/* --- rows */

struct sorting {
    const struct top_model *model;
    enum top_panel panel;
    enum top_order order;
    bool reverse;
};

#define COMPARE(a, b) (((a) > (b)) - ((a) < (b)))

/* Numbers begin with the largest, texts with the first; ties are as the model has them. */
static int compare_segments(const struct top_segment *x, const struct top_segment *y,
                            enum top_order order)
{
    switch ((int)order) {
    case TOP_BY_SIZE: return COMPARE(y->size, x->size);
    case TOP_BY_RSS: return COMPARE(y->memory, x->memory);
    case TOP_BY_GROWTH: return COMPARE(y->growth, x->growth);
    case TOP_BY_NATTCH: return COMPARE(y->nattch, x->nattch);
    case TOP_BY_OWNER: return strcmp(x->owner, y->owner);
    case TOP_BY_HOLDERS: return COMPARE(y->holders, x->holders);
    case TOP_BY_SHMID: return COMPARE(x->shmid, y->shmid);
    case TOP_BY_CREATED: return COMPARE(y->created_at_ms, x->created_at_ms);
    default: return strcmp(x->name, y->name);
    }
}

static int compare_processes(const struct top_process *x, const struct top_process *y,
                             enum top_order order)
{
    switch ((int)order) {
    case TOP_BY_SIZE: return COMPARE(y->bytes, x->bytes);
    case TOP_BY_SEGMENTS: return COMPARE(y->segments, x->segments);
    case TOP_BY_NATTCH: return COMPARE(y->attachments, x->attachments);
    case TOP_BY_USER: return strcmp(x->user, y->user);
    case TOP_BY_COMMAND: return strcmp(x->command, y->command);
    default: return COMPARE(x->pid, y->pid);
    }
}

static int compare_users(const struct top_user *x, const struct top_user *y, enum top_order order)
{
    switch ((int)order) {
    case TOP_BY_SIZE: return COMPARE(y->bytes, x->bytes);
    case TOP_BY_RSS: return COMPARE(y->memory, x->memory);
    case TOP_BY_GROWTH: return COMPARE(y->growth, x->growth);
    case TOP_BY_SEGMENTS: return COMPARE(y->segments, x->segments);
    case TOP_BY_NATTCH: return COMPARE(y->attachments, x->attachments);
    default: return strcmp(x->name, y->name);
    }
}

static int compare_rows(const void *a, const void *b, void *context)
{
    const struct sorting *s = context;
    const size_t x = *(const size_t *)a, y = *(const size_t *)b;
    const struct top_model *m = s->model;
    int difference;
    if (s->panel == TOP_SEGMENTS)
        difference = compare_segments(&m->now.segments[x], &m->now.segments[y], s->order);
    else if (s->panel == TOP_PROCESSES)
        difference = compare_processes(&m->processes[x], &m->processes[y], s->order);
    else
        difference = compare_users(&m->users[x], &m->users[y], s->order);
    if (difference == 0)
        difference = COMPARE(x, y);
    return s->reverse ? -difference : difference;
}

static bool has(const char *text, const char *filter)
{
    return strcasestr(text, filter) != NULL;
}

static bool has_number(long long number, const char *filter)
{
    char text[32];
    snprintf(text, sizeof(text), "%lld", number);
    return strcmp(text, filter) == 0;
}

static bool passes(const struct top_view *view, const struct top_model *m, size_t i)
{
    const char *filter = view->filter;
    if (!*filter)
        return true;
    if (view->panel == TOP_PROCESSES) {
        const struct top_process *p = &m->processes[i];
        return has(p->command, filter) || has(p->unit, filter) || has(p->user, filter) ||
               has_number(p->pid, filter);
    }
    if (view->panel == TOP_USERS)
        return has(m->users[i].name, filter);
    const struct top_segment *s = &m->now.segments[i];
    return has(s->name, filter) || has(s->owner, filter) || has(s->creator, filter) ||
           has_number(s->shmid, filter);
}

int top_view_rows(const struct top_view *view, const struct top_model *m, struct top_rows *ret)
{
    const size_t count = view->panel == TOP_SEGMENTS    ? m->now.n
                         : view->panel == TOP_PROCESSES ? m->n_processes
                                                        : m->n_users;
    struct sorting sorting = {m, view->panel, view->order[view->panel], view->reverse};
    size_t *rows = calloc(count + 1, sizeof(*rows)), n = 0;
    if (!rows)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++)
        if (passes(view, m, i))
            rows[n++] = i;
    if (n > 0)
        qsort_r(rows, n, sizeof(*rows), compare_rows, &sorting);
    *ret = (struct top_rows){rows, n};
    return 0;
}

void top_rows_deinit(struct top_rows *rows)
{
    free(rows->rows);
    *rows = (struct top_rows){NULL, 0};
}
