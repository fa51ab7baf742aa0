/* SPDX-License-Identifier: MIT */
/*
 * What top computes: what has changed between two looks, totals, order, filter, keys.
 */
#include "tests/unit/support.h"

#include <inttypes.h>

#include "client/cli/top_view.h"

static int names_asked;

static void name_of(uint32_t uid, char *ret, size_t size)
{
    names_asked++;
    snprintf(ret, size, "user%" PRIu32, uid);
}

static int start(void **state)
{
    static struct top_model model;
    names_asked = 0;
    top_model_init(&model, name_of);
    *state = &model;
    return 0;
}

static int end(void **state)
{
    top_model_deinit(*state);
    return 0;
}

#define CASE(name) static void name(void **state __attribute__((unused)))
#define MODEL      ((struct top_model *)*state)

static struct shmd_segment segment(uint64_t serial, const char *name, int shmid, uint64_t size)
{
    struct shmd_segment s = {.serial = serial, .name = name, .shmid = shmid, .size = size};
    s.managed = serial != 0;
    s.state = SHMD_STATE_READY;
    s.lifetime = serial ? SHMD_LIFETIME_PERSISTENT : 0;
    s.uid = s.creator.uid = 1000;
    s.creator.comm = "maker";
    return s;
}

static void add(struct top_model *m, struct shmd_segment s)
{
    assert_int_equal(top_model_add(m, &s), 0);
}

static void finish(struct top_model *m, int64_t at_ms, struct kernel_memory *memory, size_t n)
{
    assert_int_equal(top_model_end(m, at_ms, memory, n), 0);
}

static const struct top_segment *find(const struct top_model *m, int shmid)
{
    for (size_t i = 0; i < m->now.n; i++)
        if (m->now.segments[i].shmid == shmid)
            return &m->now.segments[i];
    fail();
    return NULL;
}

CASE(growth_is_of_a_second)
{
    struct kernel_memory before[] = {{7, 1000, 24}, {5, 4096, 0}};
    struct kernel_memory after[] = {{5, 0, 96}, {9, 1, 1}, {7, 3000, 1072}};
    top_model_begin(MODEL);
    add(MODEL, segment(1, "a", 5, 8192));
    add(MODEL, segment(2, "b", 7, 8192));
    finish(MODEL, 1000, before, 2);
    assert_int_equal(find(MODEL, 7)->memory, 1024);
    assert_false(find(MODEL, 7)->has_growth);
    assert_false(find(MODEL, 7)->is_new); /* all are, at first */
    top_model_begin(MODEL);
    add(MODEL, segment(3, "c", 9, 8192));
    add(MODEL, segment(2, "b", 7, 8192));
    add(MODEL, segment(1, "a", 5, 8192));
    finish(MODEL, 1500, after, 3);
    assert_int_equal(find(MODEL, 7)->growth, 2 * (4072 - 1024));
    assert_int_equal(find(MODEL, 5)->growth, 2 * (96 - 4096));
    assert_true(find(MODEL, 9)->is_new && !find(MODEL, 9)->has_growth);
    assert_false(find(MODEL, 5)->is_new);
    assert_int_equal(MODEL->users[0].growth, 2 * (4072 - 1024) + 2 * (96 - 4096));
}

/* An id that denotes another segment now has not grown. */
CASE(another_segment_of_the_same_id)
{
    struct kernel_memory before[] = {{5, 10, 0}}, after[] = {{5, 1000, 0}};
    top_model_begin(MODEL);
    add(MODEL, segment(1, "a", 5, 8192));
    finish(MODEL, 1000, before, 1);
    top_model_begin(MODEL);
    add(MODEL, segment(2, "a", 5, 8192));
    finish(MODEL, 2000, after, 1);
    assert_true(find(MODEL, 5)->is_new && !find(MODEL, 5)->has_growth);
}

CASE(what_the_kernel_does_not_tell)
{
    struct kernel_memory memory[] = {{5, 10, 0}};
    for (int i = 0; i < 2; i++) {
        top_model_begin(MODEL);
        add(MODEL, segment(0, NULL, 6, 100));
        add(MODEL, segment(1, "a", 5, 8192));
        finish(MODEL, 1000 + i, memory, 1);
    }
    assert_false(find(MODEL, 6)->has_memory || find(MODEL, 6)->has_growth);
    assert_true(find(MODEL, 5)->has_growth);
}

