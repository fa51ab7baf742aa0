/* SPDX-License-Identifier: MIT */
/*
 * Decoding is strict, names the byte it stumbled at in UTF-8, keeps apart what is not JSON, what is
 * JSON and not allowed, and memory that ran out, and reads integers beyond int64 as reals instead
 * of giving up on the rest. Linked with --wrap=malloc, so that each allocation can fail. jansson's
 * own go to the arena, as in the daemon, in those tests that say so.
 */
#include "tests/unit/support.h"

#include <errno.h>
#include <jansson.h>

#include "protocol/json_arena.h"
#include "protocol/limits.h"
#include "protocol/message.h"

/* How many more allocations succeed; negative: all. */
static int allocations_left = -1;
/* The most bytes that one allocation can have. */
static size_t largest_allocation = SIZE_MAX;

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);

void *__wrap_malloc(size_t size)
{
    if (allocations_left == 0 || size > largest_allocation)
        return NULL;
    if (allocations_left > 0)
        allocations_left--;
    return __real_malloc(size);
}

static bool has_no_realloc;

void *__real_realloc(void *old, size_t size);
void *__wrap_realloc(void *old, size_t size);

void *__wrap_realloc(void *old, size_t size)
{
    return has_no_realloc ? NULL : __real_realloc(old, size);
}

static int with_arena(void **state)
{
    (void)state;
    json_arena_install();
    return 0;
}

static int memory_is_back(void **state)
{
    (void)state;
    allocations_left = -1;
    largest_allocation = SIZE_MAX;
    return 0;
}

static void decode_good(const char *text, size_t len, struct message *m)
{
    struct failure f;
    char *copy = exact_copy(text, len);
    int r = message_decode(copy, len, m, &f);
    free(copy);
    if (r < 0)
        print_error("%.*s: %s\n", (int)len, text, failure_message(&f));
    assert_int_equal(r, 0);
}

static void check_good(const char *text)
{
    struct message m;
    decode_good(text, strlen(text), &m);
    assert_false(m.widened);
    message_free(&m);
}

TEST(every_kind_of_value)
{
    static const char *const good[] = {
        "{}",
        "[]",
        "\"x\"",
        "0",
        "-1",
        "1.5",
        "1e3",
        "true",
        "false",
        "null",
        "{\"a\":[{\"b\":null}],\"c\":\"\\u00e9\\n\\ud83d\\ude00\"}",
        "\"\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80\"",
        "{\"a\":{\"a\":1},\"b\":{\"a\":2}}",
        "[9223372036854775807,-9223372036854775808]",
        " {\n\t\"a\" : 1\r\n} ",
    };
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        check_good(good[i]);
}

TEST(as_deep_as_it_may_be)
{
    char *open = repeat("[", JSON_DEPTH_MAX), *close = repeat("]", JSON_DEPTH_MAX);
    char *text = text_of("%s%s", open, close);
    check_good(text);
    free(text);
    free(open);
    free(close);
    open = repeat("{\"a\":", JSON_DEPTH_MAX);
    close = repeat("}", JSON_DEPTH_MAX);
    text = text_of("%s1%s", open, close);
    check_good(text);
    free(text);
    free(open);
    free(close);
}

/* TEXT is refused with ERROR, and the message, in UTF-8, begins with WHY. */
static void check_refused(const char *text, size_t len, enum protocol_error error, const char *why)
{
    struct failure f;
    struct message m = {.root = NULL, .widened = true};
    char *copy = exact_copy(text, len);
    int r = message_decode(copy, len, &m, &f);
    if (r == 0)
        print_error("was taken: %.*s\n", (int)len, text);
    assert_int_equal(r, -EBADMSG);
    const char *message = failure_message(&f);
    if (f.error != error || strncmp(message, why, strlen(why)) != 0)
        print_error("%.*s: %s\n", (int)len, text, message);
    assert_int_equal(f.error, error);
    assert_int_equal(f.n_params, 0);
    assert_int_equal(strncmp(message, why, strlen(why)), 0);
    assert_contains(message, " at byte ");
    assert_true(is_utf8(message, strlen(message)));
    /* Outputs are untouched. */
    assert_null(m.root);
    assert_true(m.widened);
    free(copy);
}

