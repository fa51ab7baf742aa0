/* SPDX-License-Identifier: MIT */
/*
 * Segments of configuration files: missing ones are created, when the files are read and later.
 * Those that exist are changed when the files are read. Conflicts are reported once. Nothing is
 * removed, and nothing of another user's is changed.
 */
#include "tests/unit/core_case.h"

#include "daemon/core/create.h"
#include "daemon/core/declare.h"
#include "daemon/core/find.h"
#include "daemon/core/set.h"
#include "daemon/core/view.h"
#include "tests/fakes/fake_memory.h"

/* --- what was reported: "created:a changed:a:mode,gid conflict:a:size failed:a:LimitReached" */

static char reported[1024];
static struct outcome_detail last_detail;

static size_t append(size_t used, const char *text)
{
    assert_true(used + strlen(text) < sizeof(reported));
    strcpy(reported + used, text);
    return used + strlen(text);
}

static void take_report(void *context, const struct declare_report *r)
{
    static const char *const words[] = {
        [DECLARE_CREATED] = "created",       [DECLARE_CHANGED] = "changed",
        [DECLARE_NOT_CREATED] = "uncreated", [DECLARE_NOT_CHANGED] = "unchanged",
        [DECLARE_CONFLICT] = "conflict",
    };
    const char *name = r->declaration->params.name;
    size_t used = strlen(reported);
    assert_ptr_equal(context, &reported);
    assert_string_equal(r->declaration->file, "file");
    assert_int_equal(r->error != 0,
                     r->result == DECLARE_NOT_CREATED || r->result == DECLARE_NOT_CHANGED);
    assert_int_equal(r->segment == NULL, r->result == DECLARE_NOT_CREATED);
    if (r->error > 0)
        last_detail = *r->detail;
    if (used > 0)
        used = append(used, " ");
    used = append(used, words[r->result]);
    used = append(used, ":");
    used = append(used, name ? name : "-");
    for (int i = 0, n = 0; i < DRIFT_COUNT; i++) {
        if (!(r->fields & (1U << i)))
            continue;
        used = append(used, n++ > 0 ? "," : ":");
        used = append(used, drift_words[i]);
    }
}

#define assert_reported(want)                                                                      \
    do {                                                                                           \
        assert_string_equal(reported, want);                                                       \
        *reported = '\0';                                                                          \
    } while (0)

/* --- declaring */

static struct declarations new_ones;

static void add(const struct create_params *params)
{
    assert_int_equal(declarations_add(&new_ones, "file", params), 0);
}

/* All that was added is declared, and nothing else. */
static void declare(void)
{
    new_ones.report = take_report;
    new_ones.context = &reported;
    assert_int_equal(declare_segments(&f->core, &new_ones), 0);
    assert_int_equal(new_ones.count, 0);
    assert_null(new_ones.items);
    turn_ends();
}

#define ADD(...) add(&(const struct create_params){__VA_ARGS__})
#define DECLARE(...)                                                                               \
    do {                                                                                           \
        ADD(__VA_ARGS__);                                                                          \
        declare();                                                                                 \
    } while (0)

static int begin(void **state)
{
    *reported = '\0';
    return core_begin(state);
}

#define DECLARE_CASE(name) cmocka_unit_test_setup_teardown(name, begin, core_end)

/* The next look at all declared segments. */
static void look(void)
{
    core_fixture_pass(f, f->settings.reconcile_ms);
}

static struct wire_segment view_of(const char *name)
{
    struct wire_segment view;
    view_segment(&f->core, fixture_record(f, name), fixture_kernel(f, name), &view);
    return view;
}

static void assert_declared(const char *name, uint32_t drift)
{
    const struct wire_segment view = view_of(name);
    assert_true(view.declared);
    assert_int_equal(view.drift, drift);
}

static void assert_not_declared(const char *name)
{
    const struct wire_segment view = view_of(name);
    assert_false(view.declared);
    assert_int_equal(view.drift, 0);
}

#define BIT(field) (1U << DRIFT_##field)

static void set_by_root(const char *name, const struct set_params *p)
{
    assert_int_equal(fixture_set(f, &root, name, p), 0);
    turn_ends();
}

