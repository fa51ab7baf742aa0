/* SPDX-License-Identifier: MIT */
/*
 * What goes out on a connection: answers and events in order, counted for all connections of a uid
 * together, and never half of one when memory runs out. Linked with --wrap for realloc.
 */
#include "tests/unit/support.h"

#include "daemon/rpc/outbox.h"
#include "protocol/jsonrpc.h"

/* How many more times a buffer can grow; negative: any number. */
static int growths_left = -1;

void *__real_realloc(void *old, size_t size);
void *__wrap_realloc(void *old, size_t size);

void *__wrap_realloc(void *old, size_t size)
{
    if (growths_left == 0)
        return NULL;
    if (growths_left > 0)
        growths_left--;
    return __real_realloc(old, size);
}

static struct limits limits;
static struct outbox_common common;
static struct quota quota;
static struct account *account;
static struct buffers others; /* of another connection of the uid */
static struct outbox o;

static int begin(void **state)
{
    (void)state;
    limits = (struct limits){.output_high_water = 4000, .subscriber_cap = 8000};
    quota_init(&quota);
    quota.caps[QUOTA_BUFFER_BYTES].per_uid = 8 << 20;
    account = NULL;
    assert_int_equal(quota_add(&quota, 1000, QUOTA_CONNECTIONS, 1, &account), 0);
    others = (struct buffers){.account = account};
    common = (struct outbox_common){.limits = &limits, .dialect = &jsonrpc_dialect};
    outbox_init(&o, &common, account);
    return 0;
}

static int end(void **state)
{
    (void)state;
    growths_left = -1;
    outbox_deinit(&o);
    outbox_common_deinit(&common);
    assert_int_equal(o.buffers.total, 0);
    quota_give(&quota, account, QUOTA_CONNECTIONS, 1);
    quota_deinit(&quota); /* asserts that nothing is charged */
    return 0;
}

static const struct call call = {.id = {.kind = VALUE_INT, .integer = 7}, .answered = true};

/* The answer to `metrics` with LEN bytes of text. */
static void answer(size_t len)
{
    char *text = malloc(len);
    memset(text, 'x', len);
    const struct reply reply = {.kind = REPLY_METRICS, .u.metrics = {text, len}};
    outbox_answer(&o, &call, &reply, false);
    free(text);
}

static void event(void)
{
    static const struct wire_event gap = {.missed = 3};
    outbox_event(&o, &gap);
}

TEST(in_order)
{
    answer(1);
    event();
    assert_non_null(o.output);
    char *text = strndup(outbox_bytes(&o), outbox_unsent(&o));
    assert_contains(text, "\"id\":7");
    assert_true(strstr(text, "\"id\":7") < strstr(text, "\"missed\":3"));
    assert_int_equal(text[strlen(text) - 1], '\n');
    free(text);
    assert_int_equal(o.buffers.total, outbox_unsent(&o));
}

TEST(sent_in_parts)
{
    answer(1000);
    size_t len = outbox_unsent(&o);
    char *whole = exact_copy(outbox_bytes(&o), len);
    /* A small part stays where it is; what is left moves to the front when most is sent. */
    for (size_t sent = 0; sent < len;) {
        size_t n = len - sent < 100 ? len - sent : 100;
        assert_memory_equal(outbox_bytes(&o), whole + sent, n);
        outbox_took(&o, n);
        sent += n;
        outbox_tidy(&o, false);
        assert_int_equal(outbox_unsent(&o), len - sent);
        assert_int_equal(o.buffers.total, len - sent);
        assert_true(!o.output || o.output->sent <= o.output->out.len / 2);
    }
    assert_null(o.output);
    free(whole);
}

TEST(memory_is_kept_for_what_follows)
{
    answer(100);
    outbox_took(&o, outbox_unsent(&o));
    outbox_tidy(&o, true);
    assert_non_null(o.output);
    answer(100000);
    outbox_took(&o, outbox_unsent(&o));
    outbox_tidy(&o, true);
    assert_null(o.output); /* so much is given back */
    outbox_tidy(&o, true);
}

TEST(above_the_high_water)
{
    assert_false(outbox_is_above_high_water(&o));
    assert_true(outbox_has_room_for_log(&o));
    answer(5000);
    assert_true(outbox_is_above_high_water(&o));
    assert_false(outbox_has_room_for_log(&o));
    assert_false(outbox_is_above_subscriber_cap(&o));
    answer(5000);
    assert_true(outbox_is_above_subscriber_cap(&o));
    outbox_took(&o, outbox_unsent(&o));
    assert_false(outbox_is_above_high_water(&o));
    assert_false(outbox_is_above_subscriber_cap(&o));
}

