/* SPDX-License-Identifier: MIT */
/*
 * One party and one watch for a process, however many segments depend on it, and nothing left when
 * the last tie goes. A pidfd that is taken is given back on every way out.
 */
#include "tests/unit/support.h"

#include <errno.h>

#include "daemon/core/segment.h"
#include "daemon/core/ties.h"
#include "tests/fakes/fake_memory.h"
#include "tests/fakes/fake_processes.h"

static struct fake_processes p;
static struct parties h;
static struct segment one, two;

static struct tie *tied(struct segment *segment, struct party *party, enum tie_role role,
                        int64_t since_at_ms)
{
    struct tie *tie = tie_new(party, role, since_at_ms);
    assert_non_null(tie);
    tie_bind(&h, tie, segment);
    return tie;
}

static struct quota q;
static const struct access access_rules = {.own_uid = 990};

static int begin(void **state)
{
    (void)state;
    fake_processes_init(&p);
    quota_init(&q);
    parties_init(&h, p.processes, p.watcher, &q, &access_rules);
    one = two = (struct segment){0};
    return 0;
}

static int end(void **state)
{
    (void)state;
    parties_deinit(&h);
    quota_deinit(&q);
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
    return parties_of_process(&h, &identity, pidfd, 1000, comm, ret);
}

TEST(one_party_for_a_process)
{
    int socket = fake_processes_start(&p, 5, "x");
    struct party *first, *again;
    assert_int_equal(party_of(socket, "a-name-beyond-15-bytes", &first), 0);
    assert_int_equal(first->uid, 1000);
    assert_string_equal(first->comm, "a-name-beyond-1");
    assert_int_equal(p.n_watched, 1);
    struct tie *tie = tied(&one, first, TIE_HOLDER, 77);
    assert_int_equal(tie->since_at_ms, 77);
    assert_int_equal(party_of(socket, "x", &again), 0);
    assert_ptr_equal(again, first);
    assert_int_equal(p.n_open, 1); /* the second pidfd is given back */
    struct tie *other = tied(&two, again, TIE_INITIALISER, 78);
    assert_int_equal(one.n_holders, 1);
    assert_int_equal(two.n_holders, 0);
    tie_free(&h, tie);
    assert_int_equal(one.n_holders, 0);
    assert_int_equal(p.n_watched, 1);
    tie_free(&h, other);
    assert_int_equal(p.n_watched, 0);
    assert_int_equal(h.n_processes, 0);
}

TEST(one_that_ties_nothing)
{
    struct party *party;
    assert_int_equal(party_of(fake_processes_start(&p, 5, "x"), "x", &party), 0);
    party_put(&h, party);
    assert_int_equal(h.n_processes, 0);
}

TEST(a_pid_is_no_identity)
{
    for (int kernel = 0; kernel < 3; kernel++) {
        struct party *a, *b, *again;
        p.no_pidfs = kernel > 0;
        p.hides = kernel > 1; /* nothing but the pid is known */
        int first = fake_processes_start(&p, 5, "first");
        assert_int_equal(party_of(first, "first", &a), 0);
        fake_processes_die(&p, 5); /* and nobody has noticed yet */
        int second = fake_processes_start(&p, 5, "second");
        assert_int_equal(party_of(second, "second", &b), 0);
        assert_ptr_not_equal(a, b);
        assert_int_equal(h.n_processes, 2);
        assert_int_equal(party_of(second, "second", &again), 0);
        assert_ptr_equal(again, b);
        party_put(&h, kernel == 1 ? b : a);
        party_put(&h, kernel == 1 ? a : b);
        fake_processes_die(&p, 5);
    }
}

TEST(a_hidden_process_of_two_users)
{
    /* One of them may have been restored on doubt: the other must not find it. */
    struct caller caller = {.uid = 1000, .pid = 5, .comm = "x"};
    struct outcome_detail d;
    struct party *a, *b;
    const struct party *found;
    p.no_pidfs = p.hides = true;
    caller.socket = fake_processes_start(&p, 5, "x");
    assert_int_equal(parties_of_caller(&h, &caller, &a, &d), 0);
    caller.uid = 1001;
    assert_int_equal(parties_find_caller(&h, &caller, &found), 0);
    assert_null(found);
    assert_int_equal(parties_of_caller(&h, &caller, &b, &d), 0);
    assert_ptr_not_equal(a, b);
    assert_int_equal(parties_find_caller(&h, &caller, &found), 0);
    assert_ptr_equal(found, b);
    party_put(&h, a);
    party_put(&h, b);
}

