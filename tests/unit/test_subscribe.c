/* SPDX-License-Identifier: MIT */
/*
 * Subscribers: every event once and in its order, those they asked for and may see; resumed after
 * one they saw, with gaps told; bounded when they do not read, and cut off in the end.
 */
#include "tests/unit/rpc_case.h"

static void quietly(struct client *client, const char *text)
{
    SAYS(client, text);
    (void)client_heard(client);
}

TEST(in_order)
{
    SAYS(bob, CALL("1", "subscribe", ""));
    HEARS(bob, "1=@0");
    quietly(alice, CALL("1", "create",
                        "\"name\":\"a\",\"size\":1,\"mode\":\"0644\","
                        "\"ready\":false") CALL("2", "ready", "\"name\":\"a\"")
                       CALL("3", "set", "\"name\":\"a\",\"new_name\":\"b\"") REMOVE("4", "b"));
    HEARS(bob, "*created:a#1 *ready:a#2 *changed:b#3 *removed/request:b#4");
    /* The connection stays usable, and a reply is not in the midst of events. */
    SAYS(bob, CREATE("2", "c"));
    HEARS(bob, "2+c/ready *created:c#5");
    HEARS(alice, "");
}

TEST(the_event_itself)
{
    SAYS(bob, CALL("1", "subscribe", ""));
    (void)client_heard(bob);
    quietly(alice, CREATE("1", "a"));
    size_t len;
    char *raw = client_heard_raw(bob, &len), *text = strndup(raw, len);
    assert_contains(text,
                    "{\"jsonrpc\":\"2.0\",\"method\":\"event\",\"params\":{\"event_serial\":1,"
                    "\"at_ms\":1700000000000,\"kind\":\"created\",\"segment\":{");
    assert_contains(text, "\"name\":\"a\"");
    free(text);
    free(raw);
}

TEST(what_happens_of_itself)
{
    SAYS(bob, CALL("1", "subscribe", ""));
    quietly(alice, CREATE("1", "a") CALL("2", "create",
                                         "\"name\":\"p\",\"size\":1,\"mode\":\"0644\""
                                         ",\"lifetime\":\"process\""));
    HEARS(bob, "1=@0 *created:a#1 *created:p#2");
    fake_sysv_attach_as(f->core->k, fixture_record(f->core, "a")->shmid, 9);
    fake_clock_advance(&f->core->clock, 5000);
    core_tick(&f->core->core);
    assert_int_equal(rpc_fixture_turn(f), 0);
    HEARS(bob, "*attached:a#3");
    core_fixture_kill(f->core, 1);
    assert_int_equal(rpc_fixture_turn(f), 0);
    HEARS(bob, "*removed/last-holder-exited:p#4");
    client_close(alice);
    fake_sysv_exit(f->core->k, 9);
    fake_sysv_remove_as(f->core->k, fixture_record(f->core, "a")->shmid);
    SAYS(bob, STAT("2", "a"));
    HEARS(bob, "2!NoSuchSegment *removed/out-of-band:a#5");
}

TEST(filters)
{
    SAYS(bob, CALL("1", "subscribe", "\"prefix\":\"app/\""));
    SAYS(root, CALL("1", "subscribe", "\"kinds\":[\"removed\",\"changed\"]"));
    struct client *carol = client_open(f, BOB, 4);
    SAYS(carol, CALL("1", "subscribe", "\"prefix\":\"app/\",\"kinds\":[\"created\"]"));
    quietly(alice, CREATE("1", "app/a") CREATE("2", "b") CALL("3", "create", "\"size\":1") CALL(
                       "4", "set", "\"name\":\"b\",\"new_name\":\"app/b\"") REMOVE("5", "app/a"));
    HEARS(bob, "1=@0 *created:app/a#1 *changed:app/b#4 *removed/request:app/a#5");
    HEARS(root, "1=@0 *changed:app/b#4 *removed/request:app/a#5");
    HEARS(carol, "1=@0 *created:app/a#1");
    /* Anew is in place of the old. */
    SAYS(bob, CALL("2", "subscribe", "\"prefix\":\"\""));
    quietly(alice, CREATE("6", "z"));
    HEARS(bob, "2=@5 *created:z#6");
    /* None at all. */
    SAYS(bob, CALL("3", "subscribe", "\"kinds\":[]"));
    quietly(alice, REMOVE("7", "z"));
    HEARS(bob, "3=@6");
}

