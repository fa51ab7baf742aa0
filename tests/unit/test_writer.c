/* SPDX-License-Identifier: MIT */
/*
 * The writer's bytes are exact, its numbers never exceed int64, and it survives memory running
 * out at any moment: linked with --wrap=realloc, so that each growth can be made to fail, and
 * grown by single bytes, so that every boundary is crossed.
 */
#include "tests/unit/support.h"

#include <errno.h>

#include "protocol/writer.h"

/* How many more calls of realloc succeed; negative: all. */
static int reallocs_left = -1;
/* Growth in the smallest steps instead of the writer's own. */
static size_t realloc_calls;

void *__real_realloc(void *old, size_t size);
void *__wrap_realloc(void *old, size_t size);

void *__wrap_realloc(void *old, size_t size)
{
    realloc_calls++;
    if (reallocs_left == 0)
        return NULL;
    if (reallocs_left > 0)
        reallocs_left--;
    return __real_realloc(old, size);
}

static int memory_is_back(void **state)
{
    (void)state;
    reallocs_left = -1;
    return 0;
}

#define CHECK(want, ...)                                                                           \
    do {                                                                                           \
        struct writer w;                                                                           \
        writer_init(&w);                                                                           \
        __VA_ARGS__;                                                                               \
        assert_false(w.failed);                                                                    \
        assert_text(w.data, w.len, want);                                                          \
        writer_deinit(&w);                                                                         \
        assert_null(w.data);                                                                       \
    } while (0)

TEST(single_values)
{
    CHECK("true", writer_bool(&w, true));
    CHECK("false", writer_bool(&w, false));
    CHECK("null", writer_null(&w));
    CHECK("{}", writer_object_begin(&w), writer_object_end(&w));
    CHECK("[]", writer_array_begin(&w), writer_array_end(&w));
    CHECK("\"\"", writer_string(&w, ""));
    CHECK("[1,2]", writer_value(&w, "[1,2]", 5));
    CHECK("x\n", writer_bytes(&w, "x\n", 2));
    CHECK("", writer_bytes(&w, "x", 0));
}

TEST(integers)
{
    CHECK("0", writer_int(&w, 0));
    CHECK("-1", writer_int(&w, -1));
    CHECK("10", writer_int(&w, 10));
    CHECK("9223372036854775807", writer_int(&w, INT64_MAX));
    CHECK("-9223372036854775808", writer_int(&w, INT64_MIN));
    CHECK("-9223372036854775807", writer_int(&w, INT64_MIN + 1));
    CHECK("9007199254740993", writer_int(&w, 9007199254740993));
    CHECK("0", writer_uint(&w, 0));
    CHECK("9223372036854775806", writer_uint(&w, INT64_MAX - 1));
    CHECK("9223372036854775807", writer_uint(&w, INT64_MAX));
    CHECK("9223372036854775807", writer_uint(&w, (uint64_t)INT64_MAX + 1));
    CHECK("9223372036854775807", writer_uint(&w, 18446744073692774399U)); /* Linux's shmmax */
    CHECK("9223372036854775807", writer_uint(&w, UINT64_MAX));
}

TEST(commas)
{
    CHECK("[1,[2,{}],{\"a\":1,\"b\":[],\"c\":{}},\"x\",true,null,[[]]]", {
        writer_array_begin(&w);
        writer_int(&w, 1);
        writer_array_begin(&w);
        writer_int(&w, 2);
        writer_object_begin(&w);
        writer_object_end(&w);
        writer_array_end(&w);
        writer_object_begin(&w);
        writer_key(&w, "a");
        writer_int(&w, 1);
        writer_key(&w, "b");
        writer_array_begin(&w);
        writer_array_end(&w);
        writer_key(&w, "c");
        writer_object_begin(&w);
        writer_object_end(&w);
        writer_object_end(&w);
        writer_string(&w, "x");
        writer_bool(&w, true);
        writer_value(&w, "null", 4);
        writer_array_begin(&w);
        writer_array_begin(&w);
        writer_array_end(&w);
        writer_array_end(&w);
        writer_array_end(&w);
    });
    CHECK("{\"a\":\"\",\"b\":\"\"}", {
        writer_object_begin(&w);
        writer_key(&w, "a");
        writer_string(&w, "");
        writer_key(&w, "b");
        writer_string(&w, "");
        writer_object_end(&w);
    });
    CHECK("1\n2", {
        writer_int(&w, 1);
        writer_bytes(&w, "\n", 1);
        writer_restart(&w);
        writer_int(&w, 2);
    });
}

