/* SPDX-License-Identifier: MIT */
/*
 * Each call that a journal makes fails, in each way in which it can, once and from then on; and the
 * daemon is killed between any two of them. Nothing that was acknowledged is lost, a change that
 * failed is not there, and nothing is set aside.
 */
#include "tests/unit/journal_case.h"

static const struct {
    const char *what;
    enum fake_fault fault;
    int errnum;
} faults[] = {
    {"ENOSPC", FAKE_ERROR, ENOSPC},
    {"EIO", FAKE_ERROR, EIO},
    {"EINTR", FAKE_ERROR, EINTR},
    {"short write", FAKE_SHORT, EIO},
    {"short write of nothing", FAKE_EMPTY, EIO},
    {"EIO though it was done", FAKE_DONE_ERROR, EIO},
};
enum { FAULTS = sizeof(faults) / sizeof(faults[0]), FOR_EVER = 1000000 };

/* A world that has gone through the script, for tests to begin with. */
static struct fake_host filled;
static struct model filled_model;

static void fill(void)
{
    assert_opens(false);
    run_script();
    world_kill(&w);
    fake_host_copy(&w.host, &filled);
    filled_model = w.model;
}

static void begin_with_filled(void)
{
    world_close(&w);
    fake_host_deinit(&w.host);
    fake_host_copy(&filled, &w.host);
    w.model = filled_model;
}

static void assert_nothing_set_aside(void)
{
    assert_int_equal(fake_host_count(&w.host, "corrupt"), 0);
}

/* Opens and compares with the model, or with OTHER, where one more change may have been done. */
static void assert_opens_as(const struct model *other)
{
    struct store_contents contents;
    assert_int_equal(world_open(&w, &contents), 0);
    /* An intent says that there is no record of its create. */
    assert_true((other && !contents.has_intent && world_holds(&w, &contents, other, false)) ||
                world_holds(&w, &contents, &w.model, true));
    store_contents_deinit(&contents);
    assert_nothing_set_aside();
    assert_int_equal(fake_host_count(&w.host, ".new"), 0);
}

/* --- changes */

/* Goes through the script with a fault from call FROM on; what fails is left out. */
static void run_with_fault(unsigned from, unsigned count, size_t fault, bool goes_on)
{
    world_init(&w);
    assert_opens(false);
    fake_host_fail(&w.host, count, faults[fault].fault, faults[fault].errnum);
    w.host.fail_from += from;
    if (count == 1)
        w.host.fail_to = w.host.fail_from;
    for (unsigned i = 0; i < WORLD_STEPS; i++) {
        if (world_step(&w, i) == 0)
            continue;
        assert_true(w.host.n_faults > 0);
        assert_true(w.reason && strlen(w.reason) > 10);
        if (!goes_on)
            return;
    }
}

/* Until a fault comes too late to hit anything. GOES_ON: there is one more change when it is over.
 */
static unsigned check_changes(unsigned count, size_t fault, bool goes_on)
{
    unsigned from = 0;
    for (bool hit = true; hit; from++) {
        run_with_fault(from, count, fault, goes_on);
        hit = w.host.n_faults > 0;
        /* When it is over, all goes on, and nothing of what failed is there. */
        fake_host_mend(&w.host);
        if (goes_on)
            assert_int_equal(world_put(&w, 77, 7), 0);
        world_kill(&w);
        assert_opens_as(NULL);
        world_deinit(&w);
    }
    world_init(&w);
    return from - 1;
}

TEST(a_call_of_a_change_fails_once)
{
    /* The last change that fails is taken back at once, not with the next one. */
    for (size_t i = 0; i < FAULTS; i++)
        print_message("# %s: %u calls\n", faults[i].what,
                      check_changes(1, i, true) + check_changes(1, i, false));
}

TEST(calls_of_a_change_fail_from_one_on)
{
    for (size_t i = 0; i < FAULTS; i++)
        print_message("# %s: from %u calls on\n", faults[i].what, check_changes(FOR_EVER, i, true));
}