TEST(scarce)
{
    /* The uid's other connections hold very much: each may have only a little. */
    uint64_t has = 0;
    limits.output_high_water = limits.subscriber_cap = 1 << 30;
    answer(5000);
    assert_false(outbox_is_above_high_water(&o));
    assert_false(buffers_are_scarce(&o.buffers));
    buffers_set(&others, &has, 4 << 20);
    assert_true(buffers_are_scarce(&o.buffers));
    assert_false(buffers_are_over(&o.buffers));
    assert_true(outbox_is_above_high_water(&o));
    assert_true(outbox_is_above_subscriber_cap(&o));
    outbox_took(&o, 2000);
    assert_false(outbox_is_above_high_water(&o));
    buffers_set(&others, &has, 8 << 20);
    assert_true(buffers_are_over(&o.buffers));
    buffers_set(&others, &has, 0);
}

TEST(another_uid_does_not_notice)
{
    struct account *other = NULL;
    struct buffers of_other;
    uint64_t has = 0;
    limits.output_high_water = limits.subscriber_cap = 1 << 30;
    assert_int_equal(quota_add(&quota, 1001, QUOTA_CONNECTIONS, 1, &other), 0);
    of_other = (struct buffers){.account = other};
    buffers_set(&of_other, &has, 1 << 30);
    answer(5000);
    assert_false(outbox_is_above_high_water(&o));
    assert_false(outbox_is_above_subscriber_cap(&o));
    buffers_set(&of_other, &has, 0);
    quota_give(&quota, other, QUOTA_CONNECTIONS, 1);
}

TEST(cut_off)
{
    answer(5000);
    outbox_cut_off(&o);
    assert_true(o.is_cut_off);
    assert_int_equal(outbox_unsent(&o), 0);
    assert_int_equal(o.buffers.total, 0);
}

TEST(memory_runs_out)
{
    /* For the answer: then that is the answer. */
    answer(10);
    size_t before = outbox_unsent(&o);
    growths_left = 0;
    answer(100000);
    assert_false(o.is_closed);
    char *text = strndup(outbox_bytes(&o) + before, outbox_unsent(&o) - before);
    assert_contains(text, "\"code\":-32603");
    assert_contains(text, "\"id\":7");
    free(text);
    /* For that, too: nothing more goes out, and what was there stays whole. */
    while (!o.is_closed) {
        before = outbox_unsent(&o);
        answer(100000);
    }
    assert_int_equal(outbox_unsent(&o), before);
    assert_int_equal(outbox_bytes(&o)[before - 1], '\n');
    assert_int_equal(o.buffers.total, before);
}

TEST(no_memory_for_an_event)
{
    answer(10);
    size_t before = outbox_unsent(&o);
    growths_left = 0;
    while (!o.is_cut_off) {
        before = outbox_unsent(&o);
        event();
    }
    assert_int_equal(outbox_unsent(&o), before);
    assert_false(o.is_closed);
}

TEST(no_memory_around_a_batch)
{
    growths_left = 0;
    outbox_begin_batch(&o);
    assert_true(o.is_closed);
    assert_int_equal(outbox_unsent(&o), 0);
    o.is_closed = false;
    growths_left = -1;
    outbox_begin_batch(&o);
    assert_false(o.is_closed);
    /* Its end finds no room. */
    growths_left = 0;
    o.output->out.capacity = o.output->out.len;
    outbox_end_batch(&o);
    assert_true(o.is_closed);
    growths_left = -1;
}

/* As many outboxes as may answer together, and more, have sent all; twice. */
TEST(so_much_memory_is_kept)
{
    static struct outbox many[OUTBOX_SPARES_MAX + 3];
    enum { MANY = sizeof(many) / sizeof(many[0]) };
    const struct reply reply = {.kind = REPLY_METRICS, .u.metrics = {"x", 1}};
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < MANY; i++) {
            outbox_init(&many[i], &common, account);
            outbox_answer(&many[i], &call, &reply, false);
        }
        assert_null(common.spares);
        assert_int_equal(common.n_spares, 0);
        for (size_t i = 0; i < MANY; i++) {
            outbox_took(&many[i], outbox_unsent(&many[i]));
            outbox_tidy(&many[i], false);
            assert_null(many[i].output);
        }
        assert_int_equal(common.n_spares, OUTBOX_SPARES_MAX);
    }
}

TEST(large_memory_is_not_kept)
{
    answer(100000);
    outbox_took(&o, outbox_unsent(&o));
    outbox_tidy(&o, false);
    assert_null(o.output);
    assert_int_equal(common.n_spares, 0);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        CASE(in_order),
        CASE(sent_in_parts),
        CASE(memory_is_kept_for_what_follows),
        CASE(so_much_memory_is_kept),
        CASE(large_memory_is_not_kept),
        CASE(above_the_high_water),
        CASE(scarce),
        CASE(another_uid_does_not_notice),
        CASE(cut_off),
        CASE(memory_runs_out),
        CASE(no_memory_for_an_event),
        CASE(no_memory_around_a_batch),
    };
    return RUN_TESTS(tests);
}
