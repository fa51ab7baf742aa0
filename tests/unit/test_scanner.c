/* SPDX-License-Identifier: MIT */
/*
 * The scanner cuts the same values at the same bytes however the stream is chopped. Each case is
 * scanned whole, a byte at a time, in every chunk size and with every one and two split points;
 * what comes out is written down as a trace:
 *
 *   V<value>  a complete value
 *   B<n>      refused at byte n, on the line where it began, then resync
 *   X<n>      refused at byte n, after it had gone on over a line's end; nothing is scanned after
 * it F<n>      another framing, known after n bytes; nothing is scanned after it L<n>      too
 * large after n bytes; nothing is scanned after it E         the end came in the midst of a value
 *
 * Linked with --wrap=realloc, so that memory for very deep brackets can be lacking.
 */
#include "tests/unit/support.h"

#include "protocol/scanner.h"

static bool has_no_memory;

void *__real_realloc(void *old, size_t size);
void *__wrap_realloc(void *old, size_t size);

void *__wrap_realloc(void *old, size_t size)
{
    return has_no_memory ? NULL : __real_realloc(old, size);
}

enum { LIMIT = 65536 }; /* of a value, where a test is of something else */

struct trace {
    char text[1024];
    size_t len;
};

static void note(struct trace *t, char kind, const char *text, size_t len)
{
    assert_true(t->len + len + 3 < sizeof(t->text));
    if (t->len > 0)
        t->text[t->len++] = ' ';
    t->text[t->len++] = kind;
    memcpy(t->text + t->len, text, len);
    t->len += len;
    t->text[t->len] = '\0';
}

static void note_number(struct trace *t, char kind, size_t n)
{
    char digits[24];
    note(t, kind, digits, (size_t)snprintf(digits, sizeof(digits), "%zu", n));
}

/* Feeds the N bytes at AT; false once the stream is over. */
static bool feed(struct scanner *s, const char *text, size_t at, size_t n, struct trace *t)
{
    size_t done = 0;
    while (done < n) {
        char *chunk = exact_copy(text + at + done, n - done);
        size_t taken = n + 1;
        enum scan_status status = scanner_scan(s, chunk, n - done, &taken);
        free(chunk);
        assert_true(taken <= n - done);
        done += taken;
        switch (status) {
        case SCAN_MORE: assert_int_equal(done, n); break;
        case SCAN_VALUE:
            assert_false(scanner_unfinished(s));
            note(t, 'V', text + at + done - scanner_length(s), scanner_length(s));
            break;
        case SCAN_BAD:
            note_number(t, scanner_spans_lines(s) ? 'X' : 'B', at + done);
            if (scanner_spans_lines(s))
                return false;
            scanner_resync(s);
            assert_false(scanner_unfinished(s));
            break;
        case SCAN_FOREIGN: note_number(t, 'F', at + done); return false;
        case SCAN_TOO_LARGE: note_number(t, 'L', at + done); return false;
        case SCAN_NO_MEMORY: fail();
        }
    }
    return true;
}

static void finish(struct scanner *s, const char *text, size_t len, struct trace *t)
{
    bool unfinished = scanner_unfinished(s);
    switch (scanner_finish(s)) {
    case SCAN_MORE: assert_false(unfinished); break;
    case SCAN_VALUE: note(t, 'V', text + len - scanner_length(s), scanner_length(s)); break;
    case SCAN_BAD: note(t, 'E', "", 0); break;
    case SCAN_FOREIGN:
    case SCAN_TOO_LARGE:
    case SCAN_NO_MEMORY: fail(); break;
    }
    assert_false(scanner_unfinished(s));
}

