/* SPDX-License-Identifier: MIT */
/*
 * `list`: filters, rights, pages that neither lose nor repeat what was there all the time while
 * others come and go, and cursors with which no client can make trouble.
 */
#include "tests/unit/core_case.h"

#include "daemon/core/list.h"
#include "tests/fakes/fake_memory.h"

static struct page page;

static int end(void **state)
{
    free(steal_pointer(&page.segments));
    return core_end(state);
}

static int list(const struct caller *who, const struct list_params *p)
{
    free(steal_pointer(&page.segments));
    struct page got = {.count = 99};
    int r = core_list(&f->core, who, p, LIST_PAGE_BYTES_MAX, &got, &f->detail);
    if (r == 0)
        page = got;
    else
        assert_int_equal(got.count, 99);
    return r;
}

#define LIST(who, ...) list(who, &(const struct list_params){__VA_ARGS__})

/* The page's names, a space between. */
static void shows(const char *names)
{
    char text[1024] = "";
    for (size_t i = 0; i < page.count; i++) {
        const char *name = page.segments[i].name;
        snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s", i > 0 ? " " : "",
                 name                       ? name
                 : page.segments[i].managed ? "-"
                                            : "foreign");
    }
    assert_string_equal(text, names);
}

static struct segment *create(struct caller *who, const char *name, uint32_t mode)
{
    const struct create_params p = {.name = name, .size = GIVEN(64), .mode = GIVEN(mode)};
    assert_int_equal(fixture_create(f, who, &p), 0);
    return f->found.segment;
}

static int32_t foreign(uint32_t uid, int32_t pid)
{
    const struct fake_process other = {uid, uid, pid};
    int32_t shmid;
    assert_int_equal(
        fake_sysv_create_as(f->k, &other, &(struct sysv_create){.size = 10}, 0600, &shmid), 0);
    return shmid;
}

TEST(nothing)
{
    assert_int_equal(LIST(&alice, .limit = {false, 0}), 0);
    assert_int_equal(page.count, 0);
    assert_string_equal(page.cursor, "");
    assert_int_equal(LIST(&alice, .scope = GIVEN(SCOPE_ALL)), 0);
    assert_int_equal(page.count, 0);
    assert_string_equal(page.cursor, "");
}

TEST(who_sees_what)
{
    create(&alice, "a-closed", 0600);
    create(&alice, "a-open", 0644);
    create(&bob, "b-closed", 0600);
    create(&bob, "b-none", 0);
    foreign(BOB, 2);
    assert_int_equal(LIST(&alice, .limit = {false, 0}), 0);
    shows("a-closed a-open");
    assert_int_equal(LIST(&bob, .limit = {false, 0}), 0);
    shows("a-open b-closed b-none"); /* nobody may read b-none, so its owner sees it */
    assert_int_equal(LIST(&root, .limit = {false, 0}), 0);
    shows("a-closed a-open b-closed b-none");
    /* What is not ours the kernel shows to everybody. */
    assert_int_equal(LIST(&alice, .scope = GIVEN(SCOPE_FOREIGN)), 0);
    shows("foreign");
    assert_int_equal(LIST(&alice, .scope = GIVEN(SCOPE_ALL)), 0);
    shows("a-closed a-open foreign");
}

/* What the look for the list finds to be removed already has lost its name by it. */
TEST(a_name_that_the_look_takes_away)
{
    struct segment *s = create(&alice, "app/a", 0600);
    assert_int_equal(fake_sysv_attach_as(f->k, s->shmid, 1), 0);
    assert_int_equal(fake_sysv_remove_as(f->k, s->shmid), 0);
    assert_int_equal(LIST(&alice, .prefix = "app/"), 0);
    shows("");
    assert_int_equal(LIST(&alice, .prefix = ""), 0);
    shows("-");
}

