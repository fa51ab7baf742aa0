/*
 * The end of a turn: answers that promised what the store did not take become StoreFailure, in
 * their place and with their id, in a batch too, and those of others are left as they are.
 */
#include "tests/unit/rpc_case.h"

#include <errno.h>

#include "tests/fakes/fake_memory.h"

#define SET(id, name) CALL(id, "set", "\"name\":\"" name "\",\"mode\":\"0666\"")

/* What is said in a turn that is taken back. */
static void fails(struct client *client, const char *text)
{
    fake_store_fail_next(&f->core->store, 1, ENOSPC, "the disk is full");
    assert_int_equal(client_say(f, client, text), -ENOSPC);
    assert_string_equal(f->reason, "the disk is full");
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

TEST(only_what_was_promised)
{
    SAYS(bob, CREATE("1", "b"));
    (void)client_heard(bob);
    fails(alice, STAT("1", "b") CREATE("2", "a") STAT("3", "none") CREATE("4", "c")
                     CALL("5", "create", "\"name\":\"b\",\"size\":1,\"any_owner\":true")
                         CALL("6", "info", ""));
    HEARS(alice, "1=b/ready 2!StoreFailure 3!NoSuchSegment 4!StoreFailure 5=b/ready 6=ok");
    assert_int_equal(f->core->core.registry.count, 1);
}

TEST(nobody_is_shown_what_never_was)
{
    /* Read and changed in one turn: what was read is taken back, too. */
    SAYS(bob, CREATE("1", "b"));
    client_send(bob, CALL("2", "list", ""), strlen(CALL("2", "list", "")));
    client_send(bob, STAT("3", "b"), strlen(STAT("3", "b")));
    client_send(alice, CREATE("1", "a"), strlen(CREATE("1", "a")));
    static const char looks[] = STAT("4", "a") CALL("5", "wait", "\"name\":\"a\"")
        CALL("6", "list", "") STAT("7", "b") CALL("8", "list", "\"prefix\":\"b\"");
    client_send(bob, looks, strlen(looks));
    fails(alice, "");
    HEARS(alice, "1!StoreFailure");
    HEARS(bob, "1+b/ready 2=[b] 3=b/ready 4!StoreFailure 5!StoreFailure 6!StoreFailure 7=b/ready "
               "8=[b]");
}

TEST(of_several_sessions)
{
    client_send(alice, CREATE("1", "a"), strlen(CREATE("1", "a")));
    client_send(bob, CREATE("1", "b") STAT("2", "x"), strlen(CREATE("1", "b") STAT("2", "x")));
    struct client *gone = client_open(f, BOB, 4);
    client_send(gone, CREATE("1", "c"), strlen(CREATE("1", "c")));
    client_close(gone);
    fails(alice, CREATE("2", "d"));
    HEARS(alice, "1!StoreFailure 2!StoreFailure");
    HEARS(bob, "1!StoreFailure 2!NoSuchSegment");
    assert_int_equal(fake_sysv_count(f->core->k), 0);
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
    /* Its first part is told before the second is known. */
    fails(alice,
          "[" CREATE("1", "a") "," CALL("2", "wait", "\"name\":\"x\"") "," CREATE("3", "c") "]");
    HEARS(bob, "");
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
    /* Created and removed in the turn: the first was never, the second is so. */
    fails(alice, CREATE("1", "c") REMOVE("2", "c"));
    HEARS(alice, "1!StoreFailure 2=c/removed");
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
        assert_int_equal(client_say(f, alice, CREATE("1", "a")), -EIO);
        HEARS(alice, "1!StoreFailure");
    }
    SAYS(alice, CREATE("1", "a"));
    HEARS(alice, "1+a/ready");
    core_fixture_check_kernel(f->core);
}

TEST(events_of_what_was_taken_back_are_not_told)
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
        client_send(c, text, strlen(text));
        fake_store_fail_next(&f->core->store, 1, EIO, "broken");
        fake_memory_fail(n);
        (void)rpc_fixture_turn(f);
        bool failed = fake_memory_restore();
        bool over = session_is_over(&c->session);
        size_t len;
        char *raw = client_heard_raw(c, &len);
        char *heard = strndup(raw, len);
        assert_null(strstr(heard, "\"created\":true"));
        assert_contains(heard, "\"id\":0");
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
        CASE(only_what_was_promised),
        CASE(nobody_is_shown_what_never_was),
        CASE(of_several_sessions),
        CASE(every_kind_of_id),
        CASE(in_batches),
        CASE(in_a_batch_that_waits),
        CASE(removals_stay),
        CASE(notifications),
        CASE(again_and_again),
        CASE(events_of_what_was_taken_back_are_not_told),
        CASE(no_memory_to_say_so),
    };
    return RUN_TESTS(tests);
}
