/* SPDX-License-Identifier: MIT */
/*
 * What is told of a copy on its way.
 */
#include "tests/unit/support.h"

#include "client/cli/progress.h"

#define MIB (UINT64_C(1) << 20)

static void check(uint64_t done, uint64_t total, int64_t elapsed_ms, const char *want)
{
    char got[160];
    progress_text(done, total, elapsed_ms, got, sizeof(got));
    assert_string_equal(got, want);
}

TEST(with_a_total)
{
    check(16 * MIB, 64 * MIB, 2000, "16M of 64M, 25 %, 8M/s, 6s left");
    check(64 * MIB, 64 * MIB, 2000, "64M of 64M, 100 %, 32M/s, 0s left");
    check(MIB, 241 * MIB, 1000, "1M of 241M, 0 %, 1M/s, 4m00s left");
    check(MIB, 7501 * MIB, 1000, "1M of 7.3G, 0 %, 1M/s, 2h05m left");
}

TEST(what_cannot_be_told_is_left_out)
{
    check(MIB, 0, 2000, "1M, 512K/s");
    check(0, MIB, 1500, "0B of 1M, 0 %");
    check(0, 0, 0, "0B, 0B/s");
    check(2 * MIB, MIB, 2000, "2M, 1M/s"); /* the file has grown */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(with_a_total),
        cmocka_unit_test(what_cannot_be_told_is_left_out),
    };
    return RUN_TESTS(tests);
}
