/*
 * What opening read, kept for loading: the check of all records and the start of the daemon are one
 * reading. The first change to the database ends it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/store/database.h"

/* Room for one more in an array of COUNT: it doubles at the powers of two. */
static void *grow(void *items, size_t count, size_t size)
{
    if ((count & (count - 1)) != 0)
        return items;
    return reallocarray(items, count ? count * 2 : 1, size);
}

static int collect_segment(void *context, struct segment *segment, const struct stored_tie *ties,
                           size_t n_ties)
{
    struct collection *c = context;
    struct collected *segments = grow(c->segments, c->n_segments, sizeof(*segments));
    if (!segments) {
        segment_free(segment);
        return -ENOMEM;
    }
    c->segments = segments;
    segments[c->n_segments++] = (struct collected){segment, c->n_ties, n_ties};
    for (size_t i = 0; i < n_ties; i++) {
        struct stored_tie *all = grow(c->ties, c->n_ties, sizeof(*all));
        if (!all)
            return -ENOMEM;
        c->ties = all;
        all[c->n_ties++] = ties[i];
    }
    return 0;
}

static int collect_daemon(void *context, const struct store_daemon *daemon)
{
    struct collection *c = context;
    struct store_daemon *daemons = grow(c->daemons, c->n_daemons, sizeof(*daemons));
    if (!daemons)
        return -ENOMEM;
    c->daemons = daemons;
    daemons[c->n_daemons++] = *daemon;
    return 0;
}

int database_collect(struct store_sqlite *st)
{
    struct collection *c = &st->collection;
    const struct store_visitor collect = {collect_segment, collect_daemon, c};
    struct store_meta ignored;
    int r = database_load(st, &collect, &ignored);
    c->is_valid = r == 0;
    return r;
}

void collection_deinit(struct collection *c)
{
    for (size_t i = 0; i < c->n_segments; i++)
        segment_free(c->segments[i].segment);
    free(c->segments);
    free(c->ties);
    free(c->daemons);
    *c = (struct collection){0};
}

int collection_hand_over(struct collection *c, const struct store_visitor *visitor)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < c->n_segments; i++) {
        struct collected *at = &c->segments[i];
        r = visitor->segment(visitor->context, steal_pointer(&at->segment),
                             c->ties ? c->ties + at->first_tie : NULL, at->n_ties);
    }
    for (size_t i = 0; r == 0 && i < c->n_daemons; i++)
        r = visitor->daemon(visitor->context, &c->daemons[i]);
    collection_deinit(c);
    return r;
}
