/*
 * What was committed is there after a restart, exactly and all of it, and nothing else: whatever
 * the process died of, and unless it was of another boot. Older schemas are brought up to date.
 */
#include "tests/unit/store_fixture.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

static void assert_same_segment(const struct segment *a, const struct segment *b)
{
    assert_int_equal(a->serial, b->serial);
    assert_int_equal(a->name != NULL, b->name != NULL);
    if (a->name)
        assert_string_equal(a->name, b->name);
    assert_int_equal(a->key, b->key);
    assert_int_equal(a->shmid, b->shmid);
    assert_int_equal(a->cpid, b->cpid);
    assert_int_equal(a->cuid, b->cuid);
    assert_int_equal(a->size, b->size);
    assert_int_equal(a->creator.uid, b->creator.uid);
    assert_int_equal(a->creator.gid, b->creator.gid);
    assert_int_equal(a->creator.pid, b->creator.pid);
    assert_string_equal(a->creator.comm, b->creator.comm);
    assert_int_equal(a->creator.was_admin, b->creator.was_admin);
    assert_int_equal(a->state, b->state);
    assert_int_equal(a->lifetime, b->lifetime);
    assert_int_equal(a->noreserve, b->noreserve);
    assert_int_equal(a->adopted, b->adopted);
    assert_int_equal(a->huge_page_size, b->huge_page_size);
    assert_int_equal(a->created_at_ms, b->created_at_ms);
    assert_int_equal(a->expires_at_ms, b->expires_at_ms);
    assert_int_equal(a->n_labels, b->n_labels);
    for (size_t i = 0; i < a->n_labels; i++) {
        assert_string_equal(a->labels[i].key, b->labels[i].key);
        assert_string_equal(a->labels[i].value, b->labels[i].value);
    }
}

static void assert_same_tie(const struct stored_tie *a, const struct stored_tie *b)
{
    assert_int_equal(a->role, b->role);
    assert_int_equal(a->identity.pid, b->identity.pid);
    assert_int_equal(a->identity.inode, b->identity.inode);
    assert_int_equal(a->identity.started_at, b->identity.started_at);
    assert_int_equal(a->uid, b->uid);
    assert_string_equal(a->comm, b->comm);
    assert_int_equal(a->since_at_ms, b->since_at_ms);
}

static const struct stored_tie some_ties[] = {
    {TIE_HOLDER, {1, 0, 0}, 0, "", 0},
    {TIE_INITIALISER,
     {INT32_MAX, UINT64_MAX, UINT64_MAX},
     UINT32_MAX,
     "fifteen chars..",
     INT64_MAX},
    {TIE_ATTACHER, {4711, 1234567, 0}, 1000, "a b\"c", -1},
};

