#include "daemon/core/registry.h"

#include <errno.h>
#include <search.h>
#include <string.h>

static int compare_name(const void *a, const void *b)
{
    return strcmp(((const struct segment *)a)->name, ((const struct segment *)b)->name);
}

static int compare_shmid(const void *a, const void *b)
{
    int32_t x = ((const struct segment *)a)->shmid, y = ((const struct segment *)b)->shmid;
    return (x > y) - (x < y);
}

static int compare_key(const void *a, const void *b)
{
    uint32_t x = ((const struct segment *)a)->key, y = ((const struct segment *)b)->key;
    return (x > y) - (x < y);
}

static struct segment *find(void *const *tree, const struct segment *like,
                            int (*compare)(const void *, const void *))
{
    void *node = tfind(like, tree, compare);
    return node ? *(struct segment **)node : NULL;
}

/* 0, -EEXIST, -ENOMEM. */
static int insert(void **tree, struct segment *segment, int (*compare)(const void *, const void *))
{
    void *node = tsearch(segment, tree, compare);
    if (!node)
        return -ENOMEM;
    return *(struct segment **)node == segment ? 0 : -EEXIST;
}

void registry_init(struct registry *r)
{
    *r = (struct registry){0};
}

static void keep(void *segment)
{
    (void)segment; /* the slots own it */
}

void registry_deinit(struct registry *r)
{
    tdestroy(r->by_name, keep);
    tdestroy(r->by_shmid, keep);
    tdestroy(r->by_key, keep);
    for (size_t i = 0; i < r->n_slots; i++)
        segment_free(r->slots[i].segment);
    free(r->slots);
    registry_init(r);
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

static int reserve_slot(struct registry *r)
{
    if (r->n_slots < r->capacity)
        return 0;
    size_t capacity = r->capacity ? r->capacity * 2 : 64;
    struct registry_slot *slots = reallocarray(r->slots, capacity, sizeof(*slots));
    if (!slots)
        return -ENOMEM;
    r->slots = slots;
    r->capacity = capacity;
    return 0;
}

int registry_add(struct registry *r, struct segment *segment)
{
    int result = reserve_slot(r);
    if (result < 0)
        return result;
    result = insert(&r->by_shmid, segment, compare_shmid);
    if (result < 0)
        return result;
    if (segment->name)
        result = insert(&r->by_name, segment, compare_name);
    if (result < 0)
        goto undo_shmid;
    if (segment->key)
        result = insert(&r->by_key, segment, compare_key);
    if (result < 0)
        goto undo_name;
    if (segment->serial == 0)
        segment->serial = r->last_serial + 1;
    r->last_serial = segment->serial;
    r->slots[r->n_slots++] = (struct registry_slot){segment->serial, segment};
    r->count++;
    return 0;

undo_name:
    if (segment->name)
        tdelete(segment, &r->by_name, compare_name);
undo_shmid:
    tdelete(segment, &r->by_shmid, compare_shmid);
    return result;
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

struct segment *registry_take(struct registry *r, struct segment *segment)
{
    if (segment->name)
        tdelete(segment, &r->by_name, compare_name);
    if (segment->key)
        tdelete(segment, &r->by_key, compare_key);
    tdelete(segment, &r->by_shmid, compare_shmid);
    r->slots[lower_bound(r, segment->serial)].segment = NULL;
    r->count--;
    compact(r);
    return segment;
}

struct segment *registry_by_name(const struct registry *r, const char *name)
{
    const struct segment like = {.name = (char *)(uintptr_t)name};
    return find(&r->by_name, &like, compare_name);
}

struct segment *registry_by_shmid(const struct registry *r, int32_t shmid)
{
    const struct segment like = {.shmid = shmid};
    return find(&r->by_shmid, &like, compare_shmid);
}

struct segment *registry_by_key(const struct registry *r, uint32_t key)
{
    const struct segment like = {.key = key};
    return find(&r->by_key, &like, compare_key);
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

int registry_rename(struct registry *r, struct segment *segment, char *name)
{
    /* The new place is made before the old one is given up, so that a failure changes nothing. */
    struct segment like = {.name = name};
    int result = insert(&r->by_name, &like, compare_name);
    if (result < 0)
        return result;
    if (segment->name)
        tdelete(segment, &r->by_name, compare_name);
    void *node = tfind(&like, &r->by_name, compare_name);
    free(segment->name);
    segment->name = name;
    *(struct segment **)node = segment;
    return 0;
}

void registry_unname(struct registry *r, struct segment *segment)
{
    if (segment->name)
        tdelete(segment, &r->by_name, compare_name);
    free(steal_pointer(&segment->name));
}

void registry_anonymise(struct registry *r, struct segment *segment)
{
    registry_unname(r, segment);
    if (segment->key)
        tdelete(segment, &r->by_key, compare_key);
    segment->key = 0;
}
