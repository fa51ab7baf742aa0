/* SPDX-License-Identifier: MIT */
/*
 * Each record is found by all it is known by and by nothing else, whatever was added, renamed,
 * unnamed and taken in between; and running out of memory leaves the registry as it was. Linked
 * with --wrap for calloc and reallocarray.
 */
#include "tests/unit/support.h"

#include <errno.h>

#include "daemon/core/registry.h"

/* How many more tables there is memory for; negative: any number. */
static int tables_left = -1;
static bool no_slots;

void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__real_reallocarray(void *old, size_t n, size_t size);
void *__wrap_reallocarray(void *old, size_t n, size_t size);

void *__wrap_calloc(size_t n, size_t size)
{
    if (size == sizeof(struct hash_slot) && tables_left >= 0 && tables_left-- == 0) {
        tables_left = 0;
        return NULL;
    }
    return __real_calloc(n, size);
}

void *__wrap_reallocarray(void *old, size_t n, size_t size)
{
    return no_slots ? NULL : __real_reallocarray(old, n, size);
}

static struct registry r;

static int begin(void **state)
{
    (void)state;
    registry_init(&r, (const uint64_t[]){1, 2});
    return 0;
}

static int end(void **state)
{
    (void)state;
    tables_left = -1;
    no_slots = false;
    registry_deinit(&r);
    return 0;
}

static struct segment *record(const char *name, int32_t shmid, uint32_t key)
{
    struct segment *s = segment_new();
    if (!s)
        abort();
    s->name = name ? strdup(name) : NULL;
    s->shmid = shmid;
    s->key = key;
    return s;
}

static struct segment *added(const char *name, int32_t shmid, uint32_t key)
{
    struct segment *s = record(name, shmid, key);
    s->serial = registry_next_serial(&r);
    assert_int_equal(registry_add(&r, s), 0);
    return s;
}

/* Adds what must be refused. */
static void refused(const char *name, int32_t shmid, uint32_t key, int error)
{
    struct segment *s = record(name, shmid, key);
    size_t count = r.count;
    uint64_t last = r.last_serial;
    assert_int_equal(registry_add(&r, s), error);
    assert_int_equal(r.count, count);
    assert_int_equal(r.last_serial, last);
    segment_free(s); /* it stayed the caller's */
}

TEST(found_by_all_it_is_known_by)
{
    struct segment *a = added("a", 10, 42), *b = added("b", 11, 0), *c = added(NULL, 0, 43);
    assert_ptr_equal(registry_by_name(&r, "a"), a);
    assert_ptr_equal(registry_by_name(&r, "b"), b);
    assert_ptr_equal(registry_by_shmid(&r, 10), a);
    assert_ptr_equal(registry_by_shmid(&r, 11), b);
    assert_ptr_equal(registry_by_shmid(&r, 0), c);
    assert_ptr_equal(registry_by_key(&r, 42), a);
    assert_ptr_equal(registry_by_key(&r, 43), c);
    assert_int_equal(a->serial, 1);
    assert_int_equal(b->serial, 2);
    assert_int_equal(c->serial, 3);
    for (uint64_t i = 1; i <= 3; i++)
        assert_int_equal(registry_by_serial(&r, i)->serial, i);
    assert_int_equal(r.count, 3);
}

TEST(and_by_nothing_else)
{
    assert_null(registry_by_name(&r, ""));
    assert_null(registry_by_shmid(&r, 0));
    assert_null(registry_by_key(&r, 0));
    assert_null(registry_by_serial(&r, 0));
    assert_null(registry_next(&r, 0));
    added("a", 10, 42);
    added("b", 11, 0);
    assert_null(registry_by_name(&r, "A"));
    assert_null(registry_by_name(&r, "ab"));
    assert_null(registry_by_name(&r, ""));
    assert_null(registry_by_shmid(&r, 12));
    assert_null(registry_by_shmid(&r, -1));
    /* Those without a key do not have the key 0. */
    assert_null(registry_by_key(&r, 0));
    assert_null(registry_by_key(&r, UINT32_MAX));
    assert_null(registry_by_serial(&r, 0));
    assert_null(registry_by_serial(&r, 3));
    assert_null(registry_by_serial(&r, UINT64_MAX));
}

TEST(names_shmids_and_keys_are_taken_once)
{
    added("a", 10, 42);
    refused("b", 10, 0, -EEXIST);
    refused("a", 11, 0, -EEXIST);
    refused("b", 11, 42, -EEXIST);
    refused("a", 11, 42, -EEXIST);
    /* Nothing of those stayed behind. */
    assert_null(registry_by_name(&r, "b"));
    assert_null(registry_by_shmid(&r, 11));
    struct segment *b = added("b", 11, 43);
    assert_int_equal(b->serial, 2); /* and no serial was spent */
    /* Many may have neither name nor key. */
    added(NULL, 12, 0);
    added(NULL, 13, 0);
}

