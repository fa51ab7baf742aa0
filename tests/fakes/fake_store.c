/* SPDX-License-Identifier: MIT */
#include "tests/fakes/fake_store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/store/contents.h"

static void *must(void *pointer)
{
    if (!pointer)
        abort();
    return pointer;
}

/* --- what it keeps */

/* One block: the struct, the labels, all texts. */
static struct stored_segment *copy_segment(const struct stored_segment *s)
{
    size_t bytes = sizeof(*s) + s->n_labels * sizeof(struct label);
    bytes += s->name ? strlen(s->name) + 1 : 0;
    bytes += s->other_name ? strlen(s->other_name) + 1 : 0;
    for (size_t i = 0; i < s->n_labels; i++)
        bytes += strlen(s->labels[i].key) + strlen(s->labels[i].value) + 2;
    struct stored_segment *copy = must(malloc(bytes));
    struct label *labels = (struct label *)(copy + 1);
    char *text = (char *)(labels + s->n_labels);
    *copy = *s;
    copy->labels = labels;
    if (s->name) {
        copy->name = text;
        text = stpcpy(text, s->name) + 1;
    }
    if (s->other_name) {
        copy->other_name = text;
        text = stpcpy(text, s->other_name) + 1;
    }
    for (size_t i = 0; i < s->n_labels; i++) {
        labels[i].key = text;
        text = stpcpy(text, s->labels[i].key) + 1;
        labels[i].value = text;
        text = stpcpy(text, s->labels[i].value) + 1;
    }
    return copy;
}

/* The first record whose serial is not below SERIAL. */
static size_t place_of(const struct fake_store *f, uint64_t serial)
{
    size_t i = 0;
    while (i < f->n_records && f->records[i].segment->serial < serial)
        i++;
    return i;
}

static struct fake_record *find(const struct fake_store *f, uint64_t serial)
{
    size_t i = place_of(f, serial);
    return i < f->n_records && f->records[i].segment->serial == serial ? &f->records[i] : NULL;
}

static void put(struct fake_store *f, const struct stored_segment *segment)
{
    struct stored_segment *copy = copy_segment(segment);
    struct fake_record *record = find(f, segment->serial);
    if (record) {
        free(record->segment);
        record->segment = copy;
        return;
    }
    f->records = must(reallocarray(f->records, f->n_records + 1, sizeof(f->records[0])));
    size_t i = place_of(f, segment->serial);
    memmove(&f->records[i + 1], &f->records[i], (f->n_records - i) * sizeof(f->records[0]));
    f->n_records++;
    f->records[i] = (struct fake_record){.segment = copy};
}

static void tie(struct fake_store *f, uint64_t serial, const struct stored_tie *tie)
{
    struct fake_record *record = must(find(f, serial));
    record->ties = must(reallocarray(record->ties, record->n_ties + 1, sizeof(*tie)));
    record->ties[record->n_ties++] = *tie;
}

/* Whether TIE ends with END; IS_SURE: all that is known of both processes is the same. */
static bool ends_with(const struct stored_tie *tie, const struct stored_tie *end, bool is_sure)
{
    return tie->role == end->role && !process_is_other(&tie->identity, &end->identity) &&
           (!is_sure || (tie->identity.inode == end->identity.inode &&
                         tie->identity.started_at == end->identity.started_at));
}

static void untie(struct fake_store *f, uint64_t serial, const struct stored_tie *tie)
{
    struct fake_record *record = find(f, serial);
    for (int sure = 1; record && sure >= 0; sure--) {
        for (size_t i = 0; i < record->n_ties; i++) {
            if (!ends_with(&record->ties[i], tie, sure))
                continue;
            record->n_ties--;
            memmove(&record->ties[i], &record->ties[i + 1], (record->n_ties - i) * sizeof(*tie));
            return;
        }
    }
}

static void drop(struct fake_store *f, uint64_t serial)
{
    struct fake_record *record = find(f, serial);
    if (!record)
        return;
    size_t i = (size_t)(record - f->records);
    free(record->segment);
    free(record->ties);
    f->n_records--;
    memmove(&f->records[i], &f->records[i + 1], (f->n_records - i) * sizeof(f->records[0]));
}

static void idle(struct fake_store *f, uint64_t serial, const struct stored_idle *idle)
{
    struct fake_record *record = find(f, serial);
    if (record && record->segment->idle_ttl_ms != 0)
        record->segment->idle = *idle;
}

static void apply(struct fake_store *f, const struct store_record *record)
{
    switch (record->type) {
    case STORE_SEGMENT: put(f, record->segment); break;
    case STORE_TIE: tie(f, record->serial, &record->tie); break;
    case STORE_UNTIE: untie(f, record->serial, &record->tie); break;
    case STORE_GONE: drop(f, record->serial); break;
    case STORE_IDLE: idle(f, record->serial, &record->idle); break;
    case STORE_COUNTERS: f->counters.event_serial = record->counters.event_serial; break;
    case STORE_DAEMON:
        f->daemons = must(reallocarray(f->daemons, f->n_daemons + 1, sizeof(f->daemons[0])));
        f->daemons[f->n_daemons++] = record->daemon;
        break;
    }
    uint64_t serial =
        record->type == STORE_COUNTERS ? record->counters.last_serial : record->serial;
    if (f->counters.last_serial < serial)
        f->counters.last_serial = serial;
}