TEST(every_field_comes_back)
{
    char *longest = repeat("n", SEGMENT_NAME_MAX), *value = repeat("\xC3\xA9", LABEL_VALUE_MAX / 2);
    char keys[SEGMENT_LABELS_MAX][LABEL_KEY_MAX + 1];
    struct label many[SEGMENT_LABELS_MAX];
    for (size_t i = 0; i < SEGMENT_LABELS_MAX; i++) {
        memset(keys[i], 'k', LABEL_KEY_MAX);
        keys[i][LABEL_KEY_MAX] = '\0';
        keys[i][0] = (char)('A' + i);
        many[i] = (struct label){keys[i], i % 2 ? value : ""};
    }
    struct label one = {"-", "\xF0\x9F\x98\x80\x7F\x01"};
    struct segment least = {.serial = 1, .size = 1};
    struct segment most = {
        .serial = INT64_MAX,
        .name = longest,
        .key = UINT32_MAX,
        .shmid = INT32_MAX,
        .cpid = INT32_MAX,
        .cuid = UINT32_MAX,
        .size = INT64_MAX,
        .creator = {UINT32_MAX, UINT32_MAX, INT32_MAX, "~fifteen chars~", true},
        .state = STATE_REMOVING,
        .lifetime = LIFETIME_ATTACHED,
        .noreserve = true,
        .adopted = true,
        .huge_page_size = UINT64_C(1) << 62,
        .created_at_ms = INT64_MIN,
        .expires_at_ms = INT64_MAX,
        .labels = many,
        .n_labels = SEGMENT_LABELS_MAX,
    };
    struct segment plain = example(77, (char[]){"frames"});
    plain.labels = &one;
    plain.n_labels = 1;
    plain.shmid = 5;
    const struct store_change changes[] = {
        {77, &plain, some_ties, 3}, {INT64_MAX, &most, some_ties + 1, 1}, {1, &least, NULL, 0}};
    struct store_sqlite *st = open_as(&here, STORE_NEW);
    must_commit(st, changes, 3, INT64_MAX, 12);
    const struct store_daemon daemons[] = {{1, 0}, {4711, 1700000000}};
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(store_sqlite_ops.enter(st, &daemons[i]), 0);
    assert_int_equal(store_sqlite_ops.enter(st, &daemons[1]), 0); /* twice is once */

    /* Read from the running store, from what opening read, and once more behind that. */
    for (int i = 0; i < 3; i++) {
        struct held held;
        load(st, &held);
        assert_int_equal(held.n_segments, 3);
        assert_same_segment(held.segments[0], &least);
        assert_same_segment(held.segments[1], &plain);
        assert_same_segment(held.segments[2], &most);
        assert_int_equal(held.n_ties[0], 0);
        assert_int_equal(held.n_ties[1], 3);
        for (size_t k = 0; k < 3; k++)
            assert_same_tie(&held.ties[1][k], &some_ties[k]);
        assert_int_equal(held.n_ties[2], 1);
        assert_same_tie(&held.ties[2][0], &some_ties[1]);
        assert_int_equal(held.n_daemons, 2);
        for (size_t k = 0; k < 2; k++) {
            assert_int_equal(held.daemons[k].pid, daemons[k].pid);
            assert_int_equal(held.daemons[k].started_at_s, daemons[k].started_at_s);
        }
        assert_int_equal(held.meta.last_serial, INT64_MAX);
        assert_int_equal(held.meta.event_serial, 12);
        forget(&held);
        if (i == 0) {
            store_sqlite_close(st);
            st = open_as(&here, STORE_KEPT);
        }
    }
    store_sqlite_close(st);
    free(longest);
    free(value);
}

TEST(a_record_is_replaced_with_its_ties_and_goes_with_them)
{
    struct store_sqlite *st = open_as(&here, STORE_NEW);
    struct segment s = example(1, (char[]){"a"});
    must_commit(st, &(struct store_change){1, &s, some_ties, 3}, 1, 1, 0);
    s.size = 8192;
    must_commit(st, &(struct store_change){1, &s, some_ties + 2, 1}, 1, 1, 0);
    struct held held;
    load(st, &held);
    assert_int_equal(held.n_segments, 1);
    assert_int_equal(held.segments[0]->size, 8192);
    assert_int_equal(held.n_ties[0], 1);
    assert_same_tie(&held.ties[0][0], &some_ties[2]);
    forget(&held);
    /* A change of what another change of the same commit did: the last one counts. */
    struct segment t = example(2, (char[]){"b"});
    const struct store_change twice[] = {
        {1, NULL, NULL, 0}, {2, &t, some_ties, 3}, {2, &t, some_ties, 1}};
    must_commit(st, twice, 3, 2, 0);
    load(st, &held);
    assert_int_equal(held.n_segments, 1);
    assert_int_equal(held.n_ties[0], 1);
    forget(&held);
    must_commit(st, &(struct store_change){.serial = 2}, 1, 2, 0);
    must_commit(st, &(struct store_change){.serial = 2}, 1, 2, 0); /* is not there: no matter */
    store_sqlite_close(st);
    st = open_as(&here, STORE_KEPT);
    assert_holds(st, 0);
    store_sqlite_close(st);
}

