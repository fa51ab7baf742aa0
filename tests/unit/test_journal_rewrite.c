/* SPDX-License-Identifier: MIT */
/* The journal written anew: compaction in slices, a file that was deleted; and a disk that is full.
 */
#include "tests/unit/journal_case.h"

#include "daemon/store/header.h"

static const struct store_ops *const ops = &journal_ops;

enum { LARGEST = EXAMPLE_VERSIONS - 1, BUDGET_US = 500 };

/* A few segments that live, and more than a megabyte that does not. */
static void make_waste(void)
{
    run_script();
    for (uint64_t serial = 10; serial < 60; serial++)
        assert_int_equal(world_put(&w, serial, (unsigned)serial % LARGEST), 0);
    for (unsigned i = 0; i < 250; i++)
        assert_int_equal(world_put(&w, 5, LARGEST), 0);
    assert_true(journal_file()->size > 1 << 20);
}

/* Compacts to the end; how many slices that took. */
static unsigned compact(void)
{
    unsigned slices = 1;
    while (ops->tend(w.journal, BUDGET_US))
        slices++;
    return slices;
}

TEST(a_file_that_is_mostly_dead_is_compacted)
{
    assert_opens(false);
    assert_false(ops->tend(w.journal, BUDGET_US));
    unsigned calls = w.host.n_calls;
    make_waste();
    assert_true(w.host.n_calls > calls);
    uint64_t before = journal_file()->size;
    assert_int_equal(compact(), 1);
    assert_true(journal_file()->size < before / 10);
    assert_int_equal(fake_host_count(&w.host, ""), 1);
    calls = w.host.n_calls;
    assert_int_equal(compact(), 1);
    assert_int_equal(w.host.n_calls, calls);
    assert_int_equal(world_put(&w, 70, 7), 0);
    world_kill(&w);
    assert_opens(false);
    assert_string_equal(w.log, "");
}

TEST(what_lives_is_not_compacted_for_its_size)
{
    assert_opens(false);
    for (uint64_t serial = 1; serial <= 500; serial++) {
        assert_int_equal(world_put(&w, serial, LARGEST), 0);
        assert_false(ops->tend(w.journal, BUDGET_US));
        assert_int_equal(fake_host_count(&w.host, ""), 1);
    }
    /* Removed, it is dead: far less than what it once was is left. */
    uint64_t before = journal_file()->size;
    for (uint64_t serial = 1; serial <= 500; serial++) {
        assert_int_equal(world_remove(&w, serial), 0);
        (void)compact();
    }
    assert_true(journal_file()->size < 1100000 && before > 2000000);
    world_kill(&w);
    assert_opens(false);
}

/* A change while the copying is at each place: all of them are there afterwards. */
TEST(changes_while_it_is_compacted)
{
    w.host.step_us = BUDGET_US + 1; /* the smallest slices */
    assert_opens(false);
    make_waste();
    assert_int_equal(world_put(&w, 2, 5), 0); /* it has an idle time */
    unsigned slices = 0, changes = 0;
    bool more = true;
    while (more) {
        more = ops->tend(w.journal, BUDGET_US);
        slices++;
        for (uint64_t serial = 10 + slices; serial < 60; serial += 13, changes++)
            assert_int_equal(world_put(&w, serial, (unsigned)(serial + slices) % LARGEST), 0);
        assert_int_equal(world_remove(&w, 10 + slices), 0);
        const uint64_t last = w.model.segments[w.model.n - 1].serial;
        assert_int_equal(world_put(&w, last + 1, 4), 0);
        const struct store_record records[] = {
            {.type = STORE_TIE, .serial = last, .tie = example_tie(TIE_HOLDER, (int)slices + 100)},
            {.type = STORE_TIE, .serial = 1, .tie = example_tie(TIE_HOLDER, (int)slices + 200)},
            {.type = STORE_UNTIE, .serial = 1, .tie = example_tie(TIE_HOLDER, (int)slices + 199)},
            {.type = STORE_COUNTERS, .counters = {1, slices}},
            {.type = STORE_DAEMON, .daemon = {(int)slices, 6, 5}},
            {.type = STORE_IDLE, .serial = 2, .idle = {slices, 1, 2, 3}},
            {.type = STORE_IDLE, .serial = last, .idle = {slices, 4, 5, 6}},
        };
        assert_int_equal(world_write(&w, records, 7), 0);
    }
    print_message("# %u slices, %u changes within\n", slices, changes);
    assert_true(slices > 3);
    assert_true(journal_file()->size < 300000);
    world_kill(&w);
    assert_opens(false);
}

