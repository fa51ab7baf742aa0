/* SPDX-License-Identifier: MIT */
/*
 * Each method takes what the contract lists and nothing else. What is listed is written down here
 * a second time, by hand; every field is then tried with each kind of JSON value and, where it
 * has them, at both ends of its range and one beyond.
 */
#include "tests/unit/support.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>

#include "protocol/params.h"
#include "protocol/terms.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* A decoding and what its outputs borrow from. */
struct decoded {
    json_t *json;
    int result;
    union params params;
    struct failure failure;
};

static void decode_json(struct decoded *d, enum method method, json_t *json)
{
    d->json = json;
    d->result = params_decode(method, json, &d->params, &d->failure);
}

static void decode(struct decoded *d, enum method method, const char *text)
{
    json_error_t error;
    json_t *json = text ? json_loads(text, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error) : NULL;
    if (text && !json)
        print_error("%s: %s\n", text, error.text);
    assert_true(!text || json);
    decode_json(d, method, json);
}

static void done(struct decoded *d)
{
    json_decref(d->json);
}

/* PARAMETER NULL: it is taken. */
static void expect(const struct decoded *d, const char *parameter, const char *reason)
{
    if (!parameter) {
        if (d->result != 0)
            print_error("%s\n", failure_message(&d->failure));
        assert_int_equal(d->result, 0);
        return;
    }
    assert_int_equal(d->result, -EINVAL);
    const struct failure *f = &d->failure;
    assert_int_equal(f->error, PROTOCOL_ERROR_INVALID_PARAMETER);
    assert_int_equal(f->n_params, 2);
    assert_string_equal(f->params[0].name, "parameter");
    assert_string_equal(f->params[0].string, parameter);
    assert_string_equal(f->params[1].name, "reason");
    assert_contains(f->params[1].string, reason);
    assert_contains(failure_message(f), parameter);
    assert_contains(failure_message(f), f->params[1].string);
}

static void check_refused(enum method method, const char *text, const char *parameter,
                          const char *reason)
{
    struct decoded d;
    decode(&d, method, text);
    if (d.result == 0)
        print_error("%s took %s\n", method_word(method), text);
    expect(&d, parameter, reason);
    done(&d);
}

static void check_taken(enum method method, const char *text)
{
    struct decoded d;
    decode(&d, method, text);
    expect(&d, NULL, NULL);
    done(&d);
}

/* The contract. */
enum kind { END, INT, BOOL, MODE, NAME, PREFIX, CURSOR, LABELS, LIFETIME, STATE, SCOPE, KINDS };

struct wanted {
    const char *name;
    enum kind kind;
    bool required;
    int64_t min, max;
};

#define TTL_MAX (INT64_MAX / 4)
#define UID_MAX 4294967294
#define A_KEY                                                                                      \
    {                                                                                              \
        "key", INT, false, -2147483648LL, 4294967295LL                                             \
    }
#define A_UID                                                                                      \
    {                                                                                              \
        "uid", INT, false, 0, UID_MAX                                                              \
    }
#define A_GID                                                                                      \
    {                                                                                              \
        "gid", INT, false, 0, UID_MAX                                                              \
    }
#define A_SHMID                                                                                    \
    {                                                                                              \
        "shmid", INT, false, 0, 2147483647                                                         \
    }
#define A_TTL                                                                                      \
    {                                                                                              \
        "ttl_ms", INT, false, 0, TTL_MAX                                                           \
    }
#define AN_IDLE_TTL                                                                                \
    {                                                                                              \
        "idle_ttl_ms", INT, false, 0, TTL_MAX                                                      \
    }
#define AN_OWNER                                                                                   \
    {                                                                                              \
        "owner", INT, false, 0, UID_MAX                                                            \
    }
#define A_NAME                                                                                     \
    {                                                                                              \
        .name = "name", .kind = NAME                                                               \
    }
#define A_TARGET                                                                                   \
    A_NAME, A_SHMID, A_KEY,                                                                        \
    {                                                                                              \
        "serial", INT, false, 1, INT64_MAX                                                         \
    }
#define A(n, k)                                                                                    \
    {                                                                                              \
        .name = n, .kind = k                                                                       \
    }

static const struct wanted none[] = {{.kind = END}};
static const struct wanted create_wants[] = {
    A_NAME,
    A_KEY,
    {"size", INT, true, 1, INT64_MAX},
    A("mode", MODE),
    A("exclusive", BOOL),
    A("replace", BOOL),
    A("hold", BOOL),
    A_UID,
    A_GID,
    A("lifetime", LIFETIME),
    A_TTL,
    AN_IDLE_TTL,
    A("ready", BOOL),
    A("labels", LABELS),
    {"huge_page_size", INT, false, 0, INT64_MAX},
    A("noreserve", BOOL),
    A("locked", BOOL),
    A("any_owner", BOOL),
    {.kind = END},
};
static const struct wanted target_wants[] = {A_TARGET, {.kind = END}};
static const struct wanted owned_target_wants[] = {A_TARGET, AN_OWNER, {.kind = END}};
static const struct wanted set_wants[] = {
    A_TARGET,
    A("mode", MODE),
    A_UID,
    A_GID,
    A("new_name", NAME),
    A("labels", LABELS),
    A("lifetime", LIFETIME),
    A_TTL,
    AN_IDLE_TTL,
    A("locked", BOOL),
    {.kind = END},
};
static const struct wanted remove_wants[] = {
    A_TARGET, A("only_if_unattached", BOOL), {.kind = END}};