/* Reopens, and sees the counters. */
static struct store_sqlite *restart(struct store_sqlite *st, uint64_t last, uint64_t events)
{
    store_sqlite_close(st);
    st = open_as(&here, STORE_KEPT);
    struct held held;
    load(st, &held);
    assert_int_equal(held.meta.last_serial, last);
    assert_int_equal(held.meta.event_serial, events);
    forget(&held);
    return st;
}

TEST(counters_are_as_they_were_committed)
{
    struct store_sqlite *st = open_as(&here, STORE_NEW);
    put(st, 1, NULL);
    st = restart(st, 1, 0);
    must_commit(st, &(struct store_change){.serial = 1}, 1, 1025, 0);
    st = restart(st, 1025, 0);
    must_commit(st, NULL, 0, 1025, 1024);
    must_commit(st, NULL, 0, 1025, 1024);
    st = restart(st, 1025, 1024);
    /* One that is refused leaves them, and a record above tells its own. */
    struct segment s = example(1025, NULL);
    const char *reason;
    assert_int_equal(commit(st, &(struct store_change){7, &s, NULL, 0}, 1, 2000, 2000, &reason),
                     -EINVAL);
    st = restart(st, 1025, 1024);
    struct segment t = example(1030, NULL);
    must_commit(st, &(struct store_change){1030, &t, NULL, 0}, 1, 1025, 1024);
    st = restart(st, 1030, 1024);
    store_sqlite_close(st);
}

TEST(what_could_not_be_read_back_is_not_written)
{
    struct store_sqlite *st = open_as(&here, STORE_NEW);
    put(st, 1, NULL);
    struct label twice[] = {{"a", "1"}, {"a", "2"}}, no_key[] = {{"a b", ""}},
                 not_utf8[] = {{"a", "\xC3"}}, surrogate[] = {{"a", "\xED\xA0\x80"}},
                 overlong[] = {{"a", "\xE0\x80\x80"}};
    struct segment good = example(2, NULL), bad[20];
    size_t n = 0;
    for (size_t i = 0; i < 20; i++)
        bad[i] = example(3, NULL);
    bad[n++].serial = 0;
    bad[n++].name = (char[]){""};
    bad[n++].name = (char[]){"a b"};
    bad[n++].shmid = -1;
    bad[n++].cpid = -1;
    bad[n++].creator.pid = -1;
    bad[n++].size = 0;
    bad[n++].size = UINT64_C(1) << 63;
    memset(bad[n++].creator.comm, 'x', COMM_MAX);
    bad[n++].creator.comm[0] = '\x80';
    bad[n++].state = STATE_REMOVED;
    bad[n++].lifetime = LIFETIME_COUNT;
    bad[n++].huge_page_size = 3;
    bad[n++].expires_at_ms = -1;
    bad[n].labels = twice, bad[n++].n_labels = 2;
    bad[n].labels = no_key, bad[n++].n_labels = 1;
    bad[n].labels = not_utf8, bad[n++].n_labels = 1;
    bad[n].labels = surrogate, bad[n++].n_labels = 1;
    bad[n].labels = overlong, bad[n++].n_labels = 1;
    bad[n].labels = twice, bad[n++].n_labels = 17;
    assert_int_equal(n, 20);
    for (size_t i = 0; i < n; i++) {
        const struct store_change changes[] = {{2, &good, NULL, 0},
                                               {bad[i].serial, &bad[i], NULL, 0}};
        const char *reason = NULL;
        assert_int_equal(commit(st, changes, 2, 3, 7, &reason), -EINVAL);
        assert_contains(reason, "cannot be stored");
    }
    const struct stored_tie bad_ties[] = {{TIE_ROLES, {1, 0, 0}, 0, "", 0},
                                          {TIE_HOLDER, {0, 0, 0}, 0, "", 0},
                                          {TIE_HOLDER, {1, 0, 0}, 0, "\x1F", 0}};
    for (size_t i = 0; i < 3; i++) {
        const char *reason = NULL;
        const struct store_change change = {2, &good, &bad_ties[i], 1};
        assert_int_equal(commit(st, &change, 1, 3, 7, &reason), -EINVAL);
    }
    const char *reason = NULL;
    const struct store_change other = {4, &good, NULL, 0};
    assert_int_equal(commit(st, &other, 1, 4, 7, &reason), -EINVAL);
    /* All or nothing: the good ones before them are not there, nor are the counters. */
    st = restart(st, 1, 0);
    assert_holds(st, 1);
    store_sqlite_close(st);
}