TEST(a_kill_between_any_two_calls_of_a_compaction)
{
    static struct fake_host wasted;
    static struct model model;
    assert_opens(false);
    make_waste();
    world_kill(&w);
    fake_host_copy(&w.host, &wasted);
    model = w.model;
    unsigned n = 0;
    for (int cuts = 0; cuts < 2; cuts++) {
        bool killed = true;
        for (n = 0; killed;) {
            world_close(&w);
            fake_host_deinit(&w.host);
            fake_host_copy(&wasted, &w.host);
            w.model = model;
            assert_opens(false);
            w.host.step_us = BUDGET_US + 1;
            w.host.kill_at = w.host.n_calls + ++n;
            w.host.cuts = cuts;
            static struct model before, with;
            bool more = true;
            before = with = w.model;
            for (unsigned i = 0; more && !w.host.is_killed; i++) {
                more = ops->tend(w.journal, BUDGET_US);
                before = with = w.model;
                struct store_record record = {.type = STORE_SEGMENT,
                                              .serial = 30 + i,
                                              .segment = example_segment(&w, 30 + i, 2)};
                model_apply(&with, &record, 1);
                (void)world_write(&w, &record, 1);
            }
            killed = w.host.is_killed;
            world_kill(&w);
            struct store_contents contents;
            assert_int_equal(world_open(&w, &contents), 0);
            assert_true(world_holds(&w, &contents, killed ? &before : &with, !killed) ||
                        world_holds(&w, &contents, &with, true));
            store_contents_deinit(&contents);
            assert_int_equal(fake_host_count(&w.host, ""), 1);
        }
    }
    print_message("# killed at each of %u calls\n", n - 1);
    fake_host_deinit(&wasted);
}

TEST(a_call_of_a_compaction_fails)
{
    unsigned n = 0;
    for (bool hit = true; hit; n++) {
        world_deinit(&w);
        world_init(&w);
        w.host.step_us = BUDGET_US + 1;
        assert_opens(false);
        make_waste();
        fake_host_fail(&w.host, 1, n % 2 ? FAKE_ERROR : FAKE_SHORT, ENOSPC);
        w.host.fail_from = w.host.fail_to = w.host.n_calls + 1 + n;
        (void)compact();
        hit = w.host.n_faults > 0;
        assert_true(w.n_warnings <= hit); /* without steps, room is got in smaller ones */
        fake_host_mend(&w.host);
        assert_int_equal(world_put(&w, 70, 7), 0);
        world_kill(&w);
        assert_opens(false);
    }
    print_message("# a fault at each of %u calls\n", n - 1);
    assert_true(n > 10);
}

