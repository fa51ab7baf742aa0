/* SPDX-License-Identifier: MIT */
/*
 * What is taken is taken whole or not at all and given back once; each cap is named by its
 * configuration key; admins have a reserve of each total; an account goes when its uid has nothing;
 * the caps come from the settings and the machine. Linked with --wrap for calloc and tsearch, so
 * that either can run out of memory.
 */
#include "tests/unit/support.h"

#include <errno.h>
#include <search.h>

#include "daemon/core/quota.h"

static bool no_calloc, no_tsearch;

void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__real_tsearch(const void *key, void **root, int (*compare)(const void *, const void *));
void *__wrap_tsearch(const void *key, void **root, int (*compare)(const void *, const void *));

void *__wrap_calloc(size_t n, size_t size)
{
    return no_calloc ? NULL : __real_calloc(n, size);
}

void *__wrap_tsearch(const void *key, void **root, int (*compare)(const void *, const void *))
{
    return no_tsearch ? NULL : __real_tsearch(key, root, compare);
}

static struct quota q;

static int open_book(void **state)
{
    (void)state;
    no_calloc = no_tsearch = false;
    quota_init(&q);
    return 0;
}

/* Asserts that all was given back. */
static int close_book(void **state)
{
    (void)state;
    no_calloc = no_tsearch = false;
    quota_deinit(&q);
    return 0;
}

static struct outcome_detail d;

/* A machine of 8 GiB memory and 2 GiB swap. */
static const struct machine a_machine = {.memory = UINT64_C(8) << 30,
                                         .swap = UINT64_C(2) << 30,
                                         .max_descriptors = 65536,
                                         .max_locked_bytes = 8 << 20,
                                         .max_address_space = UINT64_MAX};

static int take(uint32_t uid, enum quota_kind kind, uint64_t amount, struct account **account)
{
    d = (struct outcome_detail){0};
    return quota_take(&q, uid, false, kind, amount, account, &d);
}

static struct account *taken(uint32_t uid, enum quota_kind kind, uint64_t amount)
{
    struct account *account = NULL;
    assert_int_equal(take(uid, kind, amount, &account), 0);
    return account;
}

static void refused(uint32_t uid, enum quota_kind kind, uint64_t amount, const char *key,
                    uint64_t used, uint64_t max)
{
    struct account *account = NULL;
    assert_int_equal(take(uid, kind, amount, &account), OUTCOME_QUOTA_EXCEEDED);
    assert_null(account);
    assert_string_equal(d.what, key);
    assert_int_equal(d.used, used);
    assert_int_equal(d.max, max);
}

TEST(what_is_taken_adds_up)
{
    struct account *a = taken(1000, QUOTA_SEGMENTS, 1);
    struct account *again = a;
    assert_int_equal(take(1000, QUOTA_BYTES, 4096, &again), 0);
    assert_ptr_equal(again, a);
    assert_ptr_equal(taken(1000, QUOTA_BYTES, 100), a);
    struct account *b = taken(1001, QUOTA_CONNECTIONS, 1);
    assert_int_equal(quota_used(&q, 1000, QUOTA_BYTES), 4196);
    assert_int_equal(quota_used(&q, 1001, QUOTA_BYTES), 0);
    assert_int_equal(quota_used(&q, 1002, QUOTA_BYTES), 0);
    assert_int_equal(q.total[QUOTA_BYTES], 4196);
    assert_int_equal(q.total[QUOTA_CONNECTIONS], 1);
    quota_give(&q, a, QUOTA_BYTES, 4196);
    assert_int_equal(quota_used(&q, 1000, QUOTA_BYTES), 0);
    assert_int_equal(quota_used(&q, 1000, QUOTA_SEGMENTS), 1);
    quota_give(&q, b, QUOTA_CONNECTIONS, 1);
    quota_give(&q, a, QUOTA_SEGMENTS, 1);
    assert_null(q.accounts);
}

TEST(an_account_goes_when_it_is_empty)
{
    struct account *accounts[100];
    for (uint32_t i = 0; i < 100; i++)
        accounts[i] = taken(i * 7919 % 101, QUOTA_WAITERS, 1);
    for (uint32_t i = 0; i < 100; i++) {
        assert_non_null(q.accounts);
        quota_give(&q, accounts[(i * 37) % 100], QUOTA_WAITERS, 1);
    }
    assert_null(q.accounts);
    /* Also one that was opened for what was refused. */
    q.caps[QUOTA_BYTES].per_uid = 1;
    refused(5, QUOTA_BYTES, 2, "max_bytes_per_uid", 0, 1);
    assert_null(q.accounts);
}