/* Until it has ended, and when it is given up, what was there stays. */
CASE(a_look_that_does_not_end)
{
    top_model_begin(MODEL);
    add(MODEL, segment(1, "a", 5, 8192));
    finish(MODEL, 1000, NULL, 0);
    top_model_begin(MODEL);
    add(MODEL, segment(2, "b", 6, 1));
    assert_int_equal(MODEL->now.n, 1);
    top_model_begin(MODEL);
    add(MODEL, segment(3, "c", 7, 2));
    finish(MODEL, 2000, NULL, 0);
    assert_int_equal(MODEL->now.n, 1);
    assert_string_equal(MODEL->now.segments[0].name, "c");
    assert_int_equal(MODEL->bytes, 2);
}

CASE(on_two_pages)
{
    top_model_begin(MODEL);
    add(MODEL, segment(1, "a", 5, 10));
    add(MODEL, segment(0, NULL, 6, 100));
    add(MODEL, segment(1, "a", 5, 10));
    add(MODEL, segment(0, NULL, 6, 100));
    finish(MODEL, 1000, NULL, 0);
    assert_int_equal(MODEL->now.n, 2);
    assert_int_equal(MODEL->bytes, 110);
}

CASE(users_are_those_who_have_created)
{
    struct shmd_segment given = segment(1, "a", 5, 10), foreign = segment(0, NULL, 6, 100);
    given.uid = 2000;
    given.nattch = 3;
    foreign.creator.uid = 3000;
    top_model_begin(MODEL);
    add(MODEL, given);
    add(MODEL, foreign);
    add(MODEL, segment(2, "b", 7, 5));
    finish(MODEL, 1000, NULL, 0);
    assert_int_equal(MODEL->n_users, 2);
    assert_string_equal(MODEL->users[0].name, "user1000");
    assert_int_equal(MODEL->users[0].segments, 2);
    assert_int_equal(MODEL->users[0].bytes, 15);
    assert_int_equal(MODEL->users[0].attachments, 3);
    assert_int_equal(MODEL->users[0].charged_bytes, 15);
    assert_int_equal(MODEL->users[1].bytes, 100);
    assert_int_equal(MODEL->users[1].charged_segments, 0);
    assert_string_equal(find(MODEL, 5)->owner, "user2000");
    assert_int_equal(names_asked, 3);
}

CASE(processes)
{
    const struct shmd_attachment rows[] = {
        {.shmid = 5, .pid = 20, .uid = 1, .comm = "x", .count = 2},
        {.shmid = 5, .pid = 10, .uid = 2, .comm = NULL, .count = 1, .cgroup = "/c"},
        {.shmid = 6, .pid = 20, .uid = 1, .comm = "x", .count = 1, .unit = "u", .cgroup = "/c/u"},
        {.shmid = 99, .pid = 20, .uid = 1, .comm = "x", .count = 1},
    };
    const struct shmd_attachment *const sorted[] = {&rows[0], &rows[1], &rows[2], &rows[3]};
    const struct shmd_attachments all = {.processes = sorted, .count = 4};
    top_model_begin(MODEL);
    add(MODEL, segment(1, "a", 5, 10));
    add(MODEL, segment(2, "b", 6, 7));
    finish(MODEL, 1000, NULL, 0);
    assert_int_equal(top_model_processes(MODEL, &all), 0);
    assert_int_equal(MODEL->n_processes, 2);
    assert_int_equal(MODEL->processes[0].pid, 10);
    assert_string_equal(MODEL->processes[0].unit, "/c");
    assert_string_equal(MODEL->processes[0].command, "");
    assert_int_equal(MODEL->processes[1].segments, 3);
    assert_int_equal(MODEL->processes[1].bytes, 17);
    assert_int_equal(MODEL->processes[1].attachments, 4);
    assert_string_equal(MODEL->processes[1].user, "user1");
    assert_int_equal(top_model_processes(MODEL, NULL), 0);
    assert_int_equal(MODEL->n_processes, 0);
}

CASE(limits)
{
    const struct shmd_limit limits[] = {
        {"max_segments_per_uid", 100, true, 7},
        {"max_connections_per_uid", 8, true, 6},
        {"max_waiters", 8, true, 5},
        {"max_message_bytes", 65536, false, 0},
        {"max_bytes", UINT64_MAX, true, 5000},
    };
    struct shmd_info info = {.limits = limits, .n_limits = 5};
    info.kernel.shmmni = 4096;
    info.kernel.shmall = UINT64_MAX - 5;
    info.kernel.segments = 12;
    assert_int_equal(top_model_info(MODEL, &info), 0);
    assert_int_equal(MODEL->n_meters, 5);
    const struct top_meter *m = MODEL->meters;
    assert_string_equal(m[0].name, "kernel segments");
    assert_true(m[0].used == 12 && m[0].max == 4096 && !m[0].is_bytes);
    assert_true(m[1].max == UINT64_MAX && m[1].is_bytes);
    assert_string_equal(m[2].name, "your segments");
    assert_string_equal(m[3].name, "all bytes");
    assert_string_equal(m[4].name, "your connections"); /* it is near its end */
    assert_true(MODEL->user_max_segments == 100 && MODEL->user_max_bytes == UINT64_MAX);
}