TEST(many)
{
    enum { N = 300 };
    static struct tie *ties[N];
    for (int i = 0; i < N; i++) {
        struct party *party;
        assert_int_equal(party_of(fake_processes_start(&p, 1 + i * 37 % N, "x"), "x", &party), 0);
        ties[i] = tied(&one, party, TIE_HOLDER, i);
    }
    assert_int_equal(one.n_holders, N);
    assert_int_equal(h.n_processes, N);
    for (int i = 0; i < N; i++) {
        int at = i * 71 % N;
        assert_ptr_equal(tie_find(&one, ties[at]->party, TIE_HOLDER), ties[at]);
        tie_free(&h, ties[at]);
    }
    assert_true(LIST_EMPTY(&one.ties));
    assert_int_equal(one.n_holders, 0);
}

TEST(finding)
{
    struct party *a, *b;
    assert_int_equal(party_of(fake_processes_start(&p, 5, "x"), "x", &a), 0);
    assert_int_equal(party_of(fake_processes_start(&p, 6, "x"), "x", &b), 0);
    struct tie *tie = tied(&one, a, TIE_HOLDER, 0);
    struct tie *other = tied(&two, b, TIE_HOLDER, 0);
    assert_ptr_equal(tie_find(&one, a, TIE_HOLDER), tie);
    assert_ptr_equal(tie_find(&one, NULL, TIE_HOLDER), tie);
    assert_null(tie_find(&one, b, TIE_HOLDER));
    assert_null(tie_find(&one, a, TIE_INITIALISER));
    tie_free(&h, tie);
    assert_null(tie_find(&one, NULL, TIE_HOLDER));
    tie_free(&h, other);
    tie_free(&h, NULL);
}

TEST(of_roles)
{
    struct party *a, *b;
    assert_int_equal(party_of(fake_processes_start(&p, 5, "x"), "x", &a), 0);
    assert_int_equal(party_of(fake_processes_start(&p, 6, "x"), "x", &b), 0);
    struct tie *kept = tied(&one, a, TIE_INITIALISER, 0);
    (void)tied(&one, a, TIE_HOLDER, 0);
    (void)tied(&one, b, TIE_HOLDER, 0);
    (void)tied(&one, b, TIE_ATTACHER, 0);
    ties_free(&h, &one, 1U << TIE_HOLDER | 1U << TIE_ATTACHER);
    assert_int_equal(one.n_holders, 0);
    assert_int_equal(h.n_processes, 1);
    assert_ptr_equal(LIST_FIRST(&one.ties), kept);
    ties_free(&h, &one, TIES_ALL);
    assert_true(LIST_EMPTY(&one.ties));
}

TEST(not_bound_yet)
{
    /* It keeps its party, and counts for no segment. */
    struct party *party;
    assert_int_equal(party_of(fake_processes_start(&p, 5, "x"), "x", &party), 0);
    struct tie *first = tie_new(party, TIE_HOLDER, 1), *second = tie_new(party, TIE_HOLDER, 2);
    assert_null(first->segment);
    tie_free(&h, first);
    assert_int_equal(h.n_processes, 1);
    tie_bind(&h, second, &one);
    assert_ptr_equal(second->segment, &one);
    assert_int_equal(one.n_holders, 1);
    tie_free(&h, second);
    assert_int_equal(h.n_processes, 0);
}

TEST(connections)
{
    struct caller caller = {.uid = 1000, .pid = 5, .comm = "client"};
    struct party *party, *again;
    assert_int_equal(parties_of_connection(&caller, &party), 0);
    assert_true(party->is_connection);
    assert_int_equal(party->identity.pid, 5);
    assert_string_equal(party->comm, "client");
    assert_int_equal(parties_of_connection(&caller, &again), 0);
    assert_ptr_equal(again, party);
    tie_free(&h, tied(&one, party, TIE_HOLDER, 0)); /* it stays, for it goes with its connection */
    party_put(&h, party);
    assert_int_equal(party->uid, 1000);
    party_end(&h, party);
}

