/* SPDX-License-Identifier: MIT */
/*
 * A conversation: replies in the order of the requests whatever the input is chopped into, batches,
 * waits in their midst, output above its mark, input that is broken, unfinished or too large; and
 * memory that runs out fails one request and no other.
 */
#include "tests/unit/rpc_case.h"

#include "tests/fakes/fake_memory.h"

#define NOTIFY(method, params)                                                                     \
    "{\"jsonrpc\":\"2.0\",\"method\":\"" method "\",\"params\":{" params "}}"
#define WAIT(id, name) CALL(id, "wait", "\"name\":\"" name "\"")

TEST(one_after_the_other)
{
    SAYS(alice, CREATE("1", "a"));
    HEARS(alice, "1+a/ready");
    SAYS(alice, CREATE("2", "a") "\n");
    HEARS(alice, "2=a/ready");
    SAYS(alice, "\n\r\n \t" STAT("\"three\"", "b"));
    HEARS(alice, "\"three\"!NoSuchSegment");
    SAYS(bob, STAT("4", "a"));
    HEARS(bob, "4=a/ready");
    HEARS(alice, "");
    assert_true(session_wants_input(&alice->session));
    assert_false(session_is_over(&alice->session));
    assert_false(session_is_unfinished(&alice->session));
}

TEST(pipelined)
{
    unsigned commits = f->core->store.n_commits;
    SAYS(alice, CREATE("1", "a") CREATE("2", "b") STAT("3", "c") "\n" CALL("4", "list", "")
                    NOTIFY("create", "\"name\":\"quiet\",\"size\":1") STAT("5", "quiet")
                        CALL("6", "remove", "\"name\":\"a\"") STAT("7", "a"));
    HEARS(alice, "1+a/ready 2+b/ready 3!NoSuchSegment 4=[a,b] 5=quiet/ready 6=a/removed "
                 "7!NoSuchSegment");
    assert_int_equal(f->core->store.n_commits, commits + 4); /* three creations; the removal */
}

/* What ALICE is served of when her uid has a share; the clock goes on with each request. */
static void gets_a_share(bool is_first, const char *text)
{
    struct work *work = &f->core->core.work;
    f->core->clock.mono_step_us = SHARE_US / 2;
    work_begin_share(work, SHARE_US);
    if (is_first)
        client_send(alice, text, strlen(text));
    else
        session_continue(&alice->session);
    work_end_share(work, false);
    f->core->clock.mono_step_us = 0;
    rpc_publish(&f->rpc);
}

TEST(a_session_stops_when_its_share_is_over)
{
    static const char text[] = STAT("1", "a") STAT("2", "a")
        STAT("3", "a") "[" STAT("4", "a") "," STAT("5", "a") "," STAT("6", "a") "]" STAT("7", "a");
    const struct work *work = &f->core->core.work;
    const uint64_t before = work->turn.requests;
    gets_a_share(true, text);
    for (unsigned shares = 1; session_has_work(&alice->session); shares++) {
        assert_int_equal(work->turn.requests - before, 2 * shares);
        assert_false(session_wants_input(&alice->session)); /* what it received comes first */
        gets_a_share(false, NULL);
    }
    assert_int_equal(work->turn.requests - before, 7);
    assert_true(session_wants_input(&alice->session));
    assert_int_equal(rpc_fixture_turn(f), 0);
    HEARS(alice, "1!NoSuchSegment 2!NoSuchSegment 3!NoSuchSegment "
                 "[4!NoSuchSegment;5!NoSuchSegment;6!NoSuchSegment] 7!NoSuchSegment");
}

/* A wait that ends while another answer is half written is answered after that one. */
TEST(a_wait_ends_in_the_midst_of_a_batch)
{
    static const char text[] = "[" STAT("4", "a") "," STAT("5", "a") "," STAT("6", "a") "]";
    SAYS(alice, WAIT("1", "x") "[" WAIT("2", "x") "," STAT("3", "a") "]");
    gets_a_share(true, text);
    assert_true(session_has_work(&alice->session));
    SAYS(bob, CREATE("7", "x"));
    HEARS(bob, "7+x/ready");
    while (session_has_work(&alice->session))
        gets_a_share(false, NULL);
    assert_int_equal(rpc_fixture_turn(f), 0);
    HEARS(alice, "[4!NoSuchSegment;5!NoSuchSegment;6!NoSuchSegment] "
                 "[2=x/ready;3!NoSuchSegment] 1=x/ready");
}