static const struct wanted list_wants[] = {
    A("prefix", PREFIX),
    A_UID,
    A("lifetime", LIFETIME),
    A("state", STATE),
    A("labels", LABELS),
    A("scope", SCOPE),
    {"limit", INT, false, 1, 1000},
    A("cursor", CURSOR),
    {.kind = END},
};
static const struct wanted wait_wants[] = {{"name", NAME, true, 0, 0},
                                           {"timeout_ms", INT, false, 0, TTL_MAX},
                                           A("hold", BOOL),
                                           AN_OWNER,
                                           {.kind = END}};
static const struct wanted adopt_wants[] = {
    A_SHMID, A_KEY, A_NAME, A("lifetime", LIFETIME), A_TTL, A("labels", LABELS), {.kind = END}};
static const struct wanted subscribe_wants[] = {
    A("prefix", PREFIX), A("kinds", KINDS), {"after", INT, false, 0, INT64_MAX}, {.kind = END}};

static const struct wanted *const contract[METHOD_COUNT] = {
    [METHOD_INFO] = none,
    [METHOD_CREATE] = create_wants,
    [METHOD_STAT] = owned_target_wants,
    [METHOD_SET] = set_wants,
    [METHOD_REMOVE] = remove_wants,
    [METHOD_LIST] = list_wants,
    [METHOD_READY] = target_wants,
    [METHOD_WAIT] = wait_wants,
    [METHOD_HOLD] = owned_target_wants,
    [METHOD_RELEASE] = target_wants,
    [METHOD_ADOPT] = adopt_wants,
    [METHOD_DISOWN] = target_wants,
    [METHOD_RELOAD] = none,
    [METHOD_SUBSCRIBE] = subscribe_wants,
    [METHOD_METRICS] = none,
};

/* Parameters that are enough for METHOD beside FIELD, which is not among them. */
static json_t *enough(enum method method, const char *field)
{
    json_t *json = json_object();
    if (method == METHOD_CREATE && strcmp(field, "size") != 0)
        json_object_set_new(json, "size", json_integer(1));
    else if (method == METHOD_WAIT && strcmp(field, "name") != 0)
        json_object_set_new(json, "name", json_string("n"));
    else if (method == METHOD_ADOPT && strcmp(field, "shmid") != 0 && strcmp(field, "key") != 0)
        json_object_set_new(json, "shmid", json_integer(1));
    else if (params_table(method)->has_target && strcmp(field, "name") != 0 &&
             strcmp(field, "shmid") != 0 && strcmp(field, "key") != 0 &&
             strcmp(field, "serial") != 0)
        json_object_set_new(json, "serial", json_integer(1));
    return json;
}

static void decode_field(struct decoded *d, enum method method, const char *field, json_t *value)
{
    json_t *json = enough(method, field);
    json_object_set_new(json, field, value);
    decode_json(d, method, json);
}

TEST(the_tables_list_what_the_contract_does)
{
    for (int m = 0; m < METHOD_COUNT; m++) {
        const struct field_table *table = params_table((enum method)m);
        size_t n = 0;
        for (const struct wanted *w = contract[m]; w->kind != END; w++, n++) {
            assert_true(n < table->count);
            assert_string_equal(table->fields[n].name, w->name);
            assert_int_equal(table->fields[n].required, w->required);
        }
        assert_int_equal(table->count, n);
    }
}

TEST(what_is_required)
{
    for (int m = 0; m < METHOD_COUNT; m++)
        for (const struct wanted *w = contract[m]; w->kind != END; w++)
            if (w->required)
                check_refused((enum method)m, "{}", w->name, "missing");
    check_refused(METHOD_CREATE, "{\"name\":\"x\"}", "size", "missing: create needs it");
    check_refused(METHOD_WAIT, NULL, "name", "missing: wait needs it");
    check_taken(METHOD_CREATE, "{\"size\":1}");
    check_taken(METHOD_WAIT, "{\"name\":\"x\"}");
}

TEST(parameters_go_by_name)
{
    static const enum method free_of_any[] = {METHOD_INFO, METHOD_LIST, METHOD_SUBSCRIBE,
                                              METHOD_METRICS, METHOD_RELOAD};
    for (size_t i = 0; i < COUNT(free_of_any); i++) {
        check_taken(free_of_any[i], NULL);
        check_taken(free_of_any[i], "{}");
        check_taken(free_of_any[i], "[]");
        check_taken(free_of_any[i], "null");
    }
    for (int m = 0; m < METHOD_COUNT; m++) {
        static const char *const others[] = {"[1]", "[{}]", "[null]", "1", "\"x\"", "true"};
        for (size_t i = 0; i < COUNT(others); i++)
            check_refused((enum method)m, others[i], "params", "must be an object");
        check_refused((enum method)m, "{\"nosuch\":1}", "nosuch", "unknown");
        check_refused((enum method)m, "{\"\":1}", "", "unknown");
        check_refused((enum method)m, "{\"Name\":1}", "Name", "unknown");
    }
}