/* A segment of that key that is not the daemon's. */
static int32_t made_elsewhere(uint32_t key)
{
    const struct fake_process other = {BOB, BOBS, 50};
    int32_t shmid;
    assert_int_equal(fake_sysv_create_as(f->k, &other, &(struct sysv_create){.key = key, .size = 1},
                                         0600, &shmid),
                     0);
    return shmid;
}

/* --- missing ones */

TEST(a_missing_one)
{
    DECLARE(.name = "a", .size = GIVEN(4096), .uid = GIVEN(BOB), .mode = GIVEN(0664),
            .gid = GIVEN(VIDEO));
    assert_reported("created:a");
    const struct segment *s = fixture_record(f, "a");
    assert_int_equal(s->creator.uid, DAEMON);
    assert_int_equal(s->creator.pid, DAEMON_PID);
    assert_string_equal(s->creator.comm, "shmd");
    assert_int_equal(fixture_kernel(f, "a")->uid, BOB);
    assert_int_equal(fixture_kernel(f, "a")->gid, VIDEO);
    assert_int_equal(fixture_kernel(f, "a")->mode, 0664);
    assert_declared("a", 0);
    told("created:a");
}

TEST(removed_behind_its_back)
{
    DECLARE(.name = "a", .size = GIVEN(4096));
    assert_reported("created:a");
    uint64_t serial = fixture_record(f, "a")->serial;
    fake_sysv_remove_as(f->k, fixture_record(f, "a")->shmid);
    look();
    assert_reported("created:a");
    assert_true(fixture_record(f, "a")->serial > serial);
    assert_declared("a", 0);
    core_fixture_check_kernel(f);
    told("created:a removed/out-of-band:a created:a");
    look();
    assert_reported("");
    told("");
}

TEST(removed_by_request)
{
    DECLARE(.name = "a", .size = GIVEN(4096));
    assert_int_equal(fixture_remove(f, "a"), 0);
    turn_ends();
    assert_null(fixture_record(f, "a"));
    look();
    assert_non_null(fixture_record(f, "a"));
    assert_reported("created:a created:a");
}

TEST(expired)
{
    DECLARE(.name = "a", .size = GIVEN(4096), .ttl_ms = GIVEN(1000));
    core_fixture_pass(f, 1000);
    assert_null(fixture_record(f, "a"));
    core_fixture_pass(f, f->settings.reconcile_ms - 1000);
    assert_non_null(fixture_record(f, "a"));
    assert_reported("created:a created:a");
}

TEST(renamed)
{
    DECLARE(.name = "a", .size = GIVEN(4096));
    set_by_root("a", &(const struct set_params){.new_name = "b"});
    assert_not_declared("b");
    look();
    assert_reported("created:a created:a");
    assert_declared("a", 0);
    assert_not_declared("b");
}

static uint64_t used(uint32_t uid, enum quota_kind kind)
{
    return quota_used(&f->core.quota, uid, kind);
}

/* Bob attaches the one that is his, removes it, and so on. */
TEST(removed_again_and_again_while_attached)
{
    int32_t first = 0;
    FIXTURE_LIMIT(f, max_segments_per_uid, 2);
    DECLARE(.name = "a", .size = GIVEN(4096), .uid = GIVEN(BOB));
    assert_int_equal(used(DAEMON, QUOTA_SEGMENTS), 1);
    for (int i = 0; i < 3; i++) {
        const int32_t shmid = fixture_record(f, "a")->shmid;
        assert_int_equal(fake_sysv_attach_as(f->k, shmid, 50), 0);
        assert_int_equal(fixture_remove(f, "a"), 0);
        first = i == 0 ? shmid : first;
        *reported = '\0';
        look();
    }
    assert_int_equal(used(DAEMON, QUOTA_SEGMENTS), 0);
    assert_int_equal(used(BOB, QUOTA_SEGMENTS), 3);
    assert_int_equal(used(BOB, QUOTA_BYTES), 3 * 4096);
    assert_reported("uncreated:a");
    assert_null(fixture_record(f, "a"));
    assert_string_equal(last_detail.what, "max_segments_per_uid");
    assert_int_equal(last_detail.uid, BOB);
    look();
    assert_reported(""); /* it is reported once */
    /* A restart changes nothing of it. */
    assert_int_equal(core_fixture_restart(f), 0);
    turn_ends();
    assert_int_equal(used(BOB, QUOTA_SEGMENTS), 3);
    FIXTURE_LIMIT(f, max_segments_per_uid, 2);
    DECLARE(.name = "a", .size = GIVEN(4096), .uid = GIVEN(BOB));
    assert_reported("uncreated:a");
    assert_int_equal(fake_sysv_detach_as(f->k, first, 50), 0);
    look(); /* the sweep of this time finds out */
    look();
    assert_reported("created:a");
    assert_declared("a", 0);
}