TEST(one_request_is_served_however_long_it_takes)
{
    static const char text[] = STAT("1", "a") STAT("2", "a");
    struct work *work = &f->core->core.work;
    const uint64_t before = work->turn.requests;
    f->core->clock.mono_step_us = 10 * SHARE_US;
    work_begin_share(work, SHARE_US);
    work_look_at_clock(work); /* it is over before it begins */
    client_send(alice, text, strlen(text));
    assert_int_equal(work->turn.requests - before, 1);
    work_end_share(work, false);
    f->core->clock.mono_step_us = 0;
    assert_true(session_has_work(&alice->session));
    assert_int_equal(rpc_fixture_turn(f), 0);
    HEARS(alice, "1!NoSuchSegment 2!NoSuchSegment");
}

TEST(nothing_is_sent_before_it_is_recorded)
{
    client_send(alice, CREATE("1", "a"), strlen(CREATE("1", "a")));
    assert_int_equal(f->core->store.n_records, 1);
    assert_int_equal(alice->len, 0);
    assert_true(outbox_unsent(&alice->session.outbox) > 0);
    assert_int_equal(rpc_fixture_turn(f), 0);
    assert_int_equal(f->core->store.n_records, 1);
    HEARS(alice, "1+a/ready");
}

/* --- batches */

TEST(batches)
{
    SAYS(alice, "[" CREATE("1", "a") "," NOTIFY("stat", "\"name\":\"a\"") "," STAT("2", "a") "]");
    HEARS(alice, "[1+a/ready;2=a/ready]");
    SAYS(alice, "[]");
    HEARS(alice, "null!-32600");
    SAYS(alice, "[1]");
    HEARS(alice, "[null!-32600]");
    SAYS(alice, "[1,[],{}]");
    HEARS(alice, "[null!-32600;null!-32600;null!-32600]");
    SAYS(alice, "[" NOTIFY("stat", "\"name\":\"a\"") "," NOTIFY("none", "") "]");
    HEARS(alice, "");
    SAYS(alice, "[" STAT("1", "b") "]\n[" STAT("2", "a") "]" STAT("3", "a"));
    HEARS(alice, "[1!NoSuchSegment] [2=a/ready] 3=a/ready");
}

TEST(large_batches)
{
    char *members = repeat("," STAT("7", "a"), 63), *answers = repeat(";7!NoSuchSegment", 63);
    char *text = text_of("[%s%s]", STAT("7", "a"), members);
    char *want = text_of("[7!NoSuchSegment%s]", answers);
    SAYS(alice, text);
    HEARS(alice, want);
    free(text);
    text = text_of("[%s,%s%s]", STAT("7", "a"), STAT("7", "a"), members);
    SAYS(alice, text);
    HEARS(alice, "null!-32600");
    free(text);
    free(want);
    free(members);
    free(answers);
}

TEST(a_wait_in_a_batch)
{
    SAYS(alice, "[" STAT("1", "x") "," WAIT("2", "x") "," STAT("3", "x") "," WAIT(
                    "4", "y") "]" STAT("5", "x"));
    HEARS(alice, "5!NoSuchSegment"); /* the batch holds nothing up */
    assert_true(session_wants_input(&alice->session));
    assert_false(session_has_work(&alice->session));
    SAYS(bob, CREATE("1", "x"));
    HEARS(bob, "1+x/ready");
    HEARS(alice, "");
    SAYS(bob, CREATE("2", "y"));
    HEARS(alice, "[1!NoSuchSegment;2=x/ready;3!NoSuchSegment;4=y/ready]");
}

TEST(a_batch_that_ends_its_own_wait)
{
    SAYS(alice, "[" WAIT("1", "x") "," CREATE("2", "x") "," NOTIFY("wait", "\"name\":\"z\"") "]");
    HEARS(alice, "[1=x/ready;2+x/ready]");
    SAYS(alice, "[" WAIT("1", "x") "]");
    HEARS(alice, "[1=x/ready]");
}