TEST(filters)
{
    create(&alice, "app/one", 0644);
    const struct create_params labelled = {.name = "app/two",
                                           .size = GIVEN(64),
                                           .ready = GIVEN(false),
                                           .lifetime = GIVEN(LIFETIME_PROCESS),
                                           .labels = {true, 2, {{"x", "1"}, {"y", "2"}}}};
    assert_int_equal(fixture_create(f, &alice, &labelled), 0);
    create(&bob, "other", 0644);
    create(&alice, NULL, 0644);
    fake_sysv_attach_as(f->k, create(&alice, "app/going", 0644)->shmid, 1);
    assert_int_equal(fixture_remove(f, "app/going"), 0);
    assert_int_equal(LIST(&alice, .prefix = "app/"), 0);
    shows("app/one app/two");
    assert_int_equal(LIST(&alice, .prefix = ""), 0);
    shows("app/one app/two other - -");
    assert_int_equal(LIST(&alice, .prefix = "nothing"), 0);
    shows("");
    assert_int_equal(LIST(&alice, .uid = GIVEN(BOB)), 0);
    shows("other");
    assert_int_equal(LIST(&alice, .lifetime = GIVEN(LIFETIME_PROCESS)), 0);
    shows("app/two");
    assert_int_equal(LIST(&alice, .state = GIVEN(STATE_INITIALISING)), 0);
    shows("app/two");
    assert_int_equal(LIST(&alice, .state = GIVEN(STATE_REMOVING)), 0);
    shows("-");
    assert_int_equal(LIST(&alice, .labels = {true, 1, {{"y", "2"}}}), 0);
    shows("app/two");
    assert_int_equal(LIST(&alice, .labels = {true, 1, {{"y", "1"}}}), 0);
    shows("");
    assert_int_equal(LIST(&alice, .labels = {true, 0, {{0}}}, .prefix = "app/o"), 0);
    shows("app/one");
    assert_int_equal(core_fixture_turn(f), 0);
}

TEST(foreign_ones)
{
    int32_t mine = foreign(ALICE, 9), dead = foreign(BOB, 77), going = foreign(BOB, 78);
    fake_sysv_attach_as(f->k, going, 79);
    fake_sysv_remove_as(f->k, going);
    fake_sysv_segment(f->k, mine)->atime = 1700000001;
    (void)fake_processes_start(&f->p, 9, "init");
    create(&alice, "managed", 0600);
    assert_int_equal(LIST(&bob, .scope = GIVEN(SCOPE_FOREIGN)), 0);
    assert_int_equal(page.count, 3);
    assert_int_equal(page.segments[0].shmid, mine);
    assert_false(page.segments[0].orphaned);
    assert_int_equal(page.segments[0].attached_at_ms, 1700000001000);
    assert_int_equal(page.segments[0].serial, 0);
    assert_int_equal(page.segments[0].creator.pid, 9);
    assert_null(page.segments[0].creator.comm);
    assert_string_equal(page.segments[0].creator.comm_now, "init");
    assert_true(page.segments[0].used_by_others); /* not by a process that can be seen, though */
    assert_int_equal(page.segments[1].shmid, dead);
    assert_true(page.segments[1].orphaned);
    assert_false(page.segments[1].used_by_others);
    assert_string_equal(page.segments[1].creator.comm_now, "");
    assert_int_equal(page.segments[2].state, STATE_REMOVING);
    assert_false(page.segments[2].orphaned); /* it is attached */
    /* Filters that are about records find none. */
    assert_int_equal(LIST(&bob, .scope = GIVEN(SCOPE_FOREIGN), .prefix = "m"), 0);
    shows("");
    assert_int_equal(
        LIST(&bob, .scope = GIVEN(SCOPE_FOREIGN), .lifetime = GIVEN(LIFETIME_PERSISTENT)), 0);
    shows("");
    assert_int_equal(LIST(&bob, .scope = GIVEN(SCOPE_FOREIGN), .labels = {true, 1, {{"k", "v"}}}),
                     0);
    shows("");
    assert_int_equal(LIST(&bob, .scope = GIVEN(SCOPE_FOREIGN), .uid = GIVEN(ALICE)), 0);
    shows("foreign");
    assert_int_equal(LIST(&bob, .scope = GIVEN(SCOPE_FOREIGN), .state = GIVEN(STATE_REMOVING)), 0);
    shows("foreign");
    /* The kernel does not tell. */
    fake_sysv_fail(f->k, FAKE_LIMITS, 1, EIO);
    assert_int_equal(LIST(&bob, .scope = GIVEN(SCOPE_FOREIGN)), 0);
    shows("");
    fake_sysv_fail(f->k, FAKE_STAT_INDEX, 2, EACCES);
    assert_int_equal(LIST(&bob, .scope = GIVEN(SCOPE_FOREIGN)), 0);
    assert_int_equal(page.count, 2);
}

