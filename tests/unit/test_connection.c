/* SPDX-License-Identifier: MIT */
/*
 * Connections in the loop of libevent, over real sockets: what those of one uid are answered in a
 * share leaves together, when all of it is done and logged, and before another uid is served. The
 * clock stands still, so no share is over before its work is.
 */
#include "tests/unit/support.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/io/connection.h"
#include "daemon/io/loop.h"
#include "daemon/util/log.h"
#include "tests/fakes/fake_memory.h"
#include "tests/fakes/rpc_fixture.h"

#define REQUEST(method, params)                                                                    \
    "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"" method "\",\"params\":{" params "}}\n"
#define CREATE(name) REQUEST("create", "\"name\":\"" name "\",\"size\":64")
#define REMOVE(name) REQUEST("remove", "\"name\":\"" name "\"")

enum { PEERS_MAX = ANSWERED_MAX + 2 };

static struct rpc_fixture *f;
static struct loop loop;
static int peers[PEERS_MAX]; /* the clients' ends */
static size_t n_peers;

/* What happened, in order: 'r' for each request that was executed before, then 'p' when events are
 * published, 'l' when the lines of the log leave, 's' for an answer that is sent. */
static char happened[4 * PEERS_MAX + 512];
static uint64_t n_executed;    /* of these */
static int senders[PEERS_MAX]; /* the daemon's ends, as their answers were sent */
static size_t n_sent;
static size_t may_read[PEERS_MAX]; /* how much each was read of at most */
static size_t n_reads;
static bool log_is_held;
static unsigned unheld; /* lines that left alone */

static void note(char what)
{
    size_t n = strlen(happened);
    for (; n_executed < loop.rpc->core->work.turn.requests; n_executed++)
        happened[n++] = 'r';
    happened[n++] = what;
    assert_in_range(n, 1, sizeof(happened) - 1);
}

static int send_fails; /* with that error, once */

ssize_t __real_send(int fd, const void *bytes, size_t n, int flags);
ssize_t __wrap_send(int fd, const void *bytes, size_t n, int flags);
ssize_t __wrap_send(int fd, const void *bytes, size_t n, int flags)
{
    note('s');
    if (send_fails) {
        errno = send_fails;
        send_fails = 0;
        return -1;
    }
    if (n_sent < PEERS_MAX)
        senders[n_sent++] = fd;
    return __real_send(fd, bytes, n, flags);
}

ssize_t __real_recv(int fd, void *bytes, size_t n, int flags);
ssize_t __wrap_recv(int fd, void *bytes, size_t n, int flags);
ssize_t __wrap_recv(int fd, void *bytes, size_t n, int flags)
{
    if (n_reads < PEERS_MAX)
        may_read[n_reads++] = n;
    return __real_recv(fd, bytes, n, flags);
}

void __wrap_log_hold(void);
void __wrap_log_hold(void)
{
    log_is_held = true;
}

void __wrap_log_release(void);
void __wrap_log_release(void)
{
    note('l');
    log_is_held = false;
}

void __wrap_log_entry(enum log_level level, const struct log_field *fields, size_t n_fields,
                      const char *format, ...);
void __wrap_log_entry(enum log_level level, const struct log_field *fields, size_t n_fields,
                      const char *format, ...)
{
    (void)level;
    (void)fields;
    (void)n_fields;
    (void)format;
    unheld += !log_is_held;
}

void __real_rpc_publish(struct rpc *rpc);
void __wrap_rpc_publish(struct rpc *rpc);
void __wrap_rpc_publish(struct rpc *rpc)
{
    note('p');
    __real_rpc_publish(rpc);
}

static int begin(void **state)
{
    (void)state;
    f = rpc_fixture_new();
    f->rpc.wake = loop_wake;
    fake_memory_pause(); /* libevent's is not the test's */
    assert_int_equal(loop_init(&loop, &f->rpc), 0);
    n_peers = 0;
    memset(happened, 0, sizeof(happened));
    n_executed = 0;
    n_sent = n_reads = unheld = 0;
    log_is_held = false;
    return 0;
}

static int end(void **state)
{
    (void)state;
    loop_close_connections(&loop);
    loop_deinit(&loop);
    for (size_t i = 0; i < n_peers; i++)
        close(peers[i]);
    fake_memory_resume();
    rpc_fixture_free(f);
    return 0;
}

/* A connection of UID, whose peer has sent TEXT. */
static int connected(uint32_t uid, const char *text)
{
    int ends[2];
    struct caller caller = core_fixture_caller(f->core, uid, 1);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    assert_int_equal(quota_add(&f->core->core.quota, uid, QUOTA_CONNECTIONS, 1, &caller.account),
                     0);
    assert_int_equal(connection_open(&loop, ends[1], &caller), 0);
    assert_int_equal(write(ends[0], text, strlen(text)), strlen(text));
    peers[n_peers++] = ends[0];
    return ends[0];
}