/* The first change that failed may be there: nobody could mend the file any more. */
TEST(a_daemon_is_killed_while_calls_fail)
{
    unsigned n = 0;
    for (size_t i = 0; i < FAULTS; i++) {
        bool hit = true;
        for (unsigned from = 0; hit; from++, n++) {
            static struct model other;
            world_init(&w);
            assert_opens(false);
            fake_host_fail(&w.host, FOR_EVER, faults[i].fault, faults[i].errnum);
            w.host.fail_from += from;
            bool has_failed = false;
            for (unsigned step = 0; step < WORLD_STEPS; step++) {
                struct model before = w.model;
                if (world_step(&w, step) == 0 || has_failed)
                    continue;
                /* As it would be with the one that failed first. */
                has_failed = true;
                static struct world ideal;
                world_init(&ideal);
                struct store_contents nothing;
                assert_int_equal(world_open(&ideal, &nothing), 0);
                store_contents_deinit(&nothing);
                for (unsigned k = 0; k <= step; k++)
                    assert_int_equal(world_step(&ideal, k), 0);
                other = ideal.model;
                world_deinit(&ideal);
                w.model = before;
            }
            hit = w.host.n_faults > 0;
            world_kill(&w);
            fake_host_mend(&w.host);
            assert_opens_as(has_failed ? &other : NULL);
            world_deinit(&w);
        }
    }
    print_message("# %u kills while calls fail\n", n);
    world_init(&w);
}

/* --- kills */

/* One call of a change fails, and the daemon is killed while it brings the file back. */
TEST(a_kill_while_a_failure_is_mended)
{
    enum { CALLS = 8, LATER = 4 };
    static struct model changed;
    fill();
    begin_with_filled();
    assert_opens(false);
    assert_int_equal(world_put(&w, 20, 3), 0);
    changed = w.model;
    world_kill(&w);
    for (unsigned i = 0; i < FAULTS * CALLS * LATER; i++) {
        const unsigned at = i / FAULTS % CALLS + 1, later = i / FAULTS / CALLS + 1;
        begin_with_filled();
        assert_opens(false);
        fake_host_fail(&w.host, 1, faults[i % FAULTS].fault, faults[i % FAULTS].errnum);
        w.host.fail_from = w.host.fail_to = w.host.n_calls + at;
        w.host.kill_at = w.host.n_calls + at + later;
        const bool is_done = world_put(&w, 20, 3) == 0;
        w.model = is_done ? changed : filled_model;
        world_kill(&w);
        fake_host_mend(&w.host);
        assert_opens_as(is_done ? NULL : &changed);
    }
    world_close(&w);
    fake_host_deinit(&filled);
}

/* Two calls of a change fail, each in its way, and the daemon is killed after it. */
TEST(a_kill_after_two_calls_have_failed)
{
    enum { CALLS = 8, KINDS = FAKE_DONE_ERROR };
    static struct model changed;
    fill();
    begin_with_filled();
    assert_opens(false);
    assert_int_equal(world_put(&w, 20, 3), 0);
    changed = w.model;
    world_kill(&w);
    for (unsigned i = 0; i < CALLS * KINDS * KINDS; i++) {
        begin_with_filled();
        assert_opens(false);
        fake_host_fail(&w.host, 1, i % KINDS + 1, EIO);
        w.host.later_fault = i / KINDS % KINDS + 1;
        w.host.fail_from += i / KINDS / KINDS;
        w.host.fail_to = w.host.fail_from + 1;
        const bool is_done = world_put(&w, 20, 3) == 0;
        w.model = is_done ? changed : filled_model;
        world_kill(&w);
        fake_host_mend(&w.host);
        assert_opens_as(is_done ? NULL : &changed);
    }
    world_close(&w);
    fake_host_deinit(&filled);
}

