/* SPDX-License-Identifier: MIT */
/*
 * The one table of errors is the protocol's, and a failure keeps its parameters, its sentence and
 * its UTF-8 whole, however long what a peer sent.
 */
#include "tests/unit/support.h"

#include <limits.h>

#include "protocol/errors.h"

static const struct {
    enum protocol_error error;
    int code;
    const char *name;
} contract[] = {
    {PROTOCOL_ERROR_PARSE, -32700, NULL},
    {PROTOCOL_ERROR_INVALID_REQUEST, -32600, NULL},
    {PROTOCOL_ERROR_INTERNAL, -32603, NULL},
    {PROTOCOL_ERROR_METHOD_NOT_FOUND, -32601, "org.varlink.service.MethodNotFound"},
    {PROTOCOL_ERROR_INVALID_PARAMETER, -32602, "org.varlink.service.InvalidParameter"},
    {PROTOCOL_ERROR_NO_SUCH_SEGMENT, 1, "io.shmd.NoSuchSegment"},
    {PROTOCOL_ERROR_SEGMENT_EXISTS, 2, "io.shmd.SegmentExists"},
    {PROTOCOL_ERROR_PERMISSION_DENIED, 3, "org.varlink.service.PermissionDenied"},
    {PROTOCOL_ERROR_SIZE_MISMATCH, 4, "io.shmd.SizeMismatch"},
    {PROTOCOL_ERROR_LIMIT_REACHED, 5, "io.shmd.LimitReached"},
    {PROTOCOL_ERROR_QUOTA_EXCEEDED, 6, "io.shmd.QuotaExceeded"},
    {PROTOCOL_ERROR_SEGMENT_BUSY, 7, "io.shmd.SegmentBusy"},
    {PROTOCOL_ERROR_STALE_SEGMENT, 8, "io.shmd.StaleSegment"},
    {PROTOCOL_ERROR_INITIALISER_DIED, 9, "io.shmd.InitialiserDied"},
    {PROTOCOL_ERROR_TIMED_OUT, 10, "io.shmd.TimedOut"},
    {PROTOCOL_ERROR_KEY_IN_USE, 11, "io.shmd.KeyInUse"},
    {PROTOCOL_ERROR_NOT_HOLDABLE, 12, "io.shmd.NotHoldable"},
    {PROTOCOL_ERROR_STORE_FAILURE, 13, "io.shmd.StoreFailure"},
    {PROTOCOL_ERROR_SHUTTING_DOWN, 14, "io.shmd.ShuttingDown"},
    {PROTOCOL_ERROR_NOT_SUPPORTED, 15, "io.shmd.NotSupported"},
    {PROTOCOL_ERROR_INVALID_CONFIGURATION, 16, "io.shmd.InvalidConfiguration"},
};

TEST(the_table_is_the_contract)
{
    for (size_t i = 0; i < sizeof(contract) / sizeof(contract[0]); i++) {
        const struct error_row *row = error_row(contract[i].error);
        assert_int_equal(row->code, contract[i].code);
        if (contract[i].name)
            assert_string_equal(row->name, contract[i].name);
        else
            assert_null(row->name);
        assert_int_equal(error_find(contract[i].name, contract[i].code), contract[i].error);
        assert_true(row->errnum > 0);
        assert_non_null(row->message);
    }
}

TEST(a_name_or_else_a_code_finds_an_error)
{
    assert_int_equal(error_find("io.shmd.NoSuchSegment", 999), PROTOCOL_ERROR_NO_SUCH_SEGMENT);
    assert_int_equal(error_find("org.varlink.service.ExpectedMore", 0),
                     PROTOCOL_ERROR_EXPECTED_MORE);
    assert_int_equal(error_find(NULL, 6), PROTOCOL_ERROR_QUOTA_EXCEEDED);
    assert_int_equal(error_find("io.shmd.Newer", 1), -1);
    assert_int_equal(error_find("", 1), -1);
    assert_int_equal(error_find(NULL, 0), -1);
    assert_int_equal(error_find(NULL, 1 + (1LL << 32)), -1);
    assert_int_equal(error_find(NULL, INT64_MIN), -1);
}

TEST(parameters_are_kept_in_order)
{
    struct failure f;
    failure_init(&f, PROTOCOL_ERROR_QUOTA_EXCEEDED);
    assert_int_equal(f.n_params, 0);
    assert_string_equal(failure_message(&f), error_row(PROTOCOL_ERROR_QUOTA_EXCEEDED)->message);
    failure_add_string(&f, "quota", "max_segments");
    failure_add_int(&f, "used", INT64_MIN);
    failure_add_string(&f, "max", "3 of x");
    assert_int_equal(f.n_params, 3);
    assert_string_equal(f.params[0].name, "quota");
    assert_string_equal(f.params[0].string, "max_segments");
    assert_null(f.params[1].string);
    assert_int_equal(f.params[1].integer, INT64_MIN);
    assert_string_equal(f.params[2].string, "3 of x");
    failure_set_message(&f, "%s!", "no");
    assert_string_equal(failure_message(&f), "no!");
    assert_string_equal(f.params[2].string, "3 of x");
}

