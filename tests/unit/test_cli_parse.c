/* SPDX-License-Identifier: MIT */
/*
 * What people type: units, limits, and that nothing half understood is taken.
 */
#include "tests/unit/support.h"

#include <errno.h>

#include "client/cli/format.h"
#include "client/cli/parse.h"

#define KIB UINT64_C(1024)

TEST(sizes)
{
    static const struct {
        const char *text;
        uint64_t bytes;
    } good[] = {
        {"0", 0},
        {"1", 1},
        {"4096", 4096},
        {"64K", 64 * KIB},
        {"64k", 64 * KIB},
        {"64KiB", 64 * KIB},
        {"1M", KIB * KIB},
        {"3G", 3 * KIB * KIB * KIB},
        {"1T", KIB * KIB * KIB * KIB},
        {"1P", KIB * KIB * KIB * KIB * KIB},
        {"7E", 7 * KIB * KIB * KIB * KIB * KIB * KIB},
        {"9223372036854775807", INT64_MAX},
        {"1.5M", 3 * KIB * KIB / 2},
        {"1.5MiB", 3 * KIB * KIB / 2},
        {"0.5k", 512},
        {"1.1K", 1127}, /* 1126.4: a part of a byte counts as one */
        {"7.999999999E", 9223372035701854304},
        {"0x1000", 4096},
        {"0Xff", 255},
        {"0x7fffffffffffffff", INT64_MAX},
    };
    static const char *const bad[] = {
        "",     "K",     "-1",  "+1",   " 1",   "1 K",   "1.5",          "1KB", "1Ki",
        "1m",   "1kb",   "0x",  "1KK",  "99EB", "1KiBx", "1.G",          ".5G", "1.5.5",
        "0x1K", "0x1.5", "0xg", "1,5G", "1e3",  "-0x1",  "1.0000000001G"};
    static const char *const large[] = {"8E",
                                        "8EiB",
                                        "9223372036854775808",
                                        "18446744073709551616",
                                        "99999999999999999999K",
                                        "0x8000000000000000",
                                        "0x1ffffffffffffffff"};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        uint64_t bytes = 99;
        assert_int_equal(parse_size(good[i].text, &bytes), 0);
        assert_int_equal(bytes, good[i].bytes);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        uint64_t bytes = 99;
        if (parse_size(bad[i], &bytes) != -EINVAL)
            fail_msg("\"%s\" was taken for %lu", bad[i], (unsigned long)bytes);
        assert_int_equal(bytes, 99);
    }
    for (size_t i = 0; i < sizeof(large) / sizeof(large[0]); i++) {
        uint64_t bytes = 99;
        assert_int_equal(parse_size(large[i], &bytes), -ERANGE);
        assert_int_equal(bytes, 99);
    }
}

TEST(durations)
{
    static const struct {
        const char *text;
        int64_t ms;
    } good[] = {{"0", 0},          {"0s", 0},
                {"500ms", 500},    {"10s", 10000},
                {"5m", 300000},    {"2h", 7200000},
                {"1d", 86400000},  {"1h30m", 5400000},
                {"1.5h", 5400000}, {"1d12h30m5s250ms", 131405250},
                {"0.0001s", 1},    {"1m0s", 60000}};
    static const char *const bad[] = {"",    "5",   "s",     "-1s",   "1 s",  "1sec",
                                      "1us", "1S",  "1h30",  "30m1h", "1h1h", "1h 30m",
                                      "1.s", ".5s", "1h-1m", "1ms1s"};
    static const char *const large[] = {"99999999999999999999ms", "9223372036854775807d"};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        int64_t ms = 99;
        assert_int_equal(parse_duration(good[i].text, &ms), 0);
        assert_int_equal(ms, good[i].ms);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        int64_t ms = 99;
        if (parse_duration(bad[i], &ms) != -EINVAL)
            fail_msg("\"%s\" was taken for %ld", bad[i], (long)ms);
        assert_int_equal(ms, 99);
    }
    for (size_t i = 0; i < sizeof(large) / sizeof(large[0]); i++) {
        int64_t ms = 99;
        assert_int_equal(parse_duration(large[i], &ms), -ERANGE);
        assert_int_equal(ms, 99);
    }
}

