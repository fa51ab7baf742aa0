/* SPDX-License-Identifier: MIT */
/* The journal when nothing fails: what it holds, how much it writes, whose it is. */
#include "tests/unit/journal_case.h"

static const struct store_ops *const ops = &journal_ops;

TEST(it_holds_what_was_written)
{
    assert_opens(false);
    for (unsigned i = 0; i < WORLD_STEPS; i++) {
        assert_int_equal(world_step(&w, i), 0);
        if (i % 2)
            world_kill(&w);
        else
            world_close(&w);
        assert_opens(false);
        assert_string_equal(w.log, "");
    }
    assert_int_equal(journal_file()->mode, 0600);
}

TEST(a_change_is_two_writes_and_a_create_three)
{
    assert_opens(false);
    static const unsigned expected[WORLD_STEPS] = {2, 3, 3, 2, 2, 2, 3, 2, 2, 3, 2, 2, 2};
    for (unsigned i = 0; i < WORLD_STEPS; i++) {
        unsigned before = w.host.n_writes;
        assert_int_equal(world_step(&w, i), 0);
        assert_int_equal(w.host.n_writes - before, expected[i]);
    }
    unsigned before = w.host.n_calls;
    assert_int_equal(world_write(&w, NULL, 0), 0);
    assert_int_equal(world_abandon(&w), 0);
    assert_int_equal(w.host.n_calls, before);
}

TEST(a_start_reads_the_file_once)
{
    assert_opens(false);
    for (uint64_t serial = 1; serial <= 300; serial++)
        assert_int_equal(world_put(&w, serial, EXAMPLE_VERSIONS - 1), 0);
    world_kill(&w);
    uint64_t size = journal_file()->size;
    assert_opens(false);
    assert_true(size > 1 << 20); /* more than what is read ahead */
    assert_int_equal(w.host.bytes_read, size);
}

TEST(an_open_intent_is_found_by_the_next_start)
{
    assert_opens(false);
    run_script();
    assert_int_equal(world_intend(&w, 0x1234, 8192), 0);
    world_kill(&w);
    for (int start = 0; start < 2; start++) { /* it stays until something is written */
        struct store_contents contents;
        assert_int_equal(world_open(&w, &contents), 0);
        assert_true(contents.has_intent);
        assert_int_equal(contents.intent.key, 0x1234);
        assert_int_equal(contents.intent.size, 8192);
        assert_int_equal(contents.intent.pid, 100);
        assert_int_equal(contents.intent.at_s, 1700000001);
        store_contents_deinit(&contents);
        if (start == 0)
            world_close(&w);
    }
    assert_int_equal(world_abandon(&w), 0);
    world_kill(&w);
    assert_opens(false);
    assert_int_equal(world_intend(&w, 1, 1), 0);
    assert_int_equal(world_put(&w, 9, 1), 0);
    world_kill(&w);
    assert_opens(false);
    assert_int_equal(world_intend(&w, 1, 1), 0);
    assert_int_equal(world_write(&w, NULL, 0), 0);
    world_kill(&w);
    assert_opens(false);
    /* A daemon that ended in order has none. */
    assert_int_equal(world_intend(&w, 1, 1), 0);
    world_close(&w);
    assert_opens(false);
}

TEST(what_may_not_be_stored_is_refused_with_a_reason)
{
    assert_opens(false);
    assert_int_equal(world_put(&w, 1, 1), 0);
    const struct store_record daemon = {.type = STORE_DAEMON};
    const struct store_record gone = {.type = STORE_GONE};
    const struct store_record counters = {.type = STORE_COUNTERS, .counters = {UINT64_MAX, 1}};
    const struct store_record unknown = {.type = (enum store_record_type)99, .serial = 1};
    const struct store_record no_segment = {
        .type = STORE_TIE, .serial = 2, .tie = example_tie(TIE_HOLDER, 5)};
    struct store_record no_process = no_segment;
    no_process.serial = 1;
    no_process.tie.identity.pid = 0;
    struct stored_segment segment = *example_segment(&w, 2, 1);
    segment.size = 0;
    const struct store_record no_size = {.type = STORE_SEGMENT, .serial = 2, .segment = &segment};
    const struct store_record other_serial = {
        .type = STORE_SEGMENT, .serial = 1, .segment = &segment};
    const struct {
        const struct store_record *record;
        const char *part;
    } cases[] = {
        {&daemon, "pid is out of range"},    {&gone, "serial is out of range"},
        {&counters, "counters are used up"}, {&unknown, "no such type"},
        {&no_segment, "has no record"},      {&no_process, "pid is out of range"},
        {&no_size, "size is out of range"},  {&other_serial, "of another segment"},
    };
    unsigned before = w.host.n_calls;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(world_write(&w, cases[i].record, 1), -EINVAL);
        assert_contains(w.reason, cases[i].part);
    }
    assert_int_equal(world_intend(&w, 1, 0), -EINVAL);
    assert_contains(w.reason, "size is out of range");
    assert_int_equal(w.host.n_calls, before);
    world_kill(&w);
    assert_opens(false);
}