TEST(the_files_are_the_owners_alone_and_few)
{
    mode_t old = umask(0);
    struct store_sqlite *st = open_as(&here, STORE_NEW);
    put(st, 1, NULL);
    umask(old);
    static const char *const names[] = {"state.db", "state.db-wal", "state.db-mark"};
    for (size_t i = 0; i < 3; i++) {
        struct stat s;
        assert_int_equal(stat(in_dir(names[i]), &s), 0);
        assert_int_equal(s.st_mode, S_IFREG | 0600);
    }
    assert_int_equal(count_names("state.db"), 3);
    store_sqlite_close(st);
    assert_int_equal(count_names("state.db"), 2);
    assert_int_equal(count_names("-wal"), 0);
    assert_int_equal(chmod(in_dir("state.db"), 0644), 0);
    st = open_as(&here, STORE_KEPT);
    struct stat s;
    assert_int_equal(stat(in_dir("state.db"), &s), 0);
    assert_int_equal(s.st_mode, S_IFREG | 0600);
    store_sqlite_close(st);
    store_sqlite_close(NULL);
}

TEST(the_log_does_not_grow_for_ever)
{
    struct store_sqlite *st = open_as(&here, STORE_NEW);
    for (uint64_t i = 1; i <= 5000; i++) {
        struct segment s = example(i, NULL);
        must_commit(st, &(struct store_change){i, &s, some_ties, 1}, 1, i, i);
        must_commit(st, &(struct store_change){.serial = i}, 1, i, i);
    }
    struct stat db, log;
    assert_int_equal(stat(in_dir("state.db"), &db), 0);
    assert_int_equal(stat(in_dir("state.db-wal"), &log), 0);
    assert_in_range(log.st_size, 1, 1 << 20);
    assert_in_range(db.st_size, 1, 1 << 20);
    store_sqlite_close(st);
}

/* A process that opens the store, puts COUNT records, says so, and is killed. */
static pid_t start_other(unsigned count, int *ret_ready)
{
    int ready[2];
    assert_int_equal(pipe(ready), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that fails leaves nobody behind */
        struct store_sqlite *st;
        struct store_opening opening;
        if (store_sqlite_open(dir, &here, &st, &opening) < 0)
            _exit(1);
        for (uint64_t i = 1; i <= count; i++) {
            struct segment s = example(i, NULL);
            const char *reason;
            const struct store_change change = {i, &s, NULL, 0};
            if (commit(st, &change, 1, i, 0, &reason) < 0)
                _exit(1);
        }
        if (write(ready[1], "", 1) != 1)
            _exit(1);
        pause();
        _exit(0);
    }
    close(ready[1]);
    *ret_ready = ready[0];
    char byte;
    assert_int_equal(read(ready[0], &byte, 1), 1);
    return pid;
}

TEST(one_process_at_a_time_and_killing_it_loses_nothing)
{
    int ready;
    pid_t pid = start_other(50, &ready);
    struct store_sqlite *st = NULL;
    struct store_opening opening;
    assert_int_equal(store_sqlite_open(dir, &here, &st, &opening), -EBUSY);
    assert_null(st);
    assert_contains(opening.reason, "locked");
    assert_int_equal(count_names("corrupt"), 0);
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    close(ready);
    assert_int_equal(count_names("state.db-wal"), 1);
    st = open_as(&here, STORE_KEPT);
    assert_holds(st, 50);
    store_sqlite_close(st);
}