TEST(serials_only_rise)
{
    struct segment *a = added("a", 1, 0);
    segment_free(registry_take(&r, a));
    assert_int_equal(added("a", 1, 0)->serial, 2);
    /* One that was stored keeps its own, and the next are above it. */
    struct segment *s = record("s", 2, 0);
    s->serial = 1000;
    assert_int_equal(registry_add(&r, s), 0);
    assert_int_equal(s->serial, 1000);
    assert_int_equal(added("t", 3, 0)->serial, 1001);
    assert_ptr_equal(registry_by_serial(&r, 1000), s);
    assert_null(registry_by_serial(&r, 999));
}

TEST(taking)
{
    struct segment *a = added("a", 10, 42);
    added("b", 11, 43);
    assert_ptr_equal(registry_take(&r, a), a);
    assert_null(registry_by_name(&r, "a"));
    assert_null(registry_by_shmid(&r, 10));
    assert_null(registry_by_key(&r, 42));
    assert_null(registry_by_serial(&r, 1));
    assert_int_equal(r.count, 1);
    /* It still says what it was called. */
    assert_string_equal(a->name, "a");
    assert_int_equal(a->key, 42);
    segment_free(a);
    added("a", 10, 42);
}

/* SEGMENT gets another name, as a verb does it. */
static int rename_to(struct segment *segment, const char *name)
{
    int result = segment->name ? 0 : registry_reserve_name(&r);
    if (result == 0)
        registry_rename(&r, segment, strdup(name));
    return result;
}

TEST(renaming)
{
    struct segment *a = added("a", 1, 0), *c = added(NULL, 3, 0);
    assert_int_equal(rename_to(a, "new"), 0);
    assert_ptr_equal(registry_by_name(&r, "new"), a);
    assert_null(registry_by_name(&r, "a"));
    assert_int_equal(rename_to(c, "a"), 0);
    assert_ptr_equal(registry_by_name(&r, "a"), c);
}

TEST(anonymising)
{
    struct segment *a = added("a", 1, 42);
    registry_anonymise(&r, a);
    assert_null(a->name);
    assert_int_equal(a->key, 0);
    assert_null(registry_by_name(&r, "a"));
    assert_null(registry_by_key(&r, 42));
    assert_ptr_equal(registry_by_shmid(&r, 1), a);
    assert_ptr_equal(registry_by_serial(&r, 1), a);
    registry_anonymise(&r, a);
    /* Name and key are free for another while the first lives on. */
    struct segment *b = added("a", 2, 42);
    segment_free(registry_take(&r, a));
    assert_ptr_equal(registry_by_name(&r, "a"), b);
    assert_ptr_equal(registry_by_key(&r, 42), b);
}

TEST(one_after_the_other)
{
    for (int i = 0; i < 5; i++)
        added(NULL, i, 0);
    segment_free(registry_take(&r, registry_by_serial(&r, 1)));
    segment_free(registry_take(&r, registry_by_serial(&r, 3)));
    uint64_t want[] = {2, 4, 5}, at = 0;
    for (size_t i = 0; i < 3; i++) {
        at = registry_next(&r, at)->serial;
        assert_int_equal(at, want[i]);
    }
    assert_null(registry_next(&r, at));
    assert_null(registry_next(&r, UINT64_MAX));
    assert_int_equal(registry_next(&r, 3)->serial, 4);
}

/* What the registry must hold: LIVE of the serials up to LAST. */
static void check_all(const bool *live, uint64_t last)
{
    uint64_t at = 0;
    size_t count = 0;
    for (uint64_t serial = 1; serial <= last; serial++) {
        struct segment *s = registry_by_serial(&r, serial);
        if (!live[serial]) {
            assert_null(s);
            continue;
        }
        count++;
        char name[32];
        snprintf(name, sizeof(name), "n%llu", (unsigned long long)serial);
        assert_int_equal(s->serial, serial);
        assert_ptr_equal(registry_by_name(&r, name), s);
        assert_ptr_equal(registry_by_shmid(&r, (int32_t)serial), s);
        assert_ptr_equal(registry_by_key(&r, (uint32_t)serial), s);
        assert_ptr_equal(registry_next(&r, at), s);
        at = serial;
    }
    assert_null(registry_next(&r, at));
    assert_int_equal(r.count, count);
}

/* Whatever else happens: each that was there all the time is seen once, in order, and none that
 * has gone. */
