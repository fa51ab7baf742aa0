/* SPDX-License-Identifier: MIT */
/*
 * What every store promises: the same tests over the store in memory that other tests use, over the
 * journal in a directory in memory, and over the journal in a real one.
 */
#include "tests/unit/support.h"

#include <dirent.h>
#include <errno.h>
#include <unistd.h>

#include "daemon/store/host_linux.h"
#include "daemon/store/journal.h"
#include "tests/fakes/fake_host.h"
#include "tests/fakes/fake_store.h"

/* --- stores to be tested */

struct subject {
    const char *what;
    /* Opens it, the first time or again; KILLED: the daemon before did not end in order. */
    struct store (*open)(bool killed);
    void (*close)(void); /* for good */
};

static void take_no_log(void *context, enum log_level level, const char *sentence)
{
    (void)context;
    (void)level;
    (void)sentence;
}

static struct fake_store in_memory;
static bool in_memory_is_open;

static struct store open_in_memory(bool killed)
{
    const char *ignored;
    if (!in_memory_is_open)
        fake_store_init(&in_memory);
    else if (!killed) /* an end in order leaves no intent open */
        assert_int_equal(fake_store(&in_memory).ops->abandon(&in_memory, &ignored), 0);
    in_memory_is_open = true;
    return fake_store(&in_memory);
}

static void close_in_memory(void)
{
    fake_store_deinit(&in_memory);
    in_memory_is_open = false;
}

static struct journal *journal;

static struct store open_journal(const struct host *host)
{
    const struct journal_options options = {.host = *host,
                                            .directory = "DIR",
                                            .boot_id = "boot",
                                            .ipc_namespace = 1,
                                            .own_uid = geteuid(),
                                            .log = take_no_log};
    assert_int_equal(journal_open(&options, &journal), 0);
    return (struct store){&journal_ops, journal};
}

static struct fake_host memory_host;
static bool memory_host_is_there;

static struct store open_on_fake_host(bool killed)
{
    if (!memory_host_is_there) {
        fake_host_init(&memory_host);
        memory_host.directory_uid = geteuid();
        memory_host_is_there = true;
    }
    memory_host.is_killed = killed;
    journal_close(journal);
    if (killed) {
        struct fake_host left;
        fake_host_copy(&memory_host, &left);
        fake_host_deinit(&memory_host);
        memory_host = left;
    }
    const struct host host = fake_host(&memory_host);
    return open_journal(&host);
}

static void close_on_fake_host(void)
{
    journal_close(journal);
    journal = NULL;
    fake_host_deinit(&memory_host);
    memory_host_is_there = false;
}

static char directory[64];
static struct host_linux real_host;
static bool is_cut; /* from here on nothing reaches the files: the daemon is as good as dead */

static ssize_t write_unless_cut(void *context, int file, const void *from, size_t n, uint64_t at)
{
    return is_cut ? -EIO : host_linux_ops.write(context, file, from, n, at);
}

static struct store open_on_real_host(bool killed)
{
    static struct host_ops ops;
    ops = host_linux_ops;
    ops.write = write_unless_cut;
    is_cut = killed;
    journal_close(journal);
    is_cut = false;
    if (!directory[0]) {
        snprintf(directory, sizeof(directory), "/tmp/shmd-contract-XXXXXX");
        assert_non_null(mkdtemp(directory));
        host_linux_init(&real_host, directory);
    }
    const struct host host = {&ops, &real_host};
    return open_journal(&host);
}

static void close_on_real_host(void)
{
    journal_close(journal);
    journal = NULL;
    host_linux_deinit(&real_host);
    DIR *d = opendir(directory);
    for (struct dirent *entry; d && (entry = readdir(d));)
        (void)unlinkat(dirfd(d), entry->d_name, 0);
    if (d)
        closedir(d);
    assert_int_equal(rmdir(directory), 0);
    directory[0] = '\0';
}

static struct subject subjects[] = {
    {"the fake", open_in_memory, close_in_memory},
    {"the journal on a fake host", open_on_fake_host, close_on_fake_host},
    {"the journal on this host", open_on_real_host, close_on_real_host},
};

/* --- what is done with it */

static const struct subject *subject;
static struct store store;
static const char *reason;