static void rename_by_bob(const char *name, int result)
{
    const struct set_params p = {.new_name = name};
    assert_int_equal(fixture_set(f, &bob, "a", &p), result);
    turn_ends();
}

TEST(renamed_by_its_owner)
{
    DECLARE(.name = "a", .size = GIVEN(4096), .uid = GIVEN(BOB), .gid = GIVEN(VIDEO));
    rename_by_bob("b", 0);
    assert_int_equal(fixture_record(f, "b")->creator.uid, BOB);
    assert_int_equal(fixture_record(f, "b")->creator.gid, VIDEO);
    assert_int_equal(used(DAEMON, QUOTA_SEGMENTS), 0);
    assert_int_equal(used(BOB, QUOTA_SEGMENTS), 1);
    assert_int_equal(used(BOB, QUOTA_BYTES), 4096);
    assert_int_equal(core_fixture_restart(f), 0);
    turn_ends();
    assert_int_equal(fixture_record(f, "b")->creator.uid, BOB);
    assert_int_equal(used(BOB, QUOTA_SEGMENTS), 1);
}

/* Who pays has no right to what is another's by now. */
TEST(removed_by_another_owner)
{
    const struct access *access = &f->core.settings.access;
    DECLARE(.name = "a", .size = GIVEN(4096), .uid = GIVEN(BOB), .mode = GIVEN(0600));
    set_by_root("a", &(const struct set_params){.uid = GIVEN(ALICE)});
    const struct segment *s = fixture_record(f, "a");
    const struct sysv_stat *kernel = fixture_kernel(f, "a");
    assert_int_equal(fake_sysv_attach_as(f->k, s->shmid, 50), 0);
    assert_int_equal(fixture_remove(f, "a"), 0);
    turn_ends();
    assert_int_equal(s->creator.uid, BOB);
    assert_false(access_may_change(access, &bob, s, kernel));
}

/* Nor does anybody take it for the daemon's. */
TEST(declared_under_the_new_name)
{
    DECLARE(.name = "a", .size = GIVEN(4096), .uid = GIVEN(BOB));
    rename_by_bob("b", 0);
    *reported = '\0';
    DECLARE(.name = "b", .size = GIVEN(4096), .uid = GIVEN(ALICE));
    assert_reported("conflict:b:creator");
    assert_int_equal(fixture_kernel(f, "b")->uid, BOB);
}

/* By its key it is the declared one still. */
TEST(named_by_its_owner)
{
    DECLARE(.key = GIVEN(7), .size = GIVEN(4096), .uid = GIVEN(BOB));
    const struct set_params p = {.new_name = "b"};
    struct found found;
    assert_int_equal(find_key(&f->core, 7, &found), 0);
    assert_int_equal(core_set(&f->core, &bob, &p, &found, &f->detail), 0);
    turn_ends();
    assert_int_equal(fixture_record(f, "b")->creator.uid, DAEMON);
    assert_int_equal(used(BOB, QUOTA_SEGMENTS), 0);
}

/* As at a start: nothing is made yet. */
static void know_for_bob(struct core_fixture *g)
{
    ADD(.name = "a", .size = GIVEN(4096), .uid = GIVEN(BOB));
    new_ones.report = take_report;
    new_ones.context = &reported;
    assert_int_equal(declare_segments(&g->core, &new_ones), 0);
    assert_int_equal(g->core.registry.count, 0);
}

