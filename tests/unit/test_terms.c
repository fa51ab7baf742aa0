/* SPDX-License-Identifier: MIT */
/* The wire's words: each is found at its own index, in both directions, and nothing else is. */
#include "tests/unit/support.h"

#include "protocol/terms.h"

static void check_words(const char *const *words, const char *const *want, int count)
{
    for (int i = 0; i < count; i++) {
        assert_string_equal(words[i], want[i]);
        assert_int_equal(term_find(words, want[i]), i);
    }
    assert_null(words[count]);
    assert_int_equal(term_find(words, ""), -1);
    assert_int_equal(term_find(words, "Ready"), -1);
    assert_int_equal(term_find(words, "al"), -1);
    assert_int_equal(term_find(words, "readyy"), -1);
}

TEST(states)
{
    const char *const want[] = {"initialising", "ready", "removing", "removed"};
    assert_int_equal(STATE_COUNT, 4);
    check_words(state_words, want, STATE_COUNT);
}

TEST(lifetimes)
{
    const char *const want[] = {"persistent", "process", "connection", "attached"};
    assert_int_equal(LIFETIME_COUNT, 4);
    check_words(lifetime_words, want, LIFETIME_COUNT);
}

TEST(scopes)
{
    const char *const want[] = {"managed", "foreign", "all"};
    assert_int_equal(SCOPE_COUNT, 3);
    check_words(scope_words, want, SCOPE_COUNT);
}

TEST(event_kinds)
{
    const char *const want[] = {"created",  "ready",   "changed", "attached",
                                "detached", "removed", "adopted"};
    assert_int_equal(EVENT_KINDS, 7);
    check_words(event_words, want, EVENT_KINDS);
    /* Told instead of an event, and so no kind that one could ask for. */
    assert_int_equal(term_find(event_words, "gap"), -1);
}

TEST(reasons)
{
    const char *const want[] = {"request",           "expired",          "last-holder-exited",
                                "connection-closed", "initialiser-died", "last-detach",
                                "out-of-band",       "recycled",         "replaced"};
    assert_int_equal(REASON_COUNT, 9);
    check_words(reason_words, want, REASON_COUNT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(states),      cmocka_unit_test(lifetimes), cmocka_unit_test(scopes),
        cmocka_unit_test(event_kinds), cmocka_unit_test(reasons),
    };
    return RUN_TESTS(tests);
}
