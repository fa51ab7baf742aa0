/* SPDX-License-Identifier: MIT */
/*
 * What is reserved for a text is more than jansson takes for it, with a fourth to spare: for texts
 * of each kind at all lengths, and for the most costly that a message can be. What is outside of an
 * arena is ordinary memory. Who does not ask for arenas keeps his allocator.
 */
#include "tests/unit/support.h"

#include <errno.h>
#include <jansson.h>

#include "protocol/json_arena.h"
#include "protocol/json_check.h"
#include "protocol/message.h"

enum { MESSAGE_MAX = 65536 };

/* The tree of TEXT and all that was needed to make it fit in with a fourth to spare. */
static void check_fits(const char *text)
{
    struct json_facts facts;
    struct json_fault fault;
    struct json_arena *arena;
    size_t len = strlen(text);
    assert_int_equal(json_check(text, len, &facts, &fault), 0);
    size_t bound = json_arena_bound(&facts);
    assert_int_equal(json_arena_open(bound, &arena), 0);
    assert_non_null(arena);
    json_t *root = json_loadb(text, len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, NULL);
    json_arena_close(arena);
    size_t used = json_arena_used(arena);
    if (!root || used > bound / 4 * 3)
        print_error("%.100s: %zu of %zu\n", text, used, bound);
    assert_non_null(root);
    assert_true(used <= bound / 4 * 3);
    json_arena_free(arena);
}

/* PIECE as often as it fits, with commas between, in an array or an object. */
static char *filled(const char *open, const char *piece, const char *close, size_t room)
{
    char *text = malloc(room + 64);
    assert_non_null(text);
    size_t len = (size_t)sprintf(text, "%s%s", open, piece);
    while (len + strlen(piece) + 2 < room)
        len += (size_t)sprintf(text + len, ",%s", piece);
    strcpy(text + len, close);
    return text;
}

TEST(enough_for_the_most_costly)
{
    static const char *const pieces[] = {"{}",
                                         "[]",
                                         "[[]]",
                                         "[{}]",
                                         "0",
                                         "\"\"",
                                         "1.5",
                                         "\"a\"",
                                         "null",
                                         "[0]",
                                         "[[[[]]]]",
                                         "{\"\":0}",
                                         "{\"a\":{}}",
                                         "\"\\n\"",
                                         "[{},{}]",
                                         "{\"\":\"\"}",
                                         "\"\\u00e9\\u00e9\""};
    for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
        for (size_t room = 16; room <= MESSAGE_MAX; room *= 2) {
            char *text = filled("[", pieces[i], "]", room);
            check_fits(text);
            free(text);
        }
    }
}

TEST(enough_for_members)
{
    for (size_t members = 1; members < 9000; members += members / 3 + 1) {
        char *text = malloc(members * 12 + 16);
        assert_non_null(text);
        size_t len = (size_t)sprintf(text, "{\"\":0");
        for (size_t i = 1; i < members; i++)
            len += (size_t)sprintf(text + len, ",\"%zx\":0", i);
        strcpy(text + len, "}");
        check_fits(text);
        free(text);
    }
}

TEST(enough_for_any_length)
{
    for (size_t len = 0; len < 70000; len += len < 300 ? 1 : len / 7) {
        char *string = repeat("x", len), *digits = repeat("7", len + 1);
        char *texts[] = {text_of("\"%s\"", string),
                         text_of("{\"%s\":1}", string),
                         text_of("[\"%s\",\"%s\"]", string, string),
                         text_of("{\"%s\":\"%s\"}", string, string),
                         text_of("[0.%s]", digits),
                         text_of("[%s]", len < 18 ? digits : "1")};
        for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
            check_fits(texts[i]);
            free(texts[i]);
        }
        free(string);
        free(digits);
    }
}

TEST(outside_of_an_arena)
{
    /* What was made before an arena was opened may be released while it is open, and after. */
    json_t *before = json_pack("{s:[i,i]}", "a", 1, 2), *other = json_string("x");
    struct json_arena *arena;
    assert_int_equal(json_arena_open(4096, &arena), 0);
    json_decref(before);
    assert_int_equal(json_arena_used(arena), 0);
    assert_non_null(json_loads("[1,2]", 0, NULL));
    assert_true(json_arena_used(arena) > 0);
    json_arena_close(arena);
    json_decref(other);
    size_t used = json_arena_used(arena);
    json_decref(json_pack("[i]", 1));
    assert_int_equal(json_arena_used(arena), used);
    json_arena_free(arena);
    json_arena_free(NULL);
}

TEST(several_messages_live_at_once)
{
    struct message m[10];
    struct failure f;
    for (int i = 0; i < 10; i++) {
        char *text = text_of("{\"n\":[%d,\"%d\"],\"s\":{}}", i, i);
        assert_int_equal(message_decode(text, strlen(text), &m[i], &f), 0);
        assert_non_null(m[i].arena);
        free(text);
    }
    for (int i = 0; i < 10; i += 2)
        message_free(&m[i]);
    for (int i = 1; i < 10; i += 2) {
        const json_t *n = json_object_get(message_member(&m[i], 0), "n");
        assert_int_equal(json_integer_value(json_array_get(n, 0)), i);
        message_free(&m[i]);
    }
}

/* Runs first: the others choose arenas. */
TEST(a_program_that_does_not_choose_keeps_its_allocator)
{
    json_malloc_t allocate;
    json_free_t release;
    struct message m;
    struct failure f;
    assert_int_equal(message_decode("[1]", 3, &m, &f), 0);
    assert_null(m.arena);
    json_get_alloc_funcs(&allocate, &release);
    assert_ptr_equal(allocate, malloc);
    assert_ptr_equal(release, free);
    json_arena_install();
    json_get_alloc_funcs(&allocate, &release);
    assert_ptr_not_equal(allocate, malloc);
    /* What was decoded before is released as it was allocated. */
    message_free(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_program_that_does_not_choose_keeps_its_allocator),
        cmocka_unit_test(enough_for_the_most_costly),
        cmocka_unit_test(enough_for_members),
        cmocka_unit_test(enough_for_any_length),
        cmocka_unit_test(outside_of_an_arena),
        cmocka_unit_test(several_messages_live_at_once),
    };
    return RUN_TESTS(tests);
}