/* Goes through all pages of LIMIT; the names together. */
static char *all_pages(const struct caller *who, enum list_scope scope, int64_t limit,
                       unsigned *ret_pages)
{
    char *all = strdup("");
    char cursor[32] = "";
    *ret_pages = 0;
    do {
        assert_int_equal(LIST(who, .scope = GIVEN((int64_t)scope), .limit = GIVEN(limit),
                              .cursor = *cursor ? cursor : NULL),
                         0);
        assert_true(page.count <= (size_t)limit);
        for (size_t i = 0; i < page.count; i++) {
            char *more = text_of("%s%s ", all, page.segments[i].name ? page.segments[i].name : "*");
            free(all);
            all = more;
        }
        strcpy(cursor, page.cursor);
        ++*ret_pages;
    } while (*cursor);
    return all;
}

TEST(pages)
{
    for (char name[2] = "a"; name[0] < 'h'; name[0]++)
        create(&alice, name, 0600);
    for (int i = 0; i < 3; i++)
        foreign(BOB, 2);
    for (int64_t limit = 1; limit <= 12; limit++) {
        unsigned pages;
        char *all = all_pages(&alice, SCOPE_MANAGED, limit, &pages);
        assert_string_equal(all, "a b c d e f g ");
        assert_int_equal(pages, (7 + limit - 1) / limit);
        free(all);
        all = all_pages(&alice, SCOPE_FOREIGN, limit, &pages);
        assert_string_equal(all, "* * * ");
        free(all);
        all = all_pages(&alice, SCOPE_ALL, limit, &pages);
        assert_string_equal(all, "a b c d e f g * * * ");
        free(all);
    }
}

TEST(pages_while_others_come_and_go)
{
    for (char name[2] = "a"; name[0] < 'g'; name[0]++)
        create(&alice, name, 0600);
    assert_int_equal(core_fixture_turn(f), 0);
    assert_int_equal(LIST(&alice, .limit = GIVEN(2)), 0);
    shows("a b");
    char cursor[32];
    strcpy(cursor, page.cursor);
    assert_int_equal(fixture_remove(f, "a"), 0);
    assert_int_equal(fixture_remove(f, "b"), 0); /* the one the cursor is at */
    assert_int_equal(fixture_remove(f, "d"), 0);
    fake_sysv_remove_as(f->k, fixture_record(f, "e")->shmid); /* behind the daemon's back */
    create(&alice, "g", 0600);
    assert_int_equal(core_fixture_turn(f), 0);
    assert_int_equal(LIST(&alice, .limit = GIVEN(2), .cursor = cursor), 0);
    shows("c f");
    strcpy(cursor, page.cursor);
    assert_int_equal(LIST(&alice, .limit = GIVEN(2), .cursor = cursor), 0);
    shows("g");
    assert_string_equal(page.cursor, "");
    assert_null(fixture_record(f, "e"));
    assert_int_equal(core_fixture_turn(f), 0);
}

TEST(a_page_has_a_size)
{
    static char value[LABEL_VALUE_MAX + 1];
    memset(value, 'x', LABEL_VALUE_MAX);
    struct create_params p = {.size = GIVEN(1), .labels = {.given = true}};
    static const char *const keys[] = {"a", "b", "c", "d", "e", "f", "g", "h"};
    for (size_t i = 0; i < 8; i++)
        p.labels.items[p.labels.count++] = (struct label){keys[i], value};
    for (int i = 0; i < 400; i++)
        assert_int_equal(fixture_create(f, &alice, &p), 0);
    unsigned pages;
    assert_int_equal(LIST(&alice, .limit = {false, 0}), 0);
    assert_in_range(page.count, 10, 60); /* rows of some 2.5 KiB each */
    char *all = all_pages(&alice, SCOPE_MANAGED, LIST_LIMIT_MAX, &pages);
    assert_int_equal(strlen(all), 2 * 400);
    free(all);
}

