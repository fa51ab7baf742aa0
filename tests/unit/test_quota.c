/*
 * Charges are taken whole or not at all and given back once, each ceiling is named by its
 * configuration key, and an account goes when nothing is charged to it. Linked with --wrap for
 * calloc and tsearch, so that either can run out of memory.
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

static const struct limits unlimited = {0};

static int charge(const struct limits *limits, uint32_t uid, uint64_t segments, uint64_t bytes,
                  uint64_t connections, struct charge *ret, struct outcome_detail *detail)
{
    const uint64_t amount[QUOTA_KINDS] = {segments, bytes, connections};
    *ret = (struct charge){.account = NULL};
    return quota_charge(&q, limits, uid, amount, ret, detail);
}

static void check_sums(uint32_t uid, uint64_t segments, uint64_t bytes, uint64_t connections)
{
    assert_int_equal(quota_used(&q, uid, QUOTA_SEGMENTS), segments);
    assert_int_equal(quota_used(&q, uid, QUOTA_BYTES), bytes);
    assert_int_equal(quota_used(&q, uid, QUOTA_CONNECTIONS), connections);
}

TEST(charges_add_up)
{
    struct outcome_detail d;
    struct charge a, b, c;
    assert_int_equal(charge(&unlimited, 1000, 1, 4096, 0, &a, &d), 0);
    assert_int_equal(charge(&unlimited, 1000, 1, 100, 0, &b, &d), 0);
    assert_int_equal(charge(&unlimited, 1001, 0, 0, 1, &c, &d), 0);
    check_sums(1000, 2, 4196, 0);
    check_sums(1001, 0, 0, 1);
    check_sums(1002, 0, 0, 0);
    assert_int_equal(q.total[QUOTA_SEGMENTS], 2);
    assert_int_equal(q.total[QUOTA_BYTES], 4196);
    assert_int_equal(q.total[QUOTA_CONNECTIONS], 1);
    quota_release(&q, &a);
    check_sums(1000, 1, 100, 0);
    quota_release(&q, &c);
    check_sums(1001, 0, 0, 0);
    quota_release(&q, &b);
    assert_null(q.accounts);
}

TEST(given_back_once)
{
    struct outcome_detail d;
    struct charge a, b, none = {.account = NULL, .amount = {9, 9, 9}};
    assert_int_equal(charge(&unlimited, 1000, 1, 10, 0, &a, &d), 0);
    assert_int_equal(charge(&unlimited, 1000, 1, 20, 0, &b, &d), 0);
    quota_release(&q, &a);
    quota_release(&q, &a);
    quota_release(&q, &none);
    check_sums(1000, 1, 20, 0);
    quota_release(&q, &b);
    quota_release(&q, &b);
    assert_null(q.accounts);
}

TEST(an_account_goes_when_it_is_empty)
{
    struct outcome_detail d;
    struct charge charges[100];
    for (uint32_t i = 0; i < 100; i++)
        assert_int_equal(charge(&unlimited, i * 7919 % 101, 1, i, 0, &charges[i], &d), 0);
    for (uint32_t i = 0; i < 100; i++) {
        assert_non_null(q.accounts);
        quota_release(&q, &charges[(i * 37) % 100]);
    }
    assert_null(q.accounts);
    /* Also one that was opened for a charge that was refused. */
    const struct limits one = {.max_bytes_per_uid = 1};
    struct charge refused;
    assert_int_equal(charge(&one, 5, 1, 2, 0, &refused, &d), OUTCOME_QUOTA_EXCEEDED);
    assert_null(q.accounts);
    assert_null(refused.account);
}

/* With MAX of NAME, what fills it is taken, one more of AMOUNT is refused. */
static void check_ceiling(const char *name, struct limits limits, const uint64_t amount[3],
                          uint32_t other_uid)
{
    struct outcome_detail d = {0};
    struct charge a, b, c;
    assert_int_equal(charge(&limits, 1000, 3 * amount[0], 3 * amount[1], 3 * amount[2], &a, &d), 0);
    assert_int_equal(
        charge(&limits, other_uid, 2 * amount[0], 2 * amount[1], 2 * amount[2], &b, &d), 0);
    /* Five of five are used. */
    assert_int_equal(charge(&limits, other_uid, amount[0], amount[1], amount[2], &c, &d),
                     OUTCOME_QUOTA_EXCEEDED);
    assert_string_equal(d.what, name);
    assert_int_equal(d.used, 5);
    assert_int_equal(d.max, 5);
    assert_null(c.account);
    quota_release(&q, &b);
    assert_int_equal(charge(&limits, other_uid, amount[0], amount[1], amount[2], &c, &d), 0);
    quota_release(&q, &a);
    quota_release(&q, &c);
    assert_null(q.accounts);
}

static const uint64_t a_segment[] = {1, 0, 0}, a_byte[] = {0, 1, 0}, a_connection[] = {0, 0, 1};

TEST(each_ceiling)
{
    check_ceiling("max_segments", (struct limits){.max_segments = 5}, a_segment, 1001);
    check_ceiling("max_bytes", (struct limits){.max_bytes = 5}, a_byte, 1001);
    check_ceiling("max_connections", (struct limits){.max_connections = 5}, a_connection, 1001);
    check_ceiling("max_segments_per_uid", (struct limits){.max_segments_per_uid = 5}, a_segment,
                  1000);
    check_ceiling("max_bytes_per_uid", (struct limits){.max_bytes_per_uid = 5}, a_byte, 1000);
    check_ceiling("max_connections_per_uid", (struct limits){.max_connections_per_uid = 5},
                  a_connection, 1000);
}

