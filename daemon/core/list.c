#include "daemon/core/list.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/core/find.h"
#include "daemon/core/view.h"

enum { DEFAULT_LIMIT = LIST_LIMIT_MAX };

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
    size_t bytes; /* about what the page will be on the wire */
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
    size_t size = 512;
    for (size_t i = 0; i < s->n_labels; i++)
        size += strlen(s->labels[i].key) + 2 * strlen(s->labels[i].value) + 6;
    return size;
}

static bool is_full(const struct listing *l)
{
    return l->page.count == l->limit || l->bytes > l->page_bytes;
}

static bool wanted(const struct list_params *p, const struct wire_segment *s,
                   const struct segment *record)
{
    if (p->uid.given && s->uid != (uint32_t)p->uid.value)
        return false;
    if (p->state.given && s->state != (enum segment_state)p->state.value)
        return false;
    if (p->lifetime.given && (!record || s->lifetime != (enum lifetime)p->lifetime.value))
        return false;
    if (p->prefix && *p->prefix &&
        (!s->name || strncmp(s->name, p->prefix, strlen(p->prefix)) != 0))
        return false;
    static const struct segment none;
    return !p->labels.given || segment_has_labels(record ? record : &none, &p->labels);
}

static void add(struct listing *l, const struct wire_segment *s)
{
    l->page.segments[l->page.count++] = *s;
    l->bytes += wire_size(s);
}

/* Before the costly look: whether the record alone rules it out. */
static bool may_be_wanted(const struct list_params *p, const struct segment *record)
{
    if (p->lifetime.given && record->lifetime != (enum lifetime)p->lifetime.value)
        return false;
    return !p->prefix || !*p->prefix ||
           (record->name && strncmp(record->name, p->prefix, strlen(p->prefix)) == 0);
}

static void list_managed(struct listing *l)
{
    struct core *core = l->core;
    struct segment *record;
    while (!is_full(l) && (record = registry_next(&core->registry, l->at.after))) {
        struct sysv_stat kernel;
        struct wire_segment view;
        l->at.after = record->serial;
        if (!may_be_wanted(l->params, record) || find_again(core, record, &kernel) != 0)
            continue;
        if (!access_may_see(&core->settings.access, l->caller, record, &kernel))
            continue;
        view_segment(core, record, &kernel, &view);
        if (!wanted(l->params, &view, record))
            continue;
        add(l, &view);
    }
}

static void list_foreign(struct listing *l)
{
    struct core *core = l->core;
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
        if (sysv->ops->stat_index(sysv->context, index, &kernel) < 0 ||
            registry_by_shmid(&core->registry, kernel.shmid))
            continue;
        view_foreign(core, &kernel, &view);
        if (wanted(l->params, &view, NULL))
            add(l, &view);
    }
}

static void set_cursor(struct listing *l, enum list_scope scope)
{
    bool more = is_full(l);
    if (!more)
        return;
    if (!l->at.is_foreign && scope == SCOPE_MANAGED &&
        !registry_next(&l->core->registry, l->at.after))
        return; /* it was the last, just so */
    snprintf(l->page.cursor, sizeof(l->page.cursor), "%c%" PRIu64, l->at.is_foreign ? 'f' : 'm',
             l->at.after);
}

int core_list(struct core *core, const struct caller *caller, const struct list_params *p,
              size_t page_bytes, struct page *ret, struct outcome_detail *detail)
{
    enum list_scope scope = p->scope.given ? (enum list_scope)p->scope.value : SCOPE_MANAGED;
    struct listing l = {.core = core,
                        .caller = caller,
                        .params = p,
                        .page_bytes = page_bytes,
                        .limit = p->limit.given ? (size_t)p->limit.value : DEFAULT_LIMIT};
    l.at.is_foreign = scope == SCOPE_FOREIGN;
    if (p->cursor && (parse_cursor(p->cursor, &l.at) < 0 ||
                      (scope != SCOPE_ALL && l.at.is_foreign != (scope == SCOPE_FOREIGN))))
        return outcome_invalid(detail, "cursor",
                               "must be the cursor of an earlier answer to the same list");
    l.page.segments = malloc(l.limit * sizeof(*l.page.segments));
    if (!l.page.segments)
        return -ENOMEM;
    if (!l.at.is_foreign) {
        list_managed(&l);
        if (scope == SCOPE_ALL && !is_full(&l))
            l.at = (struct position){.is_foreign = true};
    }
    if (l.at.is_foreign)
        list_foreign(&l);
    set_cursor(&l, scope);
    *ret = l.page;
    return 0;
}