/* It was removed while no daemon ran, and somebody has it attached. */
TEST(removed_before_a_start)
{
    DECLARE(.name = "a", .size = GIVEN(4096), .uid = GIVEN(BOB));
    const int32_t shmid = fixture_record(f, "a")->shmid;
    assert_int_equal(fake_sysv_attach_as(f->k, shmid, 50), 0);
    fake_sysv_remove_as(f->k, shmid);
    f->before_start = know_for_bob;
    assert_int_equal(core_fixture_restart(f), 0);
    turn_ends();
    assert_int_equal(used(BOB, QUOTA_SEGMENTS), 1);
    assert_int_equal(used(DAEMON, QUOTA_SEGMENTS), 0);
}

/* A lock counts as well. */
TEST(locked_and_removed_while_attached)
{
    FIXTURE_LIMIT(f, max_locked_bytes_per_uid, 4096);
    DECLARE(.name = "a", .size = GIVEN(4096), .uid = GIVEN(BOB), .locked = {true, true});
    for (int i = 0; i < 2; i++) {
        assert_int_equal(fake_sysv_attach_as(f->k, fixture_record(f, "a")->shmid, 50), 0);
        assert_int_equal(fixture_remove(f, "a"), 0);
        *reported = '\0';
        look();
    }
    assert_int_equal(used(BOB, QUOTA_LOCKED_BYTES), 8192);
    assert_reported("uncreated:a");
    assert_string_equal(last_detail.what, "max_locked_bytes_per_uid");
}

TEST(renamed_and_not_recorded)
{
    const struct set_params p = {.new_name = "b"};
    DECLARE(.name = "a", .size = GIVEN(4096), .uid = GIVEN(BOB));
    fake_store_fail_next(&f->store, 1, ENOSPC, "full");
    assert_int_equal(fixture_set(f, &bob, "a", &p), OUTCOME_STORE_FAILURE);
    assert_int_equal(fixture_record(f, "a")->creator.uid, DAEMON);
    assert_int_equal(used(DAEMON, QUOTA_SEGMENTS), 1);
    assert_int_equal(used(BOB, QUOTA_SEGMENTS), 0);
}

TEST(refused_and_tried_again)
{
    f->k->shmmni = 0;
    DECLARE(.name = "a", .size = GIVEN(4096));
    assert_reported("uncreated:a");
    assert_string_equal(last_detail.what, "kernel.shmmni");
    look(); /* it is reported once */
    assert_reported("");
    f->k->shmmni = 10;
    look();
    assert_reported("created:a");
    fake_sysv_remove_as(f->k, fixture_record(f, "a")->shmid);
    f->k->shmmni = 0;
    look();
    assert_reported("uncreated:a"); /* anew */
}

TEST(the_kernel_does_not_tell)
{
    DECLARE(.name = "a", .size = GIVEN(4096));
    assert_reported("created:a");
    fake_sysv_fail(f->k, FAKE_STAT, 1, EIO);
    DECLARE(.name = "a", .size = GIVEN(4096));
    assert_reported("uncreated:a");
    assert_non_null(fixture_record(f, "a"));
}

TEST(what_needs_a_process)
{
    /* The daemon has no socket to itself, so it can hold nothing. */
    DECLARE(.name = "a", .size = GIVEN(4096), .lifetime = GIVEN(LIFETIME_PROCESS));
    assert_reported("uncreated:a");
    assert_int_equal(fake_sysv_count(f->k), 0);
}

/* --- those that exist */

TEST(one_that_is_as_declared)
{
    DECLARE(.name = "a", .size = GIVEN(4096), .mode = GIVEN(0640));
    (void)core_fixture_told(f);
    assert_reported("created:a");
    DECLARE(.name = "a", .size = GIVEN(4096), .mode = GIVEN(0640));
    assert_declared("a", 0);
    /* Over a restart, too. */
    assert_int_equal(core_fixture_restart(f), 0);
    turn_ends();
    assert_not_declared("a");
    DECLARE(.name = "a", .size = GIVEN(4096), .mode = GIVEN(0640));
    assert_declared("a", 0);
    assert_reported("");
    told("");
}

