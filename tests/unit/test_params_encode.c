/* SPDX-License-Identifier: MIT */
/*
 * What the client encodes the daemon decodes to the same, for every field of every method; and what
 * has no spelling is refused there by its name, not taken for something else.
 */
#include "tests/unit/support.h"

#include <jansson.h>

#include "protocol/params.h"
#include "protocol/terms.h"
#include "protocol/writer.h"

static char *encoded(enum method method, const union params *params)
{
    struct writer w;
    writer_init(&w);
    params_encode(&w, method, params);
    assert_false(w.failed);
    char *text = text_of("%.*s", (int)w.len, w.data);
    writer_deinit(&w);
    return text;
}

static void assert_encoded(enum method method, const union params *params, const char *want)
{
    char *text = encoded(method, params);
    assert_string_equal(text, want);
    free(text);
}

/* Decodes TEXT and encodes it again. */
static void check_round_trip(enum method method, const char *text)
{
    union params params;
    struct failure failure;
    json_t *object = json_loads(text, 0, NULL);
    assert_non_null(object);
    if (params_decode(method, object, &params, &failure) < 0)
        fail_msg("%s: %s", text, failure_message(&failure));
    assert_encoded(method, &params, text);
    json_decref(object);
}

TEST(nothing_given_is_an_empty_object)
{
    const union params none = {0};
    for (int method = 0; method < METHOD_COUNT; method++)
        assert_encoded((enum method)method, &none, "{}");
}

/* The members are in the table's order. */
TEST(everything_given_comes_back)
{
#define TARGET "\"name\":\"n/1\",\"serial\":17"
#define LABELS "{\"a\":\"\\u0001\\\"\\\\\\n\",\"b@:\":\"\xC3\xA9\",\"c\":\"\"}"
    check_round_trip(METHOD_CREATE,
                     "{\"name\":\"frames\",\"key\":4294967295,\"size\":9223372036854775807,"
                     "\"mode\":\"0640\",\"exclusive\":true,\"uid\":0,\"gid\":4294967294,"
                     "\"lifetime\":\"attached\",\"ttl_ms\":0,\"ready\":false,\"labels\":" LABELS
                     ",\"huge_page_size\":2097152,\"noreserve\":false,\"locked\":true,"
                     "\"any_owner\":false}");
    check_round_trip(METHOD_STAT, "{" TARGET "}");
    check_round_trip(METHOD_READY, "{\"shmid\":0}");
    check_round_trip(METHOD_HOLD, "{\"key\":-2147483648,\"serial\":9223372036854775807}");
    check_round_trip(METHOD_RELEASE, "{\"serial\":1}");
    check_round_trip(METHOD_SET,
                     "{" TARGET ",\"mode\":\"0000\",\"uid\":1,\"gid\":2,\"new_name\":\"_x\","
                     "\"labels\":{},\"lifetime\":\"persistent\",\"ttl_ms\":1000,"
                     "\"locked\":false}");
    check_round_trip(METHOD_REMOVE, "{" TARGET ",\"only_if_unattached\":true}");
    check_round_trip(METHOD_LIST, "{\"prefix\":\"\",\"uid\":7,\"lifetime\":\"process\","
                                  "\"state\":\"removing\",\"labels\":" LABELS
                                  ",\"scope\":\"all\",\"limit\":1000,\"cursor\":\"c\"}");
    check_round_trip(METHOD_WAIT, "{\"name\":\"x\",\"timeout_ms\":0}");
    check_round_trip(METHOD_ADOPT,
                     "{\"shmid\":2147483647,\"name\":\"x\","
                     "\"lifetime\":\"connection\",\"ttl_ms\":5,\"labels\":" LABELS "}");
    check_round_trip(METHOD_SUBSCRIBE, "{\"prefix\":\"a\",\"kinds\":[\"created\",\"removed\"],"
                                       "\"after\":0}");
    check_round_trip(METHOD_SUBSCRIBE, "{\"kinds\":[]}");
}

/* Each field alone, straight from the table: a field that is added later is tested too. */
static const char *give(const struct field *field, void *at)
{
    static const struct labels labels = {.given = true, .count = 1, .items = {{"k", "v"}}};
    switch (field->type) {
    case FIELD_INT: *(struct opt_int *)at = (struct opt_int){true, -5}; return "-5";
    case FIELD_BOOL: *(struct opt_bool *)at = (struct opt_bool){true, false}; return "false";
    case FIELD_WORD: *(struct opt_int *)at = (struct opt_int){true, 0}; return NULL;
    case FIELD_WORDS: *(struct opt_int *)at = (struct opt_int){true, 1}; return NULL;
    case FIELD_MODE: *(struct opt_int *)at = (struct opt_int){true, 01777}; return "\"1777\"";
    case FIELD_NAME:
    case FIELD_PREFIX:
    case FIELD_CURSOR: *(const char **)at = "\x7f"; return "\"\\u007f\"";
    case FIELD_LABELS: *(struct labels *)at = labels; return "{\"k\":\"v\"}";
    }
    return NULL;
}

TEST(each_field_alone)
{
    size_t fields = 0;
    for (int method = 0; method < METHOD_COUNT; method++) {
        const struct field_table *table = params_table((enum method)method);
        for (size_t i = 0; i < table->count; i++, fields++) {
            const struct field *field = &table->fields[i];
            union params params = {0};
            const char *value = give(field, (char *)&params + field->offset);
            char *want = value ? text_of("{\"%s\":%s}", field->name, value)
                         : field->type == FIELD_WORD
                             ? text_of("{\"%s\":\"%s\"}", field->name, field->words[0])
                             : text_of("{\"%s\":[\"%s\"]}", field->name, field->words[0]);
            assert_encoded((enum method)method, &params, want);
            free(want);
        }
    }
    assert_true(fields > 40);
}

TEST(a_word_past_its_list_is_refused_by_name)
{
    static const int64_t beyond[] = {LIFETIME_COUNT, -1, INT64_MAX, INT64_MIN};
    for (size_t i = 0; i < sizeof(beyond) / sizeof(beyond[0]); i++) {
        union params decoded, params = {.create = {.size = {true, 1}}};
        struct failure failure;
        params.create.lifetime = (struct opt_int){true, beyond[i]};
        char *text = encoded(METHOD_CREATE, &params);
        json_t *object = json_loads(text, 0, NULL);
        assert_non_null(object);
        assert_int_equal(params_decode(METHOD_CREATE, object, &decoded, &failure), -EINVAL);
        assert_string_equal(failure.params[0].string, "lifetime");
        json_decref(object);
        free(text);
    }
    const union params kinds = {.subscribe = {.kinds = {true, 1 | INT64_C(1) << 40}}};
    assert_encoded(METHOD_SUBSCRIBE, &kinds, "{\"kinds\":[\"created\",40]}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_given_is_an_empty_object),
        cmocka_unit_test(everything_given_comes_back),
        cmocka_unit_test(each_field_alone),
        cmocka_unit_test(a_word_past_its_list_is_refused_by_name),
    };
    return RUN_TESTS(tests);
}
