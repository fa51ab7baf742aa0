/* SPDX-License-Identifier: MIT */
/*
 * Each allocation of each method fails once: in what a request needs to be decoded, done and
 * answered. The request is answered that memory ran out, or as if nothing had happened. Asking
 * again gives what the first would have given; or, if it was done and only its answer had no room,
 * what is given for a request that was done before. Its neighbours are answered in any case. Only
 * where not even the first byte of a batch's answer has room the connection closes.
 * Each request is sent as nearly everybody sends it, as one that only the general decoder reads,
 * and in a batch.
 * And what a plain request allocates is counted: only what is kept after it.
 */
#include "tests/unit/rpc_case.h"

#include "tests/fakes/fake_memory.h"

struct request_row {
    const char *before; /* said by the same client, without ids */
    const char *method;
    const char *params;
    const char *want;
    const char *again; /* when it was done before; NULL: the same */
};

#define A_SEGMENT "\"name\":\"a\",\"size\":64"

static const struct request_row rows[] = {
    {NULL, "info", "", "=ok", NULL},
    {NULL, "metrics", "", "=ok", NULL},
    {NULL, "create", A_SEGMENT, "+a/ready", "=a/ready"},
    {NULL, "create", A_SEGMENT ",\"lifetime\":\"process\",\"ttl_ms\":5000", "+a/ready", "=a/ready"},
    {NULL, "create", A_SEGMENT ",\"lifetime\":\"connection\"", "+a/ready", "=a/ready"},
    {NULL, "create", A_SEGMENT ",\"lifetime\":\"attached\"", "+a/ready", "=a/ready"},
    {NULL, "create", A_SEGMENT ",\"key\":7,\"ready\":false", "+a/initialising", "=a/initialising"},
    {NULL, "create", A_SEGMENT ",\"labels\":{\"key\":\"value\",\"other\":\"\"}", "+a/ready",
     "=a/ready"},
    {A_SEGMENT, "create", A_SEGMENT, "=a/ready", NULL},
    {A_SEGMENT, "stat", "\"name\":\"a\"", "=a/ready", NULL},
    {A_SEGMENT, "set", "\"name\":\"a\",\"mode\":\"0640\",\"new_name\":\"b\"", "=b/ready",
     "!NoSuchSegment"},
    {A_SEGMENT, "set", "\"name\":\"a\",\"labels\":{\"key\":\"value\"},\"ttl_ms\":7", "=a/ready",
     NULL},
    {A_SEGMENT, "set", "\"name\":\"a\",\"lifetime\":\"process\"", "=a/ready", NULL},
    {A_SEGMENT, "remove", "\"name\":\"a\"", "=a/removed", "!NoSuchSegment"},
    {A_SEGMENT, "list", "\"prefix\":\"a\"", "=[a]", NULL},
    {A_SEGMENT, "list", "\"labels\":{\"key\":\"value\"},\"limit\":5", "=[]", NULL},
    {A_SEGMENT ",\"ready\":false", "ready", "\"name\":\"a\"", "=a/ready", NULL},
    {A_SEGMENT, "wait", "\"name\":\"a\"", "=a/ready", NULL},
    {NULL, "wait", "\"name\":\"a\",\"timeout_ms\":0", "!TimedOut", NULL},
    {A_SEGMENT ",\"lifetime\":\"process\"", "hold", "\"name\":\"a\"", "=a/ready", NULL},
    {A_SEGMENT ",\"lifetime\":\"connection\"", "hold", "\"name\":\"a\"", "=a/ready", NULL},
    {A_SEGMENT ",\"lifetime\":\"persistent\"", "release", "\"name\":\"a\"", "!NotHoldable", NULL},
    {NULL, "adopt", "\"key\":99,\"name\":\"a\"", "!NoSuchSegment", NULL},
    {NULL, "subscribe", "\"prefix\":\"a\",\"kinds\":[\"created\",\"removed\"]", "=@", NULL},
    {NULL, "nosuch", "", "!MethodNotFound", NULL},
    {NULL, "create", "", "!InvalidParameter", NULL},
};

enum form { FORM_PLAIN, FORM_GENERAL, FORM_BATCH, FORMS };

static char *text_of_request(const struct request_row *row, enum form form)
{
    const char *open = form == FORM_BATCH ? "[" : "", *close = form == FORM_BATCH ? "]" : "";
    const char *more = form == FORM_GENERAL ? "\"x\":[{\"y\":\"\\u00e9\"}]," : "";
    return text_of("%s{\"jsonrpc\":\"2.0\",%s\"id\":\"one\",\"method\":\"%s\",\"params\":{%s}}%s",
                   open, more, row->method, row->params, close);
}

