/* SPDX-License-Identifier: MIT */
#include "daemon/core/declaration.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/core/segment.h"

/* --- owned copies */

static size_t text_size(const char *text)
{
    return text ? strlen(text) + 1 : 0;
}

/* Copies *TEXT to *AT, lets it point there, and moves *AT on. */
static void move_text(char **at, const char **text)
{
    if (!*text)
        return;
    const char *copy = *at;
    *at = stpcpy(*at, *text) + 1;
    *text = copy;
}

static int copy_texts(struct declaration *d)
{
    struct labels *labels = &d->params.labels;
    size_t size = text_size(d->file) + text_size(d->params.name);
    for (size_t i = 0; i < labels->count; i++)
        size += text_size(labels->items[i].key) + text_size(labels->items[i].value);
    assert(size > 0); /* a declaration has at least its file */
    char *at = d->texts = malloc(size);
    if (!at)
        return -ENOMEM;
    move_text(&at, &d->file);
    move_text(&at, &d->params.name);
    for (size_t i = 0; i < labels->count; i++) {
        move_text(&at, &labels->items[i].key);
        move_text(&at, &labels->items[i].value);
    }
    return 0;
}

int declarations_add(struct declarations *d, const char *file, const struct create_params *params)
{
    if (d->count == d->capacity) {
        size_t capacity = d->capacity ? d->capacity * 2 : 16;
        struct declaration *items = reallocarray(d->items, capacity, sizeof(*items));
        if (!items)
            return -ENOMEM;
        d->items = items;
        d->capacity = capacity;
    }
    struct declaration *added = &d->items[d->count];
    *added = (struct declaration){.file = file, .params = *params};
    int r = copy_texts(added);
    if (r == 0)
        d->count++;
    return r;
}

void declarations_deinit(struct declarations *d)
{
    for (size_t i = 0; i < d->count; i++)
        free(d->items[i].texts);
    free(d->items);
    free(d->by_name);
    free(d->by_key);
    *d = (struct declarations){0};
}

/* --- search */

static uint32_t key_of(const struct declaration *d)
{
    return (uint32_t)d->params.key.value;
}

static int by_name(const void *a, const void *b)
{
    return strcmp((*(const struct declaration *const *)a)->params.name,
                  (*(const struct declaration *const *)b)->params.name);
}

static int by_key(const void *a, const void *b)
{
    uint32_t x = key_of(*(const struct declaration *const *)a);
    uint32_t y = key_of(*(const struct declaration *const *)b);
    return (x > y) - (x < y);
}

int declarations_sort(struct declarations *d)
{
    if (d->count == 0)
        return 0;
    d->by_name = calloc(d->count, sizeof(*d->by_name));
    d->by_key = calloc(d->count, sizeof(*d->by_key));
    if (!d->by_name || !d->by_key)
        return -ENOMEM;
    for (size_t i = 0; i < d->count; i++) {
        const struct declaration *item = &d->items[i];
        if (item->params.name)
            d->by_name[d->n_names++] = item;
        if (key_of(item) != 0)
            d->by_key[d->n_keys++] = item;
    }
    qsort(d->by_name, d->n_names, sizeof(*d->by_name), by_name);
    qsort(d->by_key, d->n_keys, sizeof(*d->by_key), by_key);
    return 0;
}

const struct declaration *declaration_of(const struct declarations *d, const char *name,
                                         uint32_t key)
{
    if (d->count == 0)
        return NULL;
    const struct declaration wanted = {.params = {.name = name, .key = {true, key}}};
    const struct declaration *const looked_for = &wanted, *const *found = NULL;
    if (name && d->n_names > 0)
        found = bsearch(&looked_for, d->by_name, d->n_names, sizeof(*d->by_name), by_name);
    if (!found && key != 0 && d->n_keys > 0)
        found = bsearch(&looked_for, d->by_key, d->n_keys, sizeof(*d->by_key), by_key);
    return found ? *found : NULL;
}

