/* SPDX-License-Identifier: MIT */
/*
 * Answers are final. What the store does not take is answered StoreFailure at once, in its place
 * and with its id, in a batch too, and nobody ever sees anything of it. Other answers are what they
 * are.
 */
#include "tests/unit/rpc_case.h"

#include <errno.h>

#include "tests/fakes/fake_memory.h"

#define SET(id, name) CALL(id, "set", "\"name\":\"" name "\",\"mode\":\"0666\"")

/* The store refuses the next COUNT writes. */
static void store_will_fail(unsigned count)
{
    fake_store_fail_next(&f->core->store, count, ENOSPC, "the disk is full");
}

/* What is said while the store takes nothing. */
static void fails(struct client *client, const char *text)
{
    store_will_fail(1000);
    (void)client_say(f, client, text);
    fake_store_fail_next(&f->core->store, 0, 0, NULL);
}

TEST(the_failure_itself)
{
    fails(alice, CREATE("7", "a"));
    size_t len;
    char *raw = client_heard_raw(alice, &len);
    assert_text(
        raw, len,
        "{\"jsonrpc\":\"2.0\",\"id\":7,\"error\":{\"code\":13,\"message\":\"the daemon could "
        "not record the change, so nothing was done: the disk is full\",\"data\":{"
        "\"error\":\"io.shmd.StoreFailure\",\"reason\":\"the disk is full\"}}}\n");
    free(raw);
    assert_int_equal(fake_sysv_count(f->core->k), 0);
    assert_int_equal(f->rpc.counters.store_failures, 1);
    SAYS(alice, CREATE("8", "a"));
    HEARS(alice, "8+a/ready");
}

TEST(an_answer_is_there_before_the_turn_ends)
{
    static const char text[] = CREATE("1", "a");
    client_send(alice, text, strlen(text));
    assert_non_null(fake_store_find_name(&f->core->store, "a"));
    store_will_fail(1); /* what follows cannot change it */
    assert_int_equal(rpc_fixture_turn(f), 0);
    HEARS(alice, "1+a/ready");
}

TEST(only_what_is_recorded_fails)
{
    SAYS(bob, CREATE("1", "b"));
    (void)client_heard(bob);
    fails(alice, STAT("1", "b") CREATE("2", "a") STAT("3", "none") CREATE("4", "c")
                     CALL("5", "create", "\"name\":\"b\",\"size\":1,\"any_owner\":true")
                         CALL("6", "info", ""));
    HEARS(alice, "1=b/ready 2!StoreFailure 3!NoSuchSegment 4!StoreFailure 5=b/ready 6=ok");
    assert_int_equal(f->core->core.registry.count, 1);
}

TEST(one_that_fails_takes_no_other_along)
{
    static const char first[] = CREATE("1", "a") CREATE("2", "b");
    store_will_fail(1);
    client_send(alice, first, strlen(first));
    client_send(bob, CREATE("1", "c"), strlen(CREATE("1", "c")));
    assert_int_equal(rpc_fixture_turn(f), 0);
    HEARS(alice, "1!StoreFailure 2+b/ready");
    HEARS(bob, "1+c/ready");
}

TEST(nobody_sees_what_never_was)
{
    SAYS(bob, CREATE("1", "b"));
    store_will_fail(1);
    client_send(alice, CREATE("1", "a"), strlen(CREATE("1", "a")));
    static const char looks[] =
        STAT("4", "a") CALL("5", "list", "") CALL("6", "wait", "\"name\":\"a\",\"timeout_ms\":0");
    (void)client_say(f, bob, looks);
    HEARS(alice, "1!StoreFailure");
    HEARS(bob, "1+b/ready 4!NoSuchSegment 5=[b] 6!TimedOut");
}

TEST(every_kind_of_id)
{
    fails(alice, CREATE("\"text, \\\"quoted\\\" \\u00e4 ]}\"", "a") CREATE("null", "b")
                     CREATE("-9223372036854775808", "c") CREATE("9223372036854775807", "d")
                         CREATE("1.5", "e") CREATE("\"\"", "g"));
    HEARS(alice, "\"text, \\\"quoted\\\" \u00e4 ]}\"!StoreFailure null!StoreFailure "
                 "-9223372036854775808!StoreFailure 9223372036854775807!StoreFailure "
                 "1.5!StoreFailure \"\"!StoreFailure");
}

