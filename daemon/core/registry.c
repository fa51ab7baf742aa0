/* SPDX-License-Identifier: MIT */
#include "daemon/core/registry.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "daemon/util/array.h"
#include "daemon/util/siphash.h"

static uint64_t hash_name(const struct registry *r, const char *name)
{
    return siphash(r->secret, name, strlen(name));
}

static uint64_t hash_shmid(const struct registry *r, int32_t shmid)
{
    return siphash(r->secret, &shmid, sizeof(shmid));
}

static uint64_t hash_key(const struct registry *r, uint32_t key)
{
    return siphash(r->secret, &key, sizeof(key));
}

static bool is_of_name(const struct segment *segment, const void *name)
{
    return strcmp(segment->name, name) == 0;
}

static bool is_of_shmid(const struct segment *segment, const void *shmid)
{
    return segment->shmid == *(const int32_t *)shmid;
}

static bool is_of_key(const struct segment *segment, const void *key)
{
    return segment->key == *(const uint32_t *)key;
}

void registry_init(struct registry *r, const uint64_t secret[static 2])
{
    *r = (struct registry){.secret = {secret[0], secret[1]}};
}

void registry_deinit(struct registry *r)
{
    segment_index_deinit(&r->by_name);
    segment_index_deinit(&r->by_shmid);
    segment_index_deinit(&r->by_key);
    for (size_t i = 0; i < r->n_slots; i++)
        segment_free(r->slots[i].segment);
    free(r->slots);
    *r = (struct registry){0};
}

/* Squeezes out removed slots when they are the most; amortised one step a removal. */
static void compact(struct registry *r)
{
    if (r->n_slots < 64 || r->count > r->n_slots / 2)
        return;
    size_t out = 0;
    for (size_t i = 0; i < r->n_slots; i++)
        if (r->slots[i].segment)
            r->slots[out++] = r->slots[i];
    r->n_slots = out;
}

int registry_reserve_many(struct registry *r, size_t n, size_t n_names, size_t n_keys)
{
    struct registry_slot *slots =
        array_reserve(r->slots, &r->capacity, r->n_slots, n, sizeof(*slots));
    if (!slots)
        return -ENOMEM;
    r->slots = slots;
    int result = segment_index_reserve(&r->by_shmid, n);
    if (result == 0)
        result = segment_index_reserve(&r->by_name, n_names);
    if (result == 0)
        result = segment_index_reserve(&r->by_key, n_keys);
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
    return !segment_index_find(&r->by_shmid, h->shmid, is_of_shmid, &s->shmid) &&
           !(s->name && segment_index_find(&r->by_name, h->name, is_of_name, s->name)) &&
           !(s->key && segment_index_find(&r->by_key, h->key, is_of_key, &s->key));
}

static void put(struct registry *r, struct segment *segment, const struct hashes *h)
{
    assert(segment->serial > r->last_serial);
    segment_index_put(&r->by_shmid, h->shmid, segment);
    if (segment->name)
        segment_index_put(&r->by_name, h->name, segment);
    if (segment->key)
        segment_index_put(&r->by_key, h->key, segment);
    r->last_serial = segment->serial;
    r->slots[r->n_slots++] = (struct registry_slot){segment->serial, segment};
    r->count++;
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

/* The index of the first slot whose serial is at least SERIAL. */
static size_t lower_bound(const struct registry *r, uint64_t serial)
{
    size_t low = 0, high = r->n_slots;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (r->slots[middle].serial < serial)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Out of the tables of names and keys; both stay written in it. */
static void forget_name(struct registry *r, const struct segment *segment)
{
    if (segment->name)
        segment_index_take(&r->by_name, hash_name(r, segment->name), segment);
}

static void forget_key(struct registry *r, const struct segment *segment)
{
    if (segment->key)
        segment_index_take(&r->by_key, hash_key(r, segment->key), segment);
}

struct segment *registry_take(struct registry *r, struct segment *segment)
{
    forget_name(r, segment);
    forget_key(r, segment);
    segment_index_take(&r->by_shmid, hash_shmid(r, segment->shmid), segment);
    r->slots[lower_bound(r, segment->serial)].segment = NULL;
    r->count--;
    compact(r);
    return segment;
}

struct segment *registry_by_name(const struct registry *r, const char *name)
{
    return segment_index_find(&r->by_name, hash_name(r, name), is_of_name, name);
}

struct segment *registry_by_shmid(const struct registry *r, int32_t shmid)
{
    return segment_index_find(&r->by_shmid, hash_shmid(r, shmid), is_of_shmid, &shmid);
}

struct segment *registry_by_key(const struct registry *r, uint32_t key)
{
    return segment_index_find(&r->by_key, hash_key(r, key), is_of_key, &key);
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
    for (size_t i = lower_bound(r, after + 1); i < r->n_slots; i++)
        if (r->slots[i].segment)
            return r->slots[i].segment;
    return NULL;
}

struct registry_walk registry_walk_from(const struct registry *r, uint64_t after)
{
    return (struct registry_walk){
        .serial = after, .slot = after == UINT64_MAX ? r->n_slots : lower_bound(r, after + 1)};
}

struct segment *registry_step(const struct registry *r, struct registry_walk *walk)
{
    size_t i = walk->slot < r->n_slots ? walk->slot : r->n_slots;
    while (i > 0 && r->slots[i - 1].serial > walk->serial)
        i--;
    while (i < r->n_slots && !r->slots[i].segment)
        i++;
    walk->slot = i;
    if (i == r->n_slots)
        return NULL;
    walk->slot++;
    walk->serial = r->slots[i].serial;
    return r->slots[i].segment;
}

int registry_reserve_name(struct registry *r)
{
    return segment_index_reserve(&r->by_name, 1);
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
    segment_index_put(&r->by_name, hash_name(r, name), segment);
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