static void check_bad(const char *text, size_t len)
{
    check_refused(text, len, PROTOCOL_ERROR_PARSE, "not JSON: ");
}

#define BAD(text) check_bad(text, sizeof(text) - 1)
/* What is JSON, and not ours. */
#define NOT_OURS(text, why)                                                                        \
    check_refused(text, sizeof(text) - 1, PROTOCOL_ERROR_INVALID_REQUEST, why)

TEST(what_is_not_json)
{
    BAD("");
    BAD(" ");
    BAD("{");
    BAD("nul");
    BAD("nil");
    BAD("NaN");
    BAD("Infinity");
    BAD("-Infinity");
    BAD("-");
    BAD("01");
    BAD("+1");
    BAD(".5");
    BAD("1.");
    BAD("1e");
    BAD("0x10");
    BAD("'a'");
    BAD("{a:1}");
    BAD("{\"a\" 1}");
    BAD("{\"a\":1,}");
    BAD("[1,]");
    BAD("[1 2]");
    BAD("{}{}");
    BAD("{} x");
    BAD("{\"a\":1 /* why */}");
    BAD("// why\n{}");
    BAD("\xEF\xBB\xBF{}");
    BAD("\"\\x\"");
    BAD("\"\\u12\"");
    BAD("\"a\nb\"");
    BAD("\"a\x01\"");
}

TEST(duplicate_keys)
{
    NOT_OURS("{\"a\":1,\"a\":1}",
             "duplicate key \"a\", at byte 8: an object may have each key once");
    NOT_OURS("{\"a\":1,\"b\":2,\"\\u0061\":3}", "duplicate key \"\\u0061\", at byte 14: ");
    NOT_OURS("[{\"x\":{\"a\":1,\n\"a\":2}}]", "duplicate key \"a\", at byte 15 in line 2: ");
    NOT_OURS("{\"\":1,\"\":2}", "duplicate key \"\", at byte 7: ");
    NOT_OURS("{\"\\\"\":1,\"\\\"\":2}", "duplicate key \"\\\"\", at byte 9: ");
    NOT_OURS("{\"\\\\\":1,\"\\\\\":2}", "duplicate key \"\\\\\", at byte 9: ");
    NOT_OURS("{\"\xC3\xA9\":1,\"\xC3\xA9\":2}", "duplicate key \"\xC3\xA9\", at byte 9: ");
    /* In a text that is read for the second time. */
    NOT_OURS("{\"a\":99999999999999999999,\"a\":2}", "duplicate key \"a\", at byte 27: ");
    char *key = repeat("k", 101), *text = text_of("{\"%s\":1,\"%s\":2}", key, key);
    check_refused(text, strlen(text), PROTOCOL_ERROR_INVALID_REQUEST, "duplicate key, at byte 210");
    free(text);
    free(key);
    /* What is not JSON is told as that, whatever else it is. */
    BAD("{\"a\":1,\"a\":1,}");
}

TEST(the_nul_character)
{
    NOT_OURS("\"\\u0000\"", "\\u0000 in a string, at byte 1");
    NOT_OURS("\"a\\u0000b\"", "\\u0000 in a string, at byte 2");
    NOT_OURS("{\"a\\u0000b\":1}", "\\u0000 in a string, at byte 3");
    NOT_OURS("[\n\"\\u0000\\u0000\"]", "\\u0000 in a string, at byte 3 in line 2");
    NOT_OURS("[99999999999999999999,\"\\u0000\"]", "\\u0000 in a string, at byte 23");
    BAD("[\"\\u0000\"");
    BAD("\"\0\"");
}