TEST(it_is_tried_again_ever_less_often)
{
    assert_opens(false);
    make_waste();
    w.host.step_us = 0;
    int64_t start = w.host.now_us, last = 0, waited = 0;
    unsigned tries = 0;
    for (int64_t second = 0; second < 40000; second++) {
        w.host.now_us = start + second * 1000000;
        unsigned calls = w.host.n_calls;
        fake_host_fail(&w.host, 1000, FAKE_ERROR, ENOSPC);
        assert_false(ops->tend(w.journal, BUDGET_US));
        if (w.host.n_calls == calls)
            continue;
        assert_true(second - last >= waited || second - last >= 3600);
        waited = second - last;
        last = second;
        tries++;
    }
    assert_true(tries > 12 && tries < 30);
    assert_int_equal(waited, 3600);
    assert_int_equal(w.n_warnings, 1); /* said once */
    assert_contains(w.log, "cannot be compacted");
    assert_int_equal(fake_host_count(&w.host, ""), 1);
    fake_host_mend(&w.host);
    w.host.now_us += INT64_C(3600) * 1000000;
    (void)compact();
    assert_true(journal_file()->size < 300000);
}

TEST(memory_that_runs_out_while_it_is_read_puts_it_off)
{
    assert_opens(false);
    make_waste();
    w.fail_next = ENOMEM;
    assert_false(ops->tend(w.journal, BUDGET_US));
    assert_contains(w.log, "Cannot allocate memory");
    w.fail_next = 0;
    w.host.now_us += 2000000;
    (void)compact();
    assert_true(journal_file()->size < 300000);
    world_kill(&w);
    assert_opens(false);
}

/* --- a file that was deleted */

TEST(a_file_that_was_deleted_or_replaced_is_written_anew)
{
    assert_opens(false);
    run_script();
    for (int i = 0; i < 4; i++) {
        unsigned warnings = w.n_warnings;
        if (i == 0)
            fake_host_delete(&w.host, "state.journal");
        else if (i == 1)
            fake_host_put(&w.host, "state.journal", "something else", 14);
        else if (i == 2)
            journal_file()->size /= 2;
        else
            strcpy(journal_file()->name, "moved");
        assert_int_equal(world_put(&w, 20 + (uint64_t)i, 2), 0);
        assert_int_equal(w.n_warnings, warnings + 1);
        fake_host_delete(&w.host, "moved");
        assert_int_equal(fake_host_count(&w.host, ""), 1);
        assert_int_equal(world_intend(&w, 1, 1), 0); /* once is enough */
        assert_int_equal(world_put(&w, 30 + (uint64_t)i, 2), 0);
        assert_int_equal(w.n_warnings, warnings + 1);
        world_kill(&w);
        assert_opens(false);
    }
}

TEST(the_log_says_that_it_was_written_anew)
{
    assert_opens(false);
    fake_host_delete(&w.host, "state.journal");
    assert_int_equal(world_intend(&w, 1, 1), 0);
    assert_contains(w.log, "deleted under the daemon: it is written anew");
    fake_host_put(&w.host, "state.journal", "something else", 14);
    assert_int_equal(world_write(&w, NULL, 0),
                     0); /* right behind the intent nothing is looked at */
    assert_int_equal(world_put(&w, 1, 1), 0);
    assert_contains(w.log, "replaced under the daemon: it is written anew");
    world_kill(&w);
    assert_opens(false);
}

TEST(a_file_that_is_deleted_while_it_is_compacted)
{
    w.host.step_us = BUDGET_US + 1;
    assert_opens(false);
    make_waste();
    assert_true(ops->tend(w.journal, BUDGET_US));
    fake_host_delete(&w.host, "state.journal");
    fake_host_delete(&w.host, "state.journal.new");
    assert_int_equal(world_put(&w, 20, 3), 0);
    assert_contains(w.log, "deleted");
    (void)compact();
    assert_int_equal(world_put(&w, 21, 3), 0);
    world_kill(&w);
    assert_opens(false);
}

/* Refused as long as it is not the daemon's alone; then all is written anew there. */
static void the_directory_is_another_until_it_is_right(void)
{
    w.host.directory_mode = 0777;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(world_put(&w, 20, 3), -EPERM);
        assert_contains(w.reason, "others may write");
        (void)compact();
        assert_null(fake_host_find(&w.host, "state.journal"));
        assert_null(fake_host_find(&w.host, "state.journal.new"));
    }
    w.host.directory_mode = 0755;
    assert_int_equal(world_put(&w, 20, 3), 0);
    assert_contains(w.log, "deleted under the daemon");
    world_kill(&w);
    assert_opens(false);
}