TEST(a_wait_that_is_no_question)
{
    SAYS(alice,
         NOTIFY("wait", "\"name\":\"x\"") "[" NOTIFY("wait", "\"name\":\"x\"") "]" STAT("1", "x"));
    HEARS(alice, "1!NoSuchSegment");
    assert_int_equal(f->core->core.waiters.count, 0);
}

/* --- waiting */

TEST(a_wait_holds_nothing_up)
{
    SAYS(alice, WAIT("1", "x") STAT("2", "x") CREATE("3", "z"));
    HEARS(alice, "2!NoSuchSegment 3+z/ready");
    SAYS(alice, CREATE("4", "x"));
    HEARS(alice, "4+x/ready 1=x/ready");
    SAYS(alice, WAIT("5", "x"));
    HEARS(alice, "5=x/ready");
}

TEST(ids_of_waits)
{
    SAYS(alice, WAIT("\"text\"", "a") WAIT("null", "b") WAIT("1.5", "c") WAIT("-7", "d"));
    SAYS(bob, CREATE("1", "d") CREATE("2", "c") CREATE("3", "b") CREATE("4", "a"));
    HEARS(alice, "-7=d/ready 1.5=c/ready null=b/ready \"text\"=a/ready");
}

/* It would be kept as long as the wait lasts. */
TEST(the_id_of_a_wait_is_bounded)
{
    char *id = repeat("x", 1022), *text = text_of(WAIT("\"%s\"", "x"), id);
    SAYS(alice, text);
    HEARS(alice, "");
    assert_int_equal(f->core->core.waiters.count, 1);
    free(text);
    text = text_of(WAIT("\"%sx\"", "y"), id);
    SAYS(alice, text);
    assert_int_equal(f->core->core.waiters.count, 1);
    free(text);
    text = text_of("\"%sx\"!-32600", id);
    HEARS(alice, text);
    free(text);
    free(id);
}

TEST(the_wait_of_one_stops_nobody_else)
{
    struct client *carol = client_open(f, BOB, 4);
    SAYS(alice, WAIT("1", "x"));
    SAYS(carol, WAIT("1", "x"));
    SAYS(bob, STAT("1", "x"));
    HEARS(bob, "1!NoSuchSegment");
    client_close(carol); /* it waits no more */
    SAYS(bob, CREATE("2", "x"));
    HEARS(alice, "1=x/ready");
}

TEST(waits_that_fail)
{
    SAYS(alice, CALL("1", "wait", "\"name\":\"x\",\"timeout_ms\":500") STAT("2", "x"));
    SAYS(bob, CALL("1", "create", "\"name\":\"y\",\"size\":1,\"mode\":\"0644\",\"ready\":false"));
    (void)client_heard(bob);
    struct client *carol = client_open(f, BOB, 4);
    SAYS(carol, WAIT("1", "y") STAT("2", "y"));
    fake_clock_advance(&f->core->clock, 500);
    core_tick(&f->core->core);
    assert_int_equal(rpc_fixture_turn(f), 0);
    HEARS(alice, "2!NoSuchSegment 1!TimedOut");
    core_fixture_kill(f->core, 2);
    assert_int_equal(rpc_fixture_turn(f), 0);
    HEARS(carol, "2=y/initialising 1!InitialiserDied");
}

TEST(shutting_down)
{
    SAYS(alice, CREATE("1", "x") WAIT("2", "nothing"));
    rpc_shut_down(&f->rpc);
    assert_int_equal(rpc_fixture_turn(f), 0);
    HEARS(alice, "1+x/ready 2!ShuttingDown");
    /* What would last is not begun. */
    SAYS(alice, WAIT("3", "nothing"));
    HEARS(alice, "3!ShuttingDown");
    SAYS(bob, CALL("1", "subscribe", "") STAT("2", "x"));
    HEARS(bob, "1!ShuttingDown 2=x/ready");
}

/* --- input in pieces */

