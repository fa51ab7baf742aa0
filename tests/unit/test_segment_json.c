/* SPDX-License-Identifier: MIT */
/*
 * The segment object: its bytes, and that what is written is read back the same. A reader passes
 * over what it does not know and refuses what is no segment.
 */
#include "tests/unit/support.h"

#include <errno.h>
#include <jansson.h>

#include "protocol/segment_json.h"

static const struct label some_labels[] = {{"app", "video"}, {"note", "\xC3\xA9 \"x\"\n"}};

static const struct wire_segment full = {
    .serial = 17,
    .name = "frames",
    .shmid = 32769,
    .key = 0xFFFFFFFF,
    .size = 1 << 20,
    .mode = 0640,
    .uid = 1000,
    .gid = 1001,
    .nattch = 3,
    .last_pid = 99,
    .creator = {.uid = 1002, .gid = 1003, .pid = 42, .comm = "producer"},
    .state = STATE_REMOVING,
    .lifetime = LIFETIME_ATTACHED,
    .holders = 2,
    .locked = true,
    .huge_page_size = 2097152,
    .noreserve = true,
    .created_at_ms = 1700000000001,
    .attached_at_ms = 1700000000002,
    .detached_at_ms = 1700000000003,
    .changed_at_ms = 1700000000004,
    .expires_at_ms = 1700000000005,
    .labels = some_labels,
    .n_labels = 2,
    .managed = true,
    .declared = true,
};