/* The cap of a uid is its own: another uid has what it may have. */
static void check_per_uid(enum quota_kind kind, const char *key)
{
    q.caps[kind].per_uid = 5;
    struct account *a = taken(1000, kind, 5), *b = taken(1001, kind, 5);
    refused(1000, kind, 1, key, 5, 5);
    /* Also for an admin. */
    struct account *own = a;
    assert_int_equal(quota_take(&q, 1000, true, kind, 1, &own, &d), OUTCOME_QUOTA_EXCEEDED);
    quota_give(&q, a, kind, 1);
    own = a;
    assert_int_equal(take(1000, kind, 1, &own), 0);
    quota_give(&q, a, kind, 5);
    quota_give(&q, b, kind, 5);
    assert_null(q.accounts);
}

/* The last 2 of 10 are for admins. */
static void check_total(enum quota_kind kind, const char *key)
{
    struct account *admin = NULL;
    q.caps[kind] = (struct quota_cap){QUOTA_NO_CAP, 10, 2};
    struct account *a = taken(1000, kind, 5), *b = taken(1001, kind, 3);
    refused(1002, kind, 1, key, 8, 8);
    assert_true(d.is_total);
    assert_int_equal(quota_take(&q, 0, true, kind, 2, &admin, &d), 0);
    struct account *more = NULL;
    assert_int_equal(quota_take(&q, 0, true, kind, 1, &more, &d), OUTCOME_QUOTA_EXCEEDED);
    assert_int_equal(d.max, 10);
    quota_give(&q, a, kind, 5);
    quota_give(&q, b, kind, 3);
    quota_give(&q, admin, kind, 2);
}

TEST(each_cap)
{
    static const struct {
        const char *per_uid, *total;
    } keys[QUOTA_KINDS] = {
        [QUOTA_SEGMENTS] = {"max_segments_per_uid", "max_segments"},
        [QUOTA_BYTES] = {"max_bytes_per_uid", "max_bytes"},
        [QUOTA_LOCKED_BYTES] = {"max_locked_bytes_per_uid", "max_locked_bytes"},
        [QUOTA_ANCHORED_BYTES] = {"max_anchored_bytes_per_uid", "max_anchored_bytes"},
        [QUOTA_CONNECTIONS] = {"max_connections_per_uid", "max_connections"},
        [QUOTA_WAITERS] = {"max_waiters_per_uid", "max_waiters"},
        [QUOTA_PROCESSES] = {"max_processes_per_uid", "max_processes"},
        [QUOTA_SUBSCRIPTIONS] = {"max_subscriptions_per_uid", NULL},
        [QUOTA_BUFFER_BYTES] = {"max_buffer_bytes_per_uid", NULL},
    };
    for (int kind = 0; kind < QUOTA_KINDS; kind++) {
        check_per_uid((enum quota_kind)kind, keys[kind].per_uid);
        if (keys[kind].total)
            check_total((enum quota_kind)kind, keys[kind].total);
    }
}

TEST(caps_lowered_below_what_is_used)
{
    struct account *a = taken(1000, QUOTA_SEGMENTS, 10);
    q.caps[QUOTA_SEGMENTS].per_uid = 3;
    refused(1000, QUOTA_SEGMENTS, 1, "max_segments_per_uid", 10, 3);
    /* It is not in the way of something else. */
    struct account *own = a;
    assert_int_equal(take(1000, QUOTA_WAITERS, 1, &own), 0);
    quota_give(&q, a, QUOTA_WAITERS, 1);
    quota_give(&q, a, QUOTA_SEGMENTS, 10);
}

TEST(sums_do_not_wrap)
{
    struct account *a = taken(1000, QUOTA_BYTES, UINT64_MAX - 5), *b = NULL;
    refused(1000, QUOTA_BYTES, 6, "max_bytes_per_uid", UINT64_MAX - 5, UINT64_MAX);
    refused(1001, QUOTA_BYTES, 6, "max_bytes", UINT64_MAX - 5, UINT64_MAX);
    assert_int_equal(quota_add(&q, 1001, QUOTA_BYTES, 6, &b), -EOVERFLOW);
    assert_null(b);
    q.caps[QUOTA_BYTES].total = INT64_MAX;
    refused(1001, QUOTA_BYTES, UINT64_MAX, "max_bytes", UINT64_MAX - 5, INT64_MAX);
    quota_give(&q, a, QUOTA_BYTES, UINT64_MAX - 5);
}