TEST(a_signal_is_no_failure)
{
    assert_opens(false);
    for (unsigned i = 0; i < 2; i++) {
        fake_host_fail(&w.host, 1, FAKE_ERROR, EINTR);
        w.host.fail_from = w.host.fail_to =
            w.host.fail_from + 1 + i; /* behind the look at the file */
        assert_int_equal(world_put(&w, i + 1, EXAMPLE_VERSIONS - 1), 0);
        assert_int_equal(w.host.n_faults, 1);
        fake_host_mend(&w.host);
    }
    world_kill(&w);
    assert_opens(false);
}

/* Kills at call number N of the script: false when that is behind its end. */
static bool check_kill(unsigned n, bool cuts)
{
    static struct model before;
    world_init(&w);
    assert_opens(false);
    w.host.kill_at = w.host.n_calls + n;
    w.host.cuts = cuts;
    unsigned step = 0;
    bool killed = false;
    for (; step < WORLD_STEPS && !killed; step++) {
        before = w.model;
        int r = world_step(&w, step);
        killed = w.host.is_killed;
        assert_true(killed || r == 0);
        if (killed)
            w.model = before; /* it may be there or not */
    }
    world_kill(&w);
    /* What it would be with the change that was under way. */
    static struct world ideal;
    world_init(&ideal);
    struct store_contents contents;
    assert_int_equal(world_open(&ideal, &contents), 0);
    store_contents_deinit(&contents);
    for (unsigned i = 0; i < step; i++)
        assert_int_equal(world_step(&ideal, i), 0);
    assert_opens_as(&ideal.model);
    world_deinit(&ideal);
    world_deinit(&w);
    return killed;
}

TEST(a_kill_between_any_two_calls_of_changes)
{
    for (int cuts = 0; cuts < 2; cuts++) {
        unsigned n = 1;
        while (check_kill(n, cuts))
            n++;
        print_message("# killed at each of %u calls%s\n", n - 1,
                      cuts ? ", writes cut at a page" : "");
        assert_true(n > 30);
    }
    world_init(&w);
}

/* --- the start */

/* A journal that a daemon left that was killed within a write. */
static void tear(void)
{
    assert_opens(false);
    run_script();
    struct store_contents contents;
    uint64_t calls = w.host.n_calls;
    w.host.kill_at = (unsigned)calls + 3; /* the intent is two calls, then come the records */
    w.host.cuts = true;
    uint64_t size = journal_file()->size;
    assert_true(world_intend(&w, 5, 5) == 0);
    static struct model before;
    before = w.model;
    (void)world_put(&w, 5, EXAMPLE_VERSIONS - 1);
    w.model = before;
    assert_true(w.host.is_killed);
    world_kill(&w);
    assert_true(journal_file()->size > size);
    fake_host_copy(&w.host, &filled);
    filled_model = w.model;
    assert_int_equal(world_open(&w, &contents), 0);
    assert_contains(w.log, "cut off");
    store_contents_deinit(&contents);
}

TEST(a_call_of_a_start_fails)
{
    tear();
    for (size_t i = 0; i < FAULTS; i++) {
        unsigned from = 0, refused = 0;
        for (bool hit = true; hit; from++) {
            for (unsigned count = 1; count <= FOR_EVER; count += FOR_EVER - 1) {
                struct store_contents contents;
                begin_with_filled();
                fake_host_fail(&w.host, count, faults[i].fault, faults[i].errnum);
                w.host.fail_from += from;
                w.host.fail_to += from;
                int r = world_open(&w, &contents);
                hit = w.host.n_faults > 0;
                if (r == 0) {
                    assert_true(world_holds(&w, &contents, &w.model, true));
                    store_contents_deinit(&contents);
                } else {
                    assert_true(hit && w.n_errors == 1);
                    refused++;
                }
                assert_nothing_set_aside();
                world_kill(&w);
                fake_host_mend(&w.host);
                assert_opens_as(NULL);
            }
        }
        print_message("# %s: %u calls, %u starts refused\n", faults[i].what, from - 1, refused);
    }
    fake_host_deinit(&filled);
}