TEST(rights)
{
    SAYS(bob, CALL("1", "subscribe", ""));
    SAYS(root, CALL("1", "subscribe", ""));
    SAYS(alice, CALL("1", "subscribe", ""));
    SAYS(alice,
         CALL("2", "create", "\"name\":\"secret\",\"size\":1,\"mode\":\"0600\"")
             CALL("3", "set", "\"name\":\"secret\",\"mode\":\"0644\"")
                 CALL("4", "set", "\"name\":\"secret\",\"mode\":\"0640\"") REMOVE("5", "secret"));
    HEARS(alice, "1=@0 2+secret/ready 3=secret/ready 4=secret/ready 5=secret/removed "
                 "*created:secret#1 *changed:secret#2 *changed:secret#3 *removed/request:secret#4");
    HEARS(root, "1=@0 *created:secret#1 *changed:secret#2 *changed:secret#3 "
                "*removed/request:secret#4");
    /* As it was then, not as it is now. */
    HEARS(bob, "1=@0 *changed:secret#2");
    /* Nor when they are asked for later. */
    SAYS(bob, CALL("2", "subscribe", "\"after\":0"));
    HEARS(bob, "2=@4 *changed:secret#2");
}

TEST(resumed)
{
    quietly(alice, CREATE("1", "a") CREATE("2", "b") CREATE("3", "c"));
    SAYS(bob, CALL("1", "subscribe", "\"after\":1"));
    HEARS(bob, "1=@3 *created:b#2 *created:c#3");
    SAYS(bob, CALL("2", "subscribe", "\"after\":3"));
    HEARS(bob, "2=@3");
    /* Of another daemon's state: from now on. */
    SAYS(bob, CALL("3", "subscribe", "\"after\":9999999"));
    HEARS(bob, "3=@3");
    quietly(alice, REMOVE("4", "a"));
    HEARS(bob, "*removed/request:a#4");
    /* In the same message as other calls. */
    SAYS(bob, "[" CALL("4", "subscribe", "\"after\":3") "," STAT("5", "b") "]");
    HEARS(bob, "[4=@4;5=b/ready] *removed/request:a#4");
}

/* N changes of «a», each an event. */
static void change(unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        SAYS(alice, CALL("1", "set", "\"name\":\"a\",\"mode\":\"0644\""));
    (void)client_heard(alice);
}

TEST(gaps)
{
    quietly(alice, CREATE("1", "a"));
    change(EVENTS_KEPT + 4); /* 1 and all up to 5 are gone */
    SAYS(bob, CALL("1", "subscribe", "\"after\":0"));
    const char *heard = client_heard(bob);
    assert_int_equal(strncmp(heard, "1=@1029 *gap:5 *changed:a#6 *changed:a#7 ", 41), 0);
    assert_string_equal(heard + strlen(heard) - 15, "*changed:a#1029");
    SAYS(bob, CALL("2", "subscribe", "\"after\":4"));
    heard = client_heard(bob);
    assert_int_equal(strncmp(heard, "2=@1029 *gap:1 *changed:a#6 ", 28), 0);
    SAYS(bob, CALL("3", "subscribe", "\"after\":5,\"kinds\":[\"created\"]"));
    HEARS(bob, "3=@1029");
}

TEST(a_lost_one)
{
    quietly(alice, CREATE("1", "a"));
    event_log_publish(&f->core->core.events, NULL);
    quietly(alice, CREATE("2", "b"));
    SAYS(bob, CALL("1", "subscribe", "\"after\":0"));
    HEARS(bob, "1=@3 *created:a#1 *gap:1 *created:b#3");
}

TEST(while_it_waits)
{
    SAYS(bob, CALL("1", "subscribe", "") CALL("2", "wait", "\"name\":\"x\""));
    quietly(alice, CREATE("1", "a"));
    HEARS(bob, "1=@0 *created:a#1"); /* the wait holds nothing up */
    quietly(alice, CREATE("2", "x"));
    HEARS(bob, "2=x/ready *created:x#2");
}

TEST(one_that_does_not_read)
{
    f->core->core.settings.limits.subscriber_cap = 5000;
    quietly(alice, CREATE("1", "a"));
    SAYS(bob, CALL("1", "subscribe", ""));
    HEARS(bob, "1=@1");
    bob->is_slow = true;
    SAYS(root, CALL("1", "subscribe", ""));
    unsigned n = 0;
    while (!bob->session.outbox.is_cut_off && n < 100) {
        change(1);
        n++;
    }
    assert_true(bob->session.outbox.is_cut_off);
    assert_true(n > 5);
    assert_true(outbox_unsent(&bob->session.outbox) < 7000);
    size_t len = outbox_unsent(&bob->session.outbox);
    change(5);
    assert_int_equal(outbox_unsent(&bob->session.outbox), len); /* it gets nothing more */
    /* Others are not affected. */
    unsigned told = 0;
    for (const char *at = client_heard(root); (at = strstr(at, "*changed")); at++)
        told++;
    assert_int_equal(told, n + 5);
    client_close(bob);
    change(1);
    char *want = text_of("*changed:a#%u", n + 7);
    HEARS(root, want);
    free(want);
}