TEST(a_whole_directory_that_was_deleted_and_made_again)
{
    assert_opens(false);
    run_script();
    make_waste();
    fake_host_delete(&w.host, "state.journal");
    w.host.directory_is_gone = true;
    the_directory_is_another_until_it_is_right();
}

TEST(a_directory_that_was_moved_away)
{
    assert_opens(false);
    run_script();
    make_waste();
    w.host.directory_is_moved = true;
    the_directory_is_another_until_it_is_right();
}

TEST(it_cannot_be_written_anew_for_now)
{
    assert_opens(false);
    run_script();
    fake_host_delete(&w.host, "state.journal");
    w.host.disk_free = 0;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(world_put(&w, 20, 3), -ENOSPC);
        assert_contains(w.reason, "deleted under the daemon");
        assert_contains(w.reason, "No space left");
    }
    w.host.disk_free = 1 << 20;
    assert_int_equal(world_put(&w, 20, 3), 0);
    world_kill(&w);
    assert_opens(false);
}

TEST(another_daemon_has_taken_the_directory)
{
    assert_opens(false);
    run_script();
    fake_host_put(&w.host, "state.journal", "another's", 9)->is_locked = true;
    assert_int_equal(world_put(&w, 20, 3), -EBUSY);
    assert_contains(w.reason, "another shmd");
    assert_memory_equal(journal_file()->data, "another's", 9);
}

TEST(a_fault_at_each_call_while_it_is_written_anew)
{
    unsigned n = 0;
    for (bool hit = true; hit; n++) {
        world_deinit(&w);
        world_init(&w);
        assert_opens(false);
        run_script();
        fake_host_delete(&w.host, "state.journal");
        fake_host_fail(&w.host, 1, FAKE_ERROR, EIO);
        w.host.fail_from = w.host.fail_to = w.host.n_calls + 1 + n;
        int r = world_put(&w, 20, 3);
        hit = w.host.n_faults > 0;
        assert_true(r == 0 || hit);
        fake_host_mend(&w.host);
        if (r < 0)
            assert_int_equal(world_put(&w, 20, 3), 0);
        world_kill(&w);
        assert_opens(false);
    }
    print_message("# a fault at each of %u calls\n", n - 1);
}

/* --- a full disk */

static void fill_disk(void)
{
    w.host.disk_free = 0;
    unsigned refused = 0;
    for (uint64_t serial = 1000; refused < 3; serial++)
        refused += world_put(&w, serial, LARGEST) < 0;
    assert_contains(w.reason, "No space left on device");
    /* What can be done without takes nothing of the room that is kept. */
    refused = 0;
    for (unsigned i = 0; refused < 3; i++) {
        const struct store_record idle = {
            .type = STORE_IDLE, .serial = w.model.segments[0].serial, .idle = {i + 1, 0, 0, 0}};
        refused += world_write(&w, &idle, 1) < 0;
    }
}