TEST(too_deep)
{
    char *open = repeat("[", JSON_DEPTH_MAX + 1), *close = repeat("]", JSON_DEPTH_MAX + 1);
    char *text = text_of("%s%s", open, close);
    check_refused(text, strlen(text), PROTOCOL_ERROR_INVALID_REQUEST,
                  "the depth is greater than 32, at byte 32");
    check_bad(text, strlen(text) - 1);
    free(text);
    free(open);
    free(close);
    /* However deep: 2,048 levels are the most that jansson takes. */
    open = repeat("{\"a\":[", 5000);
    close = repeat("]}", 5000);
    text = text_of("%s1%s", open, close);
    check_refused(text, strlen(text), PROTOCOL_ERROR_INVALID_REQUEST,
                  "the depth is greater than 32, at byte 96");
    check_bad(text, strlen(text) - 1);
    free(text);
    free(open);
    free(close);
}

TEST(what_is_not_utf8)
{
    BAD("\"\xFF\"");
    BAD("\"\x80\"");
    BAD("\"\xC3\"");
    BAD("\"\xC0\xAF\"");              /* overlong */
    BAD("\"\xE0\x80\xAF\"");          /* overlong */
    BAD("\"\xED\xA0\x80\"");          /* a surrogate */
    BAD("\"\xF4\x90\x80\x80\"");      /* beyond U+10FFFF */
    BAD("\"\\ud800\"");               /* half a pair */
    BAD("\"\\udc00\"");               /* the other half */
    BAD("\"\\ud800\\u0041\"");        /* a half and no half */
    BAD("{\"\xC3\xA9\xFF\":1}");      /* after what is good */
    BAD("\"\xC3\xA9\xC3\xA9\xC3\"]"); /* cut by the quote */
}

TEST(reals_beyond_double)
{
    NOT_OURS("1e400", "a number that ends at byte 5 is too large");
    NOT_OURS("[-1e400]", "a number that ends at byte 7 is too large");
    NOT_OURS("[99999999999999999999,1e400]", "a number that ends at byte 27 is too large");
    NOT_OURS("[1E+309\n]", "a number that ends at byte 7 is too large");
    BAD("[1e400,]");
    check_good("[1.7976931348623157e308,1e-400,-0.0,0e999999999999]");
}

TEST(any_byte_in_any_place_is_answered_in_utf8)
{
    static const char text[] = "{\"id\":1,\"\xC3\xA9\":[\"\\u00e9\xF0\x9F\x98\x80\",-1.5e3,"
                               "123456789012345678901,null]}";
    for (size_t i = 0; i < sizeof(text) - 1; i++) {
        for (int c = 0; c < 256; c++) {
            char *copy = exact_copy(text, sizeof(text) - 1);
            struct failure f;
            struct message m;
            copy[i] = (char)c;
            if (message_decode(copy, sizeof(text) - 1, &m, &f) == 0)
                message_free(&m);
            else
                assert_true(is_utf8(failure_message(&f), strlen(failure_message(&f))));
            free(copy);
        }
    }
}

TEST(any_truncation_is_refused)
{
    static const char text[] = "{\"id\":1,\"\xC3\xA9\":[\"\\u00e9\xF0\x9F\x98\x80\",-1.5e3,"
                               "123456789012345678901,null]}";
    for (size_t len = 0; len < sizeof(text) - 1; len++)
        check_bad(text, len);
}

/* TEXT, an array, is decoded; element 0 is a real when REAL, else an integer, and the last is
 * the integer 7. */
static void check_number(const char *number, bool real)
{
    struct message m;
    char *text = text_of("[%s,\"%s\",7]", number, number);
    decode_good(text, strlen(text), &m);
    const json_t *first = json_array_get(m.root, 0);
    if (json_is_real(first) != real)
        print_error("%s\n", number);
    assert_true(json_is_real(first) == real);
    assert_true(json_is_integer(first) == !real);
    /* What is in a string is nobody's number. */
    assert_string_equal(json_string_value(json_array_get(m.root, 1)), number);
    assert_int_equal(json_integer_value(json_array_get(m.root, 2)), 7);
    free(text);
    message_free(&m);
}