static int begin(void **state)
{
    subject = *state;
    store = subject->open(false);
    return 0;
}

static int end(void **state)
{
    (void)state;
    subject->close();
    return 0;
}

static int nothing_lives(void *context, uint64_t after, struct stored *ret)
{
    (void)context;
    (void)after;
    (void)ret;
    return 0;
}

static void load(struct store_contents *ret)
{
    const struct store_source source = {nothing_lives, NULL};
    assert_int_equal(store.ops->load(store.context, ret), 0);
    store.ops->follow(store.context, &source);
}

/* The next daemon's view. */
static void load_again(bool killed, struct store_contents *ret)
{
    store = subject->open(killed);
    load(ret);
}

static int put(const struct store_record *records, size_t n)
{
    reason = NULL;
    int r = store.ops->write(store.context, records, n, &reason);
    assert_true(r == 0 || (reason && *reason));
    return r;
}

static int intend(uint32_t key)
{
    const struct store_intent intent = {.key = key, .size = 4096, .pid = 7, .at_s = 5};
    return store.ops->intend(store.context, &intent, &reason);
}

static const struct label labels[] = {{"k", "v"}, {"purpose", "\xC3\xA9t\xC3\xA9"}};

static struct stored_segment segment(uint64_t serial, const char *name)
{
    return (struct stored_segment){.serial = serial,
                                   .name = name,
                                   .other_name = serial == 2 ? "other" : NULL,
                                   .replaces = serial == 2 ? 1 : 0,
                                   .key = (uint32_t)serial + UINT32_MAX - 10,
                                   .shmid = (int32_t)serial,
                                   .cpid = 3,
                                   .cuid = UINT32_MAX,
                                   .size = INT64_MAX,
                                   .creator = {1, 2, 3, "a comm of 15 ch", true},
                                   .state = STATE_REMOVING,
                                   .lifetime = LIFETIME_ATTACHED,
                                   .noreserve = true,
                                   .adopted = true,
                                   .has_unseen = true,
                                   .huge_page_size = 1 << 30,
                                   .created_at_ms = -1,
                                   .expires_at_ms = INT64_MAX,
                                   .idle_ttl_ms = 1000,
                                   .idle = {INT64_MAX, INT64_MIN, -1, INT32_MAX},
                                   .labels = labels,
                                   .n_labels = 2};
}

static struct store_record of_segment(const struct stored_segment *s)
{
    return (struct store_record){.type = STORE_SEGMENT, .serial = s->serial, .segment = s};
}

static struct store_record of_tie(enum store_record_type type, uint64_t serial, enum tie_role role,
                                  int32_t pid)
{
    return (struct store_record){
        .type = type,
        .serial = serial,
        .tie = {role, {pid, UINT64_MAX, 9}, 1000, "holder", INT64_MIN + pid}};
}

static struct store_record gone(uint64_t serial)
{
    return (struct store_record){.type = STORE_GONE, .serial = serial};
}

/* --- what is promised */

TEST(it_begins_with_nothing)
{
    struct store_contents c;
    load(&c);
    assert_int_equal(c.n_segments + c.n_daemons + c.has_intent, 0);
    assert_int_equal(c.counters.last_serial + c.counters.event_serial, 0);
    assert_true(c.records_since_at_ms > 0);
    store_contents_deinit(&c);
    assert_false(store.ops->tend(store.context, 500));
    assert_int_equal(put(NULL, 0), 0);
}