/* Whether HEARD is RESULT for the request of that form; "=@" stands for any serial. */
static bool is_answer(const char *heard, const char *result, enum form form)
{
    char *want = text_of("%s\"one\"%s%s", form == FORM_BATCH ? "[" : "", result,
                         form == FORM_BATCH && strcmp(result, "=@") != 0 ? "]" : "");
    bool is = strcmp(result, "=@") == 0 ? strncmp(heard, want, strlen(want)) == 0
                                        : strcmp(heard, want) == 0;
    free(want);
    return is;
}

/* Where the whole value was refused, a batch has no id. What cannot be recorded is not done. */
static bool is_refusal(const char *heard, enum form form)
{
    return is_answer(heard, "!-32603", form) || is_answer(heard, "!StoreFailure", form) ||
           (form == FORM_BATCH && strcmp(heard, "null!-32603") == 0);
}

/* False when less than N allocations were asked for. The others count how it ended. */
static bool fails_once(const struct request_row *row, enum form form, unsigned long n,
                       unsigned *ret_refused, unsigned *ret_closed)
{
    struct rpc_fixture *g = rpc_fixture_new();
    struct client *c = client_open(g, ALICE, 1), *neighbour = client_open(g, BOB, 2);
    if (row->before) {
        char *create =
            text_of("{\"jsonrpc\":\"2.0\",\"method\":\"create\",\"params\":{%s}}", row->before);
        assert_int_equal(client_say(g, c, create), 0);
        free(create);
    }
    char *request = text_of_request(row, form);
    size_t len = strlen(request);
    fake_memory_fail(n);
    client_send(c, request, len);
    (void)rpc_fixture_turn(g);
    bool failed = fake_memory_restore();
    assert_int_equal(rpc_fixture_turn(g), 0);
    const char *heard = client_heard(c), *want = row->want;
    if (failed && is_refusal(heard, form)) {
        ++*ret_refused;
        assert_int_equal(client_say(g, c, request), 0);
        heard = client_heard(c);
        if (row->again && is_answer(heard, row->again, form))
            want = row->again;
    }
    bool is_closed = session_is_over(&c->session);
    if (is_closed && failed && form == FORM_BATCH) {
        assert_string_equal(heard, "");
        ++*ret_closed;
    } else if (is_closed || !is_answer(heard, want, form)) {
        print_error("allocation %lu of %s: %s\n", n, request, heard);
        fail();
    }
    assert_int_equal(client_say(g, neighbour, STAT("1", "none")), 0);
    assert_string_equal(client_heard(neighbour), "1!NoSuchSegment");
    core_fixture_check_kernel(g->core);
    free(request);
    rpc_fixture_free(g);
    return failed;
}

TEST(each_allocation_of_each_method)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        for (int form = 0; form < FORMS; form++) {
            unsigned refused = 0, closed = 0;
            unsigned long n = 1;
            while (fails_once(&rows[i], (enum form)form, n, &refused, &closed))
                n++;
            /* A plain one needs none but what stays, when there is room for its answer. */
            assert_true(form == FORM_PLAIN || (n > 2 && refused > 0));
            /* The answers to a batch with a wait are gathered first, which takes memory, too. */
            if (form == FORM_BATCH && strcmp(rows[i].method, "wait") == 0)
                assert_in_range(closed, 1, 4);
            else
                assert_int_equal(closed, form == FORM_BATCH);
        }
    }
}

/* How many allocations the request takes. */
static unsigned long allocations_of(struct rpc_fixture *g, struct client *c, const char *request)
{
    unsigned long before = fake_memory_count();
    client_send(c, request, strlen(request));
    assert_int_equal(rpc_fixture_turn(g), 0);
    return fake_memory_count() - before;
}

#define SAY(method, params)                                                                        \
    "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"" method "\",\"params\":{" params "}}"

TEST(nothing_is_allocated_but_what_stays)
{
    struct rpc_fixture *g = rpc_fixture_new();
    struct client *c = client_open(g, ALICE, 1);
    assert_int_equal(client_say(g, c, SAY("create", A_SEGMENT)), 0);
    for (int i = 0; i < 300; i++) {
        static const char create[] = SAY("create", "\"name\":\"b\",\"size\":64"),
                          removal[] = SAY("remove", "\"name\":\"b\""),
                          stat[] = SAY("stat", "\"name\":\"a\"");
        unsigned long created = allocations_of(g, c, create), stats = allocations_of(g, c, stat),
                      removed = allocations_of(g, c, removal);
        if (i < 200)
            continue; /* tables have grown */
        assert_int_equal(stats, 0);
        assert_int_equal(created, 3); /* the segment, its name, the event */
        assert_int_equal(removed, 1); /* the event */
    }
    rpc_fixture_free(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_allocation_of_each_method),
        cmocka_unit_test(nothing_is_allocated_but_what_stays),
    };
    return RUN_TESTS(tests);
}