TEST(everything_can_be_removed_on_a_full_disk)
{
    assert_opens(false);
    for (uint64_t serial = 1; serial <= 400; serial++) {
        const struct store_record records[] = {
            {.type = STORE_SEGMENT, .serial = serial, .segment = example_segment(&w, serial, 2)},
            {.type = STORE_TIE, .serial = serial, .tie = example_tie(TIE_HOLDER, 8)},
            {.type = STORE_TIE, .serial = serial, .tie = example_tie(TIE_HOLDER, 9)},
        };
        assert_int_equal(world_write(&w, records, 3), 0);
    }
    for (int round = 0; round < 2; round++) {
        fill_disk();
        if (round == 1) { /* the next daemon has the room, too */
            world_kill(&w);
            assert_opens(false);
        }
        for (size_t i = 0; i < 150; i++) {
            const uint64_t serial = w.model.segments[0].serial;
            const struct store_record untie = {
                .type = STORE_UNTIE, .serial = serial, .tie = example_tie(TIE_HOLDER, 9)};
            const struct store_record counters = {.type = STORE_COUNTERS, .counters = {1, i}};
            assert_int_equal(world_write(&w, &untie, 1), 0);
            if (i % 10 == 0)
                assert_int_equal(world_write(&w, &counters, 1), 0);
            assert_int_equal(world_remove(&w, serial), 0);
            (void)ops->tend(w.journal, BUDGET_US);
        }
    }
    while (w.model.n > 0)
        assert_int_equal(world_remove(&w, w.model.segments[0].serial), 0);
    world_kill(&w);
    assert_opens(false);
    w.host.disk_free = 1 << 20;
    assert_int_equal(world_put(&w, 3000, LARGEST), 0);
}

/* So many that their removal takes more than the steps in which room is got. */
static void make_many(void)
{
    for (uint64_t serial = 1; serial <= 1500; serial++) {
        const struct store_record records[] = {
            {.type = STORE_SEGMENT, .serial = serial, .segment = example_segment(&w, serial, 1)},
            {.type = STORE_TIE, .serial = serial, .tie = example_tie(TIE_HOLDER, 8)},
            {.type = STORE_TIE, .serial = serial, .tie = example_tie(TIE_HOLDER, 9)},
        };
        assert_int_equal(world_write(&w, records, 3), 0);
    }
}

/* Each holder dies, then its segment goes, on a disk that gives nothing. */
static void remove_all_on_a_full_disk(void)
{
    w.host.disk_free = 0;
    while (w.model.n > 0) {
        const uint64_t serial = w.model.segments[0].serial;
        const struct store_record records[] = {
            {.type = STORE_UNTIE, .serial = serial, .tie = example_tie(TIE_HOLDER, 8)},
            {.type = STORE_UNTIE, .serial = serial, .tie = example_tie(TIE_HOLDER, 9)},
        };
        assert_int_equal(world_write(&w, records, 2), 0);
        assert_int_equal(world_remove(&w, serial), 0);
    }
}

TEST(a_compacted_file_has_room_for_removals)
{
    assert_opens(false);
    make_many();
    for (unsigned i = 0; i < 400; i++)
        assert_int_equal(world_put(&w, 5, LARGEST), 0);
    uint64_t before = journal_file()->size;
    (void)compact();
    assert_true(journal_file()->size < before);
    remove_all_on_a_full_disk();
    world_kill(&w);
    assert_opens(false);
}

/* What is cut off takes with it the room that the former daemon had got. */
TEST(a_file_with_a_torn_end_has_room_for_removals)
{
    assert_opens(false);
    make_many();
    world_kill(&w);
    struct fake_file *file = journal_file();
    memset(file->data + file->size, 'x', 10);
    file->size += 10;
    assert_opens(false);
    assert_contains(w.log, "cut off");
    remove_all_on_a_full_disk();
    world_kill(&w);
    assert_opens(false);
}

/* An intent that a former daemon left is open until the first change. */
TEST(an_open_intent_outlives_a_compaction)
{
    assert_opens(false);
    make_waste();
    uint64_t before = journal_file()->size;
    assert_int_equal(world_intend(&w, 5, 5), 0);
    (void)compact();
    assert_true(journal_file()->size < before);
    world_kill(&w);
    assert_opens(true);
}

static struct header header_of_file(void)
{
    struct header header = {0};
    char why[200];
    const struct fake_file *file = journal_file();
    assert_int_equal(header_decode(file->data, file->size, &header, why, sizeof(why)), 0);
    return header;
}