TEST(a_database_of_another_boot_or_namespace_is_emptied)
{
    const struct store_scope other_boot = {"99999999-2222-3333-4444-555555555555", 4026531839};
    const struct store_scope other_namespace = {other_boot.boot_id, 4026532000};
    struct store_sqlite *st = open_as(&here, STORE_NEW);
    struct segment s = example(7, NULL);
    must_commit(st, &(struct store_change){7, &s, some_ties, 3}, 1, 7, 0);
    assert_int_equal(store_sqlite_ops.enter(st, &(struct store_daemon){1, 2}), 0);
    store_sqlite_close(st);
    st = open_as(&other_boot, STORE_DROPPED);
    struct held held;
    load(st, &held);
    assert_int_equal(held.n_segments + held.n_daemons, 0);
    assert_int_equal(held.meta.last_serial, 7);
    put(st, 8, NULL);
    store_sqlite_close(st);
    store_sqlite_close(open_as(&other_boot, STORE_KEPT));
    st = open_as(&other_namespace, STORE_DROPPED);
    assert_holds(st, 0);
    store_sqlite_close(st);
    st = open_as(&other_namespace, STORE_KEPT);
    put(st, 9, NULL);
    store_sqlite_close(st);
}

TEST(what_is_unknown_differs_from_nothing)
{
    static const struct store_scope unknown = {"", 0};
    struct store_sqlite *st = open_as(&unknown, STORE_NEW);
    put(st, 1, NULL);
    store_sqlite_close(st);
    const struct store_scope *const scopes[] = {&unknown, &here, &unknown, &here};
    for (size_t i = 0; i < 4; i++) {
        st = open_as(scopes[i], STORE_KEPT);
        assert_holds(st, 1);
        store_sqlite_close(st);
    }
    /* What was known before is still known. */
    store_sqlite_close(open_as(&(struct store_scope){here.boot_id, 1}, STORE_DROPPED));
}

/* Version 1 as it was, with one segment and its holder. */
static const char version_1[] =
    "PRAGMA application_id = 0x73686d64; PRAGMA user_version = 1;"
    "CREATE TABLE meta (boot_id TEXT NOT NULL, ipc_namespace INTEGER NOT NULL,"
    " last_serial INTEGER NOT NULL, event_serial INTEGER NOT NULL);"
    "INSERT INTO meta VALUES ('11111111-2222-3333-4444-555555555555', 4026531839, 4, 9);"
    "CREATE TABLE segment (serial INTEGER PRIMARY KEY, name TEXT, key INTEGER NOT NULL,"
    " shmid INTEGER NOT NULL, cpid INTEGER NOT NULL, cuid INTEGER NOT NULL, size INTEGER NOT NULL,"
    " creator_uid INTEGER NOT NULL, creator_gid INTEGER NOT NULL, creator_pid INTEGER NOT NULL,"
    " creator_comm TEXT NOT NULL, creator_was_admin INTEGER NOT NULL, state INTEGER NOT NULL,"
    " lifetime INTEGER NOT NULL, noreserve INTEGER NOT NULL, adopted INTEGER NOT NULL,"
    " huge_page_size INTEGER NOT NULL, created_at_ms INTEGER NOT NULL,"
    " expires_at_ms INTEGER NOT NULL, labels BLOB);"
    "CREATE TABLE tie (serial INTEGER NOT NULL, place INTEGER NOT NULL, role INTEGER NOT NULL,"
    " pid INTEGER NOT NULL, inode INTEGER NOT NULL, uid INTEGER NOT NULL, comm TEXT NOT NULL,"
    " since_at_ms INTEGER NOT NULL, PRIMARY KEY (serial, place)) WITHOUT ROWID;"
    "INSERT INTO segment VALUES (3, 'frames', 0, 5, 100, 990, 4096, 1000, 1000, 4711, 'producer', "
    "0,"
    " 1, 1, 0, 0, 0, 1700000000000, 0, x'6b007600');"
    "INSERT INTO tie VALUES (3, 0, 0, 4711, 1234567, 1000, 'producer', 1700000000001);";

