/* SPDX-License-Identifier: MIT */
/*
 * `create` with `replace`, and `ready` of a segment that replaces another: the new one's record and
 * the old one's end are one write, and the old one goes from the kernel after it.
 */
#include "tests/unit/core_case.h"

#include "daemon/core/find.h"
#include "daemon/core/ready.h"
#include "tests/fakes/change.h"

enum { OLD_SIZE = 4096, NEW_SIZE = 6000 };

static void make(struct core_fixture *g, uint32_t uid, int32_t pid, const struct create_params *p)
{
    struct caller caller = core_fixture_caller(g, uid, pid);
    assert_int_equal(fixture_create(g, &caller, p), 0);
    assert_int_equal(core_fixture_turn(g), 0);
}

static void make_old(struct core_fixture *g)
{
    make(g, ALICE, 1, &(const struct create_params){.name = "a", .size = GIVEN(OLD_SIZE)});
}

static int replace(struct core_fixture *g)
{
    struct caller caller = core_fixture_caller(g, ALICE, 1);
    const struct create_params p = {.name = "a", .size = GIVEN(NEW_SIZE), .replace = GIVEN(true)};
    return fixture_create(g, &caller, &p);
}

/* An old one, and a new one that is not ready. */
static void make_both(struct core_fixture *g)
{
    make_old(g);
    make(g, ALICE, 1,
         &(const struct create_params){
             .name = "a", .size = GIVEN(NEW_SIZE), .replace = GIVEN(true), .ready = GIVEN(false)});
}

/* Of the newest. */
static int ready(struct core_fixture *g)
{
    const struct target target = {.serial = GIVEN((int64_t)g->core.registry.last_serial)};
    int r = find_target(&g->core, &target, &g->found, &g->detail);
    const struct caller by_alice = {.uid = ALICE, .gid = ALICES, .socket = -1};
    return r == 0 ? core_ready(&g->core, &by_alice, &g->found, &g->detail) : r;
}

static const struct change at_once = {make_old, replace};
static const struct change at_ready = {make_both, ready};

TEST(whole_or_not_at_all)
{
    change_without_memory(&at_once);
    change_without_memory(&at_ready);
    change_without_store(&at_once);
    change_without_store(&at_ready);
    assert_int_equal(change_without_kernel(&at_once, FAKE_CREATE, ENOSPC), 1);
    assert_int_equal(change_without_kernel(&at_once, FAKE_SET, EPERM), 1);
}

static unsigned commits_at_remove;

static void note_commits(struct fake_sysv *k, enum fake_op op, int32_t shmid)
{
    (void)k;
    (void)shmid;
    if (op == FAKE_REMOVE)
        commits_at_remove = f->store.n_commits;
}

/* Of the name: one, of SIZE, here and after the daemon was killed before the turn's end. */
static void one_is_left(uint64_t size)
{
    assert_int_equal(fixture_record(f, "a")->size, size);
    assert_int_equal(core_fixture_crash(f), 0);
    assert_int_equal(fixture_record(f, "a")->size, size);
    assert_int_equal(f->core.registry.count, 1);
    assert_int_equal(fake_sysv_count(f->k), 1);
    core_fixture_check_kernel(f);
    turn_ends();
}

/* The kernel frees the key, too: another segment may have it at once, and a start takes two records
 * with one key for damage. */
TEST(the_old_ones_key_goes_with_its_name)
{
    make(f, ALICE, 1,
         &(const struct create_params){.name = "a", .key = GIVEN(0x77), .size = GIVEN(OLD_SIZE)});
    const struct segment *old = fixture_record(f, "a");
    fake_sysv_attach_as(f->k, old->shmid, 9);
    assert_int_equal(fake_store_find(&f->store, old->serial)->segment->key, 0x77);
    assert_int_equal(replace(f), 0);
    assert_int_equal(fake_store_find(&f->store, old->serial)->segment->key, 0);
    turn_ends();
}

static void check_order(const struct change *change)
{
    change->prepare(f);
    unsigned before = f->store.n_commits;
    f->k->before = note_commits;
    assert_int_equal(change->act(f), 0);
    f->k->before = NULL;
    assert_int_equal(commits_at_remove, before + 1);
    one_is_left(NEW_SIZE);
}

TEST(recorded_before_the_old_one_goes)
{
    check_order(&at_once);
}

TEST(recorded_before_the_old_one_goes_at_ready)
{
    check_order(&at_ready);
}

/* As when the daemon is killed between the record and IPC_RMID: the next start does it. */
static void check_unfinished(const struct change *change)
{
    change->prepare(f);
    fake_sysv_fail(f->k, FAKE_REMOVE, 1, EPERM);
    assert_int_equal(change->act(f), 0);
    assert_int_equal(fake_sysv_count(f->k), 2);
    one_is_left(NEW_SIZE);
}

TEST(the_next_start_finishes_it)
{
    check_unfinished(&at_once);
}

TEST(the_next_start_finishes_it_at_ready)
{
    check_unfinished(&at_ready);
}

/* The daemon gives its own attachment up all the same, and it counts no more. */
static void check_unfinished_and_anchored(const struct change *change)
{
    f->core.rmid_forced = f->k->shm_rmid_forced = true;
    change->prepare(f);
    const struct segment *old = fixture_record(f, "a");
    assert_non_null(old->anchor);
    fake_sysv_fail(f->k, FAKE_REMOVE, 1, EPERM);
    assert_int_equal(change->act(f), 0);
    assert_null(old->anchor);
    const struct segment_event *event = STAILQ_FIRST(&f->core.news.waiting);
    assert_int_equal(event->kind, EVENT_REMOVED);
    assert_int_equal(event->segment.nattch, 0);
    turn_ends();
}