CASE(the_last_events_stay)
{
    struct shmd_segment s = segment(1, "x", 5, 10);
    char name[16];
    s.name = name;
    assert_null(top_model_event_at(MODEL, 0));
    for (int i = 0; i < TOP_EVENTS + 10; i++) {
        const struct shmd_event event = {.kind = SHMD_EVENT_CREATED, .segment = &s, .at_ms = i};
        snprintf(name, sizeof(name), "n%d", i);
        top_model_event(MODEL, &event);
    }
    top_model_event(MODEL, &(struct shmd_event){.kind = SHMD_EVENT_GAP, .missed = 4});
    assert_int_equal(top_model_event_at(MODEL, 0)->missed, 4);
    assert_string_equal(top_model_event_at(MODEL, 1)->name, "n73");
    assert_string_equal(top_model_event_at(MODEL, TOP_EVENTS - 1)->name, "n11");
    assert_null(top_model_event_at(MODEL, TOP_EVENTS));
}

/* --- order, filter, keys */

/* The names of the rows of VIEW, in order. */
static void check_rows(const struct top_model *m, const struct top_view *view, const char *want)
{
    char got[256] = "";
    struct top_rows rows;
    assert_int_equal(top_view_rows(view, m, &rows), 0);
    for (size_t i = 0; i < rows.n; i++) {
        const char *name = view->panel == TOP_SEGMENTS    ? m->now.segments[rows.rows[i]].name
                           : view->panel == TOP_PROCESSES ? m->processes[rows.rows[i]].command
                                                          : m->users[rows.rows[i]].name;
        snprintf(got + strlen(got), sizeof(got) - strlen(got), "%s%s", i ? " " : "", name);
    }
    top_rows_deinit(&rows);
    assert_string_equal(got, want);
}

static void fill(struct top_model *m)
{
    struct kernel_memory before[] = {{5, 10, 0}, {6, 20, 0}, {7, 30, 0}};
    struct kernel_memory after[] = {{5, 12, 0}, {6, 21, 0}, {7, 30, 0}};
    for (int i = 0; i < 2; i++) {
        struct shmd_segment a = segment(1, "a", 5, 300), b = segment(2, "B", 6, 100);
        struct shmd_segment c = segment(3, "c", 7, 200);
        a.nattch = 1;
        b.nattch = 9;
        b.holders = 4;
        b.uid = 1;
        b.creator.uid = 1;
        c.created_at_ms = 5;
        c.creator.comm = "\xC3\x84rger";
        top_model_begin(m);
        add(m, a);
        add(m, b);
        add(m, c);
        finish(m, 1000 * i, i ? after : before, 3);
    }
}

CASE(every_order)
{
    static const struct {
        enum top_order order;
        const char *want;
    } orders[] = {
        {TOP_BY_SIZE, "a c B"},    {TOP_BY_RSS, "c B a"},   {TOP_BY_GROWTH, "a B c"},
        {TOP_BY_NATTCH, "B a c"},  {TOP_BY_NAME, "B a c"},  {TOP_BY_OWNER, "B a c"},
        {TOP_BY_HOLDERS, "B a c"}, {TOP_BY_SHMID, "a B c"}, {TOP_BY_CREATED, "c a B"},
    };
    struct top_view view;
    fill(MODEL);
    top_view_init(&view);
    for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
        assert_int_equal(view.order[TOP_SEGMENTS], orders[i].order);
        check_rows(MODEL, &view, orders[i].want);
        top_view_key(&view, 's', 3, 3);
    }
    assert_int_equal(view.order[TOP_SEGMENTS], TOP_BY_SIZE); /* all around */
    top_view_key(&view, 'S', 3, 3);
    assert_int_equal(view.order[TOP_SEGMENTS], TOP_BY_CREATED);
    top_view_key(&view, 'r', 3, 3);
    check_rows(MODEL, &view, "B a c");
    view.panel = TOP_USERS;
    check_rows(MODEL, &view, "user1 user1000");
    assert_int_equal(top_find_order(TOP_SEGMENTS, "growth"), TOP_BY_GROWTH);
    assert_int_equal(top_find_order(TOP_SEGMENTS, "PID"), TOP_ORDERS);
    assert_int_equal(top_find_order(TOP_PROCESSES, "PID"), TOP_BY_PID);
}

static void type(struct top_view *view, const char *keys)
{
    for (; *keys; keys++)
        top_view_key(view, (unsigned char)*keys, 3, 3);
}