TEST(what_is_there_already_counts_whatever_the_caps)
{
    struct account *a = NULL;
    q.caps[QUOTA_BYTES] = (struct quota_cap){5, 5, 0};
    assert_int_equal(quota_add(&q, 1000, QUOTA_BYTES, 9, &a), 0);
    refused(1000, QUOTA_BYTES, 1, "max_bytes_per_uid", 9, 5);
    quota_give(&q, a, QUOTA_BYTES, 9);
}

TEST(what_goes_up_and_down)
{
    uint64_t has = 0;
    struct account *a = taken(1000, QUOTA_CONNECTIONS, 1);
    q.caps[QUOTA_BUFFER_BYTES].per_uid = 100;
    quota_set(a, QUOTA_BUFFER_BYTES, &has, 60);
    assert_false(quota_is_above(a, QUOTA_BUFFER_BYTES, 1));
    assert_true(quota_is_above(a, QUOTA_BUFFER_BYTES, 2));
    quota_set(a, QUOTA_BUFFER_BYTES, &has, 101);
    assert_true(quota_is_above(a, QUOTA_BUFFER_BYTES, 1));
    quota_set(a, QUOTA_BUFFER_BYTES, &has, 50);
    assert_false(quota_is_above(a, QUOTA_BUFFER_BYTES, 2));
    assert_int_equal(q.total[QUOTA_BUFFER_BYTES], 50);
    assert_int_equal(has, 50);
    quota_set(a, QUOTA_BUFFER_BYTES, &has, 0);
    quota_set(NULL, QUOTA_BUFFER_BYTES, &has, 7); /* of the daemon itself */
    quota_give(&q, a, QUOTA_CONNECTIONS, 1);
}

TEST(memory_runs_out)
{
    struct account *a = NULL;
    no_calloc = true;
    assert_int_equal(take(1000, QUOTA_SEGMENTS, 1, &a), -ENOMEM);
    assert_int_equal(quota_add(&q, 1000, QUOTA_SEGMENTS, 1, &a), -ENOMEM);
    no_calloc = false;
    no_tsearch = true;
    assert_int_equal(take(1000, QUOTA_SEGMENTS, 1, &a), -ENOMEM);
    assert_null(a);
    assert_null(q.accounts);
    no_tsearch = false;
    a = taken(1000, QUOTA_SEGMENTS, 1);
    /* An account that is open needs no more. */
    no_calloc = no_tsearch = true;
    assert_ptr_equal(taken(1000, QUOTA_SEGMENTS, 1), a);
    quota_give(&q, a, QUOTA_SEGMENTS, 2);
}

/* --- the caps */

static void configured(struct limits limits, struct machine machine)
{
    quota_configure(&q, &limits, &machine);
}

static void check_cap(enum quota_kind kind, uint64_t per_uid, uint64_t total, uint64_t reserve)
{
    assert_int_equal(q.caps[kind].per_uid, per_uid);
    assert_int_equal(q.caps[kind].total, total);
    assert_int_equal(q.caps[kind].reserve, reserve);
}

TEST(the_defaults)
{
    const uint64_t none = QUOTA_NO_CAP, tib = UINT64_C(1) << 40;
    configured((struct limits)LIMITS_DEFAULT, a_machine);
    check_cap(QUOTA_SEGMENTS, 1024, none, 0);
    check_cap(QUOTA_BYTES, UINT64_C(10) << 30, none, 0);
    check_cap(QUOTA_CONNECTIONS, 512, 4096, 64);
    check_cap(QUOTA_WAITERS, 256, 4096, 256);
    check_cap(QUOTA_PROCESSES, 256, 65536 - 32 - 4096, (65536 - 32 - 4096) / 16);
    check_cap(QUOTA_SUBSCRIPTIONS, 64, none, 0);
    check_cap(QUOTA_BUFFER_BYTES, 8 << 20, none, 0);
    check_cap(QUOTA_LOCKED_BYTES, 2 << 20, 8 << 20, 1 << 19);
    check_cap(QUOTA_ANCHORED_BYTES, tib, 32 * tib, 2 * tib);
}