/* What has come is received and answered, all in one turn. */
static void run_turn(void)
{
    connections_read_last(&loop);
    n_executed = 0;
    work_begin_turn(&loop.rpc->core->work);
    turns_serve(&loop.turns);
    note('.');
    work_end_turn(&loop.rpc->core->work, 0);
}

static bool is_answered(int peer)
{
    char text[4096];
    ssize_t n = recv(peer, text, sizeof(text) - 1, MSG_DONTWAIT);
    text[n > 0 ? n : 0] = '\0';
    return strstr(text, "\"result\"") != NULL;
}

TEST(answers_leave_when_all_of_the_uid_are_served)
{
    connected(ALICE, CREATE("a"));
    connected(ALICE, CREATE("b"));
    connected(ALICE, CREATE("c"));
    run_turn();
    assert_string_equal(happened, "rrrplsss.");
    assert_true(senders[0] < senders[1] && senders[1] < senders[2]); /* as they came */
    assert_int_equal(unheld, 0);
    for (size_t i = 0; i < n_peers; i++)
        assert_true(is_answered(peers[i]));
}

TEST(no_answer_waits_for_another_uid)
{
    connected(ALICE, CREATE("a"));
    connected(BOB, CREATE("b"));
    connected(ALICE, CREATE("c"));
    run_turn();
    assert_string_equal(happened, "rrplssrpls.");
}

TEST(so_many_answers_are_kept_and_no_more)
{
    for (size_t i = 0; i <= ANSWERED_MAX; i++)
        connected(ALICE, REQUEST("info", ""));
    run_turn();
    assert_int_equal(strspn(happened, "r"), ANSWERED_MAX);
    assert_int_equal(strspn(happened + ANSWERED_MAX, "ls"), 1 + ANSWERED_MAX);
    assert_string_equal(happened + 2 * ANSWERED_MAX + 1, "rls.");
}

/* Each reads a part of what they read together, whichever of them has been served. */
TEST(what_is_read_is_shared_out)
{
    for (int i = 0; i < 4; i++)
        connected(ALICE, REQUEST("info", ""));
    run_turn();
    for (int i = 0; i < 4; i++)
        assert_int_equal(may_read[i], SCRATCH_BYTES / 4);
}

TEST(no_answer_waits_for_what_may_take_long)
{
    connected(ALICE, CREATE("a"));
    connected(ALICE, REQUEST("list", ""));
    connected(ALICE, REMOVE("a"));
    connected(ALICE, REQUEST("info", ""));
    run_turn();
    assert_string_equal(happened, "rplsrlsrrplss.");
}

/* Each of these may free or walk through much memory. */
TEST(no_answer_waits_for_memory_to_be_freed)
{
    static const char *const requests[] = {
        REQUEST("create", "\"name\":\"a\",\"size\":64,\"replace\":true"),
        REQUEST("set", "\"name\":\"a\",\"locked\":false"),
        REQUEST("release", "\"name\":\"a\""),
        REQUEST("disown", "\"name\":\"a\""),
    };
    connected(ALICE, CREATE("a"));
    run_turn();
    for (size_t i = 0; i < sizeof(requests) / sizeof(*requests); i++) {
        connected(ALICE, REQUEST("info", ""));
        connected(ALICE, requests[i]);
        memset(happened, 0, sizeof(happened));
        run_turn();
        assert_memory_equal(happened, "rlsr", 4);
    }
}

/* An answer is lost, and nobody else can tell the peer. */
TEST(one_whose_answer_could_not_be_sent_is_closed)
{
    int peer = connected(ALICE, REQUEST("info", ""));
    char byte;
    send_fails = ENOBUFS;
    run_turn();
    assert_int_equal(recv(peer, &byte, 1, MSG_DONTWAIT), 0);
    assert_true(TAILQ_EMPTY(&f->rpc.sessions));
}

TEST(no_answer_waits_for_a_long_batch)
{
    enum { MEMBERS = 50 };
    static const char member[] = "{\"jsonrpc\":\"2.0\",\"method\":\"info\",\"id\":1}"
                                 "                                                  ";
    char batch[MEMBERS * sizeof(member) + 2];
    for (size_t i = 0; i < MEMBERS; i++) {
        batch[i * sizeof(member)] = i > 0 ? ',' : '[';
        memcpy(batch + i * sizeof(member) + 1, member, sizeof(member) - 1);
    }
    strcpy(batch + MEMBERS * sizeof(member), "]");
    connected(ALICE, REQUEST("info", ""));
    connected(ALICE, batch);
    run_turn();
    assert_memory_equal(happened, "rlsr", 4);
    assert_int_equal(strspn(happened + 3, "r"), MEMBERS);
}

/* Lines of what is served while others' answers leave are held again. */
TEST(lines_of_the_log_are_held_again)
{
    connected(ALICE, CREATE("a"));
    connected(ALICE, CREATE("b") REQUEST("list", "") CREATE("c"));
    run_turn();
    assert_string_equal(happened, "rrplsrrpls.");
    assert_int_equal(unheld, 0);
}