TEST(escapes)
{
    CHECK("\"\\\"\\\\/\\b\\f\\n\\r\\t\"", writer_string(&w, "\"\\/\b\f\n\r\t"));
    CHECK("\"\\u0001\\u001f\\u007f\"", writer_string(&w, "\x01\x1f\x7f"));
    CHECK("\"\\u0000\"", writer_string_n(&w, "", 1));
    CHECK("\"a\\u0000b\"", writer_string_n(&w, "a\0b", 3));
    CHECK("\"a\"", writer_string_n(&w, "abc", 1));
    CHECK("\"\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80\"",
          writer_string(&w, "\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80"));
    CHECK("[\"\\n\",\"x\\n\",\"\\nx\"]", {
        writer_array_begin(&w);
        writer_string(&w, "\n");
        writer_string(&w, "x\n");
        writer_string(&w, "\nx");
        writer_array_end(&w);
    });
    for (int c = 1; c < 0x20; c++) {
        const char text[] = {(char)c, '\0'};
        struct writer w;
        writer_init(&w);
        writer_string(&w, text);
        for (size_t i = 0; i < w.len; i++)
            assert_true(w.data[i] >= 0x20);
        assert_int_equal(w.data[1], '\\');
        writer_deinit(&w);
    }
}

/* One of everything, into whatever room there is. */
static void write_all_kinds(struct writer *w)
{
    writer_object_begin(w);
    writer_key(w, "key");
    writer_array_begin(w);
    writer_string(w, "plain");
    writer_string(w, "\"esc\x01"
                     "aped\n");
    writer_int(w, INT64_MIN);
    writer_uint(w, UINT64_MAX);
    writer_bool(w, true);
    writer_bool(w, false);
    writer_null(w);
    writer_value(w, "1.5", 3);
    writer_array_end(w);
    writer_key(w, "last");
    writer_object_begin(w);
    writer_object_end(w);
    writer_object_end(w);
    writer_bytes(w, "\n", 1);
}

#define ALL_KINDS                                                                                  \
    "{\"key\":[\"plain\",\"\\\"esc\\u0001aped\\n\",-9223372036854775808,9223372036854775807,"      \
    "true,false,null,1.5],\"last\":{}}\n"

TEST(growth_at_every_boundary)
{
    const size_t size = strlen(ALL_KINDS);
    char *filler = repeat(" ", 4200);
    for (size_t capacity = 1; capacity <= size + 2; capacity++) {
        /* A buffer that is too small from the start, and grows in the midst of each piece. */
        struct writer w;
        writer_init(&w);
        w.data = malloc(capacity);
        w.capacity = capacity;
        write_all_kinds(&w);
        assert_false(w.failed);
        assert_text(w.data, w.len, ALL_KINDS);
        writer_deinit(&w);
    }
    for (size_t before = 0; before <= 4200; before++) {
        struct writer w;
        writer_init(&w);
        writer_bytes(&w, filler, before);
        write_all_kinds(&w);
        assert_int_equal(w.len, before + size);
        assert_memory_equal(w.data + before, ALL_KINDS, size);
        writer_deinit(&w);
    }
    free(filler);
}

TEST(growth_is_geometric)
{
    struct writer w;
    writer_init(&w);
    realloc_calls = 0;
    for (int i = 0; i < 1 << 20; i++)
        writer_bytes(&w, "x", 1);
    assert_int_equal(w.len, 1 << 20);
    assert_true(realloc_calls < 20);
    writer_deinit(&w);
}

