/* SPDX-License-Identifier: MIT */
#include "daemon/core/registry.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "daemon/util/array.h"
#include "daemon/util/siphash.h"

/* As a key of a table. Two hashes may share one, as names may share a hash. */
static uint64_t hash_bytes(const struct registry *r, const void *bytes, size_t n)
{
    const uint64_t all = siphash(r->secret, bytes, n);
    return all == 0 || all == HASH_TABLE_NO_KEY ? 1 : all;
}

static uint64_t hash_name(const struct registry *r, const char *name)
{
    return hash_bytes(r, name, strlen(name));
}

static uint64_t hash_shmid(const struct registry *r, int32_t shmid)
{
    return hash_bytes(r, &shmid, sizeof(shmid));
}

static uint64_t hash_key(const struct registry *r, uint32_t key)
{
    return hash_bytes(r, &key, sizeof(key));
}

/* What a table has for a segment. */
static uint64_t value_of(const struct segment *segment)
{
    return (uintptr_t)segment;
}

static struct segment *segment_of(uint64_t value)
{
    return (struct segment *)(uintptr_t)value;
}

static bool is_of_name(uint64_t value, const void *name)
{
    return strcmp(segment_of(value)->name, name) == 0;
}

static bool is_of_shmid(uint64_t value, const void *shmid)
{
    return segment_of(value)->shmid == *(const int32_t *)shmid;
}

static bool is_of_key(uint64_t value, const void *key)
{
    return segment_of(value)->key == *(const uint32_t *)key;
}

static bool is_itself(uint64_t value, const void *segment)
{
    return segment_of(value) == segment;
}

static struct segment *find(const struct hash_table *table, uint64_t hash,
                            bool (*is)(uint64_t value, const void *sought), const void *sought)
{
    const struct hash_slot *slot = hash_table_find(table, hash, is, sought);
    return slot ? segment_of(slot->value) : NULL;
}

static void take_out(struct hash_table *table, uint64_t hash, const struct segment *segment)
{
    struct hash_slot *slot = hash_table_find(table, hash, is_itself, segment);
    assert(slot);
    hash_table_take(table, slot);
}

void registry_init(struct registry *r, const uint64_t secret[static 2])
{
    *r = (struct registry){.secret = {secret[0], secret[1]}};
}

void registry_deinit(struct registry *r)
{
    hash_table_deinit(&r->by_name);
    hash_table_deinit(&r->by_shmid);
    hash_table_deinit(&r->by_key);
    for (size_t i = 0; i < r->n_slots; i++)
        segment_free(r->slots[i].segment);
    free(r->slots);
    *r = (struct registry){0};
}

/* Squeezes out removed slots once they are the most: a few with each change, so that no removal
 * pays for all. It ends long before as many have been added. */
static void squeeze(struct registry *r)
{
    if (!r->is_squeezing && (r->n_slots < 64 || r->count > r->n_slots / 2))
        return;
    r->is_squeezing = true;
    for (int n = 0; n < REGISTRY_STEP && r->gap_end < r->n_slots; n++) {
        struct registry_slot slot = r->slots[r->gap_end];
        r->slots[r->gap_end++].segment = NULL;
        if (slot.segment)
            r->slots[r->gap++] = slot;
    }
    if (r->gap_end < r->n_slots)
        return;
    r->n_slots = r->gap;
    r->gap = r->gap_end = 0;
    r->is_squeezing = false;
}

int registry_reserve_many(struct registry *r, size_t n, size_t n_names, size_t n_keys)
{
    struct registry_slot *slots =
        array_reserve(r->slots, &r->capacity, r->n_slots, n, sizeof(*slots));
    if (!slots)
        return -ENOMEM;
    r->slots = slots;
    int result = hash_table_reserve(&r->by_shmid, n);
    if (result == 0)
        result = hash_table_reserve(&r->by_name, n_names);
    if (result == 0)
        result = hash_table_reserve(&r->by_key, n_keys);
    return result;
}

int registry_reserve(struct registry *r, const struct segment *segment)
{
    return registry_reserve_many(r, 1, segment->name != NULL, segment->key != 0);
}

/* Of what a segment is known by; only of what it has. */
struct hashes {
    uint64_t shmid, name, key;
};

static struct hashes hashes_of(const struct registry *r, const struct segment *segment)
{
    return (struct hashes){.shmid = hash_shmid(r, segment->shmid),
                           .name = segment->name ? hash_name(r, segment->name) : 0,
                           .key = segment->key ? hash_key(r, segment->key) : 0};
}

static bool is_free(const struct registry *r, const struct segment *s, const struct hashes *h)
{
    return !find(&r->by_shmid, h->shmid, is_of_shmid, &s->shmid) &&
           !(s->name && find(&r->by_name, h->name, is_of_name, s->name)) &&
           !(s->key && find(&r->by_key, h->key, is_of_key, &s->key));
}