TEST(an_event_longer_than_the_cap)
{
    f->core->core.settings.limits.subscriber_cap = 100;
    SAYS(bob, CALL("1", "subscribe", ""));
    HEARS(bob, "1=@0");
    quietly(alice, CREATE("1", "a"));
    HEARS(bob, "*created:a#1");
    /* A subscriber that has not read yet when more comes is cut off; when it resumes, nothing is
     * missing. */
    bob->is_slow = true;
    change(2);
    assert_true(bob->session.outbox.is_cut_off);
    SAYS(root, CALL("1", "subscribe", "\"after\":1"));
    HEARS(root, "1=@3 *changed:a#2 *changed:a#3");
}

/* N creations by root in one turn. */
static void create_many(unsigned n)
{
    char *many = repeat(CALL("1", "create", "\"size\":1"), n);
    SAYS(root, many);
    (void)client_heard(root);
    free(many);
}

/* Checks that CLIENT hears all serials from FIRST up to LAST. */
static void hears_all(struct client *client, unsigned first, unsigned last)
{
    const char *heard = client_heard(client);
    for (const char *at = strchr(heard, '#'); at; at = strchr(at + 1, '#'))
        assert_int_equal(strtoul(at + 1, NULL, 10), first++);
    assert_int_equal(first, last + 1);
    assert_null(strstr(heard, "gap"));
}

TEST(a_burst_larger_than_the_cap)
{
    f->core->core.settings.limits.subscriber_cap = 1024;
    struct client *reader = client_open(f, 0, 3);
    SAYS(reader, CALL("1", "subscribe", ""));
    HEARS(reader, "1=@0");
    create_many(10);
    hears_all(reader, 1, 10);
    create_many(1);
    hears_all(reader, 11, 11);
}

TEST(a_burst_larger_than_the_log)
{
    f->core->core.settings.limits.subscriber_cap = 1024;
    FIXTURE_LIMIT(f->core, max_segments_per_uid, 0);
    struct client *reader = client_open(f, 0, 3);
    SAYS(reader, CALL("1", "subscribe", ""));
    HEARS(reader, "1=@0");
    const char *one = CALL("1", "create", "\"size\":1,\"lifetime\":\"process\"");
    for (unsigned i = 0; i < 1500; i++) {
        SAYS(alice, one);
        (void)client_heard(alice);
        (void)client_heard(reader);
    }
    reader->is_slow = true; /* whether it reads is not seen before all is told */
    core_fixture_kill(f->core, 1);
    assert_int_equal(rpc_fixture_turn(f), 0);
    assert_false(reader->session.outbox.is_cut_off);
    assert_true(outbox_unsent(&reader->session.outbox) < 2048);
    create_many(1);
    assert_false(reader->session.outbox.is_cut_off);
    reader->is_slow = false;
    assert_int_equal(rpc_fixture_turn(f), 0);
    const char *heard = client_heard(reader), *gap = strstr(heard, "*gap:");
    assert_non_null(gap);
    assert_non_null(strstr(gap, "*created:-#3001"));
    assert_null(strstr(gap + 2, "gap"));
    unsigned told = 0;
    for (const char *at = heard; (at = strchr(at, '#')); at++)
        told++;
    assert_int_equal(told + strtoul(gap + 5, NULL, 10), 1501);
}

TEST(a_burst_for_one_that_never_reads)
{
    f->core->core.settings.limits.subscriber_cap = 1024;
    struct client *deaf = client_open(f, 0, 3);
    SAYS(deaf, CALL("1", "subscribe", ""));
    (void)client_heard(deaf);
    deaf->is_slow = true;
    quietly(root, CREATE("1", "a"));
    create_many(10); /* it could have read the first, and has not */
    assert_true(deaf->session.outbox.is_cut_off);
    /* Nothing was in its way when all came. */
    struct client *other = client_open(f, 0, 3);
    SAYS(other, CALL("1", "subscribe", ""));
    (void)client_heard(other);
    other->is_slow = true;
    create_many(10);
    assert_false(other->session.outbox.is_cut_off);
    unsigned n = 0;
    for (; n < 3 * EVENTS_KEPT && !other->session.outbox.is_cut_off; n++) {
        quietly(root, CALL("1", "set", "\"name\":\"a\",\"mode\":\"0644\""));
        assert_true(outbox_unsent(&other->session.outbox) < 2048);
    }
    assert_true(other->session.outbox.is_cut_off);
    assert_true(n > EVENTS_KEPT);
}