TEST(modes)
{
    static const char *const bad[] = {"", "64", "0800", "1777", "06400", "rw", "-640", "0x1"};
    uint32_t mode = 99;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(parse_mode(bad[i], &mode), -EINVAL);
    assert_int_equal(mode, 99);
    assert_int_equal(parse_mode("640", &mode), 0);
    assert_int_equal(mode, 0640);
    assert_int_equal(parse_mode("0007", &mode), 0);
    assert_int_equal(mode, 7);
}

TEST(keys)
{
    static const char *const bad[] = {"",    "0x",         "x1",          "--1",
                                      "1 ",  "4294967296", "-2147483649", "0x100000000",
                                      "- 1", "1a",         "0xfg"};
    static const struct {
        const char *text;
        uint32_t key;
    } good[] = {{"0", 0},
                {"10", 10},
                {"010", 10},
                {"0x10", 16},
                {"0XfF", 255},
                {"4294967295", UINT32_MAX},
                {"-1", UINT32_MAX},
                {"-2147483648", 0x80000000},
                {"0xffffffff", UINT32_MAX}};
    uint32_t key = 99;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (parse_key(bad[i], &key) != -EINVAL)
            fail_msg("\"%s\" was taken for %u", bad[i], key);
        assert_int_equal(key, 99);
    }
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_int_equal(parse_key(good[i].text, &key), 0);
        assert_int_equal(key, good[i].key);
    }
}

TEST(numbers_have_limits)
{
    uint64_t n = 99;
    assert_int_equal(parse_number("4", 5, 7, &n), -EINVAL);
    assert_int_equal(parse_number("8", 5, 7, &n), -EINVAL);
    assert_int_equal(parse_number("5x", 5, 7, &n), -EINVAL);
    assert_int_equal(n, 99);
    assert_int_equal(parse_number("7", 5, 7, &n), 0);
    assert_int_equal(n, 7);
}

TEST(users_by_name_or_number)
{
    uint32_t id = 99;
    assert_int_equal(parse_user("7x", &id), -EINVAL);
    assert_int_equal(parse_group("7x", &id), -EINVAL);
    assert_int_equal(parse_user("4294967295", &id), -EINVAL); /* the kernel's «leave it» */
    assert_int_equal(id, 99);
    assert_int_equal(parse_user("root", &id), 0);
    assert_int_equal(id, 0);
    assert_int_equal(parse_group("4294967294", &id), 0);
    assert_int_equal(id, 4294967294);
    assert_int_equal(parse_group("root", &id), 0);
    assert_int_equal(id, 0);
}

static void assert_size_text(uint64_t bytes, const char *want)
{
    char text[32];
    format_size(bytes, text, sizeof(text));
    assert_string_equal(text, want);
}

TEST(sizes_for_people)
{
    assert_size_text(0, "0B");
    assert_size_text(1023, "1023B");
    assert_size_text(1024, "1K");
    assert_size_text(1025, "1K");
    assert_size_text(1536, "1.5K");
    assert_size_text(1024 * 1024 - 1, "1M");
    assert_size_text(1024 * 1024, "1M");
    assert_size_text(3 * KIB * KIB * KIB / 2, "1.5G");
    assert_size_text(INT64_MAX, "8E");
    assert_size_text(UINT64_MAX, "16E");
}

TEST(durations_are_printed_as_they_are_typed)
{
    static const struct {
        int64_t ms;
        const char *text;
    } table[] = {
        {0, "0"},
        {1, "1ms"},
        {999, "999ms"},
        {1000, "1s"},
        {1500, "1s500ms"},
        {60000, "1m"},
        {5400000, "1h30m"},
        {86400000, "1d"},
        {90061001, "1d1h1m1s1ms"},
        {INT64_MAX / 4, "26687997791d19h48m13s951ms"},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        char text[64];
        int64_t again = -1;
        format_duration(table[i].ms, text, sizeof(text));
        assert_string_equal(text, table[i].text);
        assert_int_equal(parse_duration(text, &again), 0);
        assert_int_equal(again, table[i].ms);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes),
        cmocka_unit_test(durations),
        cmocka_unit_test(modes),
        cmocka_unit_test(keys),
        cmocka_unit_test(numbers_have_limits),
        cmocka_unit_test(users_by_name_or_number),
        cmocka_unit_test(sizes_for_people),
        cmocka_unit_test(durations_are_printed_as_they_are_typed),
    };
    return RUN_TESTS(tests);
}