TEST(an_unknown_one_is_told_what_there_is)
{
    check_refused(METHOD_INFO, "{\"x\":1}", "x", "unknown; info takes: none");
    check_refused(METHOD_STAT, "{\"x\":1}", "x", "unknown; stat takes: name, shmid, key, serial");
    check_refused(
        METHOD_CREATE, "{\"x\":1}", "x",
        "unknown; create takes: name, key, size, mode, exclusive, replace, hold, uid, gid, "
        "lifetime, ttl_ms, idle_ttl_ms, ready, labels, huge_page_size, noreserve, "
        "locked, any_owner");
    char *name = repeat("\xE2\x82\xAC", 10000), *text = text_of("{\"%s\":1}", name);
    struct decoded d;
    decode(&d, METHOD_SET, text);
    assert_int_equal(d.result, -EINVAL);
    assert_string_equal(d.failure.params[0].string, name);
    assert_true(is_utf8(failure_message(&d.failure), strlen(failure_message(&d.failure))));
    done(&d);
    free(name);
    free(text);
}

static bool is_whole(const json_t *value)
{
    return json_is_real(value) && json_real_value(value) == 1.0;
}

/* Which JSON values a field of KIND takes. */
static bool takes(enum kind kind, const json_t *value)
{
    switch (kind) {
    case INT: return json_is_integer(value) || is_whole(value);
    case BOOL: return json_is_boolean(value);
    case KINDS: return json_is_array(value);
    case LABELS: return json_is_object(value);
    case MODE:
    case NAME:
    case PREFIX:
    case CURSOR:
    case LIFETIME:
    case STATE:
    case SCOPE:
    case END: break;
    }
    return json_is_string(value);
}

TEST(every_field_refuses_every_other_kind)
{
    for (int m = 0; m < METHOD_COUNT; m++) {
        for (const struct wanted *w = contract[m]; w->kind != END; w++) {
            json_t *const values[] = {json_null(),      json_true(),    json_false(),
                                      json_integer(1),  json_real(1.0), json_real(1e300),
                                      json_string("1"), json_array(),   json_object()};
            for (size_t i = 0; i < COUNT(values); i++) {
                if (takes(w->kind, values[i])) {
                    json_decref(values[i]);
                    continue;
                }
                struct decoded d;
                decode_field(&d, (enum method)m, w->name, values[i]);
                expect(&d, w->name, w->kind == INT && i == 5 ? "64-bit" : "must be ");
                done(&d);
            }
        }
    }
}

static struct opt_int int_at(const struct decoded *d, enum method method, const char *name)
{
    const struct field_table *table = params_table(method);
    for (size_t i = 0; i < table->count; i++)
        if (strcmp(table->fields[i].name, name) == 0)
            return *(const struct opt_int *)(const void *)((const char *)&d->params +
                                                           table->fields[i].offset);
    fail();
    return (struct opt_int){0};
}

static void check_int(enum method method, const struct wanted *w, int64_t value, bool good)
{
    struct decoded d;
    decode_field(&d, method, w->name, json_integer(value));
    if (good) {
        expect(&d, NULL, NULL);
        assert_true(int_at(&d, method, w->name).given);
        assert_int_equal(int_at(&d, method, w->name).value, value);
    } else {
        char *range =
            text_of("must be from %" PRId64 " to %" PRId64 ", not %" PRId64, w->min, w->max, value);
        expect(&d, w->name, range);
        free(range);
    }
    done(&d);
}

TEST(integers_to_the_ends_of_their_ranges)
{
    for (int m = 0; m < METHOD_COUNT; m++) {
        for (const struct wanted *w = contract[m]; w->kind != END; w++) {
            if (w->kind != INT)
                continue;
            check_int((enum method)m, w, w->min, true);
            check_int((enum method)m, w, w->max, true);
            check_int((enum method)m, w, w->min - 1, false);
            check_int((enum method)m, w, INT64_MIN, false);
            if (w->max < INT64_MAX) {
                check_int((enum method)m, w, w->max + 1, false);
                check_int((enum method)m, w, INT64_MAX, false);
            }
        }
    }
}

TEST(integers_beyond_int64)
{
    /* As the decoder of messages hands them on: reals. */
    check_refused(METHOD_CREATE, "{\"size\":9223372036854775808.0}", "size",
                  "is beyond the range of a 64-bit integer");
    check_refused(METHOD_CREATE, "{\"size\":1,\"key\":-99999999999999999999.0}", "key",
                  "is beyond the range of a 64-bit integer");
}

static void check_real(const char *real, int64_t want)
{
    char *text = text_of("{\"size\":1,\"key\":0,\"ttl_ms\":%s}", real);
    struct decoded d;
    decode(&d, METHOD_CREATE, text);
    expect(&d, NULL, NULL);
    assert_true(d.params.create.ttl_ms.given);
    assert_int_equal(d.params.create.ttl_ms.value, want);
    done(&d);
    free(text);
}