static const char mixed[] =
    CREATE("1", "a") "\n\n" STAT("\"two\"", "a") "[" CREATE("3", "b") "," NOTIFY(
        "stat", "") ",7," STAT("null",
                               "b") "]"
                                    "{\"jsonrpc\":\"2.0\",\"id\":5,\"method\":\"none\"}"
                                    "{bad}\n"
                                    "{\"jsonrpc\":\"1.0\",\"id\":6,\"method\":\"stat\"}"
                                    "[{]\n"
                                    "nonsense 12 \"text\"\n"
                                    "{\"a\":\"\\u0000\"}\n"
                                    "{ \"jsonrpc\" : \"2.0\" ,\n  \"id\" : 1.5 ,\n  \"method\" : "
                                    "\"stat\" ,\n"
                                    "  \"params\" : { \"name\" : \"a\" } }\n" CALL(
                                        "8", "remove",
                                        "\"name\":\"a\"") "[[[[]]]]" CALL("9", "list",
                                                                          "\"prefix\":\"{\\\"[\"")
                                        CALL("-10", "list", "") "{\"id\":[1]}";

static const char mixed_answers[] =
    "1+a/ready \"two\"=a/ready [3+b/ready;null!-32600;null=b/ready] 5!MethodNotFound null!-32700 "
    "6!-32600 null!-32700 null!-32700 null!-32600 1.5=a/ready 8=a/removed [null!-32600] ";

TEST(whole)
{
    SAYS(alice, mixed);
    const char *heard = client_heard(alice);
    if (strncmp(heard, mixed_answers, strlen(mixed_answers)) != 0) {
        print_error("%s\n", heard);
        fail();
    }
    heard += strlen(mixed_answers);
    assert_string_equal(heard, "9!InvalidParameter -10=[b] null!-32600");
}

/* What a new fixture answers to the mixed conversation in pieces of N bytes. */
static char *said_in_pieces(size_t n, bool with_turns, size_t *ret_len)
{
    struct rpc_fixture *g = rpc_fixture_new();
    struct client *c = client_open(g, ALICE, 1);
    size_t len = strlen(mixed);
    for (size_t at = 0; at < len; at += n) {
        client_send(c, mixed + at, at + n < len ? n : len - at);
        if (with_turns)
            assert_int_equal(rpc_fixture_turn(g), 0);
    }
    assert_int_equal(rpc_fixture_turn(g), 0);
    char *text = client_heard_raw(c, ret_len);
    assert_null(c->session.held);
    rpc_fixture_free(g);
    return text;
}

TEST(the_same_in_any_pieces)
{
    size_t len;
    char *want = said_in_pieces(strlen(mixed), true, &len);
    assert_true(len > 2000);
    for (size_t n = 1; n < 40; n += n < 8 ? 1 : 7)
        for (int with_turns = 0; with_turns < 2; with_turns++) {
            size_t got_len;
            char *got = said_in_pieces(n, with_turns, &got_len);
            assert_int_equal(got_len, len);
            assert_memory_equal(got, want, len);
            free(got);
        }
    free(want);
}

TEST(an_unfinished_value)
{
    SAYS(alice, "  ");
    assert_false(session_is_unfinished(&alice->session));
    SAYS(alice, STAT("1", "a") "{\"jsonrpc\":\"2.0\",\"id\":2,");
    assert_true(session_is_unfinished(&alice->session));
    assert_true(session_wants_input(&alice->session));
    HEARS(alice, "1!NoSuchSegment");
    SAYS(alice, "\"method\":\"stat\",\"params\":{\"name\":\"a\"}}");
    assert_false(session_is_unfinished(&alice->session));
    HEARS(alice, "2!NoSuchSegment");
}

TEST(a_value_that_takes_too_long)
{
    SAYS(alice, "{\"jsonrpc\":");
    session_value_overdue(&alice->session);
    assert_true(session_is_over(&alice->session));
    assert_false(session_wants_input(&alice->session));
    SAYS(alice, "\"2.0\"}" STAT("1", "a"));
    HEARS(alice, "null!-32700");
}

TEST(too_large)
{
    char *blanks = repeat(" ", 65536);
    SAYS(alice, blanks); /* between values there is no limit */
    char *name = repeat("x", 65536 - 2);
    char *text = text_of("\"%s\"\n", name);
    SAYS(alice, text); /* just so large */
    HEARS(alice, "null!-32600");
    assert_false(session_is_over(&alice->session));
    free(text);
    text = text_of("%s\"%s%s", STAT("1", "a"), name, "xx\"" STAT("2", "a"));
    SAYS(alice, text);
    size_t len;
    char *raw = client_heard_raw(alice, &len);
    char *copy = strndup(raw, len);
    assert_contains(copy, "message too large (limit 65536)");
    assert_contains(copy, "-32600");
    assert_null(strstr(copy, "\"id\":2"));
    free(copy);
    free(raw);
    assert_true(session_is_over(&alice->session));
    SAYS(alice, STAT("3", "a"));
    HEARS(alice, "");
    /* In pieces it is seen as soon. */
    SAYS(bob, "[");
    for (int i = 0; i < 70 && !session_is_over(&bob->session); i++) {
        char *piece = repeat(" ", 1000);
        SAYS(bob, piece);
        free(piece);
    }
    assert_true(session_is_over(&bob->session));
    HEARS(bob, "null!-32600");
    free(text);
    free(name);
    free(blanks);
}