TEST(sizes_that_no_memory_has)
{
    struct writer w;
    writer_init(&w);
    writer_bytes(&w, "x", 1);
    writer_bytes(&w, "x", SIZE_MAX);
    assert_true(w.failed);
    assert_int_equal(w.len, 1);
    writer_rewind(&w, writer_mark(&w));
    writer_bytes(&w, "x", SIZE_MAX - 5000);
    assert_true(w.failed);
    assert_int_equal(w.len, 1);
    writer_deinit(&w);
}

TEST(memory_runs_out_at_any_moment)
{
    /* Fill so that the growth falls on each piece in turn; then the growth fails. */
    const size_t size = strlen(ALL_KINDS);
    for (size_t room = 0; room < size; room++) {
        struct writer w;
        writer_init(&w);
        reallocs_left = 1;
        writer_array_begin(&w);
        writer_int(&w, 1);
        while (w.len < 1024 - room)
            writer_bytes(&w, " ", 1);
        struct writer_mark mark = writer_mark(&w);
        write_all_kinds(&w);
        assert_true(w.failed);
        assert_true(w.len >= 1024 - room && w.len <= 1024);

        /* Nothing more is taken, memory or not. */
        size_t stopped = w.len;
        reallocs_left = -1;
        write_all_kinds(&w);
        assert_int_equal(w.len, stopped);

        /* Back to the mark: what was before is whole, the comma too. */
        writer_rewind(&w, mark);
        assert_false(w.failed);
        writer_int(&w, 2);
        writer_array_end(&w);
        assert_int_equal(w.len, 1024 - room + 3);
        assert_memory_equal(w.data, "[1 ", room < 1022 ? 3 : 2);
        assert_memory_equal(w.data + w.len - 3, ",2]", 3);
        writer_deinit(&w);
    }
}

TEST(no_memory_at_all)
{
    struct writer w;
    writer_init(&w);
    reallocs_left = 0;
    writer_string(&w, "x");
    assert_true(w.failed);
    assert_int_equal(w.len, 0);
    writer_key(&w, "x");
    assert_int_equal(w.len, 0);
    writer_deinit(&w);
}

TEST(rewinding)
{
    struct writer w;
    writer_init(&w);
    struct writer_mark empty = writer_mark(&w);
    writer_array_begin(&w);
    struct writer_mark first = writer_mark(&w);
    writer_int(&w, 1);
    struct writer_mark second = writer_mark(&w);
    writer_object_begin(&w);
    writer_key(&w, "half");
    writer_rewind(&w, second);
    writer_int(&w, 2);
    assert_text(w.data, w.len, "[1,2");
    writer_rewind(&w, first);
    writer_int(&w, 3);
    writer_array_end(&w);
    assert_text(w.data, w.len, "[3]");
    writer_rewind(&w, empty);
    writer_null(&w);
    assert_text(w.data, w.len, "null");
    writer_deinit(&w);
}

TEST(deinit_twice)
{
    struct writer w;
    writer_init(&w);
    writer_null(&w);
    writer_deinit(&w);
    writer_deinit(&w);
    assert_int_equal(w.len, 0);
    assert_int_equal(w.capacity, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(single_values),
        cmocka_unit_test(integers),
        cmocka_unit_test(commas),
        cmocka_unit_test(escapes),
        cmocka_unit_test(growth_at_every_boundary),
        cmocka_unit_test(growth_is_geometric),
        cmocka_unit_test(sizes_that_no_memory_has),
        cmocka_unit_test_teardown(memory_runs_out_at_any_moment, memory_is_back),
        cmocka_unit_test_teardown(no_memory_at_all, memory_is_back),
        cmocka_unit_test(rewinding),
        cmocka_unit_test(deinit_twice),
    };
    return RUN_TESTS(tests);
}
