/* SPDX-License-Identifier: MIT */
/* The one list of methods: each word is found, exactly, by its bytes. */
#include "tests/unit/support.h"

#include "protocol/methods.h"

TEST(each_word_finds_its_method)
{
    for (int i = 0; i < METHOD_COUNT; i++) {
        const char *word = method_word((enum method)i);
        assert_non_null(word);
        assert_int_equal(method_find(word, strlen(word)), i);
        /* Words are lower-case letters: other dialects make their spelling from them. */
        assert_int_equal(strspn(word, "abcdefghijklmnopqrstuvwxyz"), strlen(word));
        for (int k = 0; k < i; k++)
            assert_string_not_equal(word, method_word((enum method)k));
    }
}

TEST(nothing_else_is_a_method)
{
    assert_int_equal(method_find("", 0), -1);
    assert_int_equal(method_find("Create", 6), -1);
    assert_int_equal(method_find("creat", 5), -1);
    assert_int_equal(method_find("create ", 7), -1);
    assert_int_equal(method_find("create\0", 7), -1);
    assert_int_equal(method_find("io.shmd.Create", 14), -1);
    assert_int_equal(method_find("rpc.discover", 12), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_word_finds_its_method),
        cmocka_unit_test(nothing_else_is_a_method),
    };
    return RUN_TESTS(tests);
}