/* Scans TEXT cut at A and B, and in pieces of STEP bytes. */
static struct trace scan(const char *text, size_t len, size_t limit, size_t a, size_t b,
                         size_t step)
{
    struct scanner s;
    struct trace t = {0};
    scanner_init(&s, limit);
    for (size_t at = 0; at < len;) {
        size_t n = len - at < step ? len - at : step;
        if (at < a && n > a - at)
            n = a - at;
        else if (at >= a && at < b && n > b - at)
            n = b - at;
        if (!feed(&s, text, at, n, &t)) {
            scanner_deinit(&s);
            return t;
        }
        at += n;
    }
    finish(&s, text, len, &t);
    scanner_deinit(&s);
    return t;
}

static void check(const char *text, size_t len, size_t limit, const char *want)
{
    struct trace t = scan(text, len, limit, 0, 0, len);
    assert_string_equal(t.text, want);
    for (size_t step = 1; step < len; step++) {
        t = scan(text, len, limit, 0, 0, step);
        assert_string_equal(t.text, want);
    }
    for (size_t a = 1; a < len; a++) {
        for (size_t b = a; b < len && (b == a || len < 48); b++) {
            t = scan(text, len, limit, a, b, len);
            assert_string_equal(t.text, want);
        }
    }
}

#define CHECK(text, want) check(text, sizeof(text) - 1, LIMIT, want)

TEST(values_one_after_the_other)
{
    CHECK("", "");
    CHECK(" \t\r\n", "");
    CHECK("{}", "V{}");
    CHECK("{}\n", "V{}");
    CHECK("{}[]{}", "V{} V[] V{}");
    CHECK("\n\n {} \r\n\t [1] \r\n", "V{} V[1]");
    CHECK("{\n  \"a\" : [\n 1, {\"b\" : null}\n]\n}", "V{\n  \"a\" : [\n 1, {\"b\" : null}\n]\n}");
    CHECK("[[],{},[{}]]{\"a\":{\"b\":[]}}", "V[[],{},[{}]] V{\"a\":{\"b\":[]}}");
}

TEST(brackets_in_strings_do_not_count)
{
    CHECK("{\"a\":\"}]{[\"}", "V{\"a\":\"}]{[\"}");
    CHECK("[\"\\\"]\"]", "V[\"\\\"]\"]");
    CHECK("[\"\\\\\"]", "V[\"\\\\\"]");
    CHECK("[\"\\\\\\\"]\"]", "V[\"\\\\\\\"]\"]");
    CHECK("\"{\"", "V\"{\"");
}

TEST(scalars_at_the_top)
{
    CHECK("1", "V1");
    CHECK("-1.5e+7 true\nfalse\tnull", "V-1.5e+7 Vtrue Vfalse Vnull");
    CHECK("1{}", "V1 V{}");
    CHECK("1[2]", "V1 V[2]");
    CHECK("1\"a\"", "V1 V\"a\"");
    CHECK("\"a\"\"b\"1", "V\"a\" V\"b\" V1");
    CHECK("\"\"", "V\"\"");
    CHECK("truefalse", "Vtruefalse");
    CHECK("1,2\n3", "B1 V3");
    CHECK("tr}e\n{}", "B2 V{}");
    CHECK("12E4", "V12E4");
}

TEST(a_scalar_ends_at_nul_which_is_left)
{
    struct scanner s;
    size_t taken;
    scanner_init(&s, 100);
    assert_int_equal(scanner_scan(&s, "12\0", 3, &taken), SCAN_VALUE);
    assert_int_equal(taken, 2);
    assert_int_equal(scanner_length(&s), 2);
}

TEST(brackets_must_match)
{
    CHECK("[{]", "B2");
    CHECK("[{]\n{}", "B2 V{}");
    CHECK("{[}]\n1", "B2 V1");
    CHECK("[}", "B1");
    CHECK("{]", "B1");
    CHECK("}", "B0");
    CHECK("]", "B0");
    CHECK("{}}\n{}", "V{} B2 V{}");
}