TEST(a_walk_sees_all)
{
    struct registry_walk walk = {0};
    struct segment *s;
    assert_null(registry_step(&r, &walk));
    for (int i = 1; i <= 1000; i++)
        added(NULL, i, 0);
    uint64_t want = 1;
    while ((s = registry_step(&r, &walk))) {
        assert_int_equal(s->serial, want);
        /* Of each ten, one stays; slots are squeezed out over and over, behind and before it. */
        uint64_t stays = want - want % 10;
        for (uint64_t serial = stays + 1; serial < stays + 10 && want < 1000; serial++)
            if (registry_by_serial(&r, serial))
                segment_free(registry_take(&r, registry_by_serial(&r, serial)));
        want = want == 1 ? 10 : want + 10;
        if (want == 510)
            for (int i = 1001; i <= 1010; i++)
                if (added(NULL, i, 0)->serial < 1010)
                    segment_free(registry_take(&r, registry_by_shmid(&r, i)));
    }
    assert_int_equal(want, 1020);
    assert_null(registry_step(&r, &walk)); /* and what comes later */
    assert_int_equal(added(NULL, 1, 0)->serial, 1011);
    assert_int_equal(registry_step(&r, &walk)->serial, 1011);
    assert_null(registry_step(&r, &walk));
    assert_true(r.n_slots < 300);
}

TEST(a_walk_whose_records_go_before_and_behind_it)
{
    for (int i = 1; i <= 200; i++)
        added(NULL, i, 0);
    struct registry_walk walk = {0};
    for (uint64_t serial = 1; serial <= 100; serial++)
        assert_int_equal(registry_step(&r, &walk)->serial, serial);
    for (uint64_t serial = 1; serial <= 200; serial++)
        if (serial != 150 && serial != 100)
            segment_free(registry_take(&r, registry_by_serial(&r, serial)));
    assert_true(r.n_slots < 100); /* fewer than the walk has seen */
    assert_int_equal(registry_step(&r, &walk)->serial, 150);
    assert_null(registry_step(&r, &walk));
}

TEST(many_come_and_go_and_the_order_stays)
{
    enum { MOST = 2000 };
    bool live[MOST + 1] = {false};
    uint64_t last = 0;
    uint32_t random = 1;
    for (int round = 0; round < 20; round++) {
        for (int i = 0; i < 100; i++) {
            char name[32];
            last++;
            snprintf(name, sizeof(name), "n%llu", (unsigned long long)last);
            assert_int_equal(added(name, (int32_t)last, (uint32_t)last)->serial, last);
            live[last] = true;
        }
        /* Three quarters go, in no order. */
        for (uint64_t serial = last; serial > 0; serial--) {
            random = random * 1664525 + 1013904223;
            if (live[serial] && random >> 30 != 0) {
                segment_free(registry_take(&r, registry_by_serial(&r, serial)));
                live[serial] = false;
            }
        }
        check_all(live, last);
    }
    /* The slots of those that went were squeezed out. */
    assert_true(r.n_slots < 500);
    assert_true(r.n_slots >= r.count);
}

/* As the walks of a sweep and of list, at the same time as all that. */
TEST(no_removal_pays_for_all)
{
    enum { MANY = 20000 };
    struct registry_walk walk = {0};
    uint64_t seen = 0;
    for (int i = 1; i <= MANY; i++)
        added(NULL, i, 0);
    size_t most = 0;
    for (int i = 1; i <= MANY; i++) {
        const size_t before = r.gap_end, slots = r.n_slots;
        const bool is_squeezing = r.is_squeezing;
        if (i % 100 != 0)
            segment_free(registry_take(&r, registry_by_shmid(&r, i)));
        else if (i % 200 == 0)
            added(NULL, MANY + i, 0);
        /* The end of a squeeze begins anew; what it had left was a step at most. */
        const size_t looked_at =
            is_squeezing && !r.is_squeezing ? slots - before : r.gap_end - before;
        most = looked_at > most ? looked_at : most;
        assert_true(looked_at <= REGISTRY_STEP + 1);
        const struct segment *s = i % 3 == 0 ? registry_step(&r, &walk) : NULL;
        if (s) {
            assert_true(s->serial > seen);
            assert_ptr_equal(s, registry_by_serial(&r, s->serial));
            assert_ptr_equal(s, registry_next(&r, seen));
            seen = s->serial;
        }
    }
    assert_true(most >= REGISTRY_STEP);
    assert_int_equal(r.count, MANY / 100 + MANY / 200);
    assert_true(r.n_slots < MANY / 4);
}