TEST(another_boot_or_namespace_begins_anew_and_the_counters_go_on)
{
    assert_opens(false);
    run_script();
    w.host.now_ms += 5000;
    for (int i = 0; i < 4; i++) {
        struct store_contents contents;
        assert_int_equal(world_put(&w, 1, 1), 0);
        world_kill(&w);
        if (i == 1)
            w.boot_id = "another-boot";
        else
            w.ipc_namespace++;
        if (i == 2) /* damaged as well: what is dropped need not be whole */
            journal_file()->data[journal_file()->size - 20] ^= 1;
        w.model.n = w.model.n_daemons = 0;
        assert_int_equal(world_open(&w, &contents), 0);
        assert_int_equal(contents.n_segments, 0);
        assert_int_equal(contents.n_daemons, 0);
        assert_int_equal(contents.counters.last_serial, w.model.counters.last_serial);
        assert_int_equal(contents.counters.event_serial, w.model.counters.event_serial);
        assert_int_equal(contents.records_since_at_ms, w.host.now_ms);
        store_contents_deinit(&contents);
        assert_contains(w.log, i == 1 ? "another boot" : "another IPC namespace");
        assert_int_equal(w.n_errors + w.n_warnings, 0);
        assert_int_equal(fake_host_count(&w.host, "corrupt"), 0);
    }
}

TEST(what_is_unknown_differs_from_nothing)
{
    const char *boot_id = w.boot_id;
    w.boot_id = "";
    w.ipc_namespace = 0;
    assert_opens(false);
    assert_int_equal(world_put(&w, 1, 1), 0);
    world_kill(&w);
    w.boot_id = boot_id;
    w.ipc_namespace = 42;
    assert_opens(false);
    world_kill(&w);
    w.boot_id = "";
    w.ipc_namespace = 0;
    assert_opens(false);
    world_kill(&w);
    w.ipc_namespace = 43; /* it was learnt meanwhile */
    struct store_contents contents;
    assert_int_equal(world_open(&w, &contents), 0);
    assert_int_equal(contents.n_segments, 0);
    store_contents_deinit(&contents);
}

TEST(the_records_begin_when_the_journal_did)
{
    struct store_contents contents;
    int64_t began = w.host.now_ms;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(world_open(&w, &contents), 0);
        assert_int_equal(contents.records_since_at_ms, began);
        store_contents_deinit(&contents);
        world_kill(&w);
        w.host.now_ms += 1000;
    }
}

TEST(a_second_daemon_is_refused)
{
    assert_opens(false);
    run_script();
    static struct world other;
    world_init(&other);
    struct fake_host own = other.host;
    struct store_contents contents;
    unsigned before = w.host.n_writes;
    /* Both see the same directory. */
    other.host = w.host;
    assert_int_equal(world_open(&other, &contents), -EBUSY);
    assert_contains(other.log, "another shmd");
    assert_contains(other.log, "--state-dir");
    assert_int_equal(other.host.n_writes, before);
    assert_int_equal(fake_host_count(&other.host, ""), 1);
    other.host = own;
    world_deinit(&other);
    assert_int_equal(world_put(&w, 7, 7), 0);
}

TEST(a_directory_that_others_may_write_to_is_refused)
{
    static const struct {
        uint32_t uid, mode;
        const char *part, *remedy;
    } cases[] = {
        {0, 0777, "mode 0777", "chmod go-w"},
        {0, 01777, "mode 1777", "shared with others"},
        {0, 0775, "mode 0775", "chmod go-w"},
        {1000, 0700, "belongs to uid 1000", "chown"},
    };
    struct store_contents contents;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        w.host.directory_uid = cases[i].uid;
        w.host.directory_mode = cases[i].mode;
        assert_int_equal(world_open(&w, &contents), -EPERM);
        assert_contains(w.log, cases[i].part);
        assert_contains(w.log, cases[i].remedy);
        assert_contains(w.log, "--state-dir");
        if (cases[i].mode & 01000)
            assert_null(strstr(w.log, "chmod"));
        assert_int_equal(fake_host_count(&w.host, ""), 0);
    }
    w.host.directory_uid = 0;
    w.host.directory_mode = 0700;
    assert_opens(false);
}