TEST(reals_without_a_fraction_are_integers)
{
    check_real("4096.0", 4096);
    check_real("4.096e3", 4096);
    check_real("40960e-1", 4096);
    check_real("0.0", 0);
    check_real("-0.0", 0);
    check_real("1e0", 1);
    check_real("9007199254740991.0", 9007199254740991);
    check_real("9007199254740992.0", 9007199254740992); /* 2^53 */
    struct decoded d;
    decode(&d, METHOD_CREATE, "{\"size\":1,\"key\":-3.0}");
    expect(&d, NULL, NULL);
    assert_int_equal(d.params.create.key.value, -3);
    done(&d);
#define INEXACT "must be an integer, not a real number above 2^53, which is not exact"
    check_refused(METHOD_CREATE, "{\"size\":9007199254740994.0}", "size", INEXACT);
    check_refused(METHOD_CREATE, "{\"size\":-9007199254740994.0}", "size", INEXACT);
    check_refused(METHOD_CREATE, "{\"size\":9.0e18}", "size", INEXACT);
    check_refused(METHOD_CREATE, "{\"size\":-9223372036854775808.0}", "size", INEXACT);
    check_refused(METHOD_CREATE, "{\"size\":4096.5}", "size",
                  "not a number that is not an integer");
    check_refused(METHOD_CREATE, "{\"size\":0.1}", "size", "not a number that is not an integer");
    check_refused(METHOD_CREATE, "{\"size\":1e-300}", "size",
                  "not a number that is not an integer");
    /* The range holds for them, too. */
    check_refused(METHOD_CREATE, "{\"size\":0.0}", "size", "must be from 1 to ");
    check_refused(METHOD_CREATE, "{\"size\":1,\"uid\":-1.0}", "uid", "must be from 0 to ");
    /* 644 is not 0644, however it is written. */
    check_refused(METHOD_CREATE, "{\"size\":1,\"mode\":644.0}", "mode", "644 is not 0644");
}

TEST(integers_beyond_int64_where_none_is_wanted)
{
#define BEYOND "18446744073709551616.0"
    check_refused(METHOD_CREATE, "{\"size\":1,\"name\":" BEYOND "}", "name",
                  "must be a string, not a number beyond the range of a 64-bit integer");
    check_refused(METHOD_CREATE, "{\"size\":1,\"lifetime\":-" BEYOND "}", "lifetime",
                  "must be a string, not a number beyond the range of a 64-bit integer");
    check_refused(METHOD_CREATE, "{\"size\":1,\"exclusive\":" BEYOND "}", "exclusive",
                  "must be true or false, not a number beyond the range of a 64-bit integer");
    check_refused(METHOD_CREATE, "{\"size\":1,\"mode\":" BEYOND "}", "mode", "must be a string");
    check_refused(
        METHOD_CREATE, "{\"size\":1,\"labels\":" BEYOND "}", "labels",
        "must be an object of strings, not a number beyond the range of a 64-bit integer");
    check_refused(
        METHOD_CREATE, "{\"size\":1,\"labels\":{\"a\":" BEYOND "}}", "labels",
        "the value of \"a\" must be a string, not a number beyond the range of a 64-bit integer");
    check_refused(METHOD_CREATE, "{\"size\":1,\"labels\":{\"a\":1.5}}", "labels",
                  "must be a string, not a number that is not an integer");
    check_refused(METHOD_SUBSCRIBE, "{\"kinds\":" BEYOND "}", "kinds",
                  "must be an array of strings, not a number beyond the range of a 64-bit integer");
    check_refused(METHOD_SUBSCRIBE, "{\"kinds\":[" BEYOND "]}", "kinds",
                  "must be a string, not a number beyond the range of a 64-bit integer");
#undef BEYOND
}

static void check_words(enum kind kind, const char *const *want, size_t count)
{
    for (int m = 0; m < METHOD_COUNT; m++) {
        for (const struct wanted *w = contract[m]; w->kind != END; w++) {
            if (w->kind != kind)
                continue;
            struct decoded d;
            for (size_t i = 0; i < count; i++) {
                decode_field(&d, (enum method)m, w->name, json_string(want[i]));
                expect(&d, NULL, NULL);
                assert_true(int_at(&d, (enum method)m, w->name).given);
                assert_int_equal(int_at(&d, (enum method)m, w->name).value, i);
                done(&d);
            }
            static const char *const bad[] = {"", "Ready", "ALL", "process ", "x"};
            for (size_t i = 0; i < COUNT(bad); i++) {
                decode_field(&d, (enum method)m, w->name, json_string(bad[i]));
                expect(&d, w->name, "must be one of ");
                for (size_t k = 0; k < count; k++)
                    assert_contains(failure_message(&d.failure), want[k]);
                done(&d);
            }
        }
    }
}

TEST(words)
{
    static const char *const lifetimes[] = {"persistent", "process", "connection", "attached"};
    static const char *const states[] = {"initialising", "ready", "removing", "removed"};
    static const char *const scopes[] = {"managed", "foreign", "all"};
    check_words(LIFETIME, lifetimes, COUNT(lifetimes));
    check_words(STATE, states, COUNT(states));
    check_words(SCOPE, scopes, COUNT(scopes));
}

static void check_kinds(const char *text, int64_t want)
{
    struct decoded d;
    decode(&d, METHOD_SUBSCRIBE, text);
    expect(&d, NULL, NULL);
    assert_true(d.params.subscribe.kinds.given);
    assert_int_equal(d.params.subscribe.kinds.value, want);
    done(&d);
}