TEST(an_older_schema_is_brought_up_to_date)
{
    run_sql(version_1);
    struct label label = {"k", "v"};
    struct segment want = example(3, (char[]){"frames"});
    want.shmid = 5;
    want.lifetime = LIFETIME_PROCESS;
    want.labels = &label;
    want.n_labels = 1;
    const struct stored_tie tie = {TIE_HOLDER, {4711, 1234567, 0}, 1000, "producer", 1700000000001};
    struct store_sqlite *st = open_as(&here, STORE_KEPT);
    struct held held;
    load(st, &held);
    assert_int_equal(held.n_segments, 1);
    assert_same_segment(held.segments[0], &want);
    assert_int_equal(held.n_ties[0], 1);
    assert_same_tie(&held.ties[0][0], &tie);
    assert_int_equal(held.n_daemons, 0);
    assert_int_equal(held.meta.last_serial, 4);
    assert_int_equal(held.meta.event_serial, 9);
    forget(&held);
    assert_int_equal(store_sqlite_ops.enter(st, &(struct store_daemon){1, 2}), 0);
    must_commit(st, &(struct store_change){3, &want, some_ties, 3}, 1, 4, 9);
    store_sqlite_close(st);
    st = open_as(&here, STORE_KEPT);
    load(st, &held);
    assert_int_equal(held.n_ties[0], 3);
    assert_same_tie(&held.ties[0][1], &some_ties[1]);
    assert_int_equal(held.n_daemons, 1);
    forget(&held);
    store_sqlite_close(st);
}

static int refuse_second(void *context, struct segment *segment, const struct stored_tie *ties,
                         size_t n_ties)
{
    (void)ties, (void)n_ties;
    segment_free(segment);
    return ++*(int *)context == 2 ? -ENOMEM : 0;
}

static int no_daemon(void *context, const struct store_daemon *daemon)
{
    (void)context, (void)daemon;
    return 0;
}

TEST(a_visitor_can_end_the_loading)
{
    struct store_sqlite *st = open_as(&here, STORE_NEW);
    for (uint64_t i = 1; i <= 3; i++)
        put(st, i, NULL);
    for (int i = 0; i < 2; i++) {
        int seen = 0;
        const struct store_visitor visitor = {refuse_second, no_daemon, &seen};
        struct store_meta meta;
        assert_int_equal(store_sqlite_ops.load(st, &visitor, &meta), -ENOMEM);
        assert_int_equal(seen, 2);
        assert_holds(st, 3);
        store_sqlite_close(st);
        st = open_as(&here, STORE_KEPT); /* the second time: what opening read */
    }
    store_sqlite_close(st);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(every_field_comes_back),
        STORE_TEST(a_record_is_replaced_with_its_ties_and_goes_with_them),
        STORE_TEST(counters_are_as_they_were_committed),
        STORE_TEST(what_could_not_be_read_back_is_not_written),
        STORE_TEST(the_files_are_the_owners_alone_and_few),
        STORE_TEST(the_log_does_not_grow_for_ever),
        STORE_TEST(one_process_at_a_time_and_killing_it_loses_nothing),
        STORE_TEST(a_database_of_another_boot_or_namespace_is_emptied),
        STORE_TEST(what_is_unknown_differs_from_nothing),
        STORE_TEST(an_older_schema_is_brought_up_to_date),
        STORE_TEST(a_visitor_can_end_the_loading),
    };
    return RUN_TESTS(tests);
}