TEST(another_limit)
{
    f->core->core.settings.limits.max_message_bytes = 1024;
    struct client *carol = client_open(f, BOB, 4);
    char *text = repeat("[", 10), *rest = repeat(" ", 1100);
    SAYS(carol, text);
    SAYS(carol, rest);
    HEARS(carol, "null!-32600");
    free(text);
    free(rest);
}

/* --- the end of the input */

TEST(half_closed)
{
    SAYS(alice, CREATE("1", "a") STAT("2", "a"));
    session_end_input(&alice->session);
    assert_true(session_is_over(&alice->session));
    assert_false(session_wants_input(&alice->session));
    HEARS(alice, "1+a/ready 2=a/ready");
}

TEST(closed_behind_a_wait)
{
    SAYS(alice, WAIT("1", "x") STAT("2", "x"));
    session_end_input(&alice->session);
    assert_false(session_is_over(&alice->session));
    HEARS(alice, "2!NoSuchSegment");
    SAYS(bob, CREATE("1", "x"));
    HEARS(alice, "1=x/ready");
    assert_true(session_is_over(&alice->session));
}

TEST(closed_in_a_value)
{
    SAYS(alice, STAT("1", "a") "{\"jsonrpc\":\"2.0\"");
    session_end_input(&alice->session);
    assert_int_equal(rpc_fixture_turn(f), 0);
    HEARS(alice, "1!NoSuchSegment null!-32700");
    assert_true(session_is_over(&alice->session));
    SAYS(bob, "\"text");
    session_end_input(&bob->session);
    assert_int_equal(rpc_fixture_turn(f), 0);
    HEARS(bob, "null!-32700");
}

TEST(closed_after_a_number)
{
    SAYS(alice, "12");
    HEARS(alice, ""); /* there could be more digits */
    session_end_input(&alice->session);
    assert_int_equal(rpc_fixture_turn(f), 0);
    HEARS(alice, "null!-32600");
    assert_true(session_is_over(&alice->session));
}

/* What TEXT is answered when the input ends behind it. */
static void check_cut(const char *text, const char *want, const char *why)
{
    struct client *carol = client_open(f, BOB, 4);
    SAYS(carol, text);
    session_end_input(&carol->session);
    assert_int_equal(rpc_fixture_turn(f), 0);
    assert_true(session_is_over(&carol->session));
    size_t len;
    char *raw = client_heard_raw(carol, &len), *copy = strndup(raw, len);
    assert_contains(copy, want);
    assert_contains(copy, why);
    free(copy);
    free(raw);
    client_close(carol);
}

TEST(closed_in_a_bare_word_or_number)
{
    static const char *const cut[] = {"t",   "tru", "nul", "fals", "-",      "1.",       "1e",
                                      "1e+", "[1,", "\"x", "{",    "\n nul", "1 true fa"};
    for (size_t i = 0; i < sizeof(cut) / sizeof(cut[0]); i++)
        check_cut(cut[i], "\"code\":-32700", "unexpected end of the input");
    /* Whole ones are no requests; the answer names the byte before the end. */
    static const char *const whole[] = {"true", "-1", "1.5", "1e3"};
    for (size_t i = 0; i < sizeof(whole) / sizeof(whole[0]); i++)
        check_cut(whole[i], "\"code\":-32600", "must be an object");
    check_cut("nul\nnull", "\"code\":-32700", "not JSON: not a value, at byte 0");
}