TEST(kinds_are_an_array_of_words)
{
    check_kinds("{\"kinds\":[]}", 0);
    check_kinds("{\"kinds\":[\"created\"]}", 1 << EVENT_CREATED);
    check_kinds("{\"kinds\":[\"adopted\",\"removed\"]}", 1 << EVENT_ADOPTED | 1 << EVENT_REMOVED);
    check_kinds("{\"kinds\":[\"ready\",\"ready\"]}", 1 << EVENT_READY);
    check_kinds("{\"kinds\":[\"created\",\"ready\",\"changed\",\"attached\",\"detached\","
                "\"removed\",\"adopted\"]}",
                (1 << EVENT_KINDS) - 1);
    struct decoded d;
    decode(&d, METHOD_SUBSCRIBE, "{}");
    expect(&d, NULL, NULL);
    assert_false(d.params.subscribe.kinds.given);
    done(&d);
    check_refused(METHOD_SUBSCRIBE, "{\"kinds\":\"created\"}", "kinds",
                  "must be an array of strings, not a string");
    check_refused(METHOD_SUBSCRIBE, "{\"kinds\":[\"created\",1]}", "kinds",
                  "must be a string, not an integer");
    check_refused(METHOD_SUBSCRIBE, "{\"kinds\":[[\"created\"]]}", "kinds", "not an array");
    check_refused(METHOD_SUBSCRIBE, "{\"kinds\":[\"gap\"]}", "kinds",
                  "must be one of created, ready, changed, attached, detached, removed, adopted");
}

static void check_mode(enum method method, const char *text, int64_t want)
{
    struct decoded d;
    decode_field(&d, method, "mode", json_string(text));
    if (want >= 0) {
        expect(&d, NULL, NULL);
        assert_true(int_at(&d, method, "mode").given);
        assert_int_equal(int_at(&d, method, "mode").value, want);
    } else {
        expect(&d, "mode", "must be three or four octal digits from \"0000\" to \"0777\"");
    }
    done(&d);
}

TEST(modes_are_octal_strings)
{
    static const enum method methods[] = {METHOD_CREATE, METHOD_SET};
    for (size_t i = 0; i < COUNT(methods); i++) {
        check_mode(methods[i], "0000", 0);
        check_mode(methods[i], "000", 0);
        check_mode(methods[i], "600", 0600);
        check_mode(methods[i], "0644", 0644);
        check_mode(methods[i], "777", 0777);
        check_mode(methods[i], "0777", 0777);
        static const char *const bad[] = {
            "",     "0",    "77",   "00600", "1000", "1777", "7777", "0800", "0908", "008",
            "0080", "0069", "0x1f", " 600",  "600 ", "-600", "+600", "rw-",  "0o60", "06\xC3\xA9"};
        for (size_t k = 0; k < COUNT(bad); k++)
            check_mode(methods[i], bad[k], -1);
        static const char *const numbers[] = {"644", "0", "384", "-1", "6e2", "1e300"};
        for (size_t k = 0; k < COUNT(numbers); k++) {
            char *text = text_of("{\"size\":1,\"mode\":%s}", numbers[k]);
            check_refused(METHOD_CREATE, text, "mode", "JSON numbers are decimal");
            check_refused(METHOD_CREATE, text, "mode", "644 is not 0644");
            free(text);
        }
    }
}

static void check_text(enum method method, const char *field, const char *text, const char *reason)
{
    struct decoded d;
    decode_field(&d, method, field, json_string(text));
    expect(&d, reason ? field : NULL, reason);
    done(&d);
}

TEST(names)
{
    static const struct {
        enum method method;
        const char *field;
    } fields[] = {{METHOD_CREATE, "name"},  {METHOD_STAT, "name"},   {METHOD_SET, "name"},
                  {METHOD_SET, "new_name"}, {METHOD_REMOVE, "name"}, {METHOD_READY, "name"},
                  {METHOD_WAIT, "name"},    {METHOD_HOLD, "name"},   {METHOD_RELEASE, "name"},
                  {METHOD_ADOPT, "name"}};
    char *most = repeat("n", 255), *more = repeat("n", 256);
    for (size_t i = 0; i < COUNT(fields); i++) {
        static const char *const good[] = {
            "a", "Z", "0", "_", "a.b_c:d@e/f-g", "_.", "9--", "org.example/frames:0@host"};
        for (size_t k = 0; k < COUNT(good); k++)
            check_text(fields[i].method, fields[i].field, good[k], NULL);
        check_text(fields[i].method, fields[i].field, most, NULL);
        check_text(fields[i].method, fields[i].field, more, "must be 1 to 255 bytes long");
        check_text(fields[i].method, fields[i].field, "", "must be 1 to 255 bytes long");
        static const char *const bad_start[] = {".",  ":",        "@",  "/",       "-",
                                                "-a", "/dev/shm", " a", "\xC3\xA9"};
        for (size_t k = 0; k < COUNT(bad_start); k++)
            check_text(fields[i].method, fields[i].field, bad_start[k], "must begin with");
        static const char *const bad[] = {"a b",   "a\n",       "a*", "a\\b", "a,b", "a\"",
                                          "a\x7F", "a\xC3\xA9", "a[", "a`",   "a{"};
        for (size_t k = 0; k < COUNT(bad); k++)
            check_text(fields[i].method, fields[i].field, bad[k], "may hold only");
    }
    free(most);
    free(more);
}