TEST(one_that_resumes_slowly)
{
    f->core->core.settings.limits.subscriber_cap = 65536;
    quietly(alice, CREATE("1", "a"));
    change(500);
    bob->is_slow = true;
    SAYS(bob, CALL("1", "subscribe", "\"after\":0"));
    assert_false(bob->session.outbox.is_cut_off);
    assert_true(outbox_unsent(&bob->session.outbox) < 65536);
    change(3);
    assert_false(bob->session.outbox.is_cut_off);
    bob->is_slow = false;
    assert_int_equal(rpc_fixture_turn(f), 0);
    const char *heard = client_heard(bob);
    /* All of them in their order, none twice. */
    unsigned serial = 1;
    for (const char *at = strchr(heard, '#'); at; at = strchr(at + 1, '#'))
        assert_int_equal(strtoul(at + 1, NULL, 10), serial++);
    assert_int_equal(serial, 505);
    quietly(alice, REMOVE("1", "a"));
    HEARS(bob, "*removed/request:a#505");
}

TEST(half_closed_it_streams_on)
{
    SAYS(bob, CALL("1", "subscribe", ""));
    session_end_input(&bob->session);
    assert_false(session_is_over(&bob->session));
    quietly(alice, CREATE("1", "a"));
    HEARS(bob, "1=@0 *created:a#1");
}

TEST(many_come_and_go)
{
    struct client *c[4];
    for (int i = 0; i < 4; i++) {
        c[i] = client_open(f, BOB, 10 + i);
        SAYS(c[i], CALL("1", "subscribe", ""));
        (void)client_heard(c[i]);
    }
    static const int order[] = {1, 3, 0, 2}; /* one in the middle, the ends, the last */
    for (int i = 0; i < 4; i++) {
        client_close(c[order[i]]);
        c[order[i]] = NULL;
        char *text =
            text_of(CALL("1", "create", "\"name\":\"n%d\",\"size\":1,\"mode\":\"0644\""), i);
        quietly(alice, text);
        free(text);
        char *want = text_of("*created:n%d#%d", i, i + 1);
        for (int j = 0; j < 4; j++)
            if (c[j])
                HEARS(c[j], want);
        free(want);
    }
    assert_true(LIST_EMPTY(&f->rpc.subscribers));
}

TEST(over_a_restart)
{
    /* Serials go on: a subscriber that resumes sees what it may have missed as a gap, and nothing
     * twice. */
    struct core_fixture *core = f->core;
    for (int crashes = 0; crashes < 2; crashes++) {
        quietly(alice, crashes ? REMOVE("1", "a") : CREATE("1", "a"));
        uint64_t last = core->core.events.last;
        for (size_t i = 0; i < CLIENTS; i++)
            client_close(&f->clients[i]);
        assert_int_equal(crashes ? core_fixture_crash(core) : core_fixture_restart(core), 0);
        assert_int_equal(rpc_fixture_turn(f), 0);
        bob = client_open(f, BOB, 2);
        alice = client_open(f, ALICE, 1);
        uint64_t now = core->core.events.last;
        assert_true(crashes ? now > last : now == last);
        char *ask = text_of(CALL("1", "subscribe", "\"after\":%lu"), (unsigned long)last);
        char *want =
            crashes ? text_of("1=@%lu *gap:%lu", (unsigned long)now, (unsigned long)(now - last))
                    : text_of("1=@%lu", (unsigned long)last);
        SAYS(bob, ask);
        HEARS(bob, want);
        free(ask);
        free(want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(in_order),
        CASE(the_event_itself),
        CASE(what_happens_of_itself),
        CASE(filters),
        CASE(rights),
        CASE(resumed),
        CASE(gaps),
        CASE(a_lost_one),
        CASE(while_it_waits),
        CASE(one_that_does_not_read),
        CASE(an_event_longer_than_the_cap),
        CASE(a_burst_larger_than_the_cap),
        CASE(a_burst_larger_than_the_log),
        CASE(a_burst_for_one_that_never_reads),
        CASE(one_that_resumes_slowly),
        CASE(half_closed_it_streams_on),
        CASE(many_come_and_go),
        CASE(over_a_restart),
    };
    return RUN_TESTS(tests);
}