TEST(what_cannot_begin_a_value)
{
    CHECK("hello\n{}", "B0 V{}");
    CHECK("NaN\n1", "B0 V1");
    CHECK("Infinity\n1", "B0 V1");
    CHECK("\xEF\xBB{}\n{}", "B2 V{}");
    CHECK("\xEF{}\n{}", "B1 V{}");
    CHECK("\xFF\xFE{}\n{}", "B0 V{}");
    CHECK("// c\n{}", "B0 V{}");
    CHECK("/* {} */\n{}", "B0 V{}");
    CHECK("'a'\n1", "B0 V1");
    CHECK(",\n:\n+1\n.5\n", "B0 B2 B4 B7");
    CHECK("\0{}", "B0 V{}");
}

TEST(a_byte_order_mark_spoils_the_value_behind_it)
{
#define MARK "\xEF\xBB\xBF"
    CHECK(MARK "{}", "V" MARK "{}");
    CHECK(MARK "{\n}{}\n", "V" MARK "{\n} V{}");
    CHECK(MARK " \t[1]1", "V" MARK " \t[1] V1");
    CHECK(MARK "\"a\" 1", "V" MARK "\"a\" V1");
    CHECK(MARK "12 1", "V" MARK "12 V1");
    CHECK(MARK "[{\n]{}", "X6");
    CHECK(MARK "[{]\n{}", "B5 V{}");
    /* Alone on its line. */
    CHECK(MARK "\n{}", "B3 V{}");
    CHECK(MARK " \r\n{}", "B5 V{}");
    CHECK(MARK "x\n{}", "B3 V{}");
    CHECK(MARK, "E");
    CHECK("\xEF", "E");
}

TEST(a_broken_value_that_went_on_over_a_line_has_no_end)
{
    CHECK("[\n{]\n{}", "X3");
    CHECK("{\"a\":1,\n\"b\":\"x\n{}\n", "X14");
    CHECK("[\n\0{}", "X2");
    CHECK("[\n}\n", "X2");
    CHECK("[\r{]\n{}", "B3 V{}");
    /* The line's end that the value stumbles over belongs to the line where it began. */
    CHECK("[\"a\n{}", "B3 V{}");
    /* The lines of one value are not those of the next. */
    CHECK("[\n][}\n1", "V[\n] B4 V1");
    CHECK("{\n}{]\n1", "V{\n} B4 V1");
    CHECK("[\n]?\n1", "V[\n] B3 V1");
}

TEST(another_framing)
{
    CHECK("Content-Length: 44\r\n\r\n{}", "F15");
    CHECK("content-length:44\r\n\r\n{}", "F15");
    CHECK("CONTENT-TYPE: x\r\n\r\n{}", "F13");
    CHECK("GET / HTTP/1.1\r\nHost: x\r\n\r\n", "F4");
    CHECK("POST / HTTP/1.1\r\n", "F5");
    CHECK("PUT / HTTP/1.1\r\n", "F4");
    CHECK("PATCH / HTTP/1.1\r\n", "F6");
    CHECK("HEAD / HTTP/1.1\r\n", "F5");
    CHECK("DELETE / HTTP/1.1\r\n", "F7");
    CHECK("OPTIONS * HTTP/1.1\r\n", "F8");
    CHECK("CONNECT x:1 HTTP/1.1\r\n", "F8");
    CHECK("TRACE / HTTP/1.1\r\n", "F6");
    CHECK("PRI * HTTP/2.0\r\n", "F11");
    CHECK("HTTP/1.1 200 OK\r\n", "F5");
    CHECK("\x1e{}\n", "F1");
    CHECK("{}\n GET / HTTP/1.1\r\n", "V{} F8");
    /* What only begins like one. */
    CHECK("GETS\n{}", "B3 V{}");
    CHECK("GET\n{}", "B3 V{}");
    CHECK("get x\n{}", "B0 V{}");
    CHECK("Content\n{}", "B7 V{}");
    CHECK("Content-Size: 4\n{}", "B8 V{}");
    CHECK("POSTS", "B4");
    CHECK("GET", "E");
}