static const struct label one[] = {{"a", "1"}}, two[] = {{"b", "2"}, {"a", "1"}};

/* All that can be set. */
static struct create_params many_members(void)
{
    struct create_params p = {.name = "a",
                              .size = GIVEN(4096),
                              .mode = GIVEN(0640),
                              .uid = GIVEN(BOB),
                              .gid = GIVEN(VIDEO),
                              .ttl_ms = GIVEN(1000000),
                              .idle_ttl_ms = GIVEN(2000000),
                              .locked = GIVEN(true),
                              .labels = {.given = true, .count = 2}};
    memcpy(p.labels.items, two, sizeof(two));
    return p;
}

static const struct set_params other_members = {.mode = GIVEN(0600),
                                                .uid = GIVEN(ALICE),
                                                .gid = GIVEN(ALICES),
                                                .ttl_ms = GIVEN(999999),
                                                .idle_ttl_ms = GIVEN(0),
                                                .locked = GIVEN(false),
                                                .labels = {.given = true}};

TEST(changed_to_what_is_declared)
{
    const struct create_params p = many_members();
    add(&p);
    declare();
    uint64_t serial = fixture_record(f, "a")->serial;
    set_by_root("a", &other_members);
    assert_declared("a", DRIFT_SETTABLE);
    (void)core_fixture_told(f);
    assert_reported("created:a");
    /* Nobody takes it back before the files are read again. */
    look();
    assert_reported("");
    assert_declared("a", DRIFT_SETTABLE);
    add(&p);
    declare();
    assert_reported("changed:a:mode,uid,gid,labels,ttl_ms,idle_ttl_ms,locked");
    assert_declared("a", 0);
    told("changed:a");
    const struct segment *s = fixture_record(f, "a");
    const struct sysv_stat *k = fixture_kernel(f, "a");
    assert_int_equal(s->serial, serial);
    assert_int_equal(k->mode, 0640);
    assert_int_equal(k->uid, BOB);
    assert_int_equal(k->gid, VIDEO);
    assert_true(k->locked);
    assert_int_equal(s->n_labels, 2);
    assert_int_equal(s->idle_ttl_ms, 2000000);
    assert_int_equal(s->expires_at_ms, core_boottime_ms(&f->core) + 1000000);
}

TEST(what_the_file_leaves_out_stays)
{
    DECLARE(.name = "a", .size = GIVEN(4096));
    set_by_root("a", &other_members);
    assert_declared("a", 0);
    DECLARE(.name = "a", .size = GIVEN(4096));
    assert_reported("created:a");
    assert_int_equal(fixture_kernel(f, "a")->uid, ALICE);
}

TEST(labels_are_compared_as_a_whole)
{
    struct create_params p = {.name = "a", .size = GIVEN(1), .labels = {.given = true, .count = 1}};
    struct set_params set = {.labels = {.given = true, .count = 2}};
    p.labels.items[0] = one[0];
    memcpy(set.labels.items, two, sizeof(two));
    add(&p);
    declare();
    assert_declared("a", 0);
    set_by_root("a", &set);
    assert_declared("a", BIT(LABELS));
    set.labels.count = 1;
    set_by_root("a", &set);
    assert_declared("a", BIT(LABELS));
    set.labels.items[0] = one[0];
    set_by_root("a", &set);
    assert_declared("a", 0);
}

