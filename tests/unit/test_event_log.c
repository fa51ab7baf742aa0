/* SPDX-License-Identifier: MIT */
/*
 * The newest events stay, an older one is gone and known to be; an event owns all it shows; and
 * one that was lost leaves a hole in its place.
 */
#include "tests/unit/support.h"

#include "daemon/core/event_log.h"

static struct event_log l;

static bool no_memory;

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);

void *__wrap_malloc(size_t size)
{
    return no_memory ? NULL : __real_malloc(size);
}

static struct segment_event *event(const char *name)
{
    const struct wire_segment s = {.serial = 7, .name = name};
    static const struct sysv_stat kernel;
    struct segment_event *e =
        segment_event_new(EVENT_CHANGED, REASON_REQUEST, 1700000000123, &s, &kernel);
    assert_non_null(e);
    return e;
}

TEST(a_snapshot)
{
    char name[] = "frames", comm[] = "worker", key[] = "app", value[] = "video";
    const struct label labels[] = {{key, value}, {"note", ""}};
    const struct wire_holder holder = {0};
    const struct wire_segment s = {.serial = 7,
                                   .name = name,
                                   .size = 4096,
                                   .creator = {.uid = 5, .comm = comm},
                                   .labels = labels,
                                   .n_labels = 2,
                                   .holder_list = &holder,
                                   .managed = true};
    const struct sysv_stat kernel = {.uid = 1000, .mode = 0640};
    struct segment_event *e =
        segment_event_new(EVENT_REMOVED, REASON_EXPIRED, 1700000000123, &s, &kernel);
    memset(name, 'x', 6);
    memset(comm, 'x', 6);
    memset(key, 'x', 3);
    memset(value, 'x', 5);
    assert_int_equal(e->serial, 0);
    assert_int_equal(e->kind, EVENT_REMOVED);
    assert_int_equal(e->reason, REASON_EXPIRED);
    assert_int_equal(e->at_ms, 1700000000123);
    assert_string_equal(e->segment.name, "frames");
    assert_string_equal(e->segment.creator.comm, "worker");
    assert_int_equal(e->segment.creator.uid, 5);
    assert_int_equal(e->segment.size, 4096);
    assert_int_equal(e->segment.n_labels, 2);
    assert_string_equal(e->segment.labels[0].key, "app");
    assert_string_equal(e->segment.labels[0].value, "video");
    assert_string_equal(e->segment.labels[1].value, "");
    assert_null(e->segment.holder_list);
    assert_int_equal(e->kernel.mode, 0640);
    segment_event_free(e);
    segment_event_free(NULL);
}

TEST(an_empty_one)
{
    struct segment_event *e = event(NULL);
    assert_null(e->segment.name);
    assert_null(e->segment.creator.comm);
    segment_event_free(e);
    const struct wire_segment s = {0};
    static const struct sysv_stat kernel;
    no_memory = true;
    assert_null(segment_event_new(EVENT_CREATED, REASON_REQUEST, 0, &s, &kernel));
    no_memory = false;
}

TEST(the_newest_are_kept)
{
    enum { BEFORE = 41, COUNT = EVENTS_KEPT + 10 };
    event_log_init(&l, BEFORE);
    assert_int_equal(l.first, BEFORE + 1);
    assert_null(event_log_get(&l, BEFORE));
    assert_null(event_log_get(&l, BEFORE + 1));
    for (uint64_t i = 1; i <= COUNT; i++) {
        struct segment_event *e = event("x");
        event_log_publish(&l, e);
        assert_int_equal(l.last, BEFORE + i);
        assert_int_equal(e->serial, BEFORE + i);
        assert_ptr_equal(event_log_get(&l, BEFORE + i), e);
        uint64_t kept = l.last - l.first + 1;
        assert_int_equal(kept, i < EVENTS_KEPT ? i : EVENTS_KEPT);
        assert_int_equal(event_log_get(&l, l.first)->serial, l.first);
        assert_null(event_log_get(&l, l.first - 1));
        assert_null(event_log_get(&l, l.last + 1));
    }
    event_log_deinit(&l);
}

TEST(a_lost_one)
{
    event_log_init(&l, 0);
    event_log_publish(&l, event("a"));
    event_log_publish(&l, NULL);
    event_log_publish(&l, event("c"));
    assert_int_equal(l.last, 3);
    assert_string_equal(event_log_get(&l, 1)->segment.name, "a");
    assert_null(event_log_get(&l, 2));
    assert_string_equal(event_log_get(&l, 3)->segment.name, "c");
    event_log_deinit(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_snapshot),
        cmocka_unit_test(an_empty_one),
        cmocka_unit_test(the_newest_are_kept),
        cmocka_unit_test(a_lost_one),
    };
    return RUN_TESTS(tests);
}
