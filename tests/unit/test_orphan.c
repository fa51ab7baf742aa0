/* SPDX-License-Identifier: MIT */
/* The rule of orphans: when a process counts as dead, and what becomes of the segments it made. */
#include "tests/unit/support.h"

#include "protocol/orphan.h"

#define STAT(name, state, threads)                                                                 \
    "42 (" name ") " state " 1 42 42 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 " threads                   \
    " 0 12345 1000 200 18446744073709551615\n"

TEST(processes)
{
    static const struct {
        int32_t pid;
        bool is_gone;
        const char *text;
        enum process_state want;
    } cases[] = {
        {42, false, STAT("worker", "S", "1"), PROCESS_ALIVE},
        {42, false, STAT("worker", "R", "7"), PROCESS_ALIVE},
        {42, false, STAT("worker", "D", "1"), PROCESS_ALIVE},
        {42, false, STAT("worker", "T", "1"), PROCESS_ALIVE},
        {42, false, STAT("worker", "Z", "1"), PROCESS_DEAD},
        {42, false, STAT("worker", "X", "1"), PROCESS_DEAD},
        {42, false, STAT("worker", "X", "0"), PROCESS_DEAD},
        /* Its first thread has ended, the others run. */
        {42, false, STAT("worker", "Z", "2"), PROCESS_ALIVE},
        /* A name may hold anything. */
        {42, false, STAT(") Z 1 (x", "S", "1"), PROCESS_ALIVE},
        {42, false, STAT(" ) S", "Z", "1"), PROCESS_DEAD},
        /* It cannot be read: another user's, where /proc hides those. */
        {42, false, "", PROCESS_ALIVE},
        {42, false, "42 (worker)", PROCESS_ALIVE},
        {42, false, "42 (worker) Z", PROCESS_ALIVE},
        {42, true, "", PROCESS_DEAD},
        /* Of another pid namespace. */
        {0, false, "", PROCESS_UNKNOWN},
        {0, true, "", PROCESS_UNKNOWN},
        {-1, true, "", PROCESS_UNKNOWN},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        if (process_state_of(cases[i].pid, cases[i].is_gone, cases[i].text) != cases[i].want)
            fail_msg("case %zu: %s", i, cases[i].text);
}

TEST(classes)
{
    static const struct {
        struct orphan_facts facts;
        enum orphan_class want;
        bool is_orphaned, is_used_by_others;
    } cases[] = {
        /* creator, cpid, lpid, nattch, atime */
        {{PROCESS_ALIVE, 7, 0, 0, 0}, ORPHAN_CREATOR_LIVES, false, false},
        {{PROCESS_ALIVE, 7, 8, 0, 5}, ORPHAN_CREATOR_LIVES, false, true},
        {{PROCESS_DEAD, 7, 0, 1, 5}, ORPHAN_ATTACHED, false, true},
        {{PROCESS_DEAD, 7, 8, 1, 5}, ORPHAN_ATTACHED, false, true},
        {{PROCESS_UNKNOWN, 0, 0, 1, 5}, ORPHAN_ATTACHED, false, false},
        {{PROCESS_DEAD, 7, 0, 0, 0}, ORPHAN_LEAKED, true, false},
        {{PROCESS_DEAD, 7, 7, 0, 5}, ORPHAN_LEAKED, true, false},
        {{PROCESS_DEAD, 7, 8, 0, 5}, ORPHAN_LEFT, true, true},
        /* A process that this pid namespace does not show has attached it. */
        {{PROCESS_DEAD, 7, 0, 0, 5}, ORPHAN_LEFT, true, true},
        {{PROCESS_UNKNOWN, 0, 0, 0, 0}, ORPHAN_UNDECIDED, false, false},
        {{PROCESS_UNKNOWN, 0, 0, 0, 5}, ORPHAN_UNDECIDED, false, false},
        {{PROCESS_UNKNOWN, 0, 8, 0, 5}, ORPHAN_UNDECIDED, false, true},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct orphan_facts *facts = &cases[i].facts;
        if (orphan_classify(facts) != cases[i].want ||
            orphan_is_orphaned(facts) != cases[i].is_orphaned ||
            orphan_is_used_by_others(facts) != cases[i].is_used_by_others)
            fail_msg("case %zu", i);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(processes),
        cmocka_unit_test(classes),
    };
    return RUN_TESTS(tests);
}