bool declaration_heir(const struct declarations *d, const struct segment *segment, uint32_t own_uid,
                      uint32_t *ret_uid)
{
    if (segment->creator.uid != own_uid || segment->adopted)
        return false;
    const struct declaration *declared = declaration_of(d, segment->name, segment->key);
    if (!declared || !declared->params.uid.given)
        return false;
    *ret_uid = (uint32_t)declared->params.uid.value;
    return *ret_uid != own_uid;
}

/* --- drift */

static bool name_differs(const struct create_params *p, const struct segment *s)
{
    return p->name && (!s->name || strcmp(p->name, s->name) != 0);
}

/* 0 is IPC_PRIVATE, which is no key. */
static bool key_differs(const struct create_params *p, const struct segment *s)
{
    return p->key.value != 0 && (uint32_t)p->key.value != s->key;
}

static bool differs(const struct opt_int *declared, uint64_t is)
{
    return declared->given && (uint64_t)declared->value != is;
}

static bool flag_differs(const struct opt_bool *declared, bool is)
{
    return declared->given && declared->value != is;
}

/* An adopted segment is the kernel's daemon's by the hand-over; its owner is who made it. */
static uint32_t owner_of(const struct segment *s, const struct sysv_stat *kernel)
{
    return s->adopted ? s->creator.uid : kernel->uid;
}

/* All labels and no others. */
static bool labels_differ(const struct labels *declared, const struct segment *s)
{
    return declared->given && (declared->count != s->n_labels || !segment_has_labels(s, declared));
}

/* After a restart it is not known which `ttl_ms` led to the time at which the segment expires: then
 * any that is not later than declared is as declared. */
static bool ttl_differs(const struct opt_int *declared, const struct segment *s, int64_t now_ms)
{
    if (!declared->given)
        return false;
    if (s->expires_at_ms == 0 || declared->value == 0)
        return (s->expires_at_ms == 0) != (declared->value == 0);
    if (s->ttl_ms != 0)
        return s->ttl_ms != declared->value;
    return s->expires_at_ms - now_ms > declared->value;
}

uint32_t declaration_drift(const struct declaration *d, const struct segment *s,
                           const struct sysv_stat *kernel, uint32_t own_uid, int64_t now_ms)
{
    const struct create_params *p = &d->params;
    const struct stored_creator *creator = &s->creator;
    if (s->state == STATE_REMOVING || s->state == STATE_REMOVED)
        return 0;
    const bool is_other[DRIFT_COUNT] = {
        /* What the daemon, root or an admin has made is as good as declared. */
        [DRIFT_CREATOR] = creator->uid != 0 && creator->uid != own_uid && !creator->was_admin,
        [DRIFT_NAME] = name_differs(p, s),
        [DRIFT_KEY] = key_differs(p, s),
        [DRIFT_SIZE] = differs(&p->size, s->size),
        [DRIFT_LIFETIME] = s->lifetime != LIFETIME_PERSISTENT,
        [DRIFT_HUGE_PAGE_SIZE] = differs(&p->huge_page_size, s->huge_page_size),
        [DRIFT_NORESERVE] = flag_differs(&p->noreserve, s->noreserve),
        [DRIFT_MODE] = differs(&p->mode, kernel->mode),
        [DRIFT_UID] = differs(&p->uid, owner_of(s, kernel)),
        [DRIFT_GID] = differs(&p->gid, kernel->gid),
        [DRIFT_LABELS] = labels_differ(&p->labels, s),
        [DRIFT_TTL_MS] = ttl_differs(&p->ttl_ms, s, now_ms),
        [DRIFT_IDLE_TTL_MS] = differs(&p->idle_ttl_ms, (uint64_t)s->idle_ttl_ms),
        [DRIFT_LOCKED] = flag_differs(&p->locked, kernel->locked),
    };
    uint32_t drift = 0;
    for (int i = 0; i < DRIFT_COUNT; i++)
        if (is_other[i])
            drift |= 1U << i;
    return drift;
}