static void put(struct registry *r, struct segment *segment, const struct hashes *h)
{
    assert(segment->serial > r->last_serial);
    hash_table_put(&r->by_shmid, h->shmid, value_of(segment));
    if (segment->name)
        hash_table_put(&r->by_name, h->name, value_of(segment));
    if (segment->key)
        hash_table_put(&r->by_key, h->key, value_of(segment));
    r->last_serial = segment->serial;
    r->slots[r->n_slots++] = (struct registry_slot){segment->serial, segment};
    r->count++;
    if (r->is_squeezing)
        squeeze(r);
}

int registry_add(struct registry *r, struct segment *segment)
{
    const struct hashes h = hashes_of(r, segment);
    if (!is_free(r, segment, &h))
        return -EEXIST;
    int result = registry_reserve(r, segment);
    if (result == 0)
        put(r, segment, &h);
    return result;
}

void registry_put(struct registry *r, struct segment *segment)
{
    const struct hashes h = hashes_of(r, segment);
    put(r, segment, &h);
}

/* The index of the first slot whose serial is at least SERIAL; none in the gap. */
static size_t lower_bound(const struct registry *r, uint64_t serial)
{
    const bool has_moved = r->gap > 0 && serial <= r->slots[r->gap - 1].serial;
    size_t low = has_moved ? 0 : r->gap_end, high = has_moved ? r->gap : r->n_slots;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (r->slots[middle].serial < serial)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The first slot from I on that has a record, or n_slots. */
static size_t first_from(const struct registry *r, size_t i)
{
    while (i < r->n_slots && !r->slots[i].segment)
        i = i == r->gap ? r->gap_end + (r->gap == r->gap_end) : i + 1;
    return i;
}

/* Out of the tables of names and keys; both stay written in it. */
static void forget_name(struct registry *r, const struct segment *segment)
{
    if (segment->name)
        take_out(&r->by_name, hash_name(r, segment->name), segment);
}

static void forget_key(struct registry *r, const struct segment *segment)
{
    if (segment->key)
        take_out(&r->by_key, hash_key(r, segment->key), segment);
}

struct segment *registry_take(struct registry *r, struct segment *segment)
{
    forget_name(r, segment);
    forget_key(r, segment);
    take_out(&r->by_shmid, hash_shmid(r, segment->shmid), segment);
    r->slots[lower_bound(r, segment->serial)].segment = NULL;
    r->count--;
    squeeze(r);
    return segment;
}

struct segment *registry_by_name(const struct registry *r, const char *name)
{
    return find(&r->by_name, hash_name(r, name), is_of_name, name);
}

struct segment *registry_by_shmid(const struct registry *r, int32_t shmid)
{
    return find(&r->by_shmid, hash_shmid(r, shmid), is_of_shmid, &shmid);
}

struct segment *registry_by_key(const struct registry *r, uint32_t key)
{
    return find(&r->by_key, hash_key(r, key), is_of_key, &key);
}

struct segment *registry_by_serial(const struct registry *r, uint64_t serial)
{
    size_t i = lower_bound(r, serial);
    return i < r->n_slots && r->slots[i].serial == serial ? r->slots[i].segment : NULL;
}

struct segment *registry_next(const struct registry *r, uint64_t after)
{
    if (after == UINT64_MAX)
        return NULL;
    const size_t i = first_from(r, lower_bound(r, after + 1));
    return i < r->n_slots ? r->slots[i].segment : NULL;
}

struct registry_walk registry_walk_from(const struct registry *r, uint64_t after)
{
    return (struct registry_walk){
        .serial = after, .slot = after == UINT64_MAX ? r->n_slots : lower_bound(r, after + 1)};
}

/* Whether slot I is the first behind SERIAL. Around the gap that is not looked at. */
static bool is_behind(const struct registry *r, size_t i, uint64_t serial)
{
    if (i > r->n_slots || (r->gap_end > 0 && i >= r->gap && i <= r->gap_end))
        return false;
    return (i == 0 || r->slots[i - 1].serial <= serial) &&
           (i == r->n_slots || r->slots[i].serial > serial);
}

struct segment *registry_step(const struct registry *r, struct registry_walk *walk)
{
    size_t i = walk->slot;
    if (!is_behind(r, i, walk->serial))
        i = walk->serial == UINT64_MAX ? r->n_slots : lower_bound(r, walk->serial + 1);
    walk->slot = i = first_from(r, i);
    if (i == r->n_slots)
        return NULL;
    walk->slot++;
    walk->serial = r->slots[i].serial;
    return r->slots[i].segment;
}

int registry_reserve_name(struct registry *r)
{
    return hash_table_reserve(&r->by_name, 1);
}

static void drop_name(struct registry *r, struct segment *segment)
{
    forget_name(r, segment);
    free(steal_pointer(&segment->name));
}

void registry_rename(struct registry *r, struct segment *segment, char *name)
{
    assert(!registry_by_name(r, name));
    drop_name(r, segment);
    segment->name = name;
    hash_table_put(&r->by_name, hash_name(r, name), value_of(segment));
}

void registry_anonymise(struct registry *r, struct segment *segment)
{
    forget_name(r, segment);
    if (segment->name) {
        free(segment->other_name);
        segment->other_name = steal_pointer(&segment->name);
    }
    forget_key(r, segment);
    segment->key = 0;
}