/* --- a page ends, whatever there is */

enum { MANY = 3000 };

static void create_many(void)
{
    FIXTURE_LIMIT(f, max_segments_per_uid, 0);
    for (int i = 0; i < MANY; i++) {
        char name[32];
        snprintf(name, sizeof(name), "many/%d", i);
        create(&bob, name, 0600);
        if (i % 500 != 499) /* the fixture looks at all records when a turn ends */
            continue;
        assert_int_equal(core_fixture_turn(f), 0);
        (void)core_fixture_told(f);
    }
}

/* The next page of P, or the first if there was none: its cursor is there in the end. */
static void next_page(const struct caller *who, const struct list_params *p, char cursor[static 32])
{
    struct list_params next = *p;
    next.cursor = *cursor ? cursor : NULL;
    assert_int_equal(list(who, &next), 0);
    strcpy(cursor, page.cursor);
}

/* Goes through all pages of P, each after a bounded number of looks; returns how many there are. */
static unsigned walk(const struct caller *who, const struct list_params *p, size_t *ret_rows)
{
    char cursor[32] = "";
    unsigned pages = 0;
    *ret_rows = 0;
    do {
        unsigned long looks = f->k->calls[FAKE_STAT] + f->k->calls[FAKE_STAT_INDEX];
        next_page(who, p, cursor);
        looks = f->k->calls[FAKE_STAT] + f->k->calls[FAKE_STAT_INDEX] - looks;
        assert_in_range(looks, 0, 501);
        assert_in_range(page.count, 0, 125);
        *ret_rows += page.count;
        pages++;
    } while (*cursor);
    return pages;
}

TEST(pages_of_very_many)
{
    size_t rows;
    create_many();
    /* Short pages, though the limit is larger. */
    assert_in_range(walk(&bob, &(const struct list_params){.limit = GIVEN(1000)}, &rows),
                    MANY / 125, MANY / 100);
    assert_int_equal(rows, MANY);
    /* Empty ones: nothing that alice may see, nothing that matches, nothing that is foreign. */
    assert_in_range(walk(&alice, &(const struct list_params){.limit = GIVEN(1000)}, &rows), 6, 8);
    assert_int_equal(rows, 0);
    const struct list_params unmatched = {.labels = {true, 1, {{"k", "v"}}}};
    assert_in_range(walk(&bob, &unmatched, &rows), 6, 8);
    assert_int_equal(rows, 0);
    const struct list_params foreign_ones = {.scope = GIVEN(SCOPE_FOREIGN)};
    assert_in_range(walk(&bob, &foreign_ones, &rows), 6, 8);
    assert_int_equal(rows, 0);
    foreign(ALICE, 1);
    const struct list_params everything = {.scope = GIVEN(SCOPE_ALL), .uid = GIVEN(ALICE)};
    assert_in_range(walk(&bob, &everything, &rows), 12, 15);
    assert_int_equal(rows, 1);
}

TEST(records_that_are_passed_over_count_too)
{
    char cursor[32] = "";
    size_t rows;
    create_many();
    const struct list_params p = {.prefix = "none/"};
    const uint64_t records = f->core.work.turn.records;
    next_page(&bob, &p, cursor);
    assert_string_equal(cursor, ""); /* they are cheap */
    assert_int_equal(f->core.work.turn.records - records, MANY);
    assert_int_equal(walk(&bob, &(const struct list_params){.prefix = "many/2999"}, &rows), 1);
    assert_int_equal(rows, 1);
}