TEST(a_call_of_the_first_start_fails)
{
    for (size_t i = 0; i < FAULTS; i++) {
        for (unsigned from = 0, hit = 1; hit; from++) {
            struct store_contents contents;
            world_deinit(&w);
            world_init(&w);
            fake_host_fail(&w.host, 1, faults[i].fault, faults[i].errnum);
            w.host.fail_from = w.host.fail_to = from + 1;
            int r = world_open(&w, &contents);
            hit = w.host.n_faults > 0;
            if (r == 0)
                store_contents_deinit(&contents);
            else
                assert_int_equal(w.n_errors, 1);
            world_kill(&w);
            fake_host_mend(&w.host);
            assert_opens_as(NULL);
        }
    }
}

static void check_killed_starts(const char *what)
{
    unsigned n = 0;
    for (bool killed = true; killed;) {
        struct store_contents contents;
        begin_with_filled();
        w.host.kill_at = w.host.n_calls + ++n;
        w.host.cuts = true;
        int r = world_open(&w, &contents);
        killed = w.host.is_killed;
        assert_true(killed || r == 0);
        if (r == 0)
            store_contents_deinit(&contents);
        world_kill(&w);
        assert_opens_as(NULL);
    }
    print_message("# %s: killed at each of %u calls\n", what, n - 1);
}

TEST(a_kill_between_any_two_calls_of_a_start)
{
    tear();
    check_killed_starts("over a torn end");
    fake_host_deinit(&filled);
    world_deinit(&w);
    world_init(&w);
    fake_host_copy(&w.host, &filled);
    memset(&filled_model, 0, sizeof(filled_model));
    check_killed_starts("over nothing");
    fake_host_deinit(&filled);
}

TEST(a_kill_between_any_two_calls_of_a_start_in_another_boot)
{
    fill();
    w.boot_id = "another";
    /* The counters go on, whenever it is killed. */
    filled_model.n = filled_model.n_daemons = 0;
    check_killed_starts("in another boot");
    fake_host_deinit(&filled);
}

TEST(a_kill_while_damage_is_set_aside_loses_nothing)
{
    fill();
    static struct fake_host damaged;
    fake_host_copy(&filled, &damaged);
    struct fake_file *file = fake_host_find(&damaged, "state.journal");
    file->data[200] ^= 1;
    uint64_t size = file->size;
    bool killed = true;
    unsigned n = 0;
    while (killed) {
        struct store_contents contents;
        world_close(&w);
        fake_host_deinit(&w.host);
        fake_host_copy(&damaged, &w.host);
        w.host.kill_at = w.host.n_calls + ++n;
        if (world_open(&w, &contents) == 0)
            store_contents_deinit(&contents);
        killed = w.host.is_killed;
        world_kill(&w);
        assert_int_equal(world_open(&w, &contents), 0);
        assert_int_equal(contents.n_segments, 0);
        store_contents_deinit(&contents);
        file = fake_host_find(&w.host, "state.journal.corrupt-1700000000");
        assert_non_null(file);
        assert_int_equal(file->size, size);
        assert_int_equal(fake_host_count(&w.host, ""), 2);
    }
    print_message("# killed at each of %u calls\n", n - 1);
    fake_host_deinit(&damaged);
    fake_host_deinit(&filled);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        JOURNAL_TEST(a_call_of_a_change_fails_once),
        JOURNAL_TEST(calls_of_a_change_fail_from_one_on),
        JOURNAL_TEST(a_daemon_is_killed_while_calls_fail),
        JOURNAL_TEST(a_kill_while_a_failure_is_mended),
        JOURNAL_TEST(a_kill_after_two_calls_have_failed),
        JOURNAL_TEST(a_signal_is_no_failure),
        JOURNAL_TEST(a_kill_between_any_two_calls_of_changes),
        JOURNAL_TEST(a_call_of_a_start_fails),
        JOURNAL_TEST(a_call_of_the_first_start_fails),
        JOURNAL_TEST(a_kill_between_any_two_calls_of_a_start),
        JOURNAL_TEST(a_kill_between_any_two_calls_of_a_start_in_another_boot),
        JOURNAL_TEST(a_kill_while_damage_is_set_aside_loses_nothing),
    };
    return RUN_TESTS(tests);
}