TEST(closed_in_a_value_while_nothing_is_read)
{
    f->core->core.settings.limits.output_high_water = 100;
    SAYS(alice, CALL("1", "subscribe", "") "{\"jsonrpc\":\"2.0\"");
    alice->is_slow = true;
    SAYS(bob, CREATE("1", "x"));
    assert_false(session_wants_input(&alice->session));
    session_end_input(&alice->session);
    assert_int_equal(rpc_fixture_turn(f), 0);
    alice->is_slow = false;
    assert_int_equal(rpc_fixture_turn(f), 0);
    HEARS(alice, "1=@0 *created:x#1 null!-32700");
    assert_true(session_is_over(&alice->session));
}

TEST(nothing_at_all)
{
    session_end_input(&alice->session);
    assert_true(session_is_over(&alice->session));
    HEARS(alice, "");
}

/* --- output above its mark */

TEST(a_reader_that_is_slow)
{
    f->core->core.settings.limits.output_high_water = 2000;
    alice->is_slow = true;
    enum { N = 200 };
    char *want = strdup("");
    for (int i = 0; i < N; i++) {
        char *text = text_of("{\"jsonrpc\":\"2.0\",\"id\":%d,\"method\":\"info\"}", i);
        SAYS(alice, text);
        free(text);
        text = text_of("%s%s%d=ok", want, i > 0 ? " " : "", i);
        free(want);
        want = text;
    }
    /* It is not read any more, and what is kept of it is bounded. */
    assert_false(session_wants_input(&alice->session));
    assert_false(session_has_work(&alice->session));
    assert_true(outbox_unsent(&alice->session.outbox) < 4000);
    SAYS(bob, CREATE("1", "a"));
    HEARS(bob, "1+a/ready");
    alice->is_slow = false;
    assert_int_equal(rpc_fixture_turn(f), 0);
    HEARS(alice, want); /* nothing is lost */
    assert_true(session_wants_input(&alice->session));
    free(want);
}

TEST(a_batch_above_the_mark)
{
    f->core->core.settings.limits.output_high_water = 1000;
    alice->is_slow = true;
    SAYS(alice, "[" CALL("1", "info", "") "," CALL("2", "info", "") "," CREATE("3", "a") "," CALL(
                    "4", "info", "") "]" STAT("5", "a"));
    assert_null(fixture_record(f->core, "a"));
    alice->is_slow = false;
    assert_int_equal(rpc_fixture_turn(f), 0);
    HEARS(alice, "[1=ok;2=ok;3+a/ready;4=ok] 5=a/ready");
}

TEST(closed_above_the_mark)
{
    f->core->core.settings.limits.output_high_water = 1000;
    alice->is_slow = true;
    SAYS(alice, CALL("1", "info", "") CALL("2", "info", "") CALL("3", "info", "") STAT("4", "a"));
    session_end_input(&alice->session);
    assert_false(session_is_over(&alice->session));
    alice->is_slow = false;
    assert_int_equal(rpc_fixture_turn(f), 0);
    HEARS(alice, "1=ok 2=ok 3=ok 4!NoSuchSegment");
    assert_true(session_is_over(&alice->session));
}

/* --- what a uid buffers */

/* An unfinished value of about N bytes. */
static char *beginning(size_t n)
{
    char *text = malloc(n + 1);
    memset(text, 'x', n);
    memcpy(text, "[\"", 2);
    text[n] = '\0';
    return text;
}

TEST(the_largest_buffers_of_a_uid_are_given_up)
{
    struct client *carol = client_open(f, BOB, 4); /* bob's uid */
    FIXTURE_LIMIT(f->core, max_buffer_bytes_per_uid, 70000);
    char *large = beginning(40000), *small = beginning(20000), *more = beginning(30000);
    client_send(alice, large, 40000);
    client_send(bob, large, 40000);
    client_send(carol, small, 20000);
    assert_true(session_is_unfinished(&bob->session));
    assert_true(quota_used(&f->core->core.quota, BOB, QUOTA_BUFFER_BYTES) >= 60000);
    client_send(carol, more + 2, 28000);
    /* Bob's was not the larger any more. */
    assert_true(session_is_unfinished(&bob->session));
    assert_true(session_is_over(&carol->session));
    size_t len;
    assert_int_equal(rpc_fixture_turn(f), 0);
    char *raw = client_heard_raw(carol, &len), *text = strndup(raw, len);
    assert_contains(text, "\"id\":null");
    assert_contains(text, "\"quota\":\"max_buffer_bytes_per_uid\"");
    assert_contains(text, "\"max\":70000");
    assert_true(quota_used(&f->core->core.quota, BOB, QUOTA_BUFFER_BYTES) < 50000);
    /* Alice has as much as before. */
    assert_true(session_is_unfinished(&alice->session));
    assert_true(quota_used(&f->core->core.quota, ALICE, QUOTA_BUFFER_BYTES) >= 40000);
    client_send(bob, "\"]", 2);
    assert_int_equal(quota_used(&f->core->core.quota, BOB, QUOTA_BUFFER_BYTES),
                     outbox_unsent(&bob->session.outbox));
    free(raw);
    free(text);
    free(large);
    free(small);
    free(more);
}