TEST(the_old_one_is_not_attached_while_it_must_wait)
{
    check_unfinished_and_anchored(&at_once);
}

TEST(the_old_one_is_not_attached_while_it_must_wait_at_ready)
{
    check_unfinished_and_anchored(&at_ready);
}

/* Meanwhile the name went to somebody whose segment the new one's owner may not remove. */
TEST(not_a_strangers_name)
{
    make_both(f);
    assert_int_equal(fixture_remove(f, "a"), 0);
    turn_ends();
    make(f, BOB, 2, &(const struct create_params){.name = "a", .size = GIVEN(OLD_SIZE)});
    uint64_t bobs = f->core.registry.last_serial;
    const struct target target = {.serial = GIVEN((int64_t)bobs - 1)};
    assert_int_equal(find_target(&f->core, &target, &f->found, &f->detail), 0);
    assert_int_equal(core_ready(&f->core, &alice, &f->found, &f->detail),
                     OUTCOME_PERMISSION_DENIED);
    assert_int_equal(fixture_record(f, "a")->serial, bobs);
    assert_int_equal(registry_by_serial(&f->core.registry, bobs - 1)->state, STATE_INITIALISING);
    turn_ends();
}

/* REPLACE by CALLER of "a", which anybody may read: refused, and it stays. */
static void refuses(struct caller *caller, const char *needs)
{
    const struct create_params p = {.name = "a", .size = GIVEN(NEW_SIZE), .replace = GIVEN(true)};
    assert_int_equal(fixture_create(f, caller, &p), OUTCOME_PERMISSION_DENIED);
    assert_string_equal(f->detail.what, needs);
    one_is_left(OLD_SIZE);
}

TEST(only_by_who_may_change_it)
{
    make(f, ALICE, 1,
         &(const struct create_params){.name = "a", .size = GIVEN(OLD_SIZE), .mode = GIVEN(0666)});
    refuses(&bob, "owner, creator or admin");
}

/* Who has lost the right to a name keeps what he has there, and puts nothing new there. */
TEST(not_under_a_reserved_name)
{
    static const struct name_rule bobs = {(char *)"a", false, BOB};
    make_old(f);
    f->settings.access.names = f->core.settings.access.names = &bobs;
    f->settings.access.n_names = f->core.settings.access.n_names = 1;
    refuses(&alice, "reserved name");
}

TEST(nor_at_ready_when_the_name_was_reserved_since)
{
    static const struct name_rule bobs = {(char *)"a", false, BOB};
    make_both(f);
    assert_int_equal(fixture_remove(f, "a"), 0);
    turn_ends();
    f->settings.access.names = f->core.settings.access.names = &bobs;
    f->settings.access.n_names = f->core.settings.access.n_names = 1;
    assert_int_equal(ready(f), OUTCOME_PERMISSION_DENIED);
    assert_string_equal(f->detail.what, "reserved name");
    assert_null(fixture_record(f, "a"));
}

/* Alice's own, adopted as «a»: its shmid. */
static int32_t adopt_old(void)
{
    const struct fake_process creator = {ALICE, ALICES, 1};
    int32_t shmid;
    assert_int_equal(
        fake_sysv_create_as(f->k, &creator, &(struct sysv_create){.size = OLD_SIZE}, 0600, &shmid),
        0);
    fake_sysv_segment(f->k, shmid)->uid = DAEMON;
    const struct adopt_params p = {.shmid = GIVEN(shmid), .name = "a"};
    assert_int_equal(fixture_adopt(f, &alice, &p), 0);
    turn_ends();
    return shmid;
}

/* Its creator has taken it back: the kernel would refuse what is recorded by then. */
TEST(not_what_the_daemon_cannot_remove)
{
    const int32_t shmid = adopt_old();
    fake_sysv_segment(f->k, shmid)->uid = ALICE;
    assert_int_equal(replace(f), OUTCOME_PERMISSION_DENIED);
    assert_int_equal(fixture_record(f, "a")->shmid, shmid);
    fake_sysv_segment(f->k, shmid)->uid = DAEMON;
    make(f, ALICE, 1,
         &(const struct create_params){
             .name = "a", .size = GIVEN(NEW_SIZE), .replace = GIVEN(true), .ready = GIVEN(false)});
    fake_sysv_segment(f->k, shmid)->uid = ALICE;
    assert_int_equal(ready(f), OUTCOME_PERMISSION_DENIED);
    fake_sysv_segment(f->k, shmid)->uid = DAEMON;
    assert_int_equal(ready(f), 0);
    assert_null(fake_sysv_segment(f->k, shmid));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_or_not_at_all),
        CASE(the_old_ones_key_goes_with_its_name),
        CASE(recorded_before_the_old_one_goes),
        CASE(recorded_before_the_old_one_goes_at_ready),
        CASE(the_next_start_finishes_it),
        CASE(the_next_start_finishes_it_at_ready),
        CASE(the_old_one_is_not_attached_while_it_must_wait),
        CASE(the_old_one_is_not_attached_while_it_must_wait_at_ready),
        CASE(not_a_strangers_name),
        CASE(only_by_who_may_change_it),
        CASE(not_under_a_reserved_name),
        CASE(nor_at_ready_when_the_name_was_reserved_since),
        CASE(not_what_the_daemon_cannot_remove),
    };
    return RUN_TESTS(tests);
}