TEST(names_byte_by_byte)
{
    for (int c = 1; c < 256; c++) {
        const char first[] = {(char)c, '\0'}, later[] = {'a', (char)c, '\0'};
        bool alnum = c < 128 && strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                       "0123456789",
                                       c);
        bool of_set = alnum || strchr("._:@/-", c);
        assert_true((params_check_name(first) == NULL) == (alnum || c == '_'));
        assert_true((params_check_name(later) == NULL) == of_set);
        assert_true((params_check_label_key(first) == NULL) == of_set);
        assert_true((params_check_label_key(later) == NULL) == of_set);
    }
}

TEST(prefixes)
{
    static const enum method methods[] = {METHOD_LIST, METHOD_SUBSCRIBE};
    char *most = repeat("n", 255), *more = repeat("n", 256);
    for (size_t i = 0; i < COUNT(methods); i++) {
        check_text(methods[i], "prefix", "", NULL);
        check_text(methods[i], "prefix", "a", NULL);
        /* The beginning of no name, and so of none: not an error. */
        check_text(methods[i], "prefix", ".", NULL);
        check_text(methods[i], "prefix", most, NULL);
        check_text(methods[i], "prefix", more, "must be at most 255 bytes long");
        check_text(methods[i], "prefix", "a b", "may hold only");
        check_text(methods[i], "prefix", "\xC3\xA9", "may hold only");
    }
    free(most);
    free(more);
}

TEST(cursors)
{
    char *most = repeat("9", 64), *more = repeat("9", 65);
    check_text(METHOD_LIST, "cursor", "1", NULL);
    check_text(METHOD_LIST, "cursor", most, NULL);
    check_text(METHOD_LIST, "cursor", "", "must be a cursor from an earlier answer");
    check_text(METHOD_LIST, "cursor", more, "must be a cursor from an earlier answer");
    free(most);
    free(more);
}

static void check_labels(json_t *labels, const char *reason)
{
    static const enum method methods[] = {METHOD_CREATE, METHOD_SET, METHOD_LIST, METHOD_ADOPT};
    for (size_t i = 0; i < COUNT(methods); i++) {
        struct decoded d;
        decode_field(&d, methods[i], "labels", json_incref(labels));
        expect(&d, reason ? "labels" : NULL, reason);
        done(&d);
    }
    json_decref(labels);
}

static json_t *one_label(const char *key, const char *value)
{
    json_t *labels = json_object();
    json_object_set_new_nocheck(labels, key, json_string(value));
    return labels;
}

static json_t *n_labels(int n)
{
    json_t *labels = json_object();
    for (int i = 0; i < n; i++) {
        char key[16];
        snprintf(key, sizeof(key), "k%d", i);
        json_object_set_new(labels, key, json_string(""));
    }
    return labels;
}

TEST(labels)
{
    check_labels(n_labels(0), NULL);
    check_labels(n_labels(16), NULL);
    check_labels(n_labels(17), "must have at most 16 pairs, not 17");
    char *most = repeat("k", 63), *more = repeat("k", 64);
    check_labels(one_label(most, "v"), NULL);
    check_labels(one_label(more, "v"), "a label's key must be 1 to 63 bytes long");
    check_labels(one_label("", "v"), "a label's key must be 1 to 63 bytes long");
    check_labels(one_label("-.:@/_", "v"), NULL);
    check_labels(one_label("a b", "v"), "a label's key may hold only");
    check_labels(one_label("\xC3\xA9", "v"), "a label's key may hold only");
    free(most);
    free(more);
    most = repeat("\xC3\xA9", 127);
    more = repeat("\xC3\xA9", 128);
    char *exact = text_of("%sx", most);
    check_labels(one_label("k", exact), NULL);
    check_labels(one_label("k", more), "the value of \"k\" must be at most 255 bytes long");
    check_labels(one_label("k", ""), NULL);
    check_labels(one_label("k", "any \"UTF-8\"\n\x01\x7F\xF0\x9F\x98\x80"), NULL);
    free(most);
    free(more);
    free(exact);
    static const char *const bad[] = {"1", "1.5", "null", "true", "[]", "{}"};
    for (size_t i = 0; i < COUNT(bad); i++) {
        json_t *object = json_object();
        json_object_set_new(object, "good", json_string("v"));
        json_object_set_new(object, "bad", json_loads(bad[i], JSON_DECODE_ANY, NULL));
        check_labels(object, "the value of \"bad\" must be a string, not ");
    }
}

TEST(labels_are_kept)
{
    struct decoded d;
    decode(&d, METHOD_CREATE, "{\"size\":1,\"labels\":{\"a\":\"1\",\"b\":\"\xC3\xA9\"}}");
    expect(&d, NULL, NULL);
    const struct labels *l = &d.params.create.labels;
    assert_true(l->given);
    assert_int_equal(l->count, 2);
    assert_string_equal(l->items[0].key, "a");
    assert_string_equal(l->items[0].value, "1");
    assert_string_equal(l->items[1].key, "b");
    assert_string_equal(l->items[1].value, "\xC3\xA9");
    done(&d);
    /* Given and empty, which takes them all away, is not absent. */
    decode(&d, METHOD_SET, "{\"serial\":1,\"labels\":{}}");
    expect(&d, NULL, NULL);
    assert_true(d.params.set.labels.given);
    assert_int_equal(d.params.set.labels.count, 0);
    done(&d);
    decode(&d, METHOD_SET, "{\"serial\":1}");
    assert_false(d.params.set.labels.given);
    done(&d);
}

