#include "tests/fakes/fake_store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void *must(void *pointer)
{
    if (!pointer)
        abort();
    return pointer;
}

/* What a store keeps of a segment, and nothing else. */
static struct segment *copy_segment(const struct segment *s)
{
    struct segment *copy = must(segment_new());
    copy->serial = s->serial;
    copy->name = s->name ? must(strdup(s->name)) : NULL;
    copy->key = s->key;
    copy->shmid = s->shmid;
    copy->cpid = s->cpid;
    copy->cuid = s->cuid;
    copy->size = s->size;
    copy->creator = s->creator;
    copy->state = s->state;
    copy->lifetime = s->lifetime;
    copy->noreserve = s->noreserve;
    copy->adopted = s->adopted;
    copy->huge_page_size = s->huge_page_size;
    copy->created_at_ms = s->created_at_ms;
    copy->expires_at_ms = s->expires_at_ms;
    if (segment_copy_labels(s->labels, s->n_labels, &copy->labels) < 0)
        abort();
    copy->n_labels = s->n_labels;
    return copy;
}

static void record_deinit(struct fake_record *record)
{
    segment_free(record->segment);
    free(record->ties);
}

/* The first record whose serial is not below SERIAL. */
static size_t place_of(const struct fake_store *f, uint64_t serial)
{
    size_t i = 0;
    while (i < f->n_records && f->records[i].segment->serial < serial)
        i++;
    return i;
}

static void drop(struct fake_store *f, uint64_t serial)
{
    size_t i = place_of(f, serial);
    if (i == f->n_records || f->records[i].segment->serial != serial)
        return;
    record_deinit(&f->records[i]);
    memmove(&f->records[i], &f->records[i + 1], (f->n_records - i - 1) * sizeof(f->records[0]));
    f->n_records--;
}

static void put(struct fake_store *f, const struct store_change *change)
{
    if (change->segment->serial != change->serial)
        abort();
    drop(f, change->serial);
    f->records = must(reallocarray(f->records, f->n_records + 1, sizeof(f->records[0])));
    size_t i = place_of(f, change->serial);
    memmove(&f->records[i + 1], &f->records[i], (f->n_records - i) * sizeof(f->records[0]));
    f->n_records++;
    struct fake_record *record = &f->records[i];
    *record = (struct fake_record){.segment = copy_segment(change->segment)};
    if (change->n_ties > 0) {
        record->ties = must(calloc(change->n_ties, sizeof(record->ties[0])));
        memcpy(record->ties, change->ties, change->n_ties * sizeof(record->ties[0]));
        record->n_ties = change->n_ties;
    }
}

static int fake_load(void *context, const struct store_visitor *visitor,
                     struct store_meta *ret_meta)
{
    struct fake_store *f = context;
    f->n_loads++;
    if (f->fail_load)
        return -f->fail_load;
    for (size_t i = 0; i < f->n_records; i++) {
        const struct fake_record *record = &f->records[i];
        int r = visitor->segment(visitor->context, copy_segment(record->segment), record->ties,
                                 record->n_ties);
        if (r < 0)
            return r;
    }
    for (size_t i = 0; i < f->n_daemons; i++) {
        int r = visitor->daemon(visitor->context, &f->daemons[i]);
        if (r < 0)
            return r;
    }
    *ret_meta = f->meta;
    return 0;
}

static int fake_enter(void *context, const struct store_daemon *daemon)
{
    struct fake_store *f = context;
    if (f->fail_enter)
        return -f->fail_enter;
    f->daemons = must(reallocarray(f->daemons, f->n_daemons + 1, sizeof(f->daemons[0])));
    f->daemons[f->n_daemons++] = *daemon;
    return 0;
}

static int fake_commit(void *context, const struct store_change *changes, size_t n_changes,
                       const struct store_meta *meta, const char **ret_reason)
{
    struct fake_store *f = context;
    f->n_commits++;
    if (f->fail_from > 0 && f->n_commits >= f->fail_from && f->n_commits <= f->fail_to) {
        *ret_reason = f->fail_reason;
        return -f->fail_errno;
    }
    for (size_t i = 0; i < n_changes; i++) {
        if (changes[i].segment)
            put(f, &changes[i]);
        else
            drop(f, changes[i].serial);
    }
    f->n_changes += n_changes;
    f->meta = *meta;
    return 0;
}

static const struct store_ops fake_ops = {
    .load = fake_load,
    .enter = fake_enter,
    .commit = fake_commit,
};

void fake_store_init(struct fake_store *f)
{
    *f = (struct fake_store){0};
}

void fake_store_deinit(struct fake_store *f)
{
    for (size_t i = 0; i < f->n_records; i++)
        record_deinit(&f->records[i]);
    free(f->records);
    free(f->daemons);
    *f = (struct fake_store){0};
}

struct store fake_store(struct fake_store *f)
{
    return (struct store){&fake_ops, f};
}

void fake_store_fail_next(struct fake_store *f, unsigned count, int errnum, const char *reason)
{
    f->fail_from = f->n_commits + 1;
    f->fail_to = f->n_commits + count;
    f->fail_errno = errnum;
    f->fail_reason = reason;
}

const struct fake_record *fake_store_find(const struct fake_store *f, uint64_t serial)
{
    size_t i = place_of(f, serial);
    return i < f->n_records && f->records[i].segment->serial == serial ? &f->records[i] : NULL;
}

const struct fake_record *fake_store_find_name(const struct fake_store *f, const char *name)
{
    for (size_t i = 0; i < f->n_records; i++) {
        const char *stored = f->records[i].segment->name;
        if (stored && strcmp(stored, name) == 0)
            return &f->records[i];
    }
    return NULL;
}
