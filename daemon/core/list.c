/* SPDX-License-Identifier: MIT */
#include "daemon/core/list.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/core/find.h"
#include "daemon/core/view.h"

/*
 * What a page may cost, in nanoseconds as they were measured on one machine. They need not be
 * right: they tell dear from cheap, and what is counted is the same everywhere.
 */
enum {
    COST_MAX = 400000,
    COST_RECORD = 100,    /* to pass over a record */
    COST_LOOK = 800,      /* to ask the kernel for a segment, or whether there is one */
    COST_ROW = 2500,      /* to write a segment into the answer */
    COST_PROCESS = 10000, /* to ask for the process that made a segment */
    COST_LABEL_BYTE = 3,
    ROW_BYTES = 512, /* of a segment without labels, at most */
    ROWS_MAX = COST_MAX / (COST_LOOK + COST_ROW) + 1,
};

/* A cursor is «m» and the serial of the last managed segment in the page, or «f» and the slot of
 * the last foreign one. Segments that come and go meanwhile do not move it. */
struct position {
    bool is_foreign;
    uint64_t after; /* a serial, or a slot plus 1 */
};

struct listing {
    struct core *core;
    const struct caller *caller;
    const struct list_params *params;
    size_t limit, page_bytes;
    struct page page;
    size_t bytes, cost; /* about what the page will be on the wire, and what it has cost */
    bool has_more;      /* there may be segments behind `at` */
    struct position at;
};

static int parse_cursor(const char *cursor, struct position *ret)
{
    if ((cursor[0] != 'm' && cursor[0] != 'f') || cursor[1] < '0' || cursor[1] > '9')
        return -EINVAL;
    char *end;
    uint64_t after = strtoull(cursor + 1, &end, 10); /* one too large is the largest: beyond all */
    if (*end)
        return -EINVAL;
    *ret = (struct position){cursor[0] == 'f', after};
    return 0;
}

static size_t wire_size(const struct wire_segment *s)
{
    size_t size = ROW_BYTES;
    for (size_t i = 0; i < s->n_labels; i++)
        size += strlen(s->labels[i].key) + 2 * strlen(s->labels[i].value) + 6;
    return size;
}

static bool is_full(const struct listing *l)
{
    return l->page.count == l->limit || l->bytes > l->page_bytes || l->cost >= COST_MAX;
}

/* One record or slot more was looked at. */
static void spend(struct listing *l, size_t cost)
{
    l->cost += cost;
    work_add_records(&l->core->work, 1);
}

static bool wanted(const struct list_params *p, const struct wire_segment *s,
                   const struct segment *record)
{
    if (p->uid.given && s->uid != (uint32_t)p->uid.value)
        return false;
    if (p->state.given && s->state != (enum segment_state)p->state.value)
        return false;
    return !record || !p->labels.given || segment_has_labels(record, &p->labels);
}

static void add(struct listing *l, const struct wire_segment *s)
{
    size_t size = wire_size(s);
    l->page.segments[l->page.count++] = *s;
    l->bytes += size;
    l->cost += COST_ROW + (size - ROW_BYTES) * COST_LABEL_BYTE;
}

/* Before the costly look: whether the record alone rules it out. */
static bool may_be_wanted(const struct list_params *p, const struct segment *record)
{
    if (p->lifetime.given && record->lifetime != (enum lifetime)p->lifetime.value)
        return false;
    return !p->prefix || !*p->prefix ||
           (record->name && strncmp(record->name, p->prefix, strlen(p->prefix)) == 0);
}

/* The segment of RECORD goes into the page if the caller may see it and wants it. */
static void consider(struct listing *l, struct segment *record)
{
    struct core *core = l->core;
    struct sysv_stat kernel;
    struct wire_segment view;
    if (!may_be_wanted(l->params, record)) {
        spend(l, COST_RECORD);
        return;
    }
    l->cost += COST_LOOK;
    /* The look may show that it is being removed, and then it has no name. */
    if (find_again(core, record, &kernel) != 0 || !may_be_wanted(l->params, record) ||
        !access_may_see(&core->settings.access, l->caller, record, &kernel))
        return;
    view_segment(core, record, &kernel, &view);
    if (wanted(l->params, &view, record))
        add(l, &view);
}

static void list_managed(struct listing *l)
{
    const struct registry *registry = &l->core->registry;
    struct registry_walk walk = registry_walk_from(registry, l->at.after);
    struct segment *record;
    while ((record = registry_step(registry, &walk))) {
        if (is_full(l)) {
            l->has_more = true;
            return;
        }
        l->at.after = record->serial;
        consider(l, record);
    }
}

/* Segments that are not the daemon's have no name, lifetime or labels. */
static bool may_be_foreign(const struct list_params *p)
{
    return !p->lifetime.given && !(p->prefix && *p->prefix) &&
           !(p->labels.given && p->labels.count > 0);
}

static void list_foreign(struct listing *l)
{
    struct core *core = l->core;
    if (!may_be_foreign(l->params))
        return;
    const struct sysv *sysv = &core->on.sysv;
    struct sysv_limits limits;
    if (sysv->ops->limits(sysv->context, &limits) < 0)
        return;
    /* A cursor may hold any number. */
    uint64_t end = (uint64_t)((int64_t)limits.max_index + 1);
    while (!is_full(l) && l->at.after < end) {
        struct sysv_stat kernel;
        struct wire_segment view;
        int32_t index = (int32_t)l->at.after++;
        spend(l, COST_LOOK);
        if (sysv->ops->stat_index(sysv->context, index, &kernel) < 0 ||
            registry_by_shmid(&core->registry, kernel.shmid) ||
            (l->params->uid.given && kernel.uid != (uint32_t)l->params->uid.value))
            continue;
        view_foreign(core, &kernel, &view);
        if (view.creator.comm_now[0])
            l->cost += COST_PROCESS; /* it lives, and more was asked */
        if (wanted(l->params, &view, NULL))
            add(l, &view);
    }
    l->has_more = l->at.after < end;
}

int core_list(struct core *core, const struct caller *caller, const struct list_params *p,
              size_t page_bytes, struct page *ret, struct outcome_detail *detail)
{
    enum list_scope scope = p->scope.given ? (enum list_scope)p->scope.value : SCOPE_MANAGED;
    struct listing l = {.core = core,
                        .caller = caller,
                        .params = p,
                        .page_bytes = page_bytes,
                        .limit = p->limit.given ? (size_t)p->limit.value : LIST_LIMIT_MAX};
    l.at.is_foreign = scope == SCOPE_FOREIGN;
    if (p->cursor && (parse_cursor(p->cursor, &l.at) < 0 ||
                      (scope != SCOPE_ALL && l.at.is_foreign != (scope == SCOPE_FOREIGN))))
        return outcome_invalid(detail, "cursor",
                               "must be the cursor of an earlier answer to the same list");
    if (l.limit > ROWS_MAX)
        l.limit = ROWS_MAX;
    l.page.segments = malloc(l.limit * sizeof(*l.page.segments));
    if (!l.page.segments)
        return -ENOMEM;
    if (!l.at.is_foreign) {
        list_managed(&l);
        if (scope == SCOPE_ALL && !l.has_more)
            l.at = (struct position){.is_foreign = true};
    }
    if (l.at.is_foreign)
        list_foreign(&l);
    if (l.has_more)
        snprintf(l.page.cursor, sizeof(l.page.cursor), "%c%" PRIu64, l.at.is_foreign ? 'f' : 'm',
                 l.at.after);
    *ret = l.page;
    return 0;
}