TEST(answers_that_are_not_read_are_given_up_at_once)
{
    struct client *carol = client_open(f, BOB, 4);
    FIXTURE_LIMIT(f->core, max_buffer_bytes_per_uid, 30000);
    bob->is_slow = true;
    for (int i = 0; i < 20 && outbox_unsent(&bob->session.outbox) < 5000; i++)
        SAYS(bob, CALL("1", "info", ""));
    assert_true(outbox_unsent(&bob->session.outbox) >= 5000);
    char *large = beginning(28000);
    client_send(carol, large, 28000);
    /* The larger was carol's; after that there is room. */
    assert_true(session_is_over(&carol->session));
    assert_false(bob->session.outbox.is_cut_off);
    FIXTURE_LIMIT(f->core, max_buffer_bytes_per_uid, 4000);
    struct client *dave = client_open(f, BOB, 5);
    client_send(dave, large, 500);
    assert_true(bob->session.outbox.is_cut_off);
    assert_int_equal(outbox_unsent(&bob->session.outbox), 0);
    assert_true(session_is_unfinished(&dave->session));
    free(large);
}

/* --- connections */

TEST(what_a_connection_holds_goes_with_it)
{
    SAYS(alice, CALL("1", "create",
                     "\"name\":\"a\",\"size\":1,\"mode\":\"0666\","
                     "\"lifetime\":\"connection\""));
    SAYS(alice, CALL("2", "create", "\"name\":\"b\",\"size\":1,\"lifetime\":\"connection\""));
    SAYS(bob, CALL("1", "hold", "\"name\":\"a\""));
    HEARS(bob, "1=a/ready");
    client_close(alice);
    assert_int_equal(rpc_fixture_turn(f), 0);
    assert_non_null(fixture_record(f->core, "a"));
    assert_null(fixture_record(f->core, "b"));
    client_close(bob);
    assert_int_equal(rpc_fixture_turn(f), 0);
    assert_int_equal(fake_sysv_count(f->core->k), 0);
}

TEST(closed_while_it_waits)
{
    SAYS(alice, CALL("1", "wait", "\"name\":\"x\",\"timeout_ms\":500") STAT("2", "x"));
    assert_int_equal(f->core->core.waiters.count, 1);
    client_close(alice);
    assert_int_equal(f->core->core.waiters.count, 0);
    SAYS(bob, CREATE("1", "x"));
    HEARS(bob, "1+x/ready");
}