TEST(room_for_many_at_once)
{
    enum { MANY = 1000 };
    assert_int_equal(registry_reserve_many(&r, MANY, MANY, MANY / 2), 0);
    no_slots = true;
    tables_left = 0;
    for (int i = 0; i < MANY; i++) {
        char name[16];
        snprintf(name, sizeof(name), "%d", i);
        added(name, i, i % 2 ? (uint32_t)i : 0);
    }
    assert_int_equal(r.count, MANY);
    assert_int_equal(registry_reserve_many(&r, MANY, 0, 0), -ENOMEM);
}

TEST(no_memory_for_a_slot)
{
    no_slots = true;
    refused("a", 1, 42, -ENOMEM);
    no_slots = false;
    for (int i = 0; i < 64; i++)
        added(NULL, i, 0);
    no_slots = true;
    refused("a", 64, 42, -ENOMEM);
    no_slots = false;
    assert_int_equal(added("a", 64, 42)->serial, 65);
}

TEST(no_memory_for_a_table)
{
    for (int i = 0; i < 3; i++) {
        tables_left = i == 0 ? 0 : 1; /* what was had the time before is kept */
        refused("a", 2, 42, -ENOMEM);
        assert_int_equal(tables_left, 0);
        tables_left = -1;
        assert_null(registry_by_name(&r, "a"));
        assert_null(registry_by_shmid(&r, 2));
        assert_null(registry_by_key(&r, 42));
    }
    assert_int_equal(added("a", 2, 42)->serial, 1);
}

/* Adds N with names. */
static void fill(int n)
{
    char name[16];
    for (int i = 0; i < n; i++) {
        snprintf(name, sizeof(name), "n%d", i);
        added(name, i, 0);
    }
}

TEST(no_memory_for_a_new_name)
{
    fill(48); /* the first table of names is full */
    struct segment *a = added(NULL, 100, 0);
    tables_left = 0;
    assert_int_equal(rename_to(a, "b"), -ENOMEM);
    assert_null(a->name);
    assert_null(registry_by_name(&r, "b"));
    assert_ptr_equal(registry_by_name(&r, "n47"), registry_by_shmid(&r, 47));
    /* Another name in place of one needs no memory. */
    assert_int_equal(rename_to(registry_by_name(&r, "n47"), "b"), 0);
    tables_left = -1;
    assert_int_equal(rename_to(a, "c"), 0);
    assert_ptr_equal(registry_by_name(&r, "c"), a);
    assert_ptr_equal(registry_by_name(&r, "b"), registry_by_shmid(&r, 47));
}

TEST(labels)
{
    const struct label two[] = {{"app", "video"}, {"note", ""}};
    struct label *copy = NULL;
    assert_int_equal(segment_copy_labels(two, 2, &copy), 0);
    struct segment *s = added("a", 1, 0);
    s->labels = copy;
    s->n_labels = 2;
    for (int i = 0; i < 2; i++) {
        assert_string_equal(copy[i].key, two[i].key);
        assert_string_equal(copy[i].value, two[i].value);
        assert_ptr_not_equal(copy[i].key, two[i].key);
    }
    struct labels wanted = {.given = true};
    assert_true(segment_has_labels(s, &wanted));
    wanted.items[wanted.count++] = (struct label){"note", ""};
    assert_true(segment_has_labels(s, &wanted));
    wanted.items[wanted.count++] = (struct label){"app", "video"};
    assert_true(segment_has_labels(s, &wanted));
    wanted.items[1].value = "audio";
    assert_false(segment_has_labels(s, &wanted));
    wanted.items[1] = (struct label){"ap", "video"};
    assert_false(segment_has_labels(s, &wanted));
    copy = s->labels;
    assert_int_equal(segment_copy_labels(two, 0, &copy), 0);
    assert_null(copy);
    segment_free(NULL);
}

int main(void)
{
#define REGISTRY_TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        REGISTRY_TEST(found_by_all_it_is_known_by),
        REGISTRY_TEST(and_by_nothing_else),
        REGISTRY_TEST(names_shmids_and_keys_are_taken_once),
        REGISTRY_TEST(serials_only_rise),
        REGISTRY_TEST(taking),
        REGISTRY_TEST(renaming),
        REGISTRY_TEST(anonymising),
        REGISTRY_TEST(one_after_the_other),
        REGISTRY_TEST(a_walk_sees_all),
        REGISTRY_TEST(a_walk_whose_records_go_before_and_behind_it),
        REGISTRY_TEST(many_come_and_go_and_the_order_stays),
        REGISTRY_TEST(no_removal_pays_for_all),
        REGISTRY_TEST(room_for_many_at_once),
        REGISTRY_TEST(no_memory_for_a_slot),
        REGISTRY_TEST(no_memory_for_a_table),
        REGISTRY_TEST(no_memory_for_a_new_name),
        REGISTRY_TEST(labels),
    };
    return RUN_TESTS(tests);
}