static json_t *written(const struct wire_segment *segment, struct writer *w)
{
    writer_init(w);
    segment_json_write(w, segment);
    assert_false(w->failed);
    json_t *object = json_loadb(w->data, w->len, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(object);
    return object;
}

static void assert_same_text(const char *a, const char *b)
{
    if (a && b)
        assert_string_equal(a, b);
    else
        assert_true(a == b);
}

static void check_round_trip(const struct wire_segment *s)
{
    struct writer w;
    struct labels labels;
    struct wire_segment r;
    json_t *object = written(s, &w);
    struct wire_holder holders[4];
    assert_true(segment_json_holders(object) <= 4);
    assert_int_equal(segment_json_read(object, &labels, holders, &r), 0);
    if (s->holder_list) {
        assert_int_equal(segment_json_holders(object), s->holders);
        assert_ptr_equal(r.holder_list, holders);
        for (size_t i = 0; i < s->holders; i++) {
            assert_int_equal(holders[i].pid, s->holder_list[i].pid);
            assert_int_equal(holders[i].uid, s->holder_list[i].uid);
            assert_same_text(holders[i].comm, s->holder_list[i].comm);
            assert_int_equal(holders[i].since_at_ms, s->holder_list[i].since_at_ms);
        }
    } else {
        assert_int_equal(segment_json_holders(object), 0);
        assert_null(r.holder_list);
    }
    assert_int_equal(r.serial, s->serial);
    assert_same_text(r.name, s->name);
    assert_int_equal(r.shmid, s->shmid);
    assert_int_equal(r.key, s->key);
    assert_int_equal(r.size, s->size);
    assert_int_equal(r.mode, s->mode);
    assert_int_equal(r.uid, s->uid);
    assert_int_equal(r.gid, s->gid);
    assert_int_equal(r.nattch, s->nattch);
    assert_int_equal(r.last_pid, s->last_pid);
    assert_int_equal(r.creator.uid, s->creator.uid);
    assert_int_equal(r.creator.gid, s->creator.gid);
    assert_int_equal(r.creator.pid, s->creator.pid);
    assert_same_text(r.creator.comm, s->creator.comm);
    assert_int_equal(r.state, s->state);
    assert_int_equal(r.lifetime, s->managed ? s->lifetime : LIFETIME_COUNT);
    assert_int_equal(r.holders, s->holders);
    assert_int_equal(r.locked, s->locked);
    assert_int_equal(r.huge_page_size, s->huge_page_size);
    assert_int_equal(r.noreserve, s->noreserve);
    assert_int_equal(r.created_at_ms, s->created_at_ms);
    assert_int_equal(r.attached_at_ms, s->attached_at_ms);
    assert_int_equal(r.detached_at_ms, s->detached_at_ms);
    assert_int_equal(r.changed_at_ms, s->changed_at_ms);
    assert_int_equal(r.expires_at_ms, s->expires_at_ms);
    assert_int_equal(r.managed, s->managed);
    assert_int_equal(r.orphaned, s->orphaned);
    assert_int_equal(r.used_by_others, s->used_by_others);
    assert_int_equal(r.has_memory, s->has_memory);
    assert_int_equal(r.rss, s->rss);
    assert_int_equal(r.swap, s->swap);
    assert_int_equal(r.declared, s->declared);
    assert_int_equal(r.drift, s->drift);
    assert_int_equal(r.n_labels, s->n_labels);
    assert_ptr_equal(r.labels, labels.items);
    for (size_t i = 0; i < r.n_labels; i++) {
        assert_string_equal(r.labels[i].key, s->labels[i].key);
        assert_string_equal(r.labels[i].value, s->labels[i].value);
    }
    json_decref(object);
    writer_deinit(&w);
}

TEST(the_bytes_of_a_full_one)
{
    struct writer w;
    json_decref(written(&full, &w));
    assert_text(w.data, w.len,
                "{\"serial\":17,\"name\":\"frames\",\"shmid\":32769,\"key\":4294967295,"
                "\"size\":1048576,\"mode\":\"0640\",\"uid\":1000,\"gid\":1001,\"nattch\":3,"
                "\"last_pid\":99,\"creator\":{\"uid\":1002,\"gid\":1003,\"pid\":42,"
                "\"comm\":\"producer\"},\"state\":\"removing\",\"lifetime\":\"attached\","
                "\"holders\":2,\"locked\":true,\"huge_page_size\":2097152,\"noreserve\":true,"
                "\"created_at_ms\":1700000000001,\"attached_at_ms\":1700000000002,"
                "\"detached_at_ms\":1700000000003,\"changed_at_ms\":1700000000004,"
                "\"expires_at_ms\":1700000000005,"
                "\"labels\":{\"app\":\"video\",\"note\":\"\xC3\xA9 \\\"x\\\"\\n\"},"
                "\"managed\":true,\"declared\":true}");
    writer_deinit(&w);
}

TEST(the_bytes_of_a_foreign_one)
{
    /* No serial, no name, no times that have not been, and nothing the kernel does not tell. */
    struct wire_segment foreign = {
        .serial = 5, .shmid = 0, .key = 0x01020304, .size = 1, .mode = 0, .orphaned = true};
    struct writer w;
    json_decref(written(&foreign, &w));
    assert_text(w.data, w.len,
                "{\"shmid\":0,\"key\":16909060,\"size\":1,\"mode\":\"0000\",\"uid\":0,\"gid\":0,"
                "\"nattch\":0,\"last_pid\":0,\"creator\":{\"uid\":0,\"gid\":0,\"pid\":0},"
                "\"state\":\"initialising\",\"holders\":0,"
                "\"locked\":false,\"labels\":{},\"managed\":false,\"orphaned\":true,"
                "\"used_by_others\":false,\"declared\":false}");
    writer_deinit(&w);
    /* Its creator lives: then there is a name, which no record keeps. */
    strcpy(foreign.creator.comm_now, "postgres");
    foreign.orphaned = false;
    foreign.used_by_others = true;
    json_decref(written(&foreign, &w));
    writer_bytes(&w, "", 1);
    assert_contains(w.data, "\"creator\":{\"uid\":0,\"gid\":0,\"pid\":0,\"comm\":\"postgres\"},");
    assert_contains(w.data, "\"orphaned\":false,\"used_by_others\":true,");
    writer_deinit(&w);
}

TEST(the_bytes_of_its_memory)
{
    const struct wire_segment s = {.managed = true, .has_memory = true, .rss = 4096, .swap = 0};
    struct writer w;
    json_decref(written(&s, &w));
    writer_bytes(&w, "", 1);
    assert_contains(w.data, "\"labels\":{},\"rss\":4096,\"swap\":0,\"managed\":true,");
    writer_deinit(&w);
    check_round_trip(&s);
}

static void check_holder_list(const struct wire_holder *list, uint32_t n, const char *want)
{
    const struct wire_segment s = {.holders = n, .holder_list = list};
    struct writer w;
    json_decref(written(&s, &w));
    writer_bytes(&w, "", 1);
    assert_contains(w.data, want);
    writer_deinit(&w);
}

TEST(the_bytes_of_its_holders)
{
    /* A name that could not be read and a time that has not been are left out. */
    static const struct wire_holder list[] = {
        {.pid = 42, .uid = 1000, .comm = "a \"b\"", .since_at_ms = 1700000000001},
        {.pid = INT32_MAX, .uid = UINT32_MAX},
    };
    check_holder_list(list, 2,
                      "\"holders\":2,\"holder_list\":["
                      "{\"pid\":42,\"uid\":1000,\"comm\":\"a \\\"b\\\"\","
                      "\"since_at_ms\":1700000000001},"
                      "{\"pid\":2147483647,\"uid\":4294967295}],\"locked\":false");
    check_holder_list(list, 0, "\"holders\":0,\"holder_list\":[],\"locked\":false");
    /* Only the answer to stat has the list. */
    check_holder_list(NULL, 2, "\"holders\":2,\"locked\":false");
}

TEST(round_trip)
{
    struct wire_segment s = full;
    check_round_trip(&s);
    for (int i = 0; i < STATE_COUNT; i++) {
        for (int k = 0; k < LIFETIME_COUNT; k++) {
            s.state = (enum segment_state)i;
            s.lifetime = (enum lifetime)k;
            check_round_trip(&s);
        }
    }
    for (uint32_t mode = 0; mode <= 0777; mode++) {
        s.mode = mode;
        check_round_trip(&s);
    }
}

TEST(round_trip_of_the_least_and_the_most)
{
    struct wire_segment least = {.orphaned = true};
    check_round_trip(&least);
    least.used_by_others = true;
    check_round_trip(&least);

    char *name = repeat("n", SEGMENT_NAME_MAX), *value = repeat("\x7f", LABEL_VALUE_MAX);
    char keys[SEGMENT_LABELS_MAX][LABEL_KEY_MAX + 1];
    struct label labels[SEGMENT_LABELS_MAX];
    for (int i = 0; i < SEGMENT_LABELS_MAX; i++) {
        memset(keys[i], 'a' + i, LABEL_KEY_MAX);
        keys[i][LABEL_KEY_MAX] = '\0';
        labels[i] = (struct label){keys[i], value};
    }
    const struct wire_segment most = {
        .serial = INT64_MAX,
        .name = name,
        .shmid = INT32_MAX,
        .key = UINT32_MAX,
        .size = INT64_MAX,
        .mode = 0777,
        .uid = UINT32_MAX,
        .gid = UINT32_MAX,
        .nattch = INT64_MAX,
        .last_pid = INT32_MAX,
        .creator = {.uid = UINT32_MAX,
                    .gid = UINT32_MAX,
                    .pid = INT32_MAX,
                    .comm = "fifteen-letters"},
        .state = STATE_REMOVED,
        .lifetime = LIFETIME_ATTACHED,
        .holders = UINT32_MAX,
        .locked = true,
        .huge_page_size = INT64_MAX,
        .noreserve = true,
        .created_at_ms = INT64_MAX,
        .attached_at_ms = INT64_MIN,
        .detached_at_ms = -1,
        .changed_at_ms = 1,
        .expires_at_ms = INT64_MAX,
        .labels = labels,
        .n_labels = SEGMENT_LABELS_MAX,
        .managed = true,
        .declared = true,
        .drift = (1U << DRIFT_COUNT) - 1,
    };
    check_round_trip(&most);
    free(name);
    free(value);
}

static const struct wire_holder some_holders[] = {
    {.pid = 42, .uid = 1000, .comm = "a \"b\"", .since_at_ms = 1700000000006},
    {.pid = INT32_MAX, .uid = UINT32_MAX, .comm = NULL, .since_at_ms = 0},
};

TEST(round_trip_with_holders)
{
    struct wire_segment s = full;
    s.holder_list = some_holders;
    check_round_trip(&s);
    s.holders = 0;
    check_round_trip(&s);
}

TEST(holders_are_left_out_unless_wanted)
{
    struct wire_segment s = full, r;
    struct labels labels;
    struct writer w;
    s.holder_list = some_holders;
    json_t *object = written(&s, &w);
    assert_int_equal(segment_json_holders(object), 2);
    assert_int_equal(segment_json_read(object, &labels, NULL, &r), 0);
    assert_int_equal(r.holders, 2);
    assert_null(r.holder_list);
    json_decref(object);
    writer_deinit(&w);
}

TEST(what_differs_from_what_is_declared)
{
    struct wire_segment s = full, r;
    struct labels labels;
    struct writer w;
    json_t *object = written(&s, &w);
    assert_null(json_object_get(object, "drift")); /* nothing */
    json_decref(object);
    writer_deinit(&w);
    s.drift = 1U << DRIFT_MODE | 1U << DRIFT_CREATOR;
    object = written(&s, &w);
    assert_contains(w.data, "\"declared\":true,\"drift\":[\"creator\",\"mode\"]}");
    /* A newer daemon may have other words. */
    json_array_append_new(json_object_get(object, "drift"), json_string("colour"));
    json_array_append_new(json_object_get(object, "drift"), json_integer(1));
    assert_int_equal(segment_json_read(object, &labels, NULL, &r), 0);
    assert_int_equal(r.drift, s.drift | 1U << DRIFT_COUNT);
    json_decref(object);
    writer_deinit(&w);
}

TEST(sizes_beyond_int64_are_clamped)
{
    struct wire_segment s = full, r;
    struct labels labels;
    struct writer w;
    s.size = UINT64_MAX;
    s.serial = UINT64_MAX;
    json_t *object = written(&s, &w);
    assert_int_equal(segment_json_read(object, &labels, NULL, &r), 0);
    assert_int_equal(r.size, INT64_MAX);
    assert_int_equal(r.serial, INT64_MAX);
    json_decref(object);
    writer_deinit(&w);
}

static int read_text(const char *text, struct labels *labels, struct wire_segment *ret)
{
    json_t *object = json_loads(text, JSON_DECODE_ANY, NULL);
    assert_non_null(object);
    int r = segment_json_read(object, labels, NULL, ret);
    json_decref(object);
    return r;
}

#define NEEDED                                                                                     \
    "\"shmid\":1,\"size\":2,\"mode\":\"0600\",\"state\":\"ready\",\"lifetime\":\"process\""

TEST(unknown_members_are_passed_over)
{
    struct labels labels;
    struct wire_segment r;
    assert_int_equal(read_text("{" NEEDED "}", &labels, &r), 0);
    assert_int_equal(r.n_labels, 0);
    assert_null(r.name);
    assert_int_equal(
        read_text("{" NEEDED ",\"numa\":[1],\"labels\":{\"a\":1,\"b\":\"x\"}}", &labels, &r), 0);
    assert_int_equal(r.n_labels, 1);
}

TEST(more_labels_than_there_is_room_for_are_left_out)
{
    struct labels labels;
    struct wire_segment r;
    json_t *object = json_loads("{" NEEDED "}", 0, NULL), *many = json_object();
    for (int i = 0; i < SEGMENT_LABELS_MAX + 1; i++) {
        char key[16];
        snprintf(key, sizeof(key), "k%d", i);
        json_object_set_new(many, key, json_string("v"));
    }
    json_object_set_new(object, "labels", many);
    assert_int_equal(segment_json_read(object, &labels, NULL, &r), 0);
    assert_int_equal(r.n_labels, SEGMENT_LABELS_MAX);
    json_decref(object);
}

TEST(a_list_of_holders_that_is_none_is_refused)
{
    static const char *const bad[] = {
        "1", "{}", "[]", "[{\"pid\":1},{\"pid\":2}]", "[7]", "[{\"uid\":1}]", "[{\"pid\":\"1\"}]"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct wire_holder holders[2];
        struct labels labels;
        struct wire_segment r = {.serial = 7};
        char *text = text_of("{" NEEDED ",\"holders\":1,\"holder_list\":%s}", bad[i]);
        json_t *object = json_loads(text, 0, NULL);
        assert_non_null(object);
        assert_int_equal(segment_json_read(object, &labels, holders, &r), -EBADMSG);
        assert_int_equal(r.serial, 7);
        json_decref(object);
        free(text);
    }
}

TEST(a_newer_daemons_words_are_told_apart)
{
    struct labels labels;
    struct wire_segment r;
    assert_int_equal(read_text("{\"shmid\":1,\"size\":2,\"mode\":\"0600\",\"state\":\"frozen\","
                               "\"lifetime\":\"eternal\",\"managed\":true}",
                               &labels, &r),
                     0);
    assert_int_equal(r.state, STATE_COUNT);
    assert_true(r.has_lifetime);
    assert_int_equal(r.lifetime, LIFETIME_COUNT);
    assert_int_equal(
        read_text("{\"shmid\":1,\"size\":2,\"mode\":\"0600\",\"state\":\"ready\"}", &labels, &r),
        0);
    assert_false(r.has_lifetime);
}

TEST(a_number_that_does_not_fit_is_refused)
{
    static const char *const bad[] = {
        "\"serial\":-1",
        "\"key\":4294967296",
        "\"key\":-1",
        "\"uid\":4294967296",
        "\"gid\":-1",
        "\"nattch\":-1",
        "\"holders\":-1",
        "\"uid\":\"root\"",
        "\"holders\":4294967296",
        "\"last_pid\":-1",
        "\"creator\":{\"uid\":4294967296}",
        "\"creator\":{\"pid\":2147483648}",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct labels labels;
        struct wire_segment r = {.serial = 7};
        char *text = text_of("{" NEEDED ",%s}", bad[i]);
        if (read_text(text, &labels, &r) != -EBADMSG)
            fail_msg("%s was taken", bad[i]);
        free(text);
    }
    struct labels labels;
    struct wire_segment r;
    assert_int_equal(read_text("{\"shmid\":2147483648,\"size\":2,\"mode\":\"0600\","
                               "\"state\":\"ready\",\"lifetime\":\"process\"}",
                               &labels, &r),
                     -EBADMSG);
    assert_int_equal(read_text("{\"shmid\":1,\"size\":-2,\"mode\":\"0600\","
                               "\"state\":\"ready\",\"lifetime\":\"process\"}",
                               &labels, &r),
                     -EBADMSG);
}

TEST(what_is_no_segment_is_refused)
{
    static const char *const bad[] = {
        "null",
        "[]",
        "1",
        "{}",
        "{\"size\":2,\"mode\":\"0600\",\"state\":\"ready\",\"lifetime\":\"process\"}",
        "{\"shmid\":1,\"mode\":\"0600\",\"state\":\"ready\",\"lifetime\":\"process\"}",
        "{\"shmid\":1,\"size\":2,\"state\":\"ready\",\"lifetime\":\"process\"}",
        "{\"shmid\":1,\"size\":2,\"mode\":\"0600\",\"lifetime\":\"process\"}",
        "{\"shmid\":1,\"size\":2,\"mode\":\"0600\",\"state\":\"ready\",\"managed\":true}",
        "{\"shmid\":[],\"size\":2,\"mode\":\"0600\",\"state\":\"ready\",\"lifetime\":\"process\"}",
        "{\"shmid\":1,\"size\":2.5,\"mode\":\"0600\",\"state\":\"ready\",\"lifetime\":\"process\"}",
        "{\"shmid\":1,\"size\":2,\"mode\":384,\"state\":\"ready\",\"lifetime\":\"process\"}",
        "{\"shmid\":1,\"size\":2,\"mode\":\"600\",\"state\":\"ready\",\"lifetime\":\"process\"}",
        "{\"shmid\":1,\"size\":2,\"mode\":\"0800\",\"state\":\"ready\",\"lifetime\":\"process\"}",
        "{\"shmid\":1,\"size\":2,\"mode\":\"0600\",\"state\":1,\"lifetime\":\"process\"}",
        "{\"shmid\":1,\"size\":2,\"mode\":\"0600\",\"state\":\"ready\",\"lifetime\":1}",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct labels labels;
        struct wire_segment r = {.serial = 7};
        assert_int_equal(read_text(bad[i], &labels, &r), -EBADMSG);
        assert_int_equal(r.serial, 7); /* untouched on failure */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_bytes_of_a_full_one),
        cmocka_unit_test(the_bytes_of_a_foreign_one),
        cmocka_unit_test(the_bytes_of_its_memory),
        cmocka_unit_test(the_bytes_of_its_holders),
        cmocka_unit_test(round_trip),
        cmocka_unit_test(round_trip_of_the_least_and_the_most),
        cmocka_unit_test(round_trip_with_holders),
        cmocka_unit_test(holders_are_left_out_unless_wanted),
        cmocka_unit_test(what_differs_from_what_is_declared),
        cmocka_unit_test(sizes_beyond_int64_are_clamped),
        cmocka_unit_test(unknown_members_are_passed_over),
        cmocka_unit_test(more_labels_than_there_is_room_for_are_left_out),
        cmocka_unit_test(a_list_of_holders_that_is_none_is_refused),
        cmocka_unit_test(a_newer_daemons_words_are_told_apart),
        cmocka_unit_test(a_number_that_does_not_fit_is_refused),
        cmocka_unit_test(what_is_no_segment_is_refused),
    };
    return RUN_TESTS(tests);
}