TEST(a_ceiling_of_one_uid_is_not_anothers)
{
    const struct limits limits = {
        .max_segments_per_uid = 1, .max_bytes_per_uid = 1, .max_connections_per_uid = 1};
    struct outcome_detail d;
    struct charge a, b, c;
    assert_int_equal(charge(&limits, 1000, 1, 1, 1, &a, &d), 0);
    assert_int_equal(charge(&limits, 1001, 1, 1, 1, &b, &d), 0);
    assert_int_equal(charge(&limits, 0, 1, 1, 1, &c, &d), 0);
    quota_release(&q, &a);
    quota_release(&q, &b);
    quota_release(&q, &c);
}

TEST(all_or_nothing)
{
    struct outcome_detail d;
    struct charge a, b;
    const struct limits limits = {.max_connections = 1};
    assert_int_equal(charge(&limits, 1000, 1, 10, 1, &a, &d), 0);
    assert_int_equal(charge(&limits, 1000, 1, 10, 1, &b, &d), OUTCOME_QUOTA_EXCEEDED);
    check_sums(1000, 1, 10, 1);
    assert_int_equal(q.total[QUOTA_BYTES], 10);
    /* What is not asked for is not in the way: a segment, with all connections taken. */
    assert_int_equal(charge(&limits, 1001, 1, 10, 0, &b, &d), 0);
    quota_release(&q, &a);
    quota_release(&q, &b);
}

TEST(limits_lowered_below_what_is_used)
{
    struct outcome_detail d;
    struct charge a, b;
    assert_int_equal(charge(&unlimited, 1000, 10, 0, 0, &a, &d), 0);
    const struct limits limits = {.max_segments = 3};
    assert_int_equal(charge(&limits, 1000, 1, 0, 0, &b, &d), OUTCOME_QUOTA_EXCEEDED);
    assert_int_equal(d.used, 10);
    assert_int_equal(d.max, 3);
    /* It is not in the way of what is something else. */
    assert_int_equal(charge(&limits, 1000, 0, 0, 1, &b, &d), 0);
    quota_release(&q, &a);
    quota_release(&q, &b);
}

TEST(sums_do_not_wrap)
{
    struct outcome_detail d;
    struct charge a, b;
    assert_int_equal(charge(&unlimited, 1000, 1, UINT64_MAX - 5, 0, &a, &d), 0);
    assert_int_equal(charge(&unlimited, 1000, 1, 6, 0, &b, &d), OUTCOME_QUOTA_EXCEEDED);
    assert_int_equal(charge(&unlimited, 1001, 1, 6, 0, &b, &d), OUTCOME_QUOTA_EXCEEDED);
    assert_string_equal(d.what, "max_bytes");
    assert_int_equal(charge(&unlimited, 1001, 1, 5, 0, &b, &d), 0);
    const struct limits limits = {.max_bytes = INT64_MAX};
    struct charge c;
    assert_int_equal(charge(&limits, 1001, 1, UINT64_MAX, 0, &c, &d), OUTCOME_QUOTA_EXCEEDED);
    quota_release(&q, &a);
    quota_release(&q, &b);
}

TEST(memory_runs_out)
{
    struct outcome_detail d;
    struct charge a, b;
    no_calloc = true;
    assert_int_equal(charge(&unlimited, 1000, 1, 1, 1, &a, &d), -ENOMEM);
    no_calloc = false;
    no_tsearch = true;
    assert_int_equal(charge(&unlimited, 1000, 1, 1, 1, &a, &d), -ENOMEM);
    assert_null(a.account);
    assert_null(q.accounts);
    no_tsearch = false;
    assert_int_equal(charge(&unlimited, 1000, 1, 1, 1, &a, &d), 0);
    /* An account that is open needs no more. */
    no_calloc = no_tsearch = true;
    assert_int_equal(charge(&unlimited, 1000, 1, 1, 1, &b, &d), 0);
    check_sums(1000, 2, 2, 2);
    quota_release(&q, &a);
    quota_release(&q, &b);
}

TEST(the_defaults)
{
    const struct limits limits = LIMITS_DEFAULT;
    assert_int_equal(limits.max_segments, 0);
    assert_int_equal(limits.max_bytes, 0);
    assert_int_equal(limits.max_segments_per_uid, 1024);
    assert_int_equal(limits.max_bytes_per_uid, 0);
    assert_int_equal(limits.max_connections, 4096);
    assert_int_equal(limits.max_connections_per_uid, 1024);
    assert_int_equal(limits.max_message_bytes, 65536);
    assert_int_equal(limits.max_holders_per_segment, 256);
    assert_int_equal(limits.max_waiters, 1024);
    assert_int_equal(limits.output_high_water, 1 << 20);
    assert_int_equal(limits.subscriber_cap, 4 << 20);
}

int main(void)
{
#define QUOTA_TEST(name) cmocka_unit_test_setup_teardown(name, open_book, close_book)
    const struct CMUnitTest tests[] = {
        QUOTA_TEST(charges_add_up),
        QUOTA_TEST(given_back_once),
        QUOTA_TEST(an_account_goes_when_it_is_empty),
        QUOTA_TEST(each_ceiling),
        QUOTA_TEST(a_ceiling_of_one_uid_is_not_anothers),
        QUOTA_TEST(all_or_nothing),
        QUOTA_TEST(limits_lowered_below_what_is_used),
        QUOTA_TEST(sums_do_not_wrap),
        QUOTA_TEST(memory_runs_out),
        cmocka_unit_test(the_defaults),
    };
    return RUN_TESTS(tests);
}
