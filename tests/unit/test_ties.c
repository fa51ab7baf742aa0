/*
 * One party and one watch for a process, however many segments depend on it, and nothing left when
 * the last tie goes; whoever takes a pidfd gives it back, on every way out.
 */
#include "tests/unit/support.h"

#include <errno.h>

#include "daemon/core/ties.h"
#include "daemon/core/segment.h"
#include "tests/fakes/fake_memory.h"
#include "tests/fakes/fake_processes.h"

static struct fake_processes p;
static struct holders h;
static struct segment one, two;

static int begin(void **state)
{
    (void)state;
    fake_processes_init(&p);
    holders_init(&h, p.processes, p.watcher);
    one = two = (struct segment){0};
    return 0;
}

static int end(void **state)
{
    (void)state;
    holders_deinit(&h);
    assert_int_equal(p.n_open, 0);
    assert_int_equal(p.n_watched, 0);
    return 0;
}

static int party_of(int socket, const char *comm, struct party **ret)
{
    struct process_identity identity;
    int pidfd;
    assert_int_equal(p.processes.ops->open_peer(p.processes.context, socket, &pidfd), 0);
    assert_int_equal(
        p.processes.ops->identify(p.processes.context, pidfd, p.tasks[socket].pid, &identity), 0);
    return holders_process(&h, &identity, pidfd, 1000, comm, ret);
}

TEST(one_party_for_a_process)
{
    int socket = fake_processes_start(&p, 5, "x");
    struct party *first, *again;
    assert_int_equal(party_of(socket, "a-name-beyond-15-bytes", &first), 0);
    assert_int_equal(first->uid, 1000);
    assert_string_equal(first->comm, "a-name-beyond-1");
    assert_int_equal(p.n_watched, 1);
    struct tie *tie = tie_make(&one, first, TIE_HOLDER, 77);
    assert_int_equal(tie->state, TIE_KEPT);
    assert_int_equal(tie->since_at_ms, 77);
    assert_int_equal(party_of(socket, "x", &again), 0);
    assert_ptr_equal(again, first);
    assert_int_equal(p.n_open, 1); /* the second pidfd is given back */
    struct tie *other = tie_make(&two, again, TIE_INITIALISER, 78);
    assert_int_equal(one.n_holders, 1);
    assert_int_equal(two.n_holders, 0);
    tie_drop(&h, tie);
    assert_int_equal(one.n_holders, 0);
    assert_int_equal(p.n_watched, 1);
    tie_drop(&h, other);
    assert_int_equal(p.n_watched, 0);
    assert_int_equal(h.n_processes, 0);
}

TEST(one_that_ties_nothing)
{
    struct party *party;
    assert_int_equal(party_of(fake_processes_start(&p, 5, "x"), "x", &party), 0);
    party_put(&h, party);
    party_put(&h, NULL);
    assert_int_equal(h.n_processes, 0);
}

TEST(a_pid_is_no_identity)
{
    int first = fake_processes_start(&p, 5, "first");
    fake_processes_die(&p, 5);
    int second = fake_processes_start(&p, 5, "second");
    for (int no_pidfs = 0; no_pidfs < 2; no_pidfs++) {
        struct party *a, *b;
        p.no_pidfs = no_pidfs;
        p.tasks[0].is_dead = false; /* for its start time to be known */
        assert_int_equal(party_of(first, "first", &a), 0);
        assert_int_equal(party_of(second, "second", &b), 0);
        assert_ptr_not_equal(a, b);
        assert_int_equal(h.n_processes, 2);
        party_put(&h, a);
        party_put(&h, b);
    }
}

TEST(many)
{
    enum { N = 300 };
    static struct tie *ties[N];
    for (int i = 0; i < N; i++) {
        struct party *party;
        assert_int_equal(party_of(fake_processes_start(&p, 1 + i * 37 % N, "x"), "x", &party), 0);
        ties[i] = tie_make(&one, party, TIE_HOLDER, i);
    }
    assert_int_equal(one.n_holders, N);
    assert_int_equal(h.n_processes, N);
    for (int i = 0; i < N; i++) {
        int at = i * 71 % N;
        assert_ptr_equal(tie_find(&one, ties[at]->party, TIE_HOLDER), ties[at]);
        tie_drop(&h, ties[at]);
    }
    assert_null(one.ties);
    assert_int_equal(one.n_holders, 0);
}

