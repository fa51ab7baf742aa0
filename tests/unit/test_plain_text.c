/* SPDX-License-Identifier: MIT */
/*
 * Text of others as it is printed: no control character, and valid UTF-8.
 */
#include "tests/unit/support.h"

#include <stdio.h>
#include <stdlib.h>

#include "client/cli/plain_text.h"

static void check(const char *text, const char *want)
{
    char got[256], *printed = NULL;
    size_t size = 0;
    plain_text(text, got, sizeof(got));
    assert_string_equal(got, want);
    FILE *file = open_memstream(&printed, &size);
    assert_non_null(file);
    print_plain(file, text);
    assert_int_equal(fclose(file), 0);
    assert_string_equal(printed, want);
    free(printed);
}

TEST(what_is_harmless_stays)
{
    check("", "");
    check("frames/1 a=\"b\" \\n", "frames/1 a=\"b\" \\n");
    check("\xC3\xA9 \xE2\x82\xAC \xF0\x9F\x98\x80 \xC2\xA0",
          "\xC3\xA9 \xE2\x82\xAC \xF0\x9F\x98\x80 \xC2\xA0");
}

TEST(control_characters_are_escaped)
{
    check("\x1b[31m", "\\x1b[31m");
    check("a\nb\tc\rd\x01\x7f", "a\\x0ab\\x09c\\x0dd\\x01\\x7f");
    check("\xC2\x80\xC2\x9B\xC2\x9F", "\\u0080\\u009b\\u009f");
}

TEST(what_turns_or_hides_text_is_escaped)
{
    check("a\xE2\x80\xAE"
          "b",
          "a\\u202eb"); /* right-to-left override */
    check("\xE2\x81\xA6\xE2\x80\x8B\xEF\xBB\xBF", "\\u2066\\u200b\\ufeff");
    check("\xD8\x9C\xC2\xAD", "\\u061c\\u00ad");
    check("\xF3\xA0\x80\x81", "\\U000e0001");
    check("\xE2\x80\xAF\xE2\x81\x9F", "\xE2\x80\xAF\xE2\x81\x9F"); /* narrow spaces */
}

TEST(width)
{
    assert_int_equal(plain_text_width(""), 0);
    assert_int_equal(plain_text_width("frames"), 6);
    assert_int_equal(plain_text_width("\xC3\xA9\xC3\xA9"), 2);
    static const struct {
        const char *text;
        size_t width, bytes, used;
    } rows[] = {{"frames", 4, 4, 4},
                {"frames", 9, 6, 6},
                {"frames", 0, 0, 0},
                {"\xC3\xA9\xC3\xA9", 1, 2, 1}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        size_t used = 99;
        assert_int_equal(plain_text_cut(rows[i].text, rows[i].width, &used), rows[i].bytes);
        assert_int_equal(used, rows[i].used);
    }
}

TEST(what_is_no_utf8_is_escaped)
{
    check("\x80", "\\x80");
    check("\x9B"
          "1m",
          "\\x9b1m");
    check("\xFF\xFE", "\\xff\\xfe");
    check("\xC3", "\\xc3");                            /* cut off */
    check("\xE2\x82", "\\xe2\\x82");                   /* cut off */
    check("\xC0\x9B", "\\xc0\\x9b");                   /* too long a form of ESC */
    check("\xE0\x80\x9B", "\\xe0\\x80\\x9b");          /* the same */
    check("\xED\xA0\x80", "\\xed\\xa0\\x80");          /* half of a pair */
    check("\xF4\x90\x80\x80", "\\xf4\\x90\\x80\\x80"); /* beyond Unicode */
}

TEST(a_small_buffer_holds_whole_pieces)
{
    char got[6];
    plain_text("abc\x1b", got, sizeof(got));
    assert_string_equal(got, "abc");
    plain_text("abcd\xC3\xA9", got, sizeof(got));
    assert_string_equal(got, "abcd");
    plain_text("abcdefgh", got, sizeof(got));
    assert_string_equal(got, "abcde");
}

static void check_word(const char *text, const char *want)
{
    char got[64];
    shell_word(text, got, sizeof(got));
    assert_string_equal(got, want);
}

TEST(a_word_of_a_shell_is_quoted_where_it_must_be)
{
    check_word("/run/shmd/a-b_c.1@x:2=%+,", "/run/shmd/a-b_c.1@x:2=%+,");
    check_word("", "''");
    check_word("/tmp/a b", "'/tmp/a b'");
    check_word("/tmp/$(id);`id`>x&\"*~#", "'/tmp/$(id);`id`>x&\"*~#'");
    check_word("/tmp/\xC3\xA9", "'/tmp/\xC3\xA9'");
    check_word("/tmp/it's", "$'/tmp/it\\'s'");
    check_word("/tmp/a\\b", "$'/tmp/a\\\\b'");
    check_word("/tmp/\x1b[31m;id\n\xFF\xC2\x9B", "$'/tmp/\\x1b[31m;id\\x0a\\xff\\u009b'");
}

TEST(a_word_of_a_shell_is_whole_or_left_out)
{
    char got[8];
    shell_word("abcdefg", got, sizeof(got));
    assert_string_equal(got, "abcdefg");
    shell_word("abcdefgh", got, sizeof(got));
    assert_string_equal(got, "");
    shell_word("abcd ", got, sizeof(got));
    assert_string_equal(got, "'abcd '");
    shell_word("abcde ", got, sizeof(got));
    assert_string_equal(got, "");
    shell_word("a\x1b", got, sizeof(got));
    assert_string_equal(got, "");
    shell_word("a very much longer word", got, 1);
    assert_string_equal(got, "");
}

TEST(json_keeps_its_meaning)
{
    static const char json[] = "{\"a\":\t\"\xC2\x9B\x7F\\u001b\xC3\xA9\"}\r";
    char *printed = NULL;
    size_t size = 0;
    FILE *file = open_memstream(&printed, &size);
    assert_non_null(file);
    print_json_text(file, json, sizeof(json) - 1);
    assert_int_equal(fclose(file), 0);
    assert_string_equal(printed, "{\"a\": \"\\u009b\\u007f\\u001b\xC3\xA9\"} ");
    free(printed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_harmless_stays),
        cmocka_unit_test(control_characters_are_escaped),
        cmocka_unit_test(what_turns_or_hides_text_is_escaped),
        cmocka_unit_test(width),
        cmocka_unit_test(what_is_no_utf8_is_escaped),
        cmocka_unit_test(a_small_buffer_holds_whole_pieces),
        cmocka_unit_test(a_word_of_a_shell_is_quoted_where_it_must_be),
        cmocka_unit_test(a_word_of_a_shell_is_whole_or_left_out),
        cmocka_unit_test(json_keeps_its_meaning),
    };
    return RUN_TESTS(tests);
}