TEST(refused_connections)
{
    struct writer w;
    writer_init(&w);
    const struct outcome_detail detail = {.what = "max_connections_per_uid", .used = 5, .max = 5};
    session_refuse_connection(&w, &f->rpc, &alice->session.caller, OUTCOME_QUOTA_EXCEEDED, &detail);
    char *text = strndup(w.data, w.len);
    assert_contains(text, "{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":6,");
    assert_contains(text, "\"quota\":\"max_connections_per_uid\",\"used\":5,\"max\":5");
    assert_int_equal(text[w.len - 1], '\n');
    free(text);
    writer_deinit(&w);
}

/* --- memory that runs out */

/* A conversation in which allocation N fails: whatever is answered is whole, what is not answered
 * ends the connection, and the core is as sound as ever. True when one has failed. */
static bool talks_without_memory(unsigned long n, bool for_good)
{
    static const char text[] = CREATE("1", "a") STAT("2", "a") "[" CREATE("3", "b") "," STAT(
        "4", "b") "]" CALL("5", "list", "") CALL("6", "subscribe", "\"prefix\":\"a\"")
        CALL("7", "set", "\"name\":\"a\",\"new_name\":\"ab\"") CALL("8", "info", "")
            CALL("9", "hold", "\"name\":\"b\"") CALL("10", "metrics", "")
                CALL("11", "create", "\"name\":\"c\",\"size\":1,\"lifetime\":\"connection\"")
                    CALL("12", "stat", "\"name\":\"c\"")
                        CALL("13", "wait", "\"name\":\"ab\",\"timeout_ms\":1")
                            CALL("14", "wait", "\"name\":\"none\",\"timeout_ms\":1")
                                STAT("15", "a");
    struct rpc_fixture *g = rpc_fixture_new();
    struct client *c = client_open(g, ALICE, 1), *d = client_open(g, ALICE, 1);
    if (for_good)
        fake_memory_exhaust(n);
    else
        fake_memory_fail(n);
    for (size_t at = 0; at < strlen(text); at += 50) {
        client_send(c, text + at, strlen(text) - at < 50 ? strlen(text) - at : 50);
        (void)rpc_fixture_turn(g);
    }
    bool failed = fake_memory_restore();
    for (int i = 0; i < 2; i++) { /* so that the waits time out */
        fake_clock_advance(&g->core->clock, 10);
        core_tick(&g->core->core);
        assert_int_equal(rpc_fixture_turn(g), 0);
    }
    const char *heard = client_heard(c); /* which sees to it that it is whole */
    if (!failed)
        assert_string_equal(heard, "1+a/ready 2=a/ready [3+b/ready;4=b/ready] 5=[a,b] 6=@2 "
                                   "7=ab/ready *changed:ab#3 8=ok 9!NotHoldable 10=ok 11+c/ready "
                                   "12=c/ready 13=ab/ready 15!NoSuchSegment 14!TimedOut");
    else if (!session_is_over(&c->session) && !c->session.outbox.is_cut_off) {
        assert_contains(heard, "13"); /* to the last, and the waits */
        assert_contains(heard, "14");
        assert_contains(heard, "15");
    }
    assert_int_equal(client_say(g, d, STAT("1", "nothing")), 0);
    assert_string_equal(client_heard(d), "1!NoSuchSegment");
    ledger_retry(&g->core->core);
    assert_int_equal(core_fixture_turn(g->core), 0);
    core_fixture_check_kernel(g->core);
    rpc_fixture_free(g);
    return failed;
}

TEST(memory_runs_out)
{
    unsigned long n = 1;
    while (talks_without_memory(n, false))
        n++;
    assert_true(n > 30);
    n = 1;
    while (talks_without_memory(n, true))
        n++;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(one_after_the_other),
        CASE(pipelined),
        CASE(a_session_stops_when_its_share_is_over),
        CASE(a_wait_ends_in_the_midst_of_a_batch),
        CASE(one_request_is_served_however_long_it_takes),
        CASE(nothing_is_sent_before_it_is_recorded),
        CASE(batches),
        CASE(large_batches),
        CASE(a_wait_in_a_batch),
        CASE(a_batch_that_ends_its_own_wait),
        CASE(a_wait_that_is_no_question),
        CASE(a_wait_holds_nothing_up),
        CASE(ids_of_waits),
        CASE(the_id_of_a_wait_is_bounded),
        CASE(the_wait_of_one_stops_nobody_else),
        CASE(waits_that_fail),
        CASE(shutting_down),
        CASE(whole),
        CASE(the_same_in_any_pieces),
        CASE(an_unfinished_value),
        CASE(a_value_that_takes_too_long),
        CASE(too_large),
        CASE(another_limit),
        CASE(half_closed),
        CASE(closed_behind_a_wait),
        CASE(closed_in_a_value),
        CASE(closed_after_a_number),
        CASE(closed_in_a_bare_word_or_number),
        CASE(closed_in_a_value_while_nothing_is_read),
        CASE(nothing_at_all),
        CASE(a_reader_that_is_slow),
        CASE(a_batch_above_the_mark),
        CASE(closed_above_the_mark),
        CASE(the_largest_buffers_of_a_uid_are_given_up),
        CASE(answers_that_are_not_read_are_given_up_at_once),
        CASE(what_a_connection_holds_goes_with_it),
        CASE(closed_while_it_waits),
        CASE(refused_connections),
        cmocka_unit_test(memory_runs_out),
    };
    return RUN_TESTS(tests);
}