/* chown and chmod would not help. */
TEST(a_file_that_is_refused_with_the_right_owner_and_mode)
{
    struct store_contents contents;
    unsigned n_said = 0;
    assert_opens(false);
    world_kill(&w);
    for (unsigned i = 0; i < 5; i++) {
        fake_host_fail(&w.host, 1, FAKE_ERROR, EPERM);
        w.host.fail_from += i;
        w.host.fail_to += i;
        if (world_open(&w, &contents) == 0) {
            store_contents_deinit(&contents);
            world_kill(&w);
            continue;
        }
        assert_null(strstr(w.log, "chown"));
        n_said += strstr(w.log, "its owner and mode are right") != NULL;
    }
    assert_true(n_said > 0);
}

TEST(the_database_of_an_older_shmd_is_set_aside)
{
    fake_host_put(&w.host, "state.db", "SQLite format 3", 16);
    fake_host_put(&w.host, "state.db-wal", "log", 3);
    fake_host_put(&w.host, "state.db-mark", "8", 1);
    struct store_contents contents;
    assert_int_equal(world_open(&w, &contents), 0);
    assert_int_equal(contents.n_segments, 0);
    store_contents_deinit(&contents);
    assert_contains(w.log, "older shmd");
    assert_contains(w.log, "DIR/state.db.corrupt-1700000000");
    assert_contains(w.log, "adopted");
    assert_null(fake_host_find(&w.host, "state.db"));
    const struct fake_file *aside = fake_host_find(&w.host, "state.db.corrupt-1700000000");
    assert_non_null(aside);
    assert_memory_equal(aside->data, "SQLite format 3", 16);
    assert_non_null(fake_host_find(&w.host, "state.db.corrupt-1700000000-wal"));
    assert_non_null(fake_host_find(&w.host, "state.db.corrupt-1700000000-mark"));
    assert_int_equal(world_put(&w, 1, 1), 0);
    world_kill(&w);
    assert_int_equal(world_open(&w, &contents), 0);
    assert_int_equal(contents.n_segments, 1);
    assert_string_equal(w.log, "");
    store_contents_deinit(&contents);
}

TEST(many_daemons_are_remembered_up_to_a_number)
{
    assert_opens(false);
    for (int i = 0; i < 40; i++) {
        const struct store_record daemon = {.type = STORE_DAEMON, .daemon = {i + 1, 3, i}};
        assert_int_equal(world_write(&w, &daemon, 1), 0);
    }
    world_kill(&w);
    struct store_contents contents;
    assert_int_equal(world_open(&w, &contents), 0);
    assert_int_equal(contents.n_daemons, 16);
    assert_int_equal(contents.daemons[15].pid, 40);
    assert_int_equal(contents.daemons[0].pid, 25);
    store_contents_deinit(&contents);
}

TEST(it_is_loaded_once)
{
    struct store_contents contents;
    assert_opens(false);
    assert_int_equal(ops->load(w.journal, &contents), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        JOURNAL_TEST(it_holds_what_was_written),
        JOURNAL_TEST(a_change_is_two_writes_and_a_create_three),
        JOURNAL_TEST(a_start_reads_the_file_once),
        JOURNAL_TEST(an_open_intent_is_found_by_the_next_start),
        JOURNAL_TEST(what_may_not_be_stored_is_refused_with_a_reason),
        JOURNAL_TEST(another_boot_or_namespace_begins_anew_and_the_counters_go_on),
        JOURNAL_TEST(what_is_unknown_differs_from_nothing),
        JOURNAL_TEST(the_records_begin_when_the_journal_did),
        JOURNAL_TEST(a_second_daemon_is_refused),
        JOURNAL_TEST(a_directory_that_others_may_write_to_is_refused),
        JOURNAL_TEST(a_file_that_is_refused_with_the_right_owner_and_mode),
        JOURNAL_TEST(the_database_of_an_older_shmd_is_set_aside),
        JOURNAL_TEST(many_daemons_are_remembered_up_to_a_number),
        JOURNAL_TEST(it_is_loaded_once),
    };
    return RUN_TESTS(tests);
}