TEST(it_keeps_every_field)
{
    struct store_contents c;
    load(&c);
    store_contents_deinit(&c);
    for (int again = 0; again < 2; again++) {
        char name[] = "frames";
        const struct stored_segment s = segment(2, name);
        const struct store_record records[] = {
            of_segment(&s),
            of_tie(STORE_TIE, 2, TIE_ATTACHER, 5),
            {.type = STORE_COUNTERS, .counters = {7, 8}},
            {.type = STORE_DAEMON, .daemon = {7, UINT32_MAX, INT64_MIN}},
        };
        if (again == 0)
            assert_int_equal(put(records, 4), 0);
        name[0] = 'x'; /* it has copies */
        load_again(again, &c);
        assert_int_equal(c.n_segments, 1);
        const struct stored_segment *k = &c.segments[0].segment;
        assert_int_equal(k->serial, 2);
        assert_string_equal(k->name, "frames");
        assert_string_equal(k->other_name, "other");
        assert_int_equal(k->replaces, 1);
        assert_int_equal(k->key, s.key);
        assert_int_equal(k->shmid, 2);
        assert_int_equal(k->cpid, 3);
        assert_int_equal(k->cuid, UINT32_MAX);
        assert_int_equal(k->size, INT64_MAX);
        assert_int_equal(k->creator.uid, 1);
        assert_int_equal(k->creator.gid, 2);
        assert_int_equal(k->creator.pid, 3);
        assert_string_equal(k->creator.comm, "a comm of 15 ch");
        assert_true(k->creator.was_admin && k->noreserve && k->adopted && k->has_unseen);
        assert_int_equal(k->state, STATE_REMOVING);
        assert_int_equal(k->lifetime, LIFETIME_ATTACHED);
        assert_int_equal(k->huge_page_size, 1 << 30);
        assert_int_equal(k->created_at_ms, -1);
        assert_int_equal(k->expires_at_ms, INT64_MAX);
        assert_int_equal(k->idle_ttl_ms, 1000);
        assert_int_equal(k->idle.since_ms, INT64_MAX);
        assert_int_equal(k->idle.attached_at_s, INT64_MIN);
        assert_int_equal(k->idle.detached_at_s, -1);
        assert_int_equal(k->idle.last_pid, INT32_MAX);
        assert_int_equal(k->n_labels, 2);
        assert_string_equal(k->labels[0].key, "k");
        assert_string_equal(k->labels[1].value, labels[1].value);
        assert_int_equal(c.segments[0].n_ties, 1);
        const struct stored_tie *t = &c.segments[0].ties[0];
        assert_int_equal(t->role, TIE_ATTACHER);
        assert_int_equal(t->identity.pid, 5);
        assert_int_equal(t->identity.inode, UINT64_MAX);
        assert_int_equal(t->identity.started_at, 9);
        assert_int_equal(t->uid, 1000);
        assert_string_equal(t->comm, "holder");
        assert_int_equal(t->since_at_ms, INT64_MIN + 5);
        assert_int_equal(c.counters.last_serial, 7);
        assert_int_equal(c.counters.event_serial, 8);
        assert_int_equal(c.n_daemons, 1);
        assert_int_equal(c.daemons[0].pid, 7);
        assert_int_equal(c.daemons[0].pid_namespace, UINT32_MAX);
        assert_int_equal(c.daemons[0].started_at_s, INT64_MIN);
        store_contents_deinit(&c);
    }
}

TEST(a_segments_own_record_and_its_ties_change_apart)
{
    struct store_contents c;
    load(&c);
    store_contents_deinit(&c);
    struct stored_segment a = segment(1, NULL);
    const struct store_record made[] = {of_segment(&a), of_tie(STORE_TIE, 1, TIE_HOLDER, 5),
                                        of_tie(STORE_TIE, 1, TIE_HOLDER, 6),
                                        of_tie(STORE_TIE, 1, TIE_INITIALISER, 5)};
    assert_int_equal(put(made, 4), 0);
    a.size = 5;
    a.n_labels = 0;
    const struct store_record changed = of_segment(&a);
    assert_int_equal(put(&changed, 1), 0);
    const struct store_record untied[] = {of_tie(STORE_UNTIE, 1, TIE_HOLDER, 5),
                                          of_tie(STORE_UNTIE, 1, TIE_HOLDER, 99)};
    assert_int_equal(put(untied, 2), 0);
    const struct store_record tied = of_tie(STORE_TIE, 1, TIE_HOLDER, 4);
    assert_int_equal(put(&tied, 1), 0);
    load_again(true, &c);
    assert_int_equal(c.n_segments, 1);
    assert_null(c.segments[0].segment.name);
    assert_int_equal(c.segments[0].segment.size, 5);
    assert_int_equal(c.segments[0].segment.n_labels, 0);
    /* In the order in which they were made. */
    assert_int_equal(c.segments[0].n_ties, 3);
    assert_int_equal(c.segments[0].ties[0].identity.pid, 6);
    assert_int_equal(c.segments[0].ties[1].identity.pid, 5);
    assert_int_equal(c.segments[0].ties[1].role, TIE_INITIALISER);
    assert_int_equal(c.segments[0].ties[2].identity.pid, 4);
    store_contents_deinit(&c);
}