TEST(a_time_to_live)
{
    DECLARE(.name = "a", .size = GIVEN(1), .ttl_ms = GIVEN(1000000));
    core_fixture_pass(f, 500000);
    /* It runs on: another reading does not renew it. */
    int64_t expires_at_ms = fixture_record(f, "a")->expires_at_ms;
    DECLARE(.name = "a", .size = GIVEN(1), .ttl_ms = GIVEN(1000000));
    assert_reported("created:a");
    assert_int_equal(fixture_record(f, "a")->expires_at_ms, expires_at_ms);
    /* After a restart it is not known what was given; it expires soon enough. */
    assert_int_equal(core_fixture_restart(f), 0);
    DECLARE(.name = "a", .size = GIVEN(1), .ttl_ms = GIVEN(1000000));
    assert_reported("");
    DECLARE(.name = "a", .size = GIVEN(1), .ttl_ms = GIVEN(400000));
    assert_reported("changed:a:ttl_ms");
    DECLARE(.name = "a", .size = GIVEN(1), .ttl_ms = GIVEN(900000));
    assert_reported("changed:a:ttl_ms");
    DECLARE(.name = "a", .size = GIVEN(1), .ttl_ms = GIVEN(0));
    assert_reported("changed:a:ttl_ms");
    assert_int_equal(fixture_record(f, "a")->expires_at_ms, 0);
    DECLARE(.name = "a", .size = GIVEN(1), .ttl_ms = GIVEN(900000));
    assert_reported("changed:a:ttl_ms");
}

TEST(what_is_refused_does_not_hold_up_the_rest)
{
    DECLARE(.name = "a", .size = GIVEN(4096));
    fake_sysv_fail(f->k, FAKE_LOCK, 0, EPERM);
    DECLARE(.name = "a", .size = GIVEN(4096), .mode = GIVEN(0640), .locked = GIVEN(true));
    assert_reported("created:a changed:a:mode unchanged:a:locked");
    assert_declared("a", BIT(LOCKED));
    look();
    assert_reported("");
    fake_sysv_fail(f->k, FAKE_LOCK, 0, 0);
}

TEST(no_longer_declared)
{
    DECLARE(.name = "a", .size = GIVEN(4096));
    declare();
    assert_not_declared("a"); /* it is not removed */
    fake_sysv_remove_as(f->k, fixture_record(f, "a")->shmid);
    look();
    assert_null(fixture_record(f, "a"));
    assert_reported("created:a");
}

/* --- conflicts */

TEST(another_size)
{
    DECLARE(.name = "a", .size = GIVEN(4096));
    assert_reported("created:a");
    DECLARE(.name = "a", .size = GIVEN(4097), .mode = GIVEN(0640));
    assert_reported("changed:a:mode conflict:a:size");
    assert_declared("a", BIT(SIZE));
    assert_int_equal(fixture_record(f, "a")->size, 4096);
    look();
    assert_reported(""); /* once */
    DECLARE(.name = "a", .size = GIVEN(100));
    assert_reported("conflict:a:size");
    /* Removed, it is created as declared. */
    assert_int_equal(fixture_remove(f, "a"), 0);
    turn_ends();
    look();
    assert_reported("created:a");
    assert_declared("a", 0);
}

TEST(another_lifetime)
{
    DECLARE(.name = "a", .size = GIVEN(4096));
    set_by_root("a", &(const struct set_params){.lifetime = GIVEN(LIFETIME_PROCESS)});
    assert_declared("a", BIT(LIFETIME));
    look();
    look();
    assert_reported("created:a conflict:a:lifetime");
}

TEST(another_users)
{
    (void)fixture_made(f, &alice, "a", LIFETIME_PERSISTENT);
    DECLARE(.name = "a", .size = GIVEN(4096), .mode = GIVEN(0666));
    assert_reported("conflict:a:creator");
    assert_declared("a", BIT(CREATOR) | BIT(MODE));
    assert_int_equal(fixture_kernel(f, "a")->mode, 0600);
    assert_int_equal(fixture_remove(f, "a"), 0);
    turn_ends();
    look();
    assert_reported("created:a");
    (void)fixture_made(f, &root, "b", LIFETIME_PERSISTENT);
    DECLARE(.name = "b", .size = GIVEN(4096), .uid = GIVEN(0));
    assert_declared("b", 0);
    assert_reported("");
}

/* No segment has the name between the removal and the next look. */
TEST(an_admin_is_faster)
{
    DECLARE(.name = "a", .size = GIVEN(4096));
    assert_int_equal(fixture_remove(f, "a"), 0);
    turn_ends();
    assert_int_equal(
        fixture_create(f, &alice, &(struct create_params){.name = "a", .size = GIVEN(4096)}),
        OUTCOME_PERMISSION_DENIED);
    (void)fixture_made(f, &root, "a", LIFETIME_PERSISTENT);
    assert_declared("a", 0);
    look();
    look();
    assert_reported("created:a");
}