TEST(a_target_is_exactly_one)
{
    for (int m = 0; m < METHOD_COUNT; m++) {
        enum method method = (enum method)m;
        if (!params_table(method)->has_target)
            continue;
        check_taken(method, "{\"name\":\"a\"}");
        check_taken(method, "{\"shmid\":0}");
        check_taken(method, "{\"key\":1}");
        check_taken(method, "{\"key\":-1}");
        check_taken(method, "{\"serial\":1}");
        /* The serial is a guard beside any of them. */
        check_taken(method, "{\"serial\":1,\"name\":\"a\"}");
        check_taken(method, "{\"serial\":1,\"shmid\":1}");
        check_taken(method, "{\"key\":1,\"serial\":1}");
        check_refused(method, NULL, "name", "missing: say which segment");
        check_refused(method, "{}", "name", "missing: say which segment");
        check_refused(method, "[]", "name", "missing: say which segment");
        check_refused(method, "{\"name\":\"a\",\"shmid\":1}", "shmid", "only one of");
        check_refused(method, "{\"name\":\"a\",\"key\":1}", "key", "only one of");
        check_refused(method, "{\"shmid\":1,\"key\":1}", "key", "only one of");
        check_refused(method, "{\"name\":\"a\",\"shmid\":1,\"key\":1}", "shmid", "only one of");
        check_refused(method, "{\"name\":\"a\",\"key\":1,\"serial\":1}", "key", "only one of");
        check_refused(method, "{\"key\":0}", "key", "IPC_PRIVATE");
        check_refused(method, "{\"key\":0,\"serial\":1}", "key", "IPC_PRIVATE");
    }
    int n = 0;
    for (int m = 0; m < METHOD_COUNT; m++)
        n += params_table((enum method)m)->has_target;
    assert_int_equal(n, 7); /* stat, set, remove, ready, hold, release, disown */
}

TEST(adopt_wants_shmid_or_key)
{
    check_taken(METHOD_ADOPT, "{\"shmid\":0}");
    check_taken(METHOD_ADOPT, "{\"key\":-1,\"name\":\"a\"}");
    check_refused(METHOD_ADOPT, NULL, "shmid", "exactly one of shmid and key");
    check_refused(METHOD_ADOPT, "{\"name\":\"a\"}", "shmid", "exactly one of shmid and key");
    check_refused(METHOD_ADOPT, "{\"shmid\":1,\"key\":1}", "key", "exactly one of shmid and key");
    check_refused(METHOD_ADOPT, "{\"key\":0}", "key", "IPC_PRIVATE");
    check_refused(METHOD_ADOPT, "{\"serial\":1}", "serial", "unknown");
}

#define GIVEN(opt, v)                                                                              \
    do {                                                                                           \
        assert_true((opt).given);                                                                  \
        assert_int_equal((opt).value, v);                                                          \
    } while (0)

TEST(create_with_all_there_is)
{
    struct decoded d;
    decode(&d, METHOD_CREATE,
           "{\"name\":\"n\",\"key\":0,\"size\":4096,\"mode\":\"0640\",\"exclusive\":true,"
           "\"uid\":1,\"gid\":2,\"lifetime\":\"attached\",\"ttl_ms\":3,\"ready\":false,"
           "\"labels\":{\"a\":\"b\"},\"huge_page_size\":2097152,\"noreserve\":true,"
           "\"locked\":false,\"any_owner\":true}");
    expect(&d, NULL, NULL);
    const struct create_params *p = &d.params.create;
    assert_string_equal(p->name, "n");
    GIVEN(p->key, 0);
    GIVEN(p->size, 4096);
    GIVEN(p->mode, 0640);
    GIVEN(p->exclusive, true);
    GIVEN(p->uid, 1);
    GIVEN(p->gid, 2);
    GIVEN(p->lifetime, LIFETIME_ATTACHED);
    GIVEN(p->ttl_ms, 3);
    GIVEN(p->ready, false);
    assert_int_equal(p->labels.count, 1);
    GIVEN(p->huge_page_size, 2097152);
    GIVEN(p->noreserve, true);
    GIVEN(p->locked, false);
    GIVEN(p->any_owner, true);
    done(&d);
}

TEST(create_with_as_little_as_can_be)
{
    struct decoded d;
    memset(&d, 0xAA, sizeof(d));
    decode(&d, METHOD_CREATE, "{\"size\":1}");
    expect(&d, NULL, NULL);
    const struct create_params *p = &d.params.create;
    assert_null(p->name);
    assert_false(p->key.given || p->mode.given || p->exclusive.given || p->uid.given ||
                 p->gid.given || p->lifetime.given || p->ttl_ms.given || p->ready.given ||
                 p->labels.given || p->huge_page_size.given || p->noreserve.given ||
                 p->locked.given || p->any_owner.given);
    done(&d);
}