TEST(few_descriptors_are_shared)
{
    struct machine m = a_machine;
    m.max_descriptors = 1300;
    configured((struct limits)LIMITS_DEFAULT, m);
    check_cap(QUOTA_CONNECTIONS, 512, 634, 64);
    check_cap(QUOTA_PROCESSES, 256, 634, 39);
    /* What one may not use is the other's. */
    configured((struct limits){.max_connections = 4096, .max_processes = 100}, m);
    assert_int_equal(q.caps[QUOTA_CONNECTIONS].total, 1168);
    assert_int_equal(q.caps[QUOTA_PROCESSES].total, 100);
    configured((struct limits){.max_connections = 100}, m);
    assert_int_equal(q.caps[QUOTA_CONNECTIONS].total, 100);
    assert_int_equal(q.caps[QUOTA_PROCESSES].total, 1168);
    /* So few are not divided: the kernel refuses when they are used up. */
    m.max_descriptors = 40;
    configured((struct limits)LIMITS_DEFAULT, m);
    check_cap(QUOTA_CONNECTIONS, 512, 4096, 64);
    check_cap(QUOTA_PROCESSES, 256, 4, 0);
    /* No limit, or one that is not known. */
    for (int i = 0; i < 2; i++) {
        m.max_descriptors = i == 0 ? UINT64_MAX : 0;
        configured((struct limits)LIMITS_DEFAULT, m);
        check_cap(QUOTA_CONNECTIONS, 512, 4096, 64);
        check_cap(QUOTA_PROCESSES, 256, QUOTA_NO_CAP, 0);
    }
}

TEST(a_machine_that_tells_nothing)
{
    configured((struct limits)LIMITS_DEFAULT, (struct machine){.memory = 0});
    check_cap(QUOTA_BYTES, QUOTA_NO_CAP, QUOTA_NO_CAP, 0);
    assert_int_equal(q.caps[QUOTA_LOCKED_BYTES].total, QUOTA_NO_CAP);
    /* It may lock without limit: then a quarter of the memory. */
    configured((struct limits)LIMITS_DEFAULT,
               (struct machine){.memory = 4000, .max_locked_bytes = UINT64_MAX});
    check_cap(QUOTA_LOCKED_BYTES, 1000, 4000, 250);
}

TEST(a_limited_address_space)
{
    struct machine m = a_machine;
    m.max_address_space = UINT64_C(2) << 30;
    configured((struct limits)LIMITS_DEFAULT, m);
    check_cap(QUOTA_ANCHORED_BYTES, 1 << 30, 1 << 30, 1 << 26);
}

TEST(small_totals_have_no_reserve)
{
    struct limits limits = LIMITS_DEFAULT;
    limits.max_segments = 3;
    limits.max_bytes = 10000;
    limits.max_connections = 6;
    limits.max_waiters = 2;
    configured(limits, a_machine);
    check_cap(QUOTA_SEGMENTS, 1024, 3, 0);
    assert_int_equal(q.caps[QUOTA_BYTES].reserve, 0);
    check_cap(QUOTA_CONNECTIONS, 512, 6, 0);
    check_cap(QUOTA_WAITERS, 256, 2, 0);
    limits.max_connections = 200;
    configured(limits, a_machine);
    check_cap(QUOTA_CONNECTIONS, 512, 200, 64);
}

TEST(shown_by_key)
{
    struct quota_use use;
    configured((struct limits)LIMITS_DEFAULT, a_machine);
    struct account *a = taken(1000, QUOTA_WAITERS, 3), *b = taken(1001, QUOTA_WAITERS, 4);
    assert_true(quota_show(&q, 1000, "max_waiters_per_uid", &use));
    assert_int_equal(use.used, 3);
    assert_int_equal(use.max, 256);
    assert_true(quota_show(&q, 1000, "max_waiters", &use));
    assert_int_equal(use.used, 7);
    assert_int_equal(use.max, 4096);
    assert_false(quota_show(&q, 1000, "max_message_bytes", &use));
    quota_give(&q, a, QUOTA_WAITERS, 3);
    quota_give(&q, b, QUOTA_WAITERS, 4);
}

int main(void)
{
#define QUOTA_TEST(name) cmocka_unit_test_setup_teardown(name, open_book, close_book)
    const struct CMUnitTest tests[] = {
        QUOTA_TEST(what_is_taken_adds_up),
        QUOTA_TEST(an_account_goes_when_it_is_empty),
        QUOTA_TEST(each_cap),
        QUOTA_TEST(caps_lowered_below_what_is_used),
        QUOTA_TEST(sums_do_not_wrap),
        QUOTA_TEST(what_is_there_already_counts_whatever_the_caps),
        QUOTA_TEST(what_goes_up_and_down),
        QUOTA_TEST(memory_runs_out),
        QUOTA_TEST(the_defaults),
        QUOTA_TEST(few_descriptors_are_shared),
        QUOTA_TEST(a_machine_that_tells_nothing),
        QUOTA_TEST(a_limited_address_space),
        QUOTA_TEST(small_totals_have_no_reserve),
        QUOTA_TEST(shown_by_key),
    };
    return RUN_TESTS(tests);
}