CASE(a_filter_is_typed)
{
    struct top_view view;
    fill(MODEL);
    top_view_init(&view);
    type(&view, "/b");
    check_rows(MODEL, &view, "B");
    type(&view, "q\x1B"); /* a control character is none of a filter */
    assert_string_equal(view.filter, "bq");
    assert_false(view.quits);
    check_rows(MODEL, &view, "");
    top_view_key(&view, TOP_KEY_BACKSPACE, 0, 3);
    top_view_key(&view, TOP_KEY_ENTER, 1, 3);
    check_rows(MODEL, &view, "B");
    top_view_key(&view, 's', 1, 3);
    assert_int_equal(view.order[TOP_SEGMENTS], TOP_BY_RSS);
    top_view_key(&view, TOP_KEY_ESCAPE, 1, 3);
    assert_string_equal(view.filter, "");
    type(&view, "/user1000");
    check_rows(MODEL, &view, "c a");
    top_view_key(&view, TOP_KEY_ESCAPE, 2, 3);
    type(&view, "/6"); /* a whole id */
    check_rows(MODEL, &view, "B");
}

CASE(a_filter_of_other_letters)
{
    struct top_view view;
    fill(MODEL);
    top_view_init(&view);
    top_view_key(&view, '/', 3, 3);
    top_view_key(&view, 0xC4, 3, 3);
    assert_string_equal(view.filter, "\xC3\x84");
    check_rows(MODEL, &view, "c");
    top_view_key(&view, 0x6F22, 3, 3);
    top_view_key(&view, 0x1F600, 3, 3);
    assert_string_equal(view.filter, "\xC3\x84\xE6\xBC\xA2\xF0\x9F\x98\x80");
    for (int i = 0; i < 3; i++)
        top_view_key(&view, TOP_KEY_BACKSPACE, 3, 3);
    assert_string_equal(view.filter, "");
    top_view_key(&view, TOP_KEY_BACKSPACE, 3, 3);
    for (int i = 0; i < 3 * TOP_FILTER_SIZE; i++)
        top_view_key(&view, 0x6F22, 3, 3);
    assert_int_equal(strlen(view.filter), (TOP_FILTER_SIZE - 1) / 3 * 3);
}

CASE(scrolling_stays_within_the_rows)
{
    static const struct {
        uint32_t key;
        size_t first;
    } steps[] = {
        {TOP_KEY_UP, 0},    {TOP_KEY_DOWN, 1},       {'j', 2},
        {'k', 1},           {TOP_KEY_PAGE_DOWN, 10}, {TOP_KEY_END, 90},
        {TOP_KEY_DOWN, 90}, {TOP_KEY_PAGE_DOWN, 90}, {TOP_KEY_PAGE_UP, 81},
        {TOP_KEY_HOME, 0},  {TOP_KEY_PAGE_UP, 0},
    };
    struct top_view view;
    top_view_init(&view);
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        top_view_key(&view, steps[i].key, 100, 10);
        assert_int_equal(view.first, steps[i].first);
    }
    top_view_key(&view, TOP_KEY_END, 100, 10);
    top_view_clamp(&view, 20, 10);
    assert_int_equal(view.first, 10);
    top_view_clamp(&view, 3, 10);
    assert_int_equal(view.first, 0);
}

CASE(keys_of_panels)
{
    struct top_view view;
    top_view_init(&view);
    type(&view, "p");
    assert_int_equal(view.panel, TOP_PROCESSES);
    type(&view, "u");
    assert_int_equal(view.panel, TOP_USERS);
    type(&view, "u");
    assert_int_equal(view.panel, TOP_SEGMENTS);
    type(&view, "e");
    assert_false(view.shows_events);
    type(&view, "?");
    assert_true(view.shows_help);
    type(&view, "q"); /* any key leads back */
    assert_false(view.shows_help || view.quits);
    top_view_key(&view, TOP_KEY_REDRAW, 3, 3);
    type(&view, "q");
    assert_true(view.quits);
}

int main(void)
{
#define EACH(name) cmocka_unit_test_setup_teardown(name, start, end)
    const struct CMUnitTest tests[] = {
        EACH(growth_is_of_a_second),
        EACH(another_segment_of_the_same_id),
        EACH(what_the_kernel_does_not_tell),
        EACH(a_look_that_does_not_end),
        EACH(on_two_pages),
        EACH(users_are_those_who_have_created),
        EACH(processes),
        EACH(limits),
        EACH(the_last_events_stay),
        EACH(every_order),
        EACH(a_filter_is_typed),
        EACH(a_filter_of_other_letters),
        EACH(scrolling_stays_within_the_rows),
        EACH(keys_of_panels),
    };
    return RUN_TESTS(tests);
}