TEST(set_and_remove_with_all_there_is)
{
    struct decoded d;
    decode(&d, METHOD_SET,
           "{\"name\":\"n\",\"serial\":9,\"mode\":\"600\",\"uid\":1,\"gid\":2,\"new_name\":\"m\","
           "\"labels\":{\"a\":\"b\"},\"lifetime\":\"process\",\"ttl_ms\":0,\"locked\":true}");
    expect(&d, NULL, NULL);
    const struct set_params *p = &d.params.set;
    assert_string_equal(p->target.name, "n");
    assert_false(p->target.shmid.given || p->target.key.given);
    GIVEN(p->target.serial, 9);
    GIVEN(p->mode, 0600);
    GIVEN(p->uid, 1);
    GIVEN(p->gid, 2);
    assert_string_equal(p->new_name, "m");
    assert_int_equal(p->labels.count, 1);
    GIVEN(p->lifetime, LIFETIME_PROCESS);
    GIVEN(p->ttl_ms, 0);
    GIVEN(p->locked, true);
    done(&d);

    decode(&d, METHOD_REMOVE, "{\"shmid\":5,\"only_if_unattached\":true}");
    expect(&d, NULL, NULL);
    GIVEN(d.params.remove.target.shmid, 5);
    GIVEN(d.params.remove.only_if_unattached, true);
    done(&d);

    decode(&d, METHOD_HOLD, "{\"key\":-2147483648,\"serial\":7}");
    expect(&d, NULL, NULL);
    GIVEN(d.params.target.target.key, INT32_MIN);
    GIVEN(d.params.target.target.serial, 7);
    done(&d);
}

TEST(the_others_with_all_there_is)
{
    struct decoded d;
    decode(&d, METHOD_LIST,
           "{\"prefix\":\"p\",\"uid\":1,\"lifetime\":\"connection\",\"state\":\"removing\","
           "\"labels\":{\"a\":\"b\"},\"scope\":\"all\",\"limit\":2,\"cursor\":\"c\"}");
    expect(&d, NULL, NULL);
    assert_string_equal(d.params.list.prefix, "p");
    GIVEN(d.params.list.uid, 1);
    GIVEN(d.params.list.lifetime, LIFETIME_CONNECTION);
    GIVEN(d.params.list.state, STATE_REMOVING);
    assert_int_equal(d.params.list.labels.count, 1);
    GIVEN(d.params.list.scope, SCOPE_ALL);
    GIVEN(d.params.list.limit, 2);
    assert_string_equal(d.params.list.cursor, "c");
    done(&d);

    decode(&d, METHOD_WAIT, "{\"name\":\"n\",\"timeout_ms\":0}");
    expect(&d, NULL, NULL);
    assert_string_equal(d.params.wait.name, "n");
    GIVEN(d.params.wait.timeout_ms, 0);
    done(&d);

    decode(&d, METHOD_ADOPT,
           "{\"key\":5,\"name\":\"n\",\"lifetime\":\"persistent\",\"ttl_ms\":6,\"labels\":{}}");
    expect(&d, NULL, NULL);
    assert_false(d.params.adopt.shmid.given);
    GIVEN(d.params.adopt.key, 5);
    assert_string_equal(d.params.adopt.name, "n");
    GIVEN(d.params.adopt.lifetime, LIFETIME_PERSISTENT);
    GIVEN(d.params.adopt.ttl_ms, 6);
    assert_true(d.params.adopt.labels.given);
    done(&d);

    decode(&d, METHOD_SUBSCRIBE, "{\"prefix\":\"\",\"kinds\":[\"ready\"],\"after\":8}");
    expect(&d, NULL, NULL);
    assert_string_equal(d.params.subscribe.prefix, "");
    GIVEN(d.params.subscribe.kinds, 1 << EVENT_READY);
    GIVEN(d.params.subscribe.after, 8);
    done(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_tables_list_what_the_contract_does),
        cmocka_unit_test(what_is_required),
        cmocka_unit_test(parameters_go_by_name),
        cmocka_unit_test(an_unknown_one_is_told_what_there_is),
        cmocka_unit_test(every_field_refuses_every_other_kind),
        cmocka_unit_test(integers_to_the_ends_of_their_ranges),
        cmocka_unit_test(integers_beyond_int64),
        cmocka_unit_test(reals_without_a_fraction_are_integers),
        cmocka_unit_test(integers_beyond_int64_where_none_is_wanted),
        cmocka_unit_test(words),
        cmocka_unit_test(kinds_are_an_array_of_words),
        cmocka_unit_test(modes_are_octal_strings),
        cmocka_unit_test(names),
        cmocka_unit_test(names_byte_by_byte),
        cmocka_unit_test(prefixes),
        cmocka_unit_test(cursors),
        cmocka_unit_test(labels),
        cmocka_unit_test(labels_are_kept),
        cmocka_unit_test(a_target_is_exactly_one),
        cmocka_unit_test(adopt_wants_shmid_or_key),
        cmocka_unit_test(create_with_all_there_is),
        cmocka_unit_test(create_with_as_little_as_can_be),
        cmocka_unit_test(set_and_remove_with_all_there_is),
        cmocka_unit_test(the_others_with_all_there_is),
    };
    return RUN_TESTS(tests);
}
