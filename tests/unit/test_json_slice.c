/* SPDX-License-Identifier: MIT */
/*
 * Slices are found byte for byte, whatever strings hold; and nothing beyond a text is read, even
 * when it is no JSON at all.
 */
#include "tests/unit/support.h"

#include "protocol/json_slice.h"

static struct json_slice slice_of(const char *text)
{
    return (struct json_slice){text, strlen(text)};
}

static void assert_member(const char *object, const char *key, const char *want)
{
    struct json_slice found = {"untouched", 9};
    bool is_there = json_slice_member(slice_of(object), key, &found);
    assert_int_equal(is_there, want != NULL);
    assert_text(found.text, found.len, want ? want : "untouched");
}

TEST(members_of_objects)
{
    static const char object[] =
        " { \"a\" : 1 , \"b\":\"x\\\"}]\\\\\",\n\"c\":{\"a\":[{}]} ,\"d\":[1,\"]\"]"
        ",\"e\":-1.5e3,\"f\":null,\"\":true}";
    assert_member(object, "a", "1");
    assert_member(object, "b", "\"x\\\"}]\\\\\"");
    assert_member(object, "c", "{\"a\":[{}]}");
    assert_member(object, "d", "[1,\"]\"]");
    assert_member(object, "e", "-1.5e3");
    assert_member(object, "f", "null");
    assert_member(object, "", "true");
    assert_member(object, "g", NULL);
    assert_member("{}", "a", NULL);
    assert_member("[\"a\",1]", "a", NULL);
    assert_member("7", "a", NULL);
    assert_member("", "a", NULL);
}

TEST(a_walk_sees_all_in_order)
{
    static const char *const want[] = {"1", "\"a,b\"", "{\"x\":[1,2]}", "[]", "true"};
    struct json_walk walk = json_walk_begin(slice_of("[1, \"a,b\",{\"x\":[1,2]} ,[],true]"));
    struct json_slice key, value;
    for (size_t i = 0; i < 5; i++) {
        assert_true(json_walk_next(&walk, &key, &value));
        assert_int_equal(key.len, 0);
        assert_text(value.text, value.len, want[i]);
    }
    assert_false(json_walk_next(&walk, &key, &value));
    assert_false(json_walk_next(&walk, &key, &value));

    walk = json_walk_begin(slice_of("{\"a\\\"b\":1,\"c\":\"\"}"));
    assert_true(json_walk_next(&walk, &key, &value));
    assert_text(key.text, key.len, "a\\\"b");
    assert_true(json_walk_next(&walk, &key, &value));
    assert_text(key.text, key.len, "c");
    assert_text(value.text, value.len, "\"\"");
    assert_false(json_walk_next(&walk, &key, &value));
}

/* Every prefix of a text, and the text with every byte replaced, in a buffer that ends where it
 * does: under valgrind and the sanitizers a byte too many fails. The walk always ends. */
TEST(what_is_no_json_does_no_harm)
{
    static const char text[] = "{\"a\":[1,\"\\\\\"],\"b\":{\"c\":\"\\\"\"},\"d\":12}";
    static const char replacements[] = "\"\\{}[],: x";
    for (size_t len = 0; len < sizeof(text); len++) {
        for (size_t at = 0; at < (len ? len : 1); at++) {
            for (size_t r = 0; r < sizeof(replacements); r++) {
                char *copy = exact_copy(text, len);
                if (len > 0)
                    copy[at] = replacements[r];
                struct json_walk walk = json_walk_begin((struct json_slice){copy, len});
                struct json_slice key, value;
                size_t members = 0;
                while (json_walk_next(&walk, &key, &value)) {
                    assert_true(value.text >= copy && value.text + value.len <= copy + len);
                    assert_true(++members <= len);
                }
                free(copy);
            }
        }
    }
}

static void check_key(const char *written, const char *key, bool is)
{
    size_t len = strlen(written);
    char *copy = exact_copy(written, len);
    assert_int_equal(json_slice_is_key((struct json_slice){copy, len}, key), is);
    free(copy);
}

TEST(keys_with_escapes)
{
    check_key("id", "id", true);
    check_key("\\u0069d", "id", true);
    check_key("i\\u0064", "id", true);
    check_key("\\u0069\\u0064", "id", true);
    check_key("\\u004a\\u004A", "JJ", true);
    check_key("", "", true);
    check_key("", "id", false);
    check_key("i", "id", false);
    check_key("ids", "id", false);
    check_key("Id", "id", false);
    check_key("\\u0169d", "id", false);
    check_key("\\u6900d", "id", false);
    check_key("\\\\u0069d", "id", false);
    /* Cut, which no text is that was checked. */
    check_key("\\u006", "id", false);
    check_key("\\", "id", false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_with_escapes),
        cmocka_unit_test(members_of_objects),
        cmocka_unit_test(a_walk_sees_all_in_order),
        cmocka_unit_test(what_is_no_json_does_no_harm),
    };
    return RUN_TESTS(tests);
}
