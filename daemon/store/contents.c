/* SPDX-License-Identifier: MIT */
#include "daemon/store/contents.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/store/serial_map.h"
#include "daemon/util/array.h"
#include "daemon/util/siphash.h"

enum { CHUNK = 65536 };

/* --- an arena: memory that is freed all at once */

struct arena {
    struct arena *next;
    size_t used, size;
    _Alignas(16) char bytes[];
};

static void *arena_get(struct arena **arena, size_t size)
{
    size = (size + 15) & ~(size_t)15;
    struct arena *a = *arena;
    if (!a || a->size - a->used < size) {
        size_t room = size > CHUNK ? size : CHUNK;
        a = malloc(sizeof(*a) + room);
        if (!a)
            return NULL;
        *a = (struct arena){.next = *arena, .size = room};
        *arena = a;
    }
    void *got = a->bytes + a->used;
    a->used += size;
    return got;
}

static void arena_free(struct arena *arena)
{
    while (arena) {
        struct arena *next = arena->next;
        free(arena);
        arena = next;
    }
}

void store_contents_deinit(struct store_contents *contents)
{
    free(contents->segments);
    free(contents->daemons);
    arena_free(contents->memory);
    *contents = (struct store_contents){0};
}

/* --- the builder */

void contents_builder_deinit(struct contents_builder *b)
{
    free(b->segments);
    store_contents_deinit(&b->so_far);
    *b = (struct contents_builder){0};
}

static bool is_gone(const struct stored *stored)
{
    return stored->segment.state == STATE_REMOVED;
}

/* The place of the first whose serial is at least SERIAL. Most records are of the last segment, or
 * of one behind it. */