TEST(whose_tie_it_is)
{
    struct caller caller = {.uid = 1000, .pid = 5, .comm = "client"};
    struct outcome_detail d;
    struct tie *tie;
    caller.socket = fake_processes_start(&p, 5, "client");
    caller.until_ticks = p.now;
    for (int lifetime = 0; lifetime < LIFETIME_COUNT; lifetime++)
        for (int role = 0; role < TIE_ROLES; role++) {
            assert_int_equal(
                tie_new_of(&h, &caller, (enum lifetime)lifetime, (enum tie_role)role, 7, &tie, &d),
                0);
            assert_int_equal(tie->role, role);
            assert_int_equal(tie->since_at_ms, 7);
            assert_int_equal(tie->party->is_connection,
                             lifetime == LIFETIME_CONNECTION && role == TIE_HOLDER);
            tie_free(&h, tie);
        }
    p.fail_open_peer = EMFILE;
    assert_int_equal(tie_new_of(&h, &caller, LIFETIME_PROCESS, TIE_HOLDER, 0, &tie, &d), -EMFILE);
    p.fail_open_peer = 0;
    for (unsigned long n = 1; n <= 5; n++) { /* party, account and its tree, tree, tie */
        fake_memory_fail(n);
        assert_int_equal(tie_new_of(&h, &caller, LIFETIME_PROCESS, TIE_HOLDER, 0, &tie, &d),
                         -ENOMEM);
        assert_true(fake_memory_restore());
        assert_int_equal(h.n_processes, 0);
    }
    party_end(&h, caller.party);
}

TEST(failures)
{
    int socket = fake_processes_start(&p, 5, "x");
    struct party *party = NULL;
    p.fail_watch = ENOSPC;
    assert_int_equal(party_of(socket, "x", &party), -ENOSPC);
    p.fail_watch = 0;
    for (unsigned long n = 1; n <= 4; n++) {
        fake_memory_fail(n);
        assert_int_equal(party_of(socket, "x", &party), -ENOMEM);
        assert_true(fake_memory_restore());
        assert_int_equal(p.n_open, 0);
    }
    assert_null(party);
    assert_int_equal(party_of(socket, "x", &party), 0);
    fake_memory_fail(1);
    assert_null(tie_new(party, TIE_HOLDER, 0));
    assert_true(fake_memory_restore());
    assert_int_equal(one.n_holders, 0);
    party_put(&h, party);
    struct caller caller = {.pid = 5};
    fake_memory_fail(1);
    assert_int_equal(parties_of_connection(&caller, &party), -ENOMEM);
    assert_true(fake_memory_restore());
}

TEST(another_process)
{
    const struct process_identity a = {.pid = 5, .inode = 70}, b = {.pid = 5, .inode = 71},
                                  c = {.pid = 6, .inode = 70}, old = {.pid = 5, .started_at = 9},
                                  older = {.pid = 5, .started_at = 8}, bare = {.pid = 5};
    assert_false(process_is_other(&a, &a));
    assert_true(process_is_other(&a, &b));
    assert_true(process_is_other(&a, &c));
    assert_false(process_is_other(&old, &old));
    assert_true(process_is_other(&old, &older));
    /* What is unknown says nothing. */
    assert_false(process_is_other(&bare, &bare));
    assert_false(process_is_other(&old, &bare));
    assert_false(process_is_other(&bare, &old));
    assert_false(process_is_other(&a, &old));
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        CASE(one_party_for_a_process),
        CASE(one_that_ties_nothing),
        CASE(a_pid_is_no_identity),
        CASE(a_hidden_process_of_two_users),
        CASE(many),
        CASE(finding),
        CASE(of_roles),
        CASE(not_bound_yet),
        CASE(connections),
        CASE(whose_tie_it_is),
        CASE(failures),
        CASE(another_process),
    };
    return RUN_TESTS(tests);
}