/* --- keys */

TEST(by_key_alone)
{
    DECLARE(.key = GIVEN(77), .size = GIVEN(4096));
    assert_reported("created:-");
    const struct segment *s = registry_by_key(&f->core.registry, 77);
    assert_non_null(s);
    assert_null(s->name);
    DECLARE(.key = GIVEN(77), .size = GIVEN(4096), .mode = GIVEN(0666));
    assert_reported("changed:-:mode");
    fake_sysv_remove_as(f->k, s->shmid);
    look();
    assert_reported("created:-");
    /* One that has a name, too. A key may be written as a negative number. */
    DECLARE(.name = "a", .key = GIVEN(-2), .size = GIVEN(4096));
    assert_reported("created:a");
    DECLARE(.key = GIVEN(-2), .size = GIVEN(4096));
    assert_declared("a", 0);
    DECLARE(.key = GIVEN(UINT32_MAX - 1), .size = GIVEN(4096));
    assert_declared("a", 0);
    assert_reported("");
}

TEST(a_foreign_one_has_the_key)
{
    struct wire_segment view;
    int32_t foreign = made_elsewhere(88);
    ADD(.key = GIVEN(88), .size = GIVEN(1));
    DECLARE(.name = "a", .key = GIVEN(88), .size = GIVEN(1));
    assert_reported("uncreated:- uncreated:a");
    assert_int_equal(last_detail.shmid, foreign);
    assert_int_equal(last_detail.key, 88);
    assert_null(fixture_record(f, "a"));
    look();
    assert_reported("");
    view_foreign(&f->core, fake_sysv_segment(f->k, foreign), &view);
    assert_true(view.declared);
    assert_int_equal(view.drift, BIT(MANAGED));
}

TEST(name_and_key_of_two_segments)
{
    ADD(.name = "a", .key = GIVEN(1), .size = GIVEN(4096));
    ADD(.name = "b", .key = GIVEN(2), .size = GIVEN(4096));
    DECLARE(.name = "c", .size = GIVEN(4096));
    assert_reported("created:a created:b created:c");
    DECLARE(.name = "a", .key = GIVEN(2), .size = GIVEN(4096), .mode = GIVEN(0644));
    assert_reported("changed:a:mode conflict:a:key");
    assert_declared("a", BIT(KEY));
    /* It has the key, but is called otherwise: it is not changed. */
    assert_declared("b", BIT(NAME) | BIT(MODE));
    assert_not_declared("c");
    DECLARE(.name = "d", .key = GIVEN(1), .size = GIVEN(4096), .mode = GIVEN(0666));
    assert_reported("conflict:d:name");
    assert_declared("a", BIT(NAME) | BIT(MODE));
    assert_int_equal(fixture_kernel(f, "a")->mode, 0644);
    assert_null(fixture_record(f, "d"));
    /* Each is meant by its own declaration. 0 is no key. */
    ADD(.name = "d", .key = GIVEN(1), .size = GIVEN(4096));
    ADD(.name = "a", .key = GIVEN(3), .size = GIVEN(4096));
    DECLARE(.name = "c", .key = GIVEN(0), .size = GIVEN(4096));
    assert_reported("conflict:d:name conflict:a:key");
    assert_declared("a", BIT(KEY));
    assert_declared("c", 0);
    assert_int_equal(fixture_record(f, "a")->key, 1);
}

/* A share of which the clock is over after half as many looks at it. */
static size_t looks_of_a_share(void)
{
    const unsigned long before = f->k->calls[FAKE_STAT];
    f->clock.mono_step_us = SHARE_US / 2;
    work_begin_share(&f->core.work, SHARE_US);
    declare_go_on(&f->core);
    work_end_share(&f->core.work, false);
    f->clock.mono_step_us = 0;
    return f->k->calls[FAKE_STAT] - before;
}