TEST(no_cursor_at_the_end)
{
    create(&alice, "a", 0600);
    create(&alice, "b", 0600);
    foreign(BOB, 2);
    assert_int_equal(LIST(&alice, .limit = GIVEN(2)), 0);
    assert_string_equal(page.cursor, "");
    assert_int_equal(LIST(&alice, .limit = GIVEN(1), .scope = GIVEN(SCOPE_FOREIGN)), 0);
    assert_int_equal(page.count, 1);
    assert_string_equal(page.cursor, "");
}

TEST(cursors_that_are_none)
{
    create(&alice, "a", 0600);
    foreign(BOB, 2);
    static const char *const bad[] = {"", "x1", "m", "f", "m-1", "m 1", "1", "m1x", "f+1", "m1 "};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(LIST(&alice, .scope = GIVEN(SCOPE_ALL), .cursor = bad[i]),
                         OUTCOME_INVALID_PARAMETER);
        assert_string_equal(f->detail.what, "cursor");
    }
    /* Of another list. */
    assert_int_equal(LIST(&alice, .cursor = "f1"), OUTCOME_INVALID_PARAMETER);
    assert_int_equal(LIST(&alice, .scope = GIVEN(SCOPE_FOREIGN), .cursor = "m1"),
                     OUTCOME_INVALID_PARAMETER);
}

TEST(cursors_beyond_all)
{
    create(&alice, "a", 0600);
    foreign(BOB, 2);
    static const char *const numbers[] = {"2147483647",
                                          "2147483648",
                                          "4294967295",
                                          "4294967296",
                                          "9223372036854775807",
                                          "9223372036854775808",
                                          "18446744073709551614",
                                          "18446744073709551615",
                                          "99999999999999999999999999999999999999999999999999999"};
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        char *managed = text_of("m%s", numbers[i]), *other = text_of("f%s", numbers[i]);
        unsigned long looks = f->k->calls[FAKE_STAT_INDEX];
        assert_int_equal(LIST(&alice, .cursor = managed), 0);
        assert_int_equal(page.count, 0);
        assert_int_equal(LIST(&alice, .scope = GIVEN(SCOPE_FOREIGN), .cursor = other), 0);
        assert_int_equal(page.count, 0);
        assert_string_equal(page.cursor, "");
        assert_int_equal(f->k->calls[FAKE_STAT_INDEX], looks);
        free(managed);
        free(other);
    }
}

TEST(what_the_look_finds_is_left_out)
{
    create(&alice, "a", 0600);
    create(&alice, "gone", 0600);
    create(&alice, "unknown", 0600);
    assert_int_equal(core_fixture_turn(f), 0);
    fake_sysv_remove_as(f->k, fixture_record(f, "gone")->shmid);
    fake_sysv_fail(f->k, FAKE_STAT, 3, EIO);
    assert_int_equal(LIST(&alice, .limit = {false, 0}), 0);
    shows("a");
    assert_int_equal(core_fixture_turn(f), 0);
    assert_int_equal(f->core.registry.count, 2);
}

TEST(no_memory)
{
    create(&alice, "a", 0600);
    fake_memory_fail(1);
    assert_int_equal(LIST(&alice, .limit = {false, 0}), -ENOMEM);
    assert_true(fake_memory_restore());
}

int main(void)
{
#define OWN_CASE(name) cmocka_unit_test_setup_teardown(name, core_begin, end)
    const struct CMUnitTest tests[] = {
        OWN_CASE(nothing),
        OWN_CASE(who_sees_what),
        CASE(a_name_that_the_look_takes_away),
        OWN_CASE(filters),
        OWN_CASE(foreign_ones),
        OWN_CASE(pages),
        OWN_CASE(pages_while_others_come_and_go),
        OWN_CASE(a_page_has_a_size),
        OWN_CASE(pages_of_very_many),
        OWN_CASE(records_that_are_passed_over_count_too),
        OWN_CASE(no_cursor_at_the_end),
        OWN_CASE(cursors_that_are_none),
        OWN_CASE(cursors_beyond_all),
        OWN_CASE(what_the_look_finds_is_left_out),
        OWN_CASE(no_memory),
    };
    return RUN_TESTS(tests);
}