/* --- the operations */

static void load_segment(struct contents_builder *b, const struct fake_record *r)
{
    const char *why;
    struct store_record record = {
        .type = STORE_SEGMENT, .serial = r->segment->serial, .segment = r->segment};
    if (contents_apply(b, &record, &why) < 0)
        abort();
    record.type = STORE_TIE;
    for (size_t i = 0; i < r->n_ties; i++) {
        record.tie = r->ties[i];
        if (contents_apply(b, &record, &why) < 0)
            abort();
    }
}

static int fake_load(void *context, struct store_contents *ret)
{
    struct fake_store *f = context;
    struct contents_builder b = {0};
    const char *why;
    if (f->fail_load)
        return -f->fail_load;
    for (size_t i = 0; i < f->n_records; i++)
        load_segment(&b, &f->records[i]);
    for (size_t i = 0; i < f->n_daemons; i++) {
        const struct store_record daemon = {.type = STORE_DAEMON, .daemon = f->daemons[i]};
        if (contents_apply(&b, &daemon, &why) < 0)
            abort();
    }
    contents_finish(&b, ret);
    ret->counters = f->counters;
    ret->has_intent = f->has_intent;
    ret->intent = f->intent;
    ret->records_since_at_ms = f->records_since_at_ms;
    return 0;
}

static void fake_follow(void *context, const struct store_source *source)
{
    struct fake_store *f = context;
    f->source = *source;
}

static int fake_intend(void *context, const struct store_intent *intent, const char **ret_reason)
{
    struct fake_store *f = context;
    f->n_intends++;
    *ret_reason = store_check_intent(intent);
    if (*ret_reason)
        return -EINVAL;
    if (f->fail_intend) {
        *ret_reason = "no intent can be recorded";
        return -f->fail_intend;
    }
    f->has_intent = true;
    f->intent = *intent;
    return 0;
}

/* As a store that would refuse it: NULL, or why. */
static const char *check(const struct fake_store *f, const struct store_record *records, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const char *why = store_check_record(&records[i]);
        bool is_known = find(f, records[i].serial) != NULL;
        for (size_t k = 0; k < i; k++)
            is_known |= records[k].type == STORE_SEGMENT && records[k].serial == records[i].serial;
        if (!why && records[i].type == STORE_TIE && !is_known)
            why = "it ties a process to a segment that has no record";
        if (why)
            return why;
    }
    return NULL;
}

static int fake_write(void *context, const struct store_record *records, size_t n,
                      const char **ret_reason)
{
    struct fake_store *f = context;
    size_t bytes = 0;
    for (size_t i = 0; i < n; i++)
        bytes += store_record_size(&records[i]);
    f->n_commits++;
    f->n_offered += n;
    f->bytes_offered += bytes;
    if (f->largest_offer < bytes)
        f->largest_offer = bytes;
    const char *why = check(f, records, n);
    if (why) {
        *ret_reason = why;
        return -EINVAL;
    }
    if (f->fail_from > 0 && f->n_commits >= f->fail_from && f->n_commits <= f->fail_to) {
        *ret_reason = f->fail_reason;
        return -f->fail_errno;
    }
    for (size_t i = 0; i < n; i++)
        apply(f, &records[i]);
    f->n_changes += n;
    f->has_intent = false;
    return 0;
}

static int fake_abandon(void *context, const char **ret_reason)
{
    struct fake_store *f = context;
    (void)ret_reason;
    f->has_intent = false;
    return 0;
}

static bool fake_tend(void *context, int64_t budget_us)
{
    struct fake_store *f = context;
    (void)budget_us;
    f->n_tends++;
    if (f->more_to_tend == 0)
        return false;
    f->more_to_tend--;
    return true;
}

/* As if each record had one size. */
static uint64_t fake_size(void *context)
{
    const struct fake_store *f = context;
    return f->n_records * SEGMENT_NAME_MAX;
}

static const struct store_ops fake_ops = {
    .load = fake_load,
    .follow = fake_follow,
    .intend = fake_intend,
    .write = fake_write,
    .abandon = fake_abandon,
    .tend = fake_tend,
    .size = fake_size,
};

void fake_store_init(struct fake_store *f)
{
    *f = (struct fake_store){.records_since_at_ms = 1};
}

void fake_store_deinit(struct fake_store *f)
{
    for (size_t i = 0; i < f->n_records; i++) {
        free(f->records[i].segment);
        free(f->records[i].ties);
    }
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
    return find(f, serial);
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