static size_t place_of(const struct contents_builder *b, uint64_t serial)
{
    size_t low = 0, high = b->n_segments;
    if (high > 0 && b->segments[high - 1].segment.serial <= serial)
        return b->segments[high - 1].segment.serial == serial ? high - 1 : high;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (b->segments[middle].segment.serial < serial)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The one with SERIAL, unless it is gone. */
static struct stored *find(const struct contents_builder *b, uint64_t serial)
{
    size_t place = place_of(b, serial);
    if (place == b->n_segments || b->segments[place].segment.serial != serial)
        return NULL;
    return is_gone(&b->segments[place]) ? NULL : &b->segments[place];
}

/* A place for one with SERIAL, which is not there; one that is gone leaves its own. */
static struct stored *add(struct contents_builder *b, uint64_t serial)
{
    size_t place = place_of(b, serial);
    if (place == b->n_segments || b->segments[place].segment.serial != serial) {
        struct stored *segments =
            array_reserve(b->segments, &b->capacity, b->n_segments, 1, sizeof(*segments));
        if (!segments)
            return NULL;
        b->segments = segments;
        memmove(segments + place + 1, segments + place,
                (b->n_segments++ - place) * sizeof(*segments));
    }
    b->segments[place] = (struct stored){0};
    return &b->segments[place];
}

static char *copy_text(char **at, const char *text)
{
    char *copy = *at;
    *at = stpcpy(copy, text) + 1;
    return copy;
}

/* SEGMENT, with copies of what it borrows: 0 or -ENOMEM. */
static int copy_segment(struct contents_builder *b, const struct stored_segment *segment,
                        struct stored_segment *ret)
{
    size_t bytes = segment->name ? strlen(segment->name) + 1 : 1;
    bytes += segment->other_name ? strlen(segment->other_name) + 1 : 0;
    for (size_t i = 0; i < segment->n_labels; i++)
        bytes += strlen(segment->labels[i].key) + strlen(segment->labels[i].value) + 2;
    struct label *labels = NULL;
    if (segment->n_labels > 0)
        labels = arena_get(&b->so_far.memory, segment->n_labels * sizeof(*labels));
    char *text = arena_get(&b->so_far.memory, bytes);
    if ((segment->n_labels > 0 && !labels) || !text)
        return -ENOMEM;
    *ret = *segment;
    ret->labels = labels;
    if (segment->name)
        ret->name = copy_text(&text, segment->name);
    if (segment->other_name)
        ret->other_name = copy_text(&text, segment->other_name);
    for (size_t i = 0; i < segment->n_labels; i++) {
        labels[i].key = copy_text(&text, segment->labels[i].key);
        labels[i].value = copy_text(&text, segment->labels[i].value);
    }
    return 0;
}

static int apply_segment(struct contents_builder *b, const struct stored_segment *segment)
{
    struct stored_segment copy;
    int r = copy_segment(b, segment, &copy);
    if (r < 0)
        return r;
    struct stored *stored = find(b, segment->serial);
    if (!stored)
        stored = add(b, segment->serial);
    if (!stored)
        return -ENOMEM;
    stored->segment = copy;
    return 0;
}

static bool is_same_tie(const struct stored_tie *a, const struct stored_tie *b)
{
    return a->role == b->role && a->identity.pid == b->identity.pid &&
           a->identity.inode == b->identity.inode &&
           a->identity.started_at == b->identity.started_at;
}

/* All ties are in the arena, which is ours. */
static struct stored_tie *ties_of(const struct stored *stored)
{
    return (struct stored_tie *)stored->ties;
}

/* Which of the ties ends with TIE. A daemon that has restored it may know less of the process than
 * the one that recorded it, or more. */
static size_t place_of_tie(const struct stored *stored, const struct stored_tie *tie)
{
    size_t i = 0;
    while (i < stored->n_ties && !is_same_tie(&stored->ties[i], tie))
        i++;
    if (i < stored->n_ties)
        return i;
    i = 0;
    while (i < stored->n_ties && (stored->ties[i].role != tie->role ||
                                  process_is_other(&stored->ties[i].identity, &tie->identity)))
        i++;
    return i;
}

/* There is room for 2, 4, 8 ties and so on, or for more after some have gone. */
static bool may_be_full(size_t n_ties)
{
    return n_ties != 1 && (n_ties & (n_ties - 1)) == 0;
}

static int apply_tie(struct contents_builder *b, uint64_t serial, const struct stored_tie *tie,
                     const char **ret_why)
{
    struct stored *stored = find(b, serial);
    if (!stored) {
        *ret_why = "it ties a process to a segment that has no record";
        return -EBADMSG;
    }
    if (may_be_full(stored->n_ties)) {
        size_t capacity = stored->n_ties > 0 ? stored->n_ties * 2 : 2;
        struct stored_tie *ties = arena_get(&b->so_far.memory, capacity * sizeof(*ties));
        if (!ties)
            return -ENOMEM;
        if (stored->n_ties > 0)
            memcpy(ties, stored->ties, stored->n_ties * sizeof(*ties));
        stored->ties = ties;
    }
    ties_of(stored)[stored->n_ties++] = *tie;
    return 0;
}

static void apply_untie(struct contents_builder *b, uint64_t serial, const struct stored_tie *tie)
{
    struct stored *stored = find(b, serial);
    size_t i = stored ? place_of_tie(stored, tie) : 0;
    if (!stored || i == stored->n_ties)
        return;
    struct stored_tie *ties = ties_of(stored);
    stored->n_ties--;
    memmove(&ties[i], &ties[i + 1], (stored->n_ties - i) * sizeof(*ties));
}

static void apply_gone(struct contents_builder *b, uint64_t serial)
{
    struct stored *stored = find(b, serial);
    if (stored)
        stored->segment.state = STATE_REMOVED;
}

void store_daemons_add(struct store_daemon *daemons, size_t *n_daemons,
                       const struct store_daemon *daemon)
{
    if (*n_daemons == STORE_DAEMONS_KEPT)
        memmove(daemons, daemons + 1, --*n_daemons * sizeof(*daemons));
    daemons[(*n_daemons)++] = *daemon;
}

static void apply_idle(struct contents_builder *b, uint64_t serial, const struct stored_idle *idle)
{
    struct stored *stored = find(b, serial);
    if (stored && stored->segment.idle_ttl_ms != 0)
        stored->segment.idle = *idle;
}

static int apply_daemon(struct contents_builder *b, const struct store_daemon *daemon)
{
    struct store_contents *c = &b->so_far;
    if (!c->daemons && !(c->daemons = calloc(STORE_DAEMONS_KEPT, sizeof(*c->daemons))))
        return -ENOMEM;
    store_daemons_add(c->daemons, &c->n_daemons, daemon);
    return 0;
}

void store_counters_update(struct store_counters *counters, const struct store_record *record)
{
    uint64_t serial = record->serial;
    if (record->type == STORE_COUNTERS) {
        serial = record->counters.last_serial;
        counters->event_serial = record->counters.event_serial;
    }
    if (counters->last_serial < serial)
        counters->last_serial = serial;
}

int contents_apply(struct contents_builder *b, const struct store_record *record,
                   const char **ret_why)
{
    int r = 0;
    switch (record->type) {
    case STORE_SEGMENT: r = apply_segment(b, record->segment); break;
    case STORE_TIE: r = apply_tie(b, record->serial, &record->tie, ret_why); break;
    case STORE_UNTIE: apply_untie(b, record->serial, &record->tie); break;
    case STORE_GONE: apply_gone(b, record->serial); break;
    case STORE_DAEMON: r = apply_daemon(b, &record->daemon); break;
    case STORE_IDLE: apply_idle(b, record->serial, &record->idle); break;
    case STORE_COUNTERS: break;
    }
    if (r == 0)
        store_counters_update(&b->so_far.counters, record);
    return r;
}

/* A 64-bit hash stands for a name or a key, which users choose. Two that share one are as rare as
 * damage that no sum shows: only a user who knew the secret could find them. */
static int note_once(struct serial_map *seen, uint64_t what)
{
    int r = serial_map_reserve(seen, 1);
    if (r < 0)
        return r;
    if (serial_map_find(seen, what))
        return -EBADMSG;
    serial_map_put(seen, what, 0);
    return 0;
}

static uint64_t hash_of(const uint64_t secret[static 2], const void *bytes, size_t n)
{
    return siphash(secret, bytes, n) % (HASH_TABLE_NO_KEY - 1) + 1;
}

static void free_maps(struct serial_map (*maps)[3])
{
    for (size_t i = 0; i < 3; i++)
        serial_map_deinit(&(*maps)[i]);
}

int contents_check_unique(const struct contents_builder *b, const uint64_t secret[static 2],
                          const char **ret_why)
{
    struct serial_map seen[3] CLEANUP(free_maps) = {0};
    int r = serial_map_reserve(&seen[0], b->n_segments);
    for (size_t i = 0; r == 0 && i < b->n_segments; i++) {
        const struct stored_segment *s = &b->segments[i].segment;
        if (is_gone(&b->segments[i]))
            continue;
        r = note_once(&seen[0], (uint64_t)s->shmid + 1);
        *ret_why = "two records have the same shmid";
        if (r == 0 && s->key) {
            r = note_once(&seen[1], hash_of(secret, &s->key, sizeof(s->key)));
            *ret_why = "two records have the same key";
        }
        if (r == 0 && s->name) {
            r = note_once(&seen[2], hash_of(secret, s->name, strlen(s->name)));
            *ret_why = "two records have the same name";
        }
    }
    return r;
}

void contents_finish(struct contents_builder *b, struct store_contents *ret)
{
    size_t n = 0;
    for (size_t i = 0; i < b->n_segments; i++) {
        if (is_gone(&b->segments[i]))
            continue;
        if (n < i)
            b->segments[n] = b->segments[i];
        n++;
    }
    *ret = b->so_far;
    ret->segments = steal_pointer(&b->segments);
    ret->n_segments = n;
    b->so_far = (struct store_contents){0};
    contents_builder_deinit(b);
}