TEST(parameters_past_the_room_are_left_out)
{
    struct failure f;
    failure_init(&f, PROTOCOL_ERROR_INTERNAL);
    for (int i = 0; i < FAILURE_PARAMS_MAX + 2; i++) {
        failure_add_int(&f, "n", i);
        if (i >= FAILURE_PARAMS_MAX)
            failure_add_string(&f, "s", "");
    }
    assert_int_equal(f.n_params, FAILURE_PARAMS_MAX);
    assert_int_equal(f.params[FAILURE_PARAMS_MAX - 1].integer, FAILURE_PARAMS_MAX - 1);
}

TEST(texts_share_the_room_and_the_last_are_cut)
{
    struct failure f;
    for (size_t first = 0; first < sizeof(f.text) + 8; first++) {
        char *long_text = repeat("a", first);
        failure_init(&f, PROTOCOL_ERROR_INTERNAL);
        failure_set_message(&f, "%s", long_text);
        const char *a = failure_message(&f);
        failure_set_message(&f, "bcd");
        const char *b = failure_message(&f);
        failure_set_message(&f, "efg");
        size_t room = sizeof(f.text);
        size_t want = first < room - 1 ? first : room - 1;
        assert_int_equal(strlen(a), want);
        room -= want + 1;
        want = room < 2 ? 0 : room - 1 < 3 ? room - 1 : 3;
        assert_int_equal(strlen(b), want);
        assert_memory_equal(b, "bcd", want);
        room -= room < 2 ? 0 : want + 1;
        want = room < 2 ? 0 : room - 1 < 3 ? room - 1 : 3;
        assert_int_equal(strlen(failure_message(&f)), want);
        assert_true(f.text_used <= sizeof(f.text));
        free(long_text);
    }
}

TEST(a_cut_leaves_whole_characters)
{
    static const char *const characters[] = {"\xC3\xA9", "\xE2\x82\xAC", "\xF0\x9F\x98\x80"};
    for (size_t c = 0; c < 3; c++) {
        for (size_t shift = 0; shift < 5; shift++) {
            struct failure f;
            char *lead = repeat("x", shift), *tail = repeat(characters[c], 400);
            failure_init(&f, PROTOCOL_ERROR_INTERNAL);
            failure_set_message(&f, "%s%s", lead, tail);
            size_t len = strlen(failure_message(&f));
            assert_true(is_utf8(failure_message(&f), len));
            assert_in_range(len, sizeof(f.text) - 4, sizeof(f.text) - 1);
            free(lead);
            free(tail);
        }
    }
    /* A text of continuation bytes alone is none. */
    struct failure f;
    char *tail = repeat("\x80", 1000);
    failure_init(&f, PROTOCOL_ERROR_INTERNAL);
    failure_set_message(&f, "%s", tail);
    assert_string_equal(failure_message(&f), "");
    free(tail);
}

TEST(an_invalid_parameter_is_named_with_a_reason)
{
    struct failure f;
    failure_invalid_parameter(&f, "size", "must be %d", 5);
    assert_int_equal(f.error, PROTOCOL_ERROR_INVALID_PARAMETER);
    assert_int_equal(f.n_params, 2);
    assert_string_equal(f.params[0].name, "parameter");
    assert_string_equal(f.params[0].string, "size");
    assert_string_equal(f.params[1].name, "reason");
    assert_string_equal(f.params[1].string, "must be 5");
    assert_string_equal(failure_message(&f), "parameter size: must be 5");
}

TEST(a_parameters_name_may_be_long_and_of_any_characters)
{
    for (size_t shift = 0; shift < 5; shift++) {
        char *lead = repeat("x", shift), *tail = repeat("\xF0\x9F\x98\x80", 100);
        char *name = text_of("%s%s", lead, tail);
        struct failure f;
        failure_invalid_parameter(&f, name, "unknown");
        assert_string_equal(f.params[0].string, name);
        const char *message = failure_message(&f);
        assert_true(is_utf8(message, strlen(message)));
        assert_contains(message, ": unknown");
        free(lead);
        free(tail);
        free(name);
    }
    struct failure f;
    char *name = repeat("x", 101);
    failure_invalid_parameter(&f, name, "unknown");
    assert_int_equal(strlen(failure_message(&f)), strlen("parameter : unknown") + 100);
    free(name);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_table_is_the_contract),
        cmocka_unit_test(a_name_or_else_a_code_finds_an_error),
        cmocka_unit_test(parameters_are_kept_in_order),
        cmocka_unit_test(parameters_past_the_room_are_left_out),
        cmocka_unit_test(texts_share_the_room_and_the_last_are_cut),
        cmocka_unit_test(a_cut_leaves_whole_characters),
        cmocka_unit_test(an_invalid_parameter_is_named_with_a_reason),
        cmocka_unit_test(a_parameters_name_may_be_long_and_of_any_characters),
    };
    return RUN_TESTS(tests);
}