TEST(integers_beyond_int64_are_read_as_reals)
{
    check_number("9223372036854775807", false);
    check_number("-9223372036854775808", false);
    check_number("999999999999999999", false);
    check_number("-999999999999999999", false);
    check_number("1000000000000000000", false);
    check_number("9223372036854775808", true);
    check_number("-9223372036854775809", true);
    check_number("9999999999999999999", true);
    check_number("18446744073709551615", true);
    check_number("18446744073709551616", true);
    check_number("100000000000000000000", true);
    check_number("-100000000000000000000", true);
    check_number("123456789012345678901234567890", true);
    char *digits = repeat("9", 300);
    check_number(digits, true);
    free(digits);
}

TEST(only_those_are_widened)
{
    static const char text[] =
        "{\"id\":9223372036854775807,\"a 99999999999999999999\":\"\\\"99999999999999999999\\\\\","
        "\"b\":[1.5,-2e2,12345678901234567890.5,1e19,0,-0,true,-99999999999999999999],"
        "\"c\":99999999999999999999}";
    struct message m;
    decode_good(text, strlen(text), &m);
    assert_true(m.widened);
    char *dump = json_dumps(m.root, JSON_COMPACT);
    assert_string_equal(
        dump, "{\"id\":9223372036854775807,\"a 99999999999999999999\":"
              "\"\\\"99999999999999999999\\\\\","
              "\"b\":[1.5,-200.0,1.2345678901234567e19,1e19,0,0,true,-1.0000000000000001e300],"
              "\"c\":1.0000000000000001e300}");
    free(dump);
    message_free(&m);

    decode_good("18446744073709551615", 20, &m);
    assert_true(m.widened);
    message_free(&m);
}

TEST(as_many_of_them_as_a_message_holds)
{
    /* The least bytes for the most numbers: the copy grows by two for each. */
    char *numbers = repeat(",9999999999999999999", 3000);
    char *text = text_of("[0%s]", numbers);
    struct message m;
    decode_good(text, strlen(text), &m);
    assert_true(m.widened);
    assert_int_equal(json_array_size(m.root), 3001);
    message_free(&m);
    free(text);
    free(numbers);
}

TEST(calls)
{
    static const struct {
        const char *text;
        bool batch;
        size_t calls;
    } cases[] = {
        {"{}", false, 1}, {"5", false, 1},         {"null", false, 1},  {"[]", true, 0},
        {"[1]", true, 1}, {"[{},{},[]]", true, 3}, {"\"x\"", false, 1}, {"{\"a\":[1,2]}", false, 1},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct message m;
        decode_good(cases[i].text, strlen(cases[i].text), &m);
        assert_true(message_is_batch(&m) == cases[i].batch);
        assert_int_equal(message_calls(&m), cases[i].calls);
        for (size_t k = 0; k < cases[i].calls; k++)
            assert_ptr_equal(message_member(&m, k),
                             cases[i].batch ? json_array_get(m.root, k) : m.root);
        assert_null(message_member(&m, cases[i].calls));
        message_free(&m);
        message_free(&m); /* a second time does nothing */
    }
}

TEST(whether_the_end_is_sure)
{
    static const char *const sure[] = {"{}", "]", "{bad}", "[NaN]", "\"x\"", "\xEF\xBB\xBF{}"};
    static const char *const unsure[] = {"", "nul", "1", "01", "-", "truefalse"};
    for (size_t i = 0; i < sizeof(sure) / sizeof(sure[0]); i++)
        assert_true(message_has_sure_end(sure[i], strlen(sure[i])));
    for (size_t i = 0; i < sizeof(unsure) / sizeof(unsure[0]); i++)
        assert_false(message_has_sure_end(unsure[i], strlen(unsure[i])));
}