/* /proc may hide since when the process runs, or not any more. */
TEST(a_tie_ends_when_less_is_known_of_its_process)
{
    struct store_contents c;
    load(&c);
    store_contents_deinit(&c);
    const struct stored_segment a = segment(1, NULL);
    struct store_record ties[] = {of_segment(&a), of_tie(STORE_TIE, 1, TIE_HOLDER, 5),
                                  of_tie(STORE_TIE, 1, TIE_HOLDER, 6),
                                  of_tie(STORE_TIE, 1, TIE_HOLDER, 6)};
    for (size_t i = 1; i < 4; i++)
        ties[i].tie.identity.inode = 0;
    ties[3].tie.identity.started_at = 0;
    assert_int_equal(put(ties, 4), 0);
    struct store_record end = of_tie(STORE_UNTIE, 1, TIE_HOLDER, 5);
    end.tie.identity.inode = end.tie.identity.started_at = 0;
    assert_int_equal(put(&end, 1), 0);
    /* The one of which nothing else is known, and not the first. */
    end.tie.identity.pid = 6;
    assert_int_equal(put(&end, 1), 0);
    end.tie.identity.started_at = 10; /* another process */
    assert_int_equal(put(&end, 1), 0);
    load_again(true, &c);
    assert_int_equal(c.segments[0].n_ties, 1);
    assert_int_equal(c.segments[0].ties[0].identity.pid, 6);
    assert_int_equal(c.segments[0].ties[0].identity.started_at, 9);
    store_contents_deinit(&c);
}

TEST(an_idle_time_alone)
{
    struct store_contents c;
    load(&c);
    store_contents_deinit(&c);
    struct stored_segment a = segment(1, "a"), b = segment(2, NULL);
    b.key++;
    b.idle_ttl_ms = 0;
    b.idle = (struct stored_idle){0};
    struct store_record records[] = {of_segment(&a),
                                     of_segment(&b),
                                     of_tie(STORE_TIE, 1, TIE_HOLDER, 5),
                                     {.type = STORE_IDLE, .serial = 1, .idle = {7, 8, 9, -10}},
                                     {.type = STORE_IDLE, .serial = 2, .idle = {7, 8, 9, 10}},
                                     {.type = STORE_IDLE, .serial = 3, .idle = {7, 8, 9, 10}}};
    assert_int_equal(put(records, 6), 0);
    load_again(true, &c);
    assert_int_equal(c.n_segments, 2);
    const struct stored_segment *k = &c.segments[0].segment;
    assert_int_equal(k->idle.since_ms, 7);
    assert_int_equal(k->idle.attached_at_s, 8);
    assert_int_equal(k->idle.detached_at_s, 9);
    assert_int_equal(k->idle.last_pid, -10);
    assert_string_equal(k->name, "a");
    assert_int_equal(k->idle_ttl_ms, 1000);
    assert_int_equal(k->n_labels, 2);
    assert_int_equal(c.segments[0].n_ties, 1);
    assert_int_equal(c.segments[1].segment.idle.since_ms, 0); /* it has no idle time */
    assert_int_equal(c.counters.last_serial, 3);
    store_contents_deinit(&c);
    /* The record is the truth again, whatever it says. */
    assert_int_equal(put(records, 1), 0);
    records[3].idle.since_ms = 0;
    assert_int_equal(put(&records[3], 1), -EINVAL);
    load_again(true, &c);
    assert_int_equal(c.segments[0].segment.idle.since_ms, INT64_MAX);
    store_contents_deinit(&c);
}

TEST(what_is_gone_is_gone_and_the_rest_is_in_order)
{
    struct store_contents c;
    load(&c);
    store_contents_deinit(&c);
    static const uint64_t serials[] = {5, 2, 9, 1};
    for (size_t i = 0; i < 4; i++) {
        const struct stored_segment s = segment(serials[i], NULL);
        const struct store_record records[] = {of_segment(&s),
                                               of_tie(STORE_TIE, s.serial, TIE_HOLDER, 5)};
        assert_int_equal(put(records, 2), 0);
    }
    const struct store_record ends[] = {gone(9), gone(77), of_tie(STORE_UNTIE, 9, TIE_HOLDER, 5),
                                        gone(2)};
    assert_int_equal(put(ends, 4), 0);
    load_again(true, &c);
    assert_int_equal(c.n_segments, 2);
    assert_int_equal(c.segments[0].segment.serial, 1);
    assert_int_equal(c.segments[1].segment.serial, 5);
    assert_int_equal(c.segments[1].n_ties, 1);
    assert_int_equal(c.counters.last_serial, 77); /* no serial is ever given again */
    store_contents_deinit(&c);
}