/* Records of one file are none in another; and the seed is not to be guessed. */
TEST(each_file_has_a_seed_of_its_own)
{
    static const uint64_t none[2] = {0};
    assert_opens(false);
    const struct header first = header_of_file();
    make_waste();
    (void)compact();
    const struct header second = header_of_file();
    assert_memory_not_equal(first.seed, none, sizeof(none));
    assert_memory_not_equal(second.seed, none, sizeof(none));
    assert_memory_not_equal(first.seed, second.seed, sizeof(none));
}

TEST(a_file_system_that_cannot_keep_room)
{
    w.host.lacks_allocation = true;
    assert_opens(false);
    make_waste();
    (void)compact();
    fill_disk();
    w.host.disk_free = 1 << 20;
    assert_int_equal(world_put(&w, 20, 3), 0);
    world_kill(&w);
    assert_opens(false);
}

/* The user above is to know one errno for a disk that has no room. */
TEST(a_quota_is_a_full_disk)
{
    unsigned refused = 0;
    assert_opens(false);
    run_script();
    for (unsigned call = 1; call <= 3; call++) {
        fake_host_fail(&w.host, 1, FAKE_ERROR, EDQUOT);
        w.host.fail_from = w.host.fail_to = w.host.n_calls + call;
        int r = world_put(&w, 20 + call, LARGEST);
        fake_host_mend(&w.host);
        assert_true(r == 0 || r == -ENOSPC);
        if (r < 0)
            assert_contains(w.reason, "quota exceeded");
        refused += r < 0;
    }
    assert_true(refused > 0);
}

TEST(room_is_kept_after_a_write_that_failed)
{
    assert_opens(false);
    make_many();
    unsigned reached = 0;
    for (unsigned call = 1; call <= 3; call++) {
        fake_host_fail(&w.host, 1, FAKE_SHORT, EIO);
        w.host.fail_from = w.host.fail_to = w.host.n_calls + call;
        reached += world_put(&w, 5, LARGEST) < 0;
        fake_host_mend(&w.host);
    }
    assert_true(reached > 1); /* the look at the file, the write of the record, the header's */
    remove_all_on_a_full_disk();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        JOURNAL_TEST(a_file_that_is_mostly_dead_is_compacted),
        JOURNAL_TEST(what_lives_is_not_compacted_for_its_size),
        JOURNAL_TEST(changes_while_it_is_compacted),
        JOURNAL_TEST(a_kill_between_any_two_calls_of_a_compaction),
        JOURNAL_TEST(a_call_of_a_compaction_fails),
        JOURNAL_TEST(it_is_tried_again_ever_less_often),
        JOURNAL_TEST(memory_that_runs_out_while_it_is_read_puts_it_off),
        JOURNAL_TEST(a_file_that_was_deleted_or_replaced_is_written_anew),
        JOURNAL_TEST(the_log_says_that_it_was_written_anew),
        JOURNAL_TEST(a_file_that_is_deleted_while_it_is_compacted),
        JOURNAL_TEST(a_whole_directory_that_was_deleted_and_made_again),
        JOURNAL_TEST(a_directory_that_was_moved_away),
        JOURNAL_TEST(it_cannot_be_written_anew_for_now),
        JOURNAL_TEST(another_daemon_has_taken_the_directory),
        JOURNAL_TEST(a_fault_at_each_call_while_it_is_written_anew),
        JOURNAL_TEST(everything_can_be_removed_on_a_full_disk),
        JOURNAL_TEST(a_compacted_file_has_room_for_removals),
        JOURNAL_TEST(a_file_with_a_torn_end_has_room_for_removals),
        JOURNAL_TEST(an_open_intent_outlives_a_compaction),
        JOURNAL_TEST(each_file_has_a_seed_of_its_own),
        JOURNAL_TEST(a_quota_is_a_full_disk),
        JOURNAL_TEST(a_file_system_that_cannot_keep_room),
        JOURNAL_TEST(room_is_kept_after_a_write_that_failed),
    };
    return RUN_TESTS(tests);
}