TEST(in_batches)
{
    fails(alice, "[" CREATE("1", "a") "," STAT("2", "x") "," STAT("3", "x") "]");
    HEARS(alice, "[1!StoreFailure;2!NoSuchSegment;3!NoSuchSegment]");
    fails(alice, "[" STAT("1", "x") "," CREATE("\"[,]\"", "a") "," STAT("3", "x") "]");
    HEARS(alice, "[1!NoSuchSegment;\"[,]\"!StoreFailure;3!NoSuchSegment]");
    fails(alice, "[" STAT("1", "x") "," STAT("2", "x") "," CREATE("null", "a") "]" STAT("4", "x"));
    HEARS(alice, "[1!NoSuchSegment;2!NoSuchSegment;null!StoreFailure] 4!NoSuchSegment");
    fails(alice, STAT("0", "x") "[" CREATE("1", "a") "," CREATE("2", "b") "," CREATE(
                     "3.25", "c") "," CREATE("4", "d") "][" CREATE("5", "e") "]");
    HEARS(alice, "0!NoSuchSegment [1!StoreFailure;2!StoreFailure;3.25!StoreFailure;4!StoreFailure] "
                 "[5!StoreFailure]");
    assert_int_equal(fake_sysv_count(f->core->k), 0);
}

TEST(in_a_batch_that_waits)
{
    /* Its first part is decided before the second is known. */
    store_will_fail(1);
    (void)client_say(
        f, alice,
        "[" CREATE("1", "a") "," CALL("2", "wait", "\"name\":\"x\"") "," CREATE("3", "c") "]");
    SAYS(bob, STAT("1", "a"));
    HEARS(bob, "1!NoSuchSegment");
    fails(bob, CREATE("2", "x"));
    HEARS(bob, "2!StoreFailure");
    SAYS(bob, CREATE("3", "x"));
    HEARS(alice, "[1!StoreFailure;2=x/ready;3+c/ready]");
}

TEST(removals_stay)
{
    SAYS(alice, CREATE("1", "a") CREATE("2", "b"));
    (void)client_heard(alice);
    fails(alice, SET("1", "a") REMOVE("2", "b") STAT("3", "b") REMOVE("4", "none"));
    HEARS(alice, "1!StoreFailure 2=b/removed 3!NoSuchSegment 4!NoSuchSegment");
    assert_int_equal(fake_sysv_count(f->core->k), 1);
}

TEST(notifications)
{
    static const char text[] = "{\"jsonrpc\":\"2.0\",\"method\":\"create\",\"params\":{\"name\":"
                               "\"a\",\"size\":1}}";
    fails(alice, text);
    HEARS(alice, "");
    assert_int_equal(fake_sysv_count(f->core->k), 0);
}

TEST(again_and_again)
{
    fake_store_fail_next(&f->core->store, 3, EIO, "broken");
    for (int i = 0; i < 3; i++) {
        (void)client_say(f, alice, CREATE("1", "a"));
        HEARS(alice, "1!StoreFailure");
    }
    SAYS(alice, CREATE("1", "a"));
    HEARS(alice, "1+a/ready");
    core_fixture_check_kernel(f->core);
}

TEST(events_of_what_was_refused_are_not_told)
{
    SAYS(bob, CALL("1", "subscribe", ""));
    SAYS(alice, CREATE("1", "a") CREATE("2", "b"));
    HEARS(bob, "1=@0 *created:a#1 *created:b#2");
    fails(alice, CREATE("3", "c") SET("4", "a") REMOVE("5", "b"));
    HEARS(bob, "*removed/request:b#3");
    SAYS(alice, CREATE("6", "d"));
    HEARS(bob, "*created:d#4");
}

TEST(no_memory_to_say_so)
{
    /* Rather nothing at all than what is not so. */
    for (unsigned long n = 1;; n++) {
        struct client *c = client_open(f, ALICE, 1);
        static const char text[] = STAT("0", "x")
            CREATE("1", "a") "[" CREATE("2", "b") "," STAT("3", "x") "]" STAT("4", "x");
        store_will_fail(1000);
        fake_memory_fail(n);
        client_send(c, text, strlen(text));
        (void)rpc_fixture_turn(f);
        bool failed = fake_memory_restore();
        fake_store_fail_next(&f->core->store, 0, 0, NULL);
        bool over = session_is_over(&c->session);
        size_t len;
        char *raw = client_heard_raw(c, &len);
        char *heard = strndup(raw, len);
        assert_null(strstr(heard, "\"created\":true"));
        assert_true(over || strstr(heard, "\"id\":4"));
        free(heard);
        free(raw);
        client_close(c);
        assert_int_equal(rpc_fixture_turn(f), 0);
        assert_int_equal(f->core->core.registry.count, 0);
        if (!failed)
            break;
        assert_true(n < 200);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(the_failure_itself),
        CASE(an_answer_is_there_before_the_turn_ends),
        CASE(only_what_is_recorded_fails),
        CASE(one_that_fails_takes_no_other_along),
        CASE(nobody_sees_what_never_was),
        CASE(every_kind_of_id),
        CASE(in_batches),
        CASE(in_a_batch_that_waits),
        CASE(removals_stay),
        CASE(notifications),
        CASE(again_and_again),
        CASE(events_of_what_was_refused_are_not_told),
        CASE(no_memory_to_say_so),
    };
    return RUN_TESTS(tests);
}
