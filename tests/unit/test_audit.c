/* SPDX-License-Identifier: MIT */
/*
 * What the log tells of requests: a line for what was done, and one for what was refused, that says
 * who asked, for which segment, and why not. In the journal's fields is what is in the line. Linked
 * with --wrap for the log, so that its lines come here.
 */
#include "tests/unit/rpc_case.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>

#include "daemon/util/log.h"
#include "tests/fakes/fake_memory.h"

#define ASK(method, params) CALL("1", method, params)

void __wrap_log_entry(enum log_level level, const struct log_field *fields, size_t n_fields,
                      const char *format, ...) __attribute__((format(printf, 4, 5)));
void __wrap_log_line(enum log_level level, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Every line since the last look, and the fields of the last; NAME=value, a blank behind each. */
static char lines[8192], last_fields[2048];
static unsigned n_lines;

__attribute__((format(printf, 1, 0))) static void add_line(const char *format, va_list args)
{
    size_t used = strlen(lines);
    char line[1024];
    vsnprintf(line, sizeof(line), format, args);
    snprintf(lines + used, sizeof(lines) - used, "%s%s", used > 0 ? "\n" : "", line);
    n_lines++;
}

void __wrap_log_entry(enum log_level level, const struct log_field *fields, size_t n_fields,
                      const char *format, ...)
{
    va_list args;
    va_start(args, format);
    add_line(format, args);
    va_end(args);
    assert_true(n_fields <= LOG_FIELDS_MAX);
    const bool is_notice = strstr(format, "refused") || strstr(format, "more lines of uid");
    assert_int_equal(level, is_notice ? LOG_LEVEL_NOTICE : LOG_LEVEL_INFO);
    last_fields[0] = '\0';
    for (size_t i = 0; i < n_fields; i++) {
        size_t used = strlen(last_fields);
        if (fields[i].string)
            snprintf(last_fields + used, sizeof(last_fields) - used, "%s=%s ", fields[i].name,
                     fields[i].string);
        else
            snprintf(last_fields + used, sizeof(last_fields) - used, "%s=%" PRId64 " ",
                     fields[i].name, fields[i].integer);
    }
}

void __wrap_log_line(enum log_level level, const char *format, ...)
{
    va_list args;
    (void)level;
    va_start(args, format);
    add_line(format, args);
    va_end(args);
}

/* What CLIENT says makes these lines. No more than a burst comes in one test. */
static void logs(struct client *client, const char *text, const char *want)
{
    lines[0] = '\0';
    n_lines = 0;
    fake_clock_advance(&f->core->clock, 1000);
    (void)client_say(f, client, text);
    (void)client_heard(client);
    assert_string_equal(lines, want);
}

/* The same of a line that has the serial and the shmid of the record of NAME in it. */
static void logs_of(struct client *client, const char *text, const char *name, const char *before,
                    const char *after)
{
    const struct segment *s = registry_by_name(&f->core->core.registry, name);
    assert_non_null(s);
    char *want = text_of("%s serial %" PRIu64 " shmid %d%s", before, s->serial, s->shmid, after);
    logs(client, text, want);
    free(want);
    char *part = text_of("SERIAL=%" PRIu64 " SHMID=%d ", s->serial, s->shmid);
    assert_contains(last_fields, part);
    free(part);
}

static void has_fields(const char *want)
{
    assert_contains(last_fields, want);
}

static void has_no_field(const char *name)
{
    assert_null(strstr(last_fields, name));
}

static int32_t foreign(uint32_t uid, uint32_t key)
{
    const struct fake_process other = {uid, uid, 50};
    const struct sysv_create args = {.key = key, .size = 10};
    int32_t shmid;
    assert_int_equal(fake_sysv_create_as(f->core->k, &other, &args, 0600, &shmid), 0);
    return shmid;
}

#define ALICE_ASKS " (peer pid 1 uid 1000 worker)"
#define BOB_ASKS   " (peer pid 2 uid 1001 worker)"

TEST(what_was_done)
{
    logs(alice, ASK("create", "\"name\":\"a\",\"size\":64,\"key\":5"),
         "create: a serial 1 shmid 0 size 64" ALICE_ASKS);
    assert_string_equal(last_fields, "METHOD=create PEER_PID=1 PEER_UID=1000 PEER_COMM=worker "
                                     "NAME=a SERIAL=1 SHMID=0 ");
    logs(alice, ASK("create", "\"name\":\"a\",\"size\":64"), ""); /* nothing was */
    logs(alice, ASK("set", "\"name\":\"a\",\"mode\":\"0644\""),
         "set: a serial 1 shmid 0 size 64" ALICE_ASKS);
    static const char *const quiet[] = {ASK("stat", "\"name\":\"a\""), ASK("list", ""),

                                        ASK("wait", "\"name\":\"a\""), ASK("info", "")};
    for (size_t i = 0; i < sizeof(quiet) / sizeof(quiet[0]); i++)
        logs(bob, quiet[i], "");
    /* It has no name any more, but had one when it was asked for. */
    fake_sysv_attach_as(f->core->k, fixture_record(f->core, "a")->shmid, 9);
    logs(alice, ASK("remove", "\"name\":\"a\""), "remove: a serial 1 shmid 0 size 64" ALICE_ASKS);
    int32_t shmid = foreign(ALICE, 99);
    fake_sysv_segment(f->core->k, shmid)->uid = DAEMON;
    logs(alice, ASK("adopt", "\"key\":99,\"name\":\"mine\""),
         "adopt: mine serial 2 shmid 1 size 10" ALICE_ASKS);
}

TEST(refusals_of_a_segment)
{
    SAYS(alice, ASK("create", "\"name\":\"other\",\"size\":10"));
    SAYS(bob, ASK("create", "\"name\":\"b\",\"size\":10,\"key\":5"));
    logs_of(bob, ASK("create", "\"name\":\"b\",\"size\":11"), "b", "create refused: b",
            ", SizeMismatch" BOB_ASKS);
    has_fields("METHOD=create PEER_PID=2 PEER_UID=1001 PEER_COMM=worker NAME=b ");
    has_fields("REFUSAL=SizeMismatch ");
    logs_of(bob, ASK("create", "\"key\":5,\"size\":11"), "b", "create refused: -",
            ", SizeMismatch" BOB_ASKS);
    logs_of(bob, ASK("create", "\"name\":\"b\",\"size\":1,\"exclusive\":true"), "b",
            "create refused: b", ", SegmentExists" BOB_ASKS);
    logs_of(alice, ASK("create", "\"name\":\"b\",\"size\":1"), "b", "create refused: b",
            ", PermissionDenied: read" ALICE_ASKS);
    logs_of(alice, ASK("set", "\"key\":5,\"mode\":\"0644\""), "b", "set refused: b",
            ", PermissionDenied: owner, creator or admin" ALICE_ASKS);
    logs_of(bob, ASK("set", "\"name\":\"b\",\"new_name\":\"other\""), "b", "set refused: b",
            ", SegmentExists" BOB_ASKS);
    logs_of(bob, ASK("set", "\"name\":\"b\",\"lifetime\":\"attached\""), "b", "set refused: b",
            ", InvalidParameter: lifetime" BOB_ASKS);
    fake_sysv_attach_as(f->core->k, fixture_record(f->core, "b")->shmid, 9);
    logs_of(bob, ASK("remove", "\"serial\":2,\"only_if_unattached\":true"), "b",
            "remove refused: b", ", SegmentBusy" BOB_ASKS);
    logs_of(bob, ASK("adopt", "\"key\":5,\"name\":\"c\""), "b", "adopt refused: c",
            ", SegmentExists" BOB_ASKS);
    /* What the kernel refuses without a name of ours. */
    fake_sysv_fail(f->core->k, FAKE_SET, 1, EIO);
    logs_of(bob, ASK("set", "\"name\":\"b\",\"mode\":\"0640\""), "b", "set refused: b",
            ", Input/output error" BOB_ASKS);
    SAYS(bob, ASK("create", "\"name\":\"c\",\"size\":1,\"lifetime\":\"attached\""));
    logs_of(bob, ASK("set", "\"name\":\"c\",\"lifetime\":\"process\""), "c", "set refused: c",
            ", NotSupported: another lifetime for an attached segment: the kernel frees it at "
            "the last detach" BOB_ASKS);
}

TEST(refusals_without_a_segment)
{
    logs(bob, ASK("remove", "\"name\":\"none\""), "remove refused: none, NoSuchSegment" BOB_ASKS);
    has_fields("NAME=none ");
    has_no_field("SERIAL");
    has_no_field("SHMID");
    logs(bob, ASK("set", "\"serial\":77"), "set refused: - serial 77, NoSuchSegment" BOB_ASKS);
    has_fields("SERIAL=77 ");
    logs(bob, ASK("remove", "\"shmid\":77"), "remove refused: - shmid 77, NoSuchSegment" BOB_ASKS);
    has_fields("SHMID=77 ");
    int32_t shmid = foreign(ALICE, 99);
    char *text = text_of(ASK("remove", "\"shmid\":%d"), shmid);
    char *want = text_of("remove refused: - shmid %d, NoSuchSegment" BOB_ASKS, shmid);
    logs(bob, text, want);
    free(text);
    free(want);
    text = text_of(ASK("adopt", "\"shmid\":%d"), shmid);
    want = text_of("adopt refused: - shmid %d, PermissionDenied: owner or creator" BOB_ASKS, shmid);
    logs(bob, text, want);
    free(text);
    free(want);
    want = text_of("create refused: b shmid %d, KeyInUse" BOB_ASKS, shmid);
    logs(bob, ASK("create", "\"name\":\"b\",\"size\":1,\"key\":99"), want);
    free(want);
    logs(bob, ASK("create", "\"size\":10,\"key\":6,\"lifetime\":\"attached\""),
         "create refused: -, InvalidParameter: key" BOB_ASKS);
    logs(bob, ASK("create", "\"size\":10,\"uid\":0"),
         "create refused: -, PermissionDenied: admin" BOB_ASKS);
    FIXTURE_LIMIT(f->core, max_segments_per_uid, 0);
    FIXTURE_LIMIT(f->core, max_bytes_per_uid, 5);
    logs(bob, ASK("create", "\"size\":10"),
         "create refused: -, QuotaExceeded: max_bytes_per_uid" BOB_ASKS);
    FIXTURE_LIMIT(f->core, max_bytes_per_uid, 0);
    f->core->k->shmmni = 1;
    logs(bob, ASK("create", "\"size\":10"),
         "create refused: -, LimitReached: kernel.shmmni" BOB_ASKS);
    f->core->k->shmmni = 4096;
    fake_sysv_fail(f->core->k, FAKE_CREATE, 1, ENFILE);
    logs(bob, ASK("create", "\"size\":10"),
         "create refused: -, LimitReached: Too many open files in system" BOB_ASKS);
}

TEST(what_is_stale)
{
    SAYS(bob, ASK("create", "\"name\":\"b\",\"size\":10"));
    SAYS(bob, ASK("create", "\"name\":\"c\",\"size\":10"));
    /* What has the name now is not what was meant. */
    logs(bob, ASK("remove", "\"name\":\"b\",\"serial\":9"),
         "remove refused: b serial 9, StaleSegment" BOB_ASKS);
    has_fields("SERIAL=9 ");
    has_no_field("SHMID");
    logs(bob, ASK("set", "\"name\":\"b\",\"serial\":2"),
         "set refused: b serial 2, StaleSegment" BOB_ASKS);
}

TEST(refusals_by_methods_that_have_no_lines)
{
    SAYS(alice, ASK("create", "\"name\":\"a\",\"size\":10,\"mode\":\"0600\""));
    /* What is everybody's affair. */
    logs_of(bob, ASK("stat", "\"name\":\"a\""), "a", "stat refused: a",
            ", PermissionDenied: read" BOB_ASKS);
    logs_of(bob, ASK("wait", "\"name\":\"a\""), "a", "wait refused: a",
            ", PermissionDenied: read" BOB_ASKS);
    logs(bob, ASK("stat", "\"name\":\"a\",\"serial\":9"),
         "stat refused: a serial 9, StaleSegment" BOB_ASKS);
    FIXTURE_LIMIT(f->core, max_waiters, 0);
    logs(bob, ASK("wait", "\"name\":\"x\""),
         "wait refused: x, QuotaExceeded: max_waiters" BOB_ASKS);
    /* What is the peer's own. */
    logs(alice, ASK("stat", "\"name\":\"x\""), "");
    logs(alice, ASK("hold", "\"name\":\"a\""), "");
    logs(alice, ASK("hold", "\"name\":\"x\""), "");
    logs(alice, ASK("wait", "\"name\":\"x\",\"timeout_ms\":0"), "");
    logs(alice, ASK("list", "\"cursor\":\"x\""), "");
}

static void store_fails_next(unsigned count)
{
    fake_store_fail_next(&f->core->store, count, ENOSPC, "the disk is full");
}

/* What is logged of what CLIENT asks when the store refuses the first write. */
static void logs_refused(struct client *client, const char *text, const char *want)
{
    store_fails_next(1);
    lines[0] = '\0';
    (void)client_say(f, client, text);
    assert_string_equal(lines, want);
}

TEST(what_could_not_be_recorded)
{
    SAYS(alice, ASK("create", "\"name\":\"a\",\"size\":10"));
    logs_refused(alice, ASK("set", "\"name\":\"a\",\"mode\":\"0644\""),
                 "set refused: a serial 1 shmid 0, StoreFailure: the disk is full" ALICE_ASKS);
    has_fields("METHOD=set ");
    has_fields("SERIAL=1 SHMID=0 REFUSAL=StoreFailure ");
    logs_refused(alice, ASK("set", "\"name\":\"a\",\"new_name\":\"z\""),
                 "set refused: a serial 1 shmid 0, StoreFailure: the disk is full" ALICE_ASKS);
    logs_refused(alice, ASK("create", "\"name\":\"b\",\"size\":10") ASK("stat", "\"name\":\"b\""),
                 "create refused: b, StoreFailure: the disk is full" ALICE_ASKS);
    /* A notification's, too. */
    logs_refused(
        alice, "{\"jsonrpc\":\"2.0\",\"method\":\"create\",\"params\":{\"name\":\"c\",\"size\":1}}",
        "create refused: c, StoreFailure: the disk is full" ALICE_ASKS);
}

TEST(a_removal_is_done_all_the_same)
{
    SAYS(alice, ASK("create", "\"name\":\"a\",\"size\":10"));
    logs_refused(alice, ASK("create", "\"name\":\"b\",\"size\":1") ASK("remove", "\"name\":\"a\""),
                 "create refused: b, StoreFailure: the disk is full" ALICE_ASKS "\n"
                 "remove: a serial 1 shmid 0 size 10" ALICE_ASKS);
}

TEST(in_order)
{
    static const char *const texts[] = {
        ASK("create", "\"name\":\"a\",\"size\":1") ASK("set", "\"name\":\"a\",\"new_name\":\"b\""),
        "{\"jsonrpc\":\"2.0\",\"method\":\"create\",\"params\":{\"size\":2}}",
        ASK("set", "\"name\":\"b\",\"new_name\":\"c\"") ASK("remove", "\"name\":\"c\""),
    };
    lines[0] = '\0';
    client_send(alice, texts[0], strlen(texts[0]));
    client_send(bob, texts[1], strlen(texts[1]));
    client_send(alice, texts[2], strlen(texts[2]));
    client_close(alice);
    assert_string_equal(lines, "create: a serial 1 shmid 0 size 1" ALICE_ASKS "\n"
                               "set: b serial 1 shmid 0 size 1" ALICE_ASKS "\n"
                               "create: - serial 2 shmid 1 size 2" BOB_ASKS "\n"
                               "set: c serial 1 shmid 0 size 1" ALICE_ASKS "\n"
                               "remove: c serial 1 shmid 0 size 1" ALICE_ASKS);
    lines[0] = '\0';
    assert_int_equal(rpc_fixture_turn(f), 0);
    assert_string_equal(lines, "");
}

TEST(nothing_is_done_without_a_line)
{
    for (unsigned long n = 1;; n++) {
        struct client *c = client_open(f, ALICE, 1);
        lines[0] = '\0';
        fake_memory_fail(n);
        const char text[] = ASK("create", "\"name\":\"a\",\"size\":1");
        client_send(c, text, strlen(text));
        bool failed = fake_memory_restore();
        (void)rpc_fixture_turn(f);
        const struct segment *made = registry_by_name(&f->core->core.registry, "a");
        assert_int_equal(made != NULL, strstr(lines, "create: a serial") != NULL);
        client_close(c);
        if (made)
            SAYS(root, ASK("remove", "\"name\":\"a\""));
        (void)client_heard(root);
        if (!failed)
            break;
        assert_true(n < 200);
    }
}

TEST(a_full_disk_leaves_no_line_that_says_done)
{
    char *many = repeat(ASK("create", "\"size\":1"), 300);
    FIXTURE_LIMIT(f->core, max_segments_per_uid, 0);
    lines[0] = '\0';
    n_lines = 0;
    store_fails_next(300);
    (void)client_say(f, alice, many);
    assert_int_equal(n_lines, LOG_BURST);
    assert_null(strstr(lines, "create: "));
    free(many);
}

static void forget_lines(void)
{
    lines[0] = '\0';
    n_lines = 0;
}

/* Time passes, and what is due is done. */
static void pass(int64_t ms)
{
    fake_clock_advance(&f->core->clock, ms);
    core_tick(&f->core->core);
    assert_int_equal(rpc_fixture_turn(f), 0);
}

static void is_refused(struct client *client, unsigned times)
{
    char *many = repeat(ASK("remove", "\"name\":\"x\""), times);
    SAYS(client, many);
    (void)client_heard(client);
    free(many);
}

TEST(so_many_and_no_more)
{
    forget_lines();
    is_refused(bob, LOG_BURST + 25);
    assert_int_equal(n_lines, LOG_BURST);
    /* It is no matter of others. */
    forget_lines();
    logs(alice, ASK("remove", "\"name\":\"x\""), "remove refused: x, NoSuchSegment" ALICE_ASKS);
}

TEST(what_is_left_out_is_counted)
{
    is_refused(bob, LOG_BURST + 25);
    forget_lines();
    pass(LOG_TELL_MS);
    assert_string_equal(lines, "25 more lines of uid 1001 are left out: it may cause 20 a second");
    assert_string_equal(last_fields, "PEER_UID=1001 LEFT_OUT=25 ");
    /* That line was one of the 20 that it has again after a second. */
    forget_lines();
    is_refused(bob, 100);
    assert_int_equal(n_lines, LOG_PER_SECOND - 1);
    forget_lines();
    pass(LOG_TELL_MS);
    assert_string_equal(lines, "81 more lines of uid 1001 are left out: it may cause 20 a second");
    forget_lines();
    pass(LOG_TELL_MS);
    assert_string_equal(lines, "");
    pass(LOG_BURST / LOG_PER_SECOND * 1000);
    is_refused(bob, LOG_BURST);
    assert_int_equal(n_lines, LOG_BURST);
}

TEST(what_is_done_counts_too)
{
    char *many = repeat(ASK("create", "\"name\":\"a\",\"size\":1") ASK("remove", "\"name\":\"a\""),
                        LOG_BURST);
    forget_lines();
    SAYS(alice, many);
    (void)client_heard(alice);
    assert_int_equal(n_lines, LOG_BURST);
    free(many);
}

TEST(a_change_of_nothing_has_no_line)
{
    SAYS(alice, ASK("create", "\"name\":\"a\",\"size\":1,\"labels\":{\"k\":\"v\"}"));
    static const char *const nothing[] = {
        ASK("set", "\"name\":\"a\""),
        ASK("set", "\"name\":\"a\",\"mode\":\"0600\""),
        ASK("set", "\"name\":\"a\",\"new_name\":\"a\",\"uid\":1000"),
        ASK("set", "\"name\":\"a\",\"labels\":{\"k\":\"v\"},\"idle_ttl_ms\":0"),
        ASK("set", "\"name\":\"a\",\"lifetime\":\"persistent\",\"locked\":false"),
    };
    for (size_t i = 0; i < sizeof(nothing) / sizeof(nothing[0]); i++)
        logs(alice, nothing[i], "");
    static const char *const something[] = {
        ASK("set", "\"name\":\"a\",\"mode\":\"0640\""),
        ASK("set", "\"name\":\"a\",\"labels\":{}"),
        ASK("set", "\"name\":\"a\",\"labels\":{\"k\":\"v\"}"),
        ASK("set", "\"name\":\"a\",\"labels\":{\"k\":\"w\"}"),
        ASK("set", "\"name\":\"a\",\"ttl_ms\":60000"),
        ASK("set", "\"name\":\"a\",\"idle_ttl_ms\":60000"),
        ASK("set", "\"name\":\"a\",\"lifetime\":\"process\""),
        ASK("set", "\"name\":\"a\",\"new_name\":\"b\""),
    };
    for (size_t i = 0; i < sizeof(something) / sizeof(something[0]); i++) {
        forget_lines();
        SAYS(alice, something[i]);
        (void)client_heard(alice);
        assert_int_equal(n_lines, 1);
    }
}

static void refuse_connection(int outcome, const struct outcome_detail *detail)
{
    struct writer w;
    lines[0] = '\0';
    n_lines = 0;
    writer_init(&w);
    session_refuse_connection(&w, &f->rpc, &bob->session.caller, outcome, detail);
    writer_deinit(&w);
}

TEST(refused_connections)
{
    const struct outcome_detail detail = {.what = "max_connections_per_uid", .used = 5, .max = 5};
    refuse_connection(OUTCOME_QUOTA_EXCEEDED, &detail);
    assert_string_equal(lines, "connection refused: QuotaExceeded: max_connections_per_uid (peer "
                               "pid 2 uid 1001)");
    assert_string_equal(last_fields, "PEER_PID=2 PEER_UID=1001 REFUSAL=QuotaExceeded ");
    refuse_connection(-EMFILE, NULL);
    assert_string_equal(lines, "connection refused: LimitReached: Too many open files (peer pid 2 "
                               "uid 1001)");
    refuse_connection(-ENOMEM, NULL);
    assert_string_equal(lines, "connection refused: Internal: Cannot allocate memory (peer pid 2 "
                               "uid 1001)");
    /* Within the bound of the uid's lines. */
    for (int i = 0; i < LOG_BURST - 3; i++)
        refuse_connection(OUTCOME_QUOTA_EXCEEDED, &detail);
    assert_int_equal(n_lines, 1);
    refuse_connection(OUTCOME_QUOTA_EXCEEDED, &detail);
    assert_int_equal(n_lines, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(what_was_done),
        CASE(refusals_of_a_segment),
        CASE(refusals_without_a_segment),
        CASE(what_is_stale),
        CASE(refusals_by_methods_that_have_no_lines),
        CASE(what_could_not_be_recorded),
        CASE(a_removal_is_done_all_the_same),
        CASE(in_order),
        CASE(nothing_is_done_without_a_line),
        CASE(a_full_disk_leaves_no_line_that_says_done),
        CASE(so_many_and_no_more),
        CASE(what_is_left_out_is_counted),
        CASE(what_is_done_counts_too),
        CASE(a_change_of_nothing_has_no_line),
        CASE(refused_connections),
    };
    return RUN_TESTS(tests);
}