TEST(an_intent_is_open_until_the_next_change)
{
    struct store_contents c;
    load(&c);
    store_contents_deinit(&c);
    assert_int_equal(intend(17), 0);
    load_again(true, &c);
    assert_true(c.has_intent);
    assert_int_equal(c.intent.key, 17);
    assert_int_equal(c.intent.size, 4096);
    assert_int_equal(c.intent.pid, 7);
    assert_int_equal(c.intent.at_s, 5);
    store_contents_deinit(&c);
    const struct stored_segment s = segment(1, "a");
    const struct store_record record = of_segment(&s);
    assert_int_equal(put(&record, 1), 0);
    load_again(true, &c);
    assert_false(c.has_intent);
    store_contents_deinit(&c);
    assert_int_equal(intend(18), 0);
    assert_int_equal(store.ops->abandon(store.context, &reason), 0);
    load_again(true, &c);
    assert_false(c.has_intent);
    assert_int_equal(c.n_segments, 1);
    store_contents_deinit(&c);
    assert_int_equal(intend(19), 0);
    load_again(false, &c); /* in order */
    assert_false(c.has_intent);
    store_contents_deinit(&c);
}

TEST(what_may_not_be_stored_changes_nothing)
{
    struct store_contents c;
    load(&c);
    store_contents_deinit(&c);
    const struct stored_segment good = segment(1, "a"), bad = segment(2, "no name");
    const struct store_record records[] = {of_segment(&good), of_segment(&bad)};
    assert_int_equal(put(records, 2), -EINVAL);
    const struct store_record tied[] = {of_segment(&good), of_tie(STORE_TIE, 4, TIE_HOLDER, 5)};
    assert_int_equal(put(tied, 2), -EINVAL);
    const struct store_record none = of_tie(STORE_TIE, 1, TIE_ROLES, 5);
    assert_int_equal(put(&none, 1), -EINVAL);
    const struct store_intent intent = {.size = 1};
    assert_int_equal(store.ops->intend(store.context, &intent, &reason), -EINVAL);
    assert_true(reason && *reason);
    load_again(true, &c);
    assert_int_equal(c.n_segments + c.has_intent, 0);
    assert_int_equal(c.counters.last_serial, 0);
    store_contents_deinit(&c);
}

TEST(it_says_how_large_it_is)
{
    struct store_contents c;
    load(&c);
    store_contents_deinit(&c);
    const uint64_t empty = store.ops->size(store.context);
    const struct stored_segment s = segment(1, "a");
    const struct store_record record = of_segment(&s);
    assert_int_equal(put(&record, 1), 0);
    assert_true(store.ops->size(store.context) > empty);
}

#define OF(name, i)                                                                                \
    {                                                                                              \
        name_of(#name, i), name, begin, end, &subjects[i]                                          \
    }
#define OF_ALL(name) OF(name, 0), OF(name, 1), OF(name, 2)

static const char *name_of(const char *test, size_t i)
{
    static char names[64][128];
    static size_t n;
    snprintf(names[n], sizeof(names[n]), "%s: %s", subjects[i].what, test);
    return names[n++];
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        OF_ALL(it_begins_with_nothing),
        OF_ALL(it_keeps_every_field),
        OF_ALL(a_segments_own_record_and_its_ties_change_apart),
        OF_ALL(a_tie_ends_when_less_is_known_of_its_process),
        OF_ALL(an_idle_time_alone),
        OF_ALL(what_is_gone_is_gone_and_the_rest_is_in_order),
        OF_ALL(an_intent_is_open_until_the_next_change),
        OF_ALL(what_may_not_be_stored_changes_nothing),
        OF_ALL(it_says_how_large_it_is),
    };
    return RUN_TESTS(tests);
}