TEST(a_look_goes_on_where_its_share_ended)
{
    enum { MANY = 24 };
    char names[MANY][8];
    for (int i = 0; i < MANY; i++) {
        snprintf(names[i], sizeof(names[i]), "s%d", i);
        ADD(.name = names[i], .size = GIVEN(1));
    }
    declare();
    assert_false(declare_is_due(&f->core));
    fake_sysv_remove_as(f->k, fixture_record(f, "s0")->shmid);
    fake_sysv_remove_as(f->k, fixture_record(f, "s23")->shmid);
    *reported = '\0';
    fake_clock_advance(&f->clock, f->settings.reconcile_ms);
    deadlines_run(&f->core.deadlines, f->clock.boot_ms, &f->core.work, &f->core);
    unsigned shares = 0;
    for (; declare_is_due(&f->core); shares++) {
        assert_int_equal(core_next_tick(&f->core), f->clock.boot_ms);
        assert_in_range(looks_of_a_share(), 1, 16);
    }
    assert_true(shares > 5);
    assert_reported("created:s0 created:s23");
    /* What is declared meanwhile is whole, and the look at the former ones is over. */
    fake_clock_advance(&f->clock, f->settings.reconcile_ms);
    deadlines_run(&f->core.deadlines, f->clock.boot_ms, &f->core.work, &f->core);
    assert_true(declare_is_due(&f->core));
    DECLARE(.name = "s0", .size = GIVEN(1));
    assert_false(declare_is_due(&f->core));
    turn_ends();
}

/* --- memory */

TEST(out_of_memory)
{
    const struct create_params p = many_members();
    DECLARE(.name = "a", .size = GIVEN(4096));
    assert_reported("created:a");
    for (unsigned long n = 1;; n++) {
        new_ones.report = take_report;
        new_ones.context = &reported;
        fake_memory_fail(n);
        int r = declarations_add(&new_ones, "file", &p);
        if (r == 0)
            r = declare_segments(&f->core, &new_ones);
        bool failed = fake_memory_restore();
        declarations_deinit(&new_ones);
        turn_ends();
        if (r == 0 && !failed)
            break;
        assert_true(r == 0 || r == -ENOMEM);
        if (r == -ENOMEM)
            assert_declared("a", 0); /* the old ones hold */
    }
    assert_declared("a", 0);
    assert_int_equal(fixture_kernel(f, "a")->mode, 0640);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DECLARE_CASE(a_missing_one),
        DECLARE_CASE(removed_behind_its_back),
        DECLARE_CASE(removed_by_request),
        DECLARE_CASE(expired),
        DECLARE_CASE(renamed),
        DECLARE_CASE(removed_again_and_again_while_attached),
        DECLARE_CASE(renamed_by_its_owner),
        DECLARE_CASE(removed_by_another_owner),
        DECLARE_CASE(declared_under_the_new_name),
        DECLARE_CASE(named_by_its_owner),
        DECLARE_CASE(removed_before_a_start),
        DECLARE_CASE(locked_and_removed_while_attached),
        DECLARE_CASE(renamed_and_not_recorded),
        DECLARE_CASE(refused_and_tried_again),
        DECLARE_CASE(the_kernel_does_not_tell),
        DECLARE_CASE(what_needs_a_process),
        DECLARE_CASE(one_that_is_as_declared),
        DECLARE_CASE(changed_to_what_is_declared),
        DECLARE_CASE(what_the_file_leaves_out_stays),
        DECLARE_CASE(labels_are_compared_as_a_whole),
        DECLARE_CASE(a_time_to_live),
        DECLARE_CASE(what_is_refused_does_not_hold_up_the_rest),
        DECLARE_CASE(no_longer_declared),
        DECLARE_CASE(another_size),
        DECLARE_CASE(another_lifetime),
        DECLARE_CASE(another_users),
        DECLARE_CASE(an_admin_is_faster),
        DECLARE_CASE(by_key_alone),
        DECLARE_CASE(a_foreign_one_has_the_key),
        DECLARE_CASE(name_and_key_of_two_segments),
        DECLARE_CASE(a_look_goes_on_where_its_share_ended),
        DECLARE_CASE(out_of_memory),
    };
    return RUN_TESTS(tests);
}
