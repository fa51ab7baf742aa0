/* SPDX-License-Identifier: MIT */
/*
 * What is JSON and what is not, by lists of texts, and jansson as a second opinion: a text that is
 * JSON by one is JSON by the other. What is counted in a text; where a fault is.
 */
#include "tests/unit/support.h"

#include <errno.h>
#include <jansson.h>

#include "protocol/json_check.h"
#include "protocol/json_number.h"
#include "protocol/limits.h"

static int check(const char *text, size_t len, struct json_facts *facts, struct json_fault *fault)
{
    char *copy = exact_copy(text, len);
    int r = json_check(copy, len, facts, fault);
    free(copy);
    return r;
}

static bool is_json_to_jansson(const char *text, size_t len)
{
    json_t *root = json_loadb(text, len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    json_decref(root);
    return root != NULL;
}

struct text {
    const char *bytes;
    size_t len;
};
#define TEXT(literal)                                                                              \
    {                                                                                              \
        literal, sizeof(literal) - 1                                                               \
    }
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

TEST(what_is_json)
{
    static const struct text good[] = {
        /* structure */
        TEXT("{}"),
        TEXT("[]"),
        TEXT(" [] "),
        TEXT("\t\r\n[\n]\r"),
        TEXT("[[]]"),
        TEXT("[{}]"),
        TEXT("{\"\":0}"),
        TEXT("{\"a\":{}}"),
        TEXT("{\"a\":[],\"b\":[{}]}"),
        TEXT("[1,2]"),
        TEXT("[ 1 , 2 ]"),
        TEXT("{ \"a\" : 1 , \"b\" : 2 }"),
        TEXT("{\"a\":1,\"a\":2}"),
        /* scalars at the top */
        TEXT("null"),
        TEXT("true"),
        TEXT("false"),
        TEXT("\"\""),
        TEXT("0"),
        TEXT("[null,true,false]"),
        /* numbers */
        TEXT("-0"),
        TEXT("-1"),
        TEXT("10"),
        TEXT("0.5"),
        TEXT("-0.0"),
        TEXT("1e1"),
        TEXT("1E1"),
        TEXT("1e+1"),
        TEXT("1e-1"),
        TEXT("1.5e10"),
        TEXT("0e0"),
        TEXT("0E+0"),
        TEXT("1e01"),
        TEXT("123456789012345678"),
        TEXT("[1e-400]"),
        /* strings */
        TEXT("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""),
        TEXT("\"\\u00e9\\u00E9\""),
        TEXT("\"\\u0000\""),
        TEXT("\"\\ud83d\\ude00\""),
        TEXT("\"\\uD800\\uDC00\""),
        TEXT("\"\\udbff\\udfff\""),
        TEXT("\"\\uffff\""),
        TEXT("\"\x7f\""),
        TEXT("\"/\""),
        TEXT("\"\\\\u0000\""),
        TEXT("\"\xC2\x80\""),
        TEXT("\"\xDF\xBF\""),
        TEXT("\"\xE0\xA0\x80\""),
        TEXT("\"\xED\x9F\xBF\""),
        TEXT("\"\xEE\x80\x80\""),
        TEXT("\"\xEF\xBB\xBF\""),
        TEXT("\"\xEF\xBF\xBF\""),
        TEXT("\"\xF0\x90\x80\x80\""),
        TEXT("\"\xF4\x8F\xBF\xBF\""),
        TEXT("{\"\xC3\xA9\":1}"),
    };
    for (size_t i = 0; i < COUNT(good); i++) {
        struct json_facts facts;
        struct json_fault fault;
        int r = check(good[i].bytes, good[i].len, &facts, &fault);
        if (r < 0)
            print_error("%s: %s\n", good[i].bytes, fault.what);
        assert_int_equal(r, 0);
        assert_true(is_json_to_jansson(good[i].bytes, good[i].len));
    }
}

TEST(what_is_not_json)
{
    static const struct text bad[] = {
        /* structure */
        TEXT(""),
        TEXT(" "),
        TEXT("["),
        TEXT("{"),
        TEXT("]"),
        TEXT("}"),
        TEXT("[}"),
        TEXT("{]"),
        TEXT("[1"),
        TEXT("[1,"),
        TEXT("[1,]"),
        TEXT("[,]"),
        TEXT("[,1]"),
        TEXT("[1,,2]"),
        TEXT("[1 2]"),
        TEXT("[1:2]"),
        TEXT("[\"a\":1]"),
        TEXT("[1}"),
        TEXT("{\"a\"}"),
        TEXT("{\"a\":}"),
        TEXT("{\"a\":1,}"),
        TEXT("{,\"a\":1}"),
        TEXT("{\"a\" 1}"),
        TEXT("{\"a\":1 \"b\":2}"),
        TEXT("{\"a\":1,,\"b\":2}"),
        TEXT("{a:1}"),
        TEXT("{'a':1}"),
        TEXT("{1:1}"),
        TEXT("{null:1}"),
        TEXT("{\"a\"::1}"),
        TEXT("{\"a\":1:2}"),
        TEXT("{[]:1}"),
        TEXT("{\"a\":1"),
        TEXT("{\"a\":"),
        TEXT("{\"a\""),
        TEXT("{\"a"),
        TEXT("[[]"),
        TEXT("[]]"),
        TEXT("{}}"),
        TEXT("{}{}"),
        TEXT("[][]"),
        TEXT("1 2"),
        TEXT("{} x"),
        TEXT("\"a\"\"b\""),
        TEXT("[]\0"),
        TEXT("[\0]"),
        TEXT("\0"),
        TEXT("[1\0]"),
        TEXT("[\f]"),
        TEXT("[\v]"),
        TEXT("[\xC2\xA0]"),
        TEXT("\xEF\xBB\xBF{}"),
        TEXT("\xFE\xFF"),
        TEXT("\xEF\xBB"),
        TEXT("*"),
        TEXT("[*]"),
        TEXT("<>"),
        TEXT("[<null>]"),
        TEXT(":"),
        TEXT(","),
        TEXT("\\"),
        TEXT("\\n"),
        /* words */
        TEXT("nul"),
        TEXT("nulll"),
        TEXT("Null"),
        TEXT("TRUE"),
        TEXT("tru"),
        TEXT("truefalse"),
        TEXT("fals"),
        TEXT("undefined"),
        TEXT("NaN"),
        TEXT("nan"),
        TEXT("Infinity"),
        TEXT("-Infinity"),
        TEXT("inf"),
        TEXT("[NaN]"),
        TEXT("[-NaN]"),
        TEXT("a"),
        TEXT("[a]"),
        TEXT("{\"a\":True}"),
        /* comments */
        TEXT("// c\n{}"),
        TEXT("{}// c"),
        TEXT("/* c */{}"),
        TEXT("{\"a\":1/* c */}"),
        TEXT("[1,// c\n2]"),
        TEXT("# c\n{}"),
        TEXT("{}#"),
        /* numbers */
        TEXT("-"),
        TEXT("+1"),
        TEXT("01"),
        TEXT("-01"),
        TEXT("00"),
        TEXT("1."),
        TEXT(".5"),
        TEXT("-.5"),
        TEXT("1.e1"),
        TEXT("1e"),
        TEXT("1e+"),
        TEXT("1E-"),
        TEXT("1eE1"),
        TEXT("1e1.5"),
        TEXT("1.2.3"),
        TEXT("--1"),
        TEXT("1-1"),
        TEXT("0x10"),
        TEXT("1_000"),
        TEXT("1,000"),
        TEXT("[1a]"),
        TEXT("[- 1]"),
        TEXT("[0e]"),
        TEXT("1f"),
        TEXT("\xEF\xBC\x91") /* a digit of another script */,
        /* strings */
        TEXT("\""),
        TEXT("\"a"),
        TEXT("\"\\"),
        TEXT("\"\\\""),
        TEXT("\"\\\\\\\""),
        TEXT("'a'"),
        TEXT("\"\\a\""),
        TEXT("\"\\x41\""),
        TEXT("\"\\0\""),
        TEXT("\"\\'\""),
        TEXT("\"\\U00e9\""),
        TEXT("\"\\u\""),
        TEXT("\"\\u1\""),
        TEXT("\"\\u12\""),
        TEXT("\"\\u123\""),
        TEXT("\"\\u12g4\""),
        TEXT("\"\\u 123\""),
        TEXT("\"\\u+123\""),
        TEXT("\"\\u123"),
        TEXT("\"\n\""),
        TEXT("\"\t\""),
        TEXT("\"\r\""),
        TEXT("\"\0\""),
        TEXT("\"\x1f\""),
        TEXT("\"\\\n\""),
        TEXT("\"\\\xC3\xA9\""),
        /* halves of characters */
        TEXT("\"\\ud800\""),
        TEXT("\"\\udc00\""),
        TEXT("\"\\ud800\\ud800\""),
        TEXT("\"\\ud800\\u0041\""),
        TEXT("\"\\ud800x\""),
        TEXT("\"\\ud800\\n\""),
        TEXT("\"\\ud800\\udc0\""),
        TEXT("\"\\ud800\\"),
        TEXT("\"\\ud800\\u"),
        TEXT("\"\\udc00\\ud800\""),
        /* bytes that are not UTF-8 */
        TEXT("\"\x80\""),
        TEXT("\"\xBF\""),
        TEXT("\"\xC0\x80\""),
        TEXT("\"\xC1\xBF\""),
        TEXT("\"\xC3\""),
        TEXT("\"\xC3\x28\""),
        TEXT("\"\xE0\x80\x80\""),
        TEXT("\"\xE0\x9F\xBF\""),
        TEXT("\"\xE2\x82\""),
        TEXT("\"\xED\xA0\x80\""),
        TEXT("\"\xED\xBF\xBF\""),
        TEXT("\"\xF0\x80\x80\x80\""),
        TEXT("\"\xF0\x8F\xBF\xBF\""),
        TEXT("\"\xF0\x9F\x98\""),
        TEXT("\"\xF4\x90\x80\x80\""),
        TEXT("\"\xF5\x80\x80\x80\""),
        TEXT("\"\xF8\x88\x80\x80\x80\""),
        TEXT("\"\xFE\""),
        TEXT("\"\xFF\""),
        TEXT("{\"\xFF\":1}"),
        TEXT("[\xC3\xA9]"),
        TEXT("\"\xC3"),
        TEXT("\"\xF0\x9F"),
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct json_facts facts;
        struct json_fault fault = {NULL, 0};
        int r = check(bad[i].bytes, bad[i].len, &facts, &fault);
        if (r == 0)
            print_error("%s\n", bad[i].bytes);
        assert_int_equal(r, -EBADMSG);
        assert_non_null(fault.what);
        assert_true(fault.at <= bad[i].len);
        /* jansson takes a NUL behind a number for the end of the number. */
        if (!memchr(bad[i].bytes, '\0', bad[i].len))
            assert_false(is_json_to_jansson(bad[i].bytes, bad[i].len));
    }
}

/* Any one byte of a text with all there is in JSON is changed, left out or added. */
TEST(one_byte_that_is_otherwise)
{
    static const char text[] = "{\"a\":[1,-2.5e+3,true,false,null,"
                               "\"\\u00e9\\ud83d\\ude00\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80\"],"
                               "\"b\":{\"c\":{},\"d\":[]}}";
    enum { LEN = sizeof(text) - 1 };
    char changed[LEN + 1];
    for (size_t at = 0; at <= LEN; at++) {
        for (int byte = 1; byte < 256; byte++) {
            for (size_t added = 0; added < 2; added++) {
                if (at == LEN && !added)
                    continue;
                memcpy(changed, text, at);
                changed[at] = (char)byte;
                memcpy(changed + at + 1, text + at + 1 - added, LEN - at - 1 + added);
                struct json_facts facts;
                struct json_fault fault;
                int r = check(changed, LEN + added, &facts, &fault);
                assert_int_equal(r == 0, is_json_to_jansson(changed, LEN + added));
            }
        }
    }
}

static void check_fault(const char *text, const char *what, size_t at)
{
    struct json_facts facts;
    struct json_fault fault;
    assert_int_equal(check(text, strlen(text), &facts, &fault), -EBADMSG);
    assert_string_equal(fault.what, what);
    assert_int_equal(fault.at, at);
}

TEST(where_the_fault_is)
{
    check_fault("", "there is no value", 0);
    check_fault("  ", "there is no value", 2);
    check_fault("[1", "the text ends in the midst of a value", 2);
    check_fault("{\"a\":", "the text ends in the midst of a value", 5);
    check_fault("[\"a", "the text ends in a string", 3);
    check_fault("[1 2]", "expected a comma or ]", 3);
    check_fault("{\"a\":1 2}", "expected a comma or }", 7);
    check_fault("{\"a\" 1}", "expected a colon after the key", 5);
    check_fault("{\"a\":1,}", "expected a key in double quotes", 7);
    check_fault("{a}", "expected a key in double quotes", 1);
    check_fault("[1,]", "not a value", 3);
    check_fault("[nope]", "not a value", 1);
    check_fault("[1/**/]", "expected a comma or ]", 2);
    check_fault("/**/1", "a comment, which JSON does not have", 0);
    check_fault("[01]", "not a number as JSON writes them", 2);
    check_fault("[1.]", "not a number as JSON writes them", 3);
    check_fault("[\"\\x\"]", "no such escape", 2);
    check_fault("[\"\\u12\"]", "\\u wants four hexadecimal digits", 2);
    check_fault("[\"\\ud800\"]", "half of a surrogate pair, which is no character", 2);
    check_fault("[\"ab\xFF\"]", "not UTF-8", 4);
    check_fault("[\"a\tb\"]", "a control character in a string; write it as an escape", 3);
    check_fault("\xEF\xBB\xBF[]", "a byte order mark; leave it out", 0);
    check_fault("[}", "a } that closes nothing", 1);
    check_fault("{} {}", "more behind the end of the value", 3);
}

static struct json_facts facts_of(const char *text)
{
    struct json_facts facts;
    struct json_fault fault;
    assert_int_equal(check(text, strlen(text), &facts, &fault), 0);
    return facts;
}

TEST(what_is_counted)
{
    struct json_facts f =
        facts_of("{\"a\":[1,2.5,\"xyz\",[],{}],\"bc\":{\"d\":null,\"e\":true},\"f\":-123456}");
    assert_int_equal(f.objects, 3);
    assert_int_equal(f.arrays, 2);
    assert_int_equal(f.numbers, 3);
    assert_int_equal(f.strings, 6);
    assert_int_equal(f.members, 5);
    assert_int_equal(f.elements, 5);
    assert_int_equal(f.string_bytes, 9);
    assert_int_equal(f.longest_token, 7);
    assert_false(f.has_beyond_int64 || f.is_deep || f.has_nul);
    f = facts_of("[\"\\u0000\",{\"\\u0000\":1}]");
    assert_true(f.has_nul);
    assert_int_equal(f.nul_at, 2);
    assert_int_equal(f.string_bytes, 12);
}

TEST(which_integers_do_not_fit)
{
    static const char *const fit[] = {"0",
                                      "9223372036854775807",
                                      "-9223372036854775808",
                                      "999999999999999999",
                                      "9223372036854775808.0",
                                      "99999999999999999999e0"};
    static const char *const beyond[] = {"9223372036854775808", "-9223372036854775809",
                                         "9999999999999999999", "10000000000000000000",
                                         "-99999999999999999999"};
    for (size_t i = 0; i < COUNT(fit); i++)
        assert_false(facts_of(fit[i]).has_beyond_int64);
    for (size_t i = 0; i < COUNT(beyond); i++)
        assert_true(facts_of(beyond[i]).has_beyond_int64);
    assert_true(facts_of("[1,99999999999999999999,1]").has_beyond_int64);
}

TEST(depth)
{
    for (size_t depth = 1; depth < 200; depth++) {
        char *open = repeat(depth % 2 ? "[" : "{\"a\":", depth);
        char *close = repeat(depth % 2 ? "]" : "}", depth);
        char *text = text_of("%s%s%s", open, depth % 2 ? "" : "1", close);
        struct json_facts f = facts_of(text);
        assert_int_equal(f.is_deep, depth > JSON_DEPTH_MAX);
        if (f.is_deep)
            assert_int_equal(f.deep_at, JSON_DEPTH_MAX * (depth % 2 ? 1 : 5));
        free(text);
        free(close);
        free(open);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_json),
        cmocka_unit_test(what_is_not_json),
        cmocka_unit_test(one_byte_that_is_otherwise),
        cmocka_unit_test(where_the_fault_is),
        cmocka_unit_test(what_is_counted),
        cmocka_unit_test(which_integers_do_not_fit),
        cmocka_unit_test(depth),
    };
    return RUN_TESTS(tests);
}