/* Every allocation fails in turn: then the failure is that, and nothing else. */
static void check_scarce(const char *text, int least)
{
    size_t len = strlen(text);
    int n = 0, r = -ENOMEM;
    struct message m, whole;
    decode_good(text, len, &whole);
    assert_non_null(whole.arena);
    for (; r < 0; n++) {
        struct failure f;
        m = (struct message){0};
        allocations_left = n;
        r = message_decode(text, len, &m, &f);
        allocations_left = -1;
        if (r < 0) {
            assert_int_equal(r, -ENOMEM);
            assert_int_equal(f.error, PROTOCOL_ERROR_INTERNAL);
            assert_null(m.root);
            assert_null(m.arena);
        }
    }
    assert_int_equal(n - 1, least);
    assert_true(json_equal(m.root, whole.root));
    message_free(&whole);
    message_free(&m);
}

TEST(memory_runs_out_at_any_moment)
{
    check_scarce("{\"jsonrpc\":\"2.0\",\"id\":1.5,\"method\":\"create\",\"params\":{\"size\":4096,"
                 "\"labels\":{\"a\":\"\\u00e9\"},\"x\":[1,2,3,4,5,6,7,8,9,10]}}",
                 1);
    check_scarce("{\"a\":0,\"b\":1,\"c\":2,\"d\":3,\"e\":4,\"f\":5,\"g\":6,\"h\":7,\"i\":8}", 1);
    /* jansson's buffer for a string grows past 127 bytes without a look at whether it could. */
    char *long_string = repeat("0123456789", 100), *text = text_of("[\"%s\"]", long_string);
    check_scarce(text, 1);
    free(text);
    free(long_string);
    /* The copy that is read in the text's place. */
    check_scarce("[99999999999999999999]", 2);
}

TEST(no_memory_for_a_second_reading)
{
    char *zeros = repeat("0,", 1000);
    char *text = text_of("[%s99999999999999999999]", zeros);
    struct failure f;
    struct message m = {.root = NULL};
    largest_allocation = strlen(text) - 1;
    assert_int_equal(message_decode(text, strlen(text), &m, &f), -ENOMEM);
    assert_int_equal(f.error, PROTOCOL_ERROR_INTERNAL);
    assert_null(m.root);
    free(zeros);
    free(text);
}

TEST(no_memory_for_very_deep_brackets)
{
    char *open = repeat("[", 100), *close = repeat("]", 100), *text = text_of("%s%s", open, close);
    struct failure f;
    struct message m = {.root = NULL};
    has_no_realloc = true;
    assert_int_equal(message_decode(text, strlen(text), &m, &f), -ENOMEM);
    has_no_realloc = false;
    assert_int_equal(f.error, PROTOCOL_ERROR_INTERNAL);
    free(open);
    free(close);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_of_value),
        cmocka_unit_test(as_deep_as_it_may_be),
        cmocka_unit_test(what_is_not_json),
        cmocka_unit_test(duplicate_keys),
        cmocka_unit_test(the_nul_character),
        cmocka_unit_test(too_deep),
        cmocka_unit_test(what_is_not_utf8),
        cmocka_unit_test(reals_beyond_double),
        cmocka_unit_test(any_byte_in_any_place_is_answered_in_utf8),
        cmocka_unit_test(any_truncation_is_refused),
        cmocka_unit_test(integers_beyond_int64_are_read_as_reals),
        cmocka_unit_test(only_those_are_widened),
        cmocka_unit_test(as_many_of_them_as_a_message_holds),
        cmocka_unit_test(calls),
        cmocka_unit_test(whether_the_end_is_sure),
        cmocka_unit_test_setup_teardown(memory_runs_out_at_any_moment, with_arena, memory_is_back),
        cmocka_unit_test_setup_teardown(no_memory_for_a_second_reading, with_arena, memory_is_back),
        cmocka_unit_test(no_memory_for_very_deep_brackets),
    };
    return RUN_TESTS(tests);
}