TEST(finding)
{
    struct party *a, *b;
    assert_int_equal(party_of(fake_processes_start(&p, 5, "x"), "x", &a), 0);
    assert_int_equal(party_of(fake_processes_start(&p, 6, "x"), "x", &b), 0);
    struct tie *tie = tie_make(&one, a, TIE_HOLDER, 0);
    struct tie *other = tie_make(&two, b, TIE_HOLDER, 0);
    assert_ptr_equal(tie_find(&one, a, TIE_HOLDER), tie);
    assert_ptr_equal(tie_find(&one, NULL, TIE_HOLDER), tie);
    assert_null(tie_find(&one, b, TIE_HOLDER));
    assert_null(tie_find(&one, a, TIE_INITIALISER));
    tie->state = TIE_CUT;
    one.n_holders--;
    assert_null(tie_find(&one, a, TIE_HOLDER));
    tie_drop(&h, tie);
    assert_int_equal(one.n_holders, 0); /* it did not count any more */
    tie_drop(&h, other);
}

TEST(connections)
{
    const struct caller caller = {.uid = 1000, .pid = 5, .comm = "client"};
    struct party *party = party_new_connection(&caller);
    assert_true(party->is_connection);
    assert_int_equal(party->identity.pid, 5);
    assert_string_equal(party->comm, "client");
    struct tie *tie = tie_make(&one, party, TIE_HOLDER, 0);
    tie_drop(&h, tie); /* it stays, for it goes with its connection */
    party_put(&h, party);
    assert_int_equal(party->uid, 1000);
    party_free_connection(party);
    party_free_connection(NULL);
}

TEST(failures)
{
    int socket = fake_processes_start(&p, 5, "x");
    struct party *party = NULL;
    p.fail_watch = ENOSPC;
    assert_int_equal(party_of(socket, "x", &party), -ENOSPC);
    p.fail_watch = 0;
    for (unsigned long n = 1; n <= 2; n++) {
        fake_memory_fail(n);
        assert_int_equal(party_of(socket, "x", &party), -ENOMEM);
        assert_true(fake_memory_restore());
        assert_int_equal(p.n_open, 0);
    }
    assert_null(party);
    assert_int_equal(party_of(socket, "x", &party), 0);
    fake_memory_fail(1);
    assert_null(tie_make(&one, party, TIE_HOLDER, 0));
    assert_true(fake_memory_restore());
    assert_int_equal(one.n_holders, 0);
    party_put(&h, party);
    const struct caller caller = {.pid = 5};
    fake_memory_fail(1);
    assert_null(party_new_connection(&caller));
    assert_true(fake_memory_restore());
}

TEST(the_same_process)
{
    const struct process_identity a = {.pid = 5, .inode = 70}, b = {.pid = 5, .inode = 71},
                                  c = {.pid = 6, .inode = 70}, old = {.pid = 5, .started_at = 9},
                                  older = {.pid = 5, .started_at = 8}, bare = {.pid = 5};
    assert_true(process_is_same(&a, &a));
    assert_false(process_is_same(&a, &b));
    assert_false(process_is_same(&a, &c));
    assert_true(process_is_same(&old, &old));
    assert_false(process_is_same(&old, &older));
    assert_false(process_is_same(&a, &old));
    assert_false(process_is_same(&bare, &bare)); /* nothing but a pid is known */
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        CASE(one_party_for_a_process),
        CASE(one_that_ties_nothing),
        CASE(a_pid_is_no_identity),
        CASE(many),
        CASE(finding),
        CASE(connections),
        CASE(failures),
        CASE(the_same_process),
    };
    return RUN_TESTS(tests);
}