/* The memory of one answer is that of a later one. */
TEST(answers_that_leave_together_allocate_nothing)
{
    static const char stat[] = REQUEST("stat", "\"name\":\"a\"");
    connected(ALICE, CREATE("a"));
    for (int i = 1; i < ANSWERED_MAX; i++)
        connected(ALICE, stat);
    run_turn();
    for (size_t i = 0; i < n_peers; i++)
        assert_int_equal(write(peers[i], stat, strlen(stat)), strlen(stat));
    fake_memory_resume();
    const unsigned long before = fake_memory_count();
    run_turn();
    assert_int_equal(fake_memory_count(), before);
    fake_memory_pause();
    for (size_t i = 0; i < n_peers; i++)
        assert_true(is_answered(peers[i]));
}

/* Its first answer has not left when it is served again: another connection has woken it. */
TEST(one_that_is_served_again)
{
    int reader = connected(ALICE, REQUEST("subscribe", ""));
    connected(ALICE, CREATE("a"));
    run_turn();
    assert_true(is_answered(reader));
    assert_int_equal(write(reader, REMOVE("a"), strlen(REMOVE("a"))), strlen(REMOVE("a")));
    run_turn();
    assert_true(is_answered(reader));
}

/* It is closed when its answer has left; what else leaves is not lost by that. */
TEST(a_peer_that_is_gone)
{
    int gone = connected(ALICE, CREATE("a"));
    int other = connected(ALICE, CREATE("b"));
    close(gone);
    peers[0] = dup(other);
    run_turn();
    run_turn();
    assert_true(is_answered(other));
    assert_int_equal(loop.answered.n, 0);
}

/* It may have left very much, and nobody hears of it. */
TEST(what_a_peer_that_is_gone_wanted_to_read)
{
    enum { LISTS = 50 };
    char text[16384] = CREATE("a");
    for (int i = 0; i < LISTS; i++)
        strcat(text, REQUEST("list", ""));
    strcat(text, CREATE("b"));
    f->core->clock.mono_step_us = 1000; /* a turn is over after one or two requests */
    int gone = connected(ALICE, text);
    close(gone);
    peers[0] = dup(STDERR_FILENO);
    for (int i = 0; i < 100 && !TAILQ_EMPTY(&f->rpc.sessions); i++)
        run_turn();
    assert_true(TAILQ_EMPTY(&f->rpc.sessions));
    assert_int_equal(f->rpc.counters.requests[METHOD_CREATE][PROTOCOL_ERROR_COUNT], 2);
    assert_in_range(f->rpc.counters.requests[METHOD_LIST][PROTOCOL_ERROR_COUNT], 0, 5);
}

/* One that is closed while its answer waits is not looked at again. */
TEST(one_that_is_closed_before_its_answer_has_left)
{
    connected(ALICE, CREATE("a"));
    int other = connected(BOB, CREATE("b"));
    run_turn();
    struct connection *c = connection_of(&TAILQ_FIRST(&f->rpc.sessions)->outbox);
    loop.answered.connections[loop.answered.n++] = c;
    assert_true(connections_make_room(&loop, BOB));
    assert_null(loop.answered.connections[0]);
    connections_send_answers(&loop);
    assert_true(is_answered(other));
}

/* It is served again, and must not be closed before that is over. */
TEST(one_whose_answer_must_leave_to_make_room)
{
    connected(ALICE, CREATE("a"));
    int other = connected(ALICE, CREATE("b"));
    struct session *s = TAILQ_FIRST(&f->rpc.sessions);
    s->outbox.is_cut_off = true; /* it is closed when its answer is to leave */
    loop.answered.connections[0] = connection_of(&s->outbox);
    loop.answered.n = ANSWERED_MAX;
    run_turn();
    assert_int_equal(quota_used_by(quota_find(&f->core->core.quota, ALICE), QUOTA_CONNECTIONS), 1);
    assert_true(is_answered(other));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(answers_leave_when_all_of_the_uid_are_served),
        CASE(no_answer_waits_for_another_uid),
        CASE(so_many_answers_are_kept_and_no_more),
        CASE(what_is_read_is_shared_out),
        CASE(no_answer_waits_for_what_may_take_long),
        CASE(no_answer_waits_for_memory_to_be_freed),
        CASE(one_whose_answer_could_not_be_sent_is_closed),
        CASE(no_answer_waits_for_a_long_batch),
        CASE(lines_of_the_log_are_held_again),
        CASE(answers_that_leave_together_allocate_nothing),
        CASE(one_that_is_served_again),
        CASE(a_peer_that_is_gone),
        CASE(what_a_peer_that_is_gone_wanted_to_read),
        CASE(one_that_is_closed_before_its_answer_has_left),
        CASE(one_whose_answer_must_leave_to_make_room),
    };
    return RUN_TESTS(tests);
}