static void check_failure(const char *text, size_t len, size_t limit, enum scan_status want,
                          enum protocol_error error, const char *message)
{
    struct scanner s;
    struct failure f;
    size_t taken;
    scanner_init(&s, limit);
    assert_int_equal(scanner_scan(&s, text, len, &taken), want);
    scanner_failure(&s, want, taken < len ? text[taken] : '\0', &f);
    assert_int_equal(f.error, error);
    assert_string_equal(failure_message(&f), message);
    scanner_deinit(&s);
}

#define FAILURE(text, want, error, message)                                                        \
    check_failure(text, sizeof(text) - 1, LIMIT, want, PROTOCOL_ERROR_##error, message)

TEST(what_is_wrong_in_words)
{
#define NO_VALUE "not JSON: a value begins with {, [, \", a digit, -, true, false or null"
#define EXPECTED                                                                                   \
    "; expected JSON-RPC 2.0 requests as plain JSON values, one after the other, without headers " \
    "or framing"
    FAILURE("[{]", SCAN_BAD, PARSE, "not JSON: a ] at byte 2 where a { is open");
    FAILURE(" {\"a\":[}", SCAN_BAD, PARSE, "not JSON: a } at byte 6 where a [ is open");
    FAILURE("[\"a\n", SCAN_BAD, PARSE,
            "not JSON: the control character 0x0a at byte 3, in a string: close the string, or "
            "write the character as an escape");
    FAILURE("[\"\\\t", SCAN_BAD, PARSE,
            "not JSON: the control character 0x09 at byte 3, in a string: close the string, or "
            "write the character as an escape");
    FAILURE("?", SCAN_BAD, PARSE, NO_VALUE);
    FAILURE("}", SCAN_BAD, PARSE, NO_VALUE);
    FAILURE("GETS", SCAN_BAD, PARSE, NO_VALUE);
    FAILURE("[\0", SCAN_BAD, PARSE, "not JSON: unexpected byte 0x00 at byte 1");
    FAILURE("tr}", SCAN_BAD, PARSE, "not JSON: unexpected byte 0x7d at byte 2");
    FAILURE("\xEF\xBBx", SCAN_BAD, PARSE, "not JSON: unexpected byte 0x78 at byte 2");
    FAILURE("Content-Length: 5", SCAN_FOREIGN, PARSE,
            "not JSON: this begins with a Content-Length header" EXPECTED);
    FAILURE("POST / HTTP/1.1", SCAN_FOREIGN, PARSE,
            "not JSON: this begins with HTTP (POST)" EXPECTED);
    FAILURE("\x1e{}", SCAN_FOREIGN, PARSE,
            "not JSON: this begins with the record separator 0x1e (RFC 7464)" EXPECTED);
    check_failure("[12345678901]", 13, 10, SCAN_TOO_LARGE, PROTOCOL_ERROR_INVALID_REQUEST,
                  "message too large (limit 10)");
}

TEST(no_memory_for_very_deep_brackets)
{
    char *text = repeat("[", 65);
    struct scanner s;
    struct failure f;
    size_t taken;
    scanner_init(&s, LIMIT);
    has_no_memory = true;
    assert_int_equal(scanner_scan(&s, text, 65, &taken), SCAN_NO_MEMORY);
    has_no_memory = false;
    assert_int_equal(taken, 64);
    scanner_failure(&s, SCAN_NO_MEMORY, '[', &f);
    assert_int_equal(f.error, PROTOCOL_ERROR_INTERNAL);
    scanner_deinit(&s);
    free(text);
}

TEST(resync_goes_to_the_next_line_feed_or_nul)
{
    CHECK("?{}[]\"\n{}", "B0 V{}");
    CHECK("?{}\0{}", "B0 V{}");
    CHECK("?\r{}\n[]", "B0 V[]");
    CHECK("?", "B0");
    CHECK("?\n", "B0");
    CHECK("[{]\n[{]\n[]", "B2 B6 V[]");
}

TEST(no_raw_control_character_in_a_string)
{
    /* A forgotten quote costs its line, not the rest of the connection. */
    CHECK("{\"a\":\"x\n{\"b\":1}\n", "B7 V{\"b\":1}");
    CHECK("\"a\tb\"\n1", "B2 V1");
    CHECK("\"a\\\n1", "B3 V1");
    CHECK("[\"\0{}", "B2 V{}");
    for (char c = 0; c < 0x20; c++) {
        const char text[] = {'"', 'a', c, '"', '\n', '1'};
        struct trace t = scan(text, sizeof(text), 100, 0, 0, sizeof(text));
        assert_int_equal(strncmp(t.text, "B2", 2), 0);
    }
    /* All others may stand there: whether they are UTF-8 the decoder knows. */
    for (int c = 0x20; c < 0x100; c++) {
        const char text[] = {'"', c == '"' || c == '\\' ? '\\' : 'x', (char)c, '"'};
        struct trace t = scan(text, sizeof(text), 100, 0, 0, 1);
        assert_int_equal(t.len, 5);
        assert_memory_equal(t.text + 1, text, sizeof(text));
    }
}

TEST(the_end_in_the_midst_of_a_value)
{
    CHECK("{", "E");
    CHECK("[1,2", "E");
    CHECK("\"", "E");
    CHECK("\"\\", "E");
    CHECK("{}{\"a\"", "V{} E");
    CHECK("12", "V12");
}

/* A text of DEPTH brackets, whose types follow the bits of PATTERN, and those that close them. */
static char *nested(size_t depth, uint64_t pattern)
{
    char *text = malloc(2 * depth);
    assert_non_null(text);
    for (size_t i = 0; i < depth; i++) {
        bool array = pattern >> i % 61 & 1;
        text[i] = array ? '[' : '{';
        text[2 * depth - 1 - i] = array ? ']' : '}';
    }
    return text;
}

TEST(every_bracket_type_is_kept_at_every_depth)
{
    /* A wrong close fails at its byte, the right ones pass, also far below what is allowed: only
     * the whole value can be refused with its id. */
    static const size_t depths[] = {1, 32, 33, 63, 64, 65, 128, 129, 300};
    for (size_t d = 0; d < sizeof(depths) / sizeof(depths[0]); d++) {
        size_t depth = depths[d], len = 2 * depth;
        for (uint64_t pattern = 1; pattern < UINT64_C(1) << 61; pattern = pattern * 5 + 3) {
            char *text = nested(depth, pattern);
            struct trace t = scan(text, len, 1000, 0, 0, len);
            assert_int_equal(t.len, len + 1);
            assert_int_equal(t.text[0], 'V');
            for (size_t wrong = depth; wrong < len; wrong++) {
                char right = text[wrong];
                text[wrong] = right == ']' ? '}' : ']';
                t = scan(text, len, 1000, 0, 0, len);
                text[wrong] = right;
                char want[24];
                snprintf(want, sizeof(want), "B%zu", wrong);
                assert_string_equal(t.text, want);
            }
            free(text);
        }
    }
}

TEST(as_deep_as_a_value_may_be_long)
{
    struct scanner s;
    size_t taken;
    char *text = nested(LIMIT / 2, 0x0123456789ABCDEF);
    scanner_init(&s, LIMIT);
    assert_int_equal(scanner_scan(&s, text, LIMIT, &taken), SCAN_VALUE);
    assert_int_equal(taken, LIMIT);
    free(text);
    text = repeat("[", LIMIT + 1);
    assert_int_equal(scanner_scan(&s, text, LIMIT + 1, &taken), SCAN_TOO_LARGE);
    scanner_deinit(&s);
    free(text);
}

TEST(the_limit_passes_and_one_more_byte_fails)
{
    check("[12345678]", 10, 10, "V[12345678]");
    check("[123456789]", 11, 10, "L11");
    check("   [12345678]   ", 16, 10, "V[12345678]");
    check("\"12345678\"", 10, 10, "V\"12345678\"");
    check("\"123456789\"", 11, 10, "L11");
    check("1234567890 ", 11, 10, "V1234567890");
    check("1234567890", 10, 10, "V1234567890");
    check("12345678901", 11, 10, "L11");
    /* Also when no more comes: the rest of a read is not taken for granted. */
    check("[12345678901234567890", 21, 10, "L11");
    check("[{}3456789 \t ", 13, 10, "L11");
    check("\"12345678901234567890", 21, 10, "L11");
    check("[123456789", 10, 10, "E");
    /* It counts for each value anew, and what resync throws away does not count. */
    check("[12345678][12345678]", 20, 10, "V[12345678] V[12345678]");
    check("?12345678901234567890\n[12345678]", 32, 10, "B0 V[12345678]");
    /* A wrong byte is told as what it is even where the limit ends. */
    check("[12345678}", 10, 10, "B9");
}

TEST(a_large_limit_is_exact)
{
    char *text = malloc(LIMIT + 1);
    assert_non_null(text);
    memset(text, ' ', LIMIT + 1);
    text[0] = '[';
    text[LIMIT - 1] = ']';
    struct scanner s;
    size_t taken;
    scanner_init(&s, LIMIT);
    assert_int_equal(scanner_scan(&s, text, LIMIT, &taken), SCAN_VALUE);
    assert_int_equal(taken, LIMIT);
    assert_int_equal(scanner_length(&s), LIMIT);

    text[LIMIT - 1] = ' ';
    text[LIMIT] = ']';
    assert_int_equal(scanner_scan(&s, text, LIMIT, &taken), SCAN_MORE);
    assert_true(scanner_unfinished(&s));
    assert_int_equal(scanner_scan(&s, text + taken, 1, &taken), SCAN_TOO_LARGE);
    assert_int_equal(taken, 1);
    free(text);
}

TEST(resync_in_the_midst_of_a_value)
{
    struct scanner s;
    size_t taken;
    scanner_init(&s, 100);
    assert_int_equal(scanner_scan(&s, "[[{\"a", 5, &taken), SCAN_MORE);
    scanner_resync(&s);
    assert_false(scanner_unfinished(&s));
    assert_int_equal(scanner_finish(&s), SCAN_MORE);
    assert_int_equal(scanner_scan(&s, "]]\n[]", 5, &taken), SCAN_VALUE);
    assert_int_equal(taken, 5);
    assert_int_equal(scanner_length(&s), 2);
}

TEST(no_bytes_is_no_news)
{
    struct scanner s;
    size_t taken = 7;
    scanner_init(&s, 100);
    assert_int_equal(scanner_scan(&s, "", 0, &taken), SCAN_MORE);
    assert_int_equal(taken, 0);
    assert_int_equal(scanner_finish(&s), SCAN_MORE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_one_after_the_other),
        cmocka_unit_test(brackets_in_strings_do_not_count),
        cmocka_unit_test(scalars_at_the_top),
        cmocka_unit_test(a_scalar_ends_at_nul_which_is_left),
        cmocka_unit_test(brackets_must_match),
        cmocka_unit_test(what_cannot_begin_a_value),
        cmocka_unit_test(a_byte_order_mark_spoils_the_value_behind_it),
        cmocka_unit_test(a_broken_value_that_went_on_over_a_line_has_no_end),
        cmocka_unit_test(another_framing),
        cmocka_unit_test(what_is_wrong_in_words),
        cmocka_unit_test(no_memory_for_very_deep_brackets),
        cmocka_unit_test(resync_goes_to_the_next_line_feed_or_nul),
        cmocka_unit_test(no_raw_control_character_in_a_string),
        cmocka_unit_test(the_end_in_the_midst_of_a_value),
        cmocka_unit_test(every_bracket_type_is_kept_at_every_depth),
        cmocka_unit_test(as_deep_as_a_value_may_be_long),
        cmocka_unit_test(the_limit_passes_and_one_more_byte_fails),
        cmocka_unit_test(a_large_limit_is_exact),
        cmocka_unit_test(resync_in_the_midst_of_a_value),
        cmocka_unit_test(no_bytes_is_no_news),
    };
    return RUN_TESTS(tests);
}
