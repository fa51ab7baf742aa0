/* SPDX-License-Identifier: MIT */
/*
 * From a call to its answer: each method needs its right and no other, each handler fills in its
 * reply, and what is refused says what was named.
 */
#include "tests/unit/rpc_case.h"

#include <errno.h>

#include "tests/fakes/fake_memory.h"

#define ASK(method, params) CALL("1", method, params)
#define TARGET(name)        "\"name\":\"" name "\""

static void answers(struct client *client, const char *text, const char *want)
{
    SAYS(client, text);
    HEARS(client, want);
}

/* The reply as it is, for a look at PART. */
static void replies(struct client *client, const char *text, const char *part)
{
    size_t len;
    SAYS(client, text);
    char *raw = client_heard_raw(client, &len), *copy = strndup(raw, len);
    assert_contains(copy, part);
    free(copy);
    free(raw);
}

static int32_t foreign(uint32_t uid)
{
    const struct fake_process other = {uid, uid, 50};
    const struct sysv_create args = {.key = 99, .size = 10};
    int32_t shmid;
    assert_int_equal(fake_sysv_create_as(f->core->k, &other, &args, 0600, &shmid), 0);
    return shmid;
}

TEST(each_method_needs_its_right)
{
    answers(alice,
            ASK("create", "\"name\":\"a\",\"size\":1,\"mode\":\"0600\",\"lifetime\":\"process\""),
            "1+a/ready");
    /* Neither read nor own. */
    static const char *const refused[] = {
        ASK("stat", TARGET("a")),  ASK("set", TARGET("a")),  ASK("remove", TARGET("a")),
        ASK("ready", TARGET("a")), ASK("hold", TARGET("a")), ASK("release", TARGET("a")),
        ASK("wait", TARGET("a")),
    };
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
        answers(bob, refused[i], "1!PermissionDenied");
    answers(bob, ASK("list", ""), "1=[]");
    /* Read. */
    answers(alice, ASK("set", TARGET("a") ",\"mode\":\"0644\""), "1=a/ready");
    answers(bob, ASK("stat", TARGET("a")), "1=a/ready");
    answers(bob, ASK("wait", TARGET("a")), "1=a/ready");
    answers(bob, ASK("hold", TARGET("a")), "1=a/ready");
    answers(bob, ASK("release", TARGET("a")), "1=a/ready");
    answers(bob, ASK("list", ""), "1=[a]");
    answers(bob, ASK("set", TARGET("a")), "1!PermissionDenied");
    answers(bob, ASK("remove", TARGET("a")), "1!PermissionDenied");
    answers(bob, ASK("ready", TARGET("a")), "1!PermissionDenied");
    replies(bob, ASK("remove", TARGET("a")), "\"needs\":\"owner, creator or admin\"");
    replies(bob, ASK("set", TARGET("a")), "ask the segment's owner or an admin");
    /* An admin. */
    answers(root, ASK("set", TARGET("a") ",\"mode\":\"0600\""), "1=a/ready");
    replies(bob, ASK("stat", TARGET("a")), "\"needs\":\"read\"");
    answers(root, ASK("remove", TARGET("a")), "1=a/removed");
}

TEST(what_one_holds_one_may_let_go_of)
{
    static const char *const lifetimes[] = {"process", "connection"};
    for (size_t i = 0; i < 2; i++) {
        struct client *carol = client_open(f, BOB, 4);
        char *text = text_of(ASK("create", TARGET("a") ",\"size\":1,\"mode\":\"0644\","
                                                       "\"lifetime\":\"%s\""),
                             lifetimes[i]);
        answers(alice, text, "1+a/ready");
        free(text);
        answers(bob, ASK("hold", TARGET("a")), "1=a/ready");
        answers(carol, ASK("release", TARGET("a")), "1=a/ready");
        answers(alice, ASK("set", TARGET("a") ",\"mode\":\"0600\""), "1=a/ready");
        /* He can read it no more, and let go of it all the same; once. */
        answers(bob, ASK("stat", TARGET("a")), "1!PermissionDenied");
        answers(bob, ASK("hold", TARGET("a")), "1!PermissionDenied");
        answers(carol, ASK("release", TARGET("a")), "1!PermissionDenied");
        replies(bob, ASK("release", TARGET("a")), "\"holders\":1");
        answers(bob, ASK("release", TARGET("a")), "1!PermissionDenied");
        replies(bob, ASK("release", TARGET("a")), "\"needs\":\"read\"");
        answers(alice, ASK("release", TARGET("a")), "1=a/removed");
        client_close(carol);
    }
}

TEST(why_it_cannot_be_told_whether_he_holds_it_is_not_his_business)
{
    answers(alice, ASK("create", TARGET("a") ",\"size\":1,\"lifetime\":\"process\""), "1+a/ready");
    static const int errors[] = {ESRCH, EMFILE, ENOMEM};
    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        f->core->p.fail_open_peer = errors[i];
        answers(bob, ASK("release", TARGET("a")), "1!PermissionDenied");
    }
    answers(alice, ASK("release", TARGET("a")),
            "1!-32603"); /* a caller that may read gets the reason */
    f->core->p.fail_open_peer = 0;
    answers(alice, ASK("release", TARGET("a")), "1=a/removed");
}

TEST(foreign_segments)
{
    foreign(BOB);
    replies(alice, ASK("stat", "\"key\":99"), "\"managed\":false,\"orphaned\":true");
    static const char *const refused[] = {
        ASK("set", "\"key\":99"),  ASK("remove", "\"key\":99"),  ASK("ready", "\"key\":99"),
        ASK("hold", "\"key\":99"), ASK("release", "\"key\":99"),
    };
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        answers(alice, refused[i], "1!NoSuchSegment");
        replies(alice, refused[i], "adopt it first");
        replies(alice, refused[i], "\"key\":99");
    }
    assert_int_equal(fake_sysv_count(f->core->k), 1);
}

TEST(adoption)
{
    int32_t shmid = foreign(ALICE);
    replies(alice, ASK("adopt", "\"key\":99"), "\"needs\":\"the daemon as owner\"");
    fake_sysv_segment(f->core->k, shmid)->uid = DAEMON;
    answers(bob, ASK("adopt", "\"key\":99"), "1!PermissionDenied");
    replies(bob, ASK("adopt", "\"key\":98"), "\"error\":\"io.shmd.NoSuchSegment\",\"key\":98");
    replies(bob, ASK("adopt", "\"shmid\":77"), "\"error\":\"io.shmd.NoSuchSegment\",\"shmid\":77");
    answers(alice, ASK("adopt", "\"key\":99,\"name\":\"mine\""), "1=mine/ready");
    answers(alice, ASK("adopt", "\"key\":99,\"name\":\"mine\""), "1!SegmentExists");
}

TEST(holders_are_listed_by_stat)
{
    answers(alice,
            ASK("create", "\"name\":\"a\",\"size\":1,\"mode\":\"0644\",\"lifetime\":\"process\""),
            "1+a/ready");
    answers(bob, ASK("hold", TARGET("a")), "1=a/ready");
    replies(bob, ASK("stat", TARGET("a")),
            "\"holders\":2,\"holder_list\":[{\"pid\":1,\"uid\":1000,\"comm\":\"worker\","
            "\"since_at_ms\":1700000000000},{\"pid\":2,\"uid\":1001,");
    answers(bob, ASK("create", "\"name\":\"b\",\"size\":1"), "1+b/ready");
    replies(bob, ASK("stat", TARGET("b")), "\"holders\":0,\"holder_list\":[]");
    /* One of the first allocations is the list's. */
    bool refused = false;
    for (unsigned long n = 1; n < 6; n++) {
        fake_memory_fail(n);
        SAYS(bob, ASK("stat", TARGET("a")));
        (void)fake_memory_restore();
        const char *heard = client_heard(bob);
        refused |= strcmp(heard, "1!-32603") == 0;
        assert_true(strcmp(heard, "1!-32603") == 0 || strcmp(heard, "1=a/ready") == 0);
    }
    assert_true(refused);
}

TEST(info)
{
    FIXTURE_LIMIT(f->core, max_bytes_per_uid, 5000);
    answers(alice, ASK("create", "\"size\":4000"), "1+-/ready");
    SAYS(alice, ASK("info", ""));
    size_t len;
    char *raw = client_heard_raw(alice, &len), *text = strndup(raw, len);
    static const char *const parts[] = {
        "\"version\":\"0.1.0\",\"protocol\":2,\"pid\":100,\"uid\":990",
        "\"started_at_ms\":1700000000000",
        "\"boot_id\":\"0e8f3ac2-0000-4000-8000-000000000001\",\"ipc_namespace\":4026531839",
        "\"kernel\":{\"shmmni\":", /* the default shmmax and shmall are no limits */
        "\"segments\":1,\"bytes\":4096",
        "\"max_bytes_per_uid\":{\"used\":4000,\"max\":5000}",
        "\"subscriber_cap\":{\"max\":4194304}",
        "\"usage\":{\"segments\":1,\"bytes\":4000}",
        "\"huge_page_sizes\":[2097152]",
        "\"durable\":true",
    };
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
        assert_contains(text, parts[i]);
    free(text);
    free(raw);
    f->core->k->shmmax = 1 << 20;
    replies(bob, ASK("info", ""), "\"kernel\":{\"shmmax\":1048576,\"shmmni\":");
    f->core->k->shm_rmid_forced = true;
    replies(bob, ASK("info", ""), "\"durable\":false");
    replies(bob, ASK("info", ""), "\"usage\":{\"segments\":0,\"bytes\":0}");
    f->core->k->shm_rmid_forced = false;
    fake_sysv_fail(f->core->k, FAKE_LIMITS, 1, EIO);
    answers(bob, ASK("info", ""), "1!-32603");
}

TEST(metrics)
{
    answers(alice, ASK("create", "\"size\":4000"), "1+-/ready");
    answers(alice, ASK("stat", TARGET("none")), "1!NoSuchSegment");
    SAYS(bob, ASK("wait", TARGET("x")));
    SAYS(alice, ASK("metrics", ""));
    size_t len;
    char *raw = client_heard_raw(alice, &len), *text = strndup(raw, len);
    static const char *const parts[] = {
        "shmd_requests_total{method=\\\"create\\\",outcome=\\\"ok\\\"} 1\\n",
        "shmd_requests_total{method=\\\"stat\\\",outcome=\\\"NoSuchSegment\\\"} 1\\n",
        "shmd_requests_total{method=\\\"wait\\\",outcome=\\\"ok\\\"} 0\\n",
        "shmd_request_duration_seconds_bucket{le=\\\"+Inf\\\"} 3\\n",
        "shmd_foreign_segments 0\\n",
        "shmd_request_duration_seconds_bucket{le=\\\"5e-05\\\"} ",
        "shmd_quota_used{quota=\\\"max_waiters\\\"} 1\\n",
        "shmd_quota_max{quota=\\\"max_waiters\\\"} 4096\\n",
        "shmd_journal_writes_total 2\\n",
        "shmd_journal_write_failures_total 0\\n",
        "shmd_journal_longest_write_bytes ",
        "shmd_turn_longest_seconds 0.",
        "shmd_turn_longest_requests 0\\n",
        "shmd_subscribers 0\\n",
        "shmd_request_errors_total 1\\n",
        "shmd_store_failures_total 0\\n",
        "shmd_segments 1\\n",
        "shmd_segment_bytes 4000\\n",
        "shmd_waiters 1\\n",
        "shmd_event_serial 1\\n",
        "# EOF\\n\"",
    };
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
        assert_contains(text, parts[i]);
    free(text);
    free(raw);
}

/* What reload() below answers, and what it was called with. */
static struct {
    int outcome, calls;
    uint32_t uid;
} reloading;

static int reload(void *context, const struct caller *caller, struct outcome_detail *ret_detail)
{
    static const struct config_error error = {"/etc/shmd/shmd.conf", 3, "max_bytes", "is bad"};
    assert_ptr_equal(context, &reloading);
    reloading.calls++;
    reloading.uid = caller->uid;
    *ret_detail = (struct outcome_detail){.config_errors = &error, .n_config_errors = 1};
    return reloading.outcome;
}

TEST(reload_is_for_admins)
{
    answers(root, ASK("reload", ""), "1!NotSupported");
    f->rpc.reload = reload;
    f->rpc.reload_context = &reloading;
    reloading.calls = 0;
    reloading.outcome = 0;
    replies(alice, ASK("reload", ""), "PermissionDenied\",\"needs\":\"admin\"");
    assert_int_equal(reloading.calls, 0);
    replies(root, ASK("reload", ""), "\"result\":{}}");
    assert_int_equal(reloading.calls, 1);
    assert_int_equal(reloading.uid, 0);
    reloading.outcome = OUTCOME_INVALID_CONFIGURATION;
    replies(root, ASK("reload", ""),
            "\"errors\":[{\"file\":\"/etc/shmd/shmd.conf\",\"line\":3,\"key\":\"max_bytes\","
            "\"message\":\"is bad\"}]}");
    reloading.outcome = -ENOMEM;
    answers(root, ASK("reload", ""), "1!-32603");
}

TEST(who_asks_is_looked_up_once)
{
    /* The connection does not tell a name; a change needs one. */
    memset(alice->session.caller.comm, 0, COMM_MAX);
    answers(alice, ASK("list", ""), "1=[]");
    assert_string_equal(alice->session.caller.comm, "");
    replies(alice, ASK("create", "\"name\":\"a\",\"size\":1"), "\"comm\":\"worker\"");
    assert_string_equal(alice->session.caller.comm, "worker");
}

TEST(refusals_of_every_sort)
{
    answers(bob, ASK("create", "\"name\":\"b\",\"size\":10,\"mode\":\"0600\",\"key\":5"),
            "1+b/ready");
    answers(bob, ASK("create", "\"name\":\"b\",\"size\":10,\"exclusive\":true"), "1!SegmentExists");
    answers(bob, ASK("create", "\"name\":\"b\",\"size\":11"), "1!SizeMismatch");
    answers(alice, ASK("create", "\"name\":\"b\",\"size\":10"), "1!PermissionDenied");
    answers(alice, ASK("create", "\"size\":10,\"uid\":0"), "1!PermissionDenied");
    answers(bob, ASK("create", "\"size\":10,\"key\":6,\"lifetime\":\"attached\""),
            "1!InvalidParameter");
    answers(bob, ASK("set", TARGET("b") ",\"lifetime\":\"attached\""), "1!InvalidParameter");
    answers(bob, ASK("hold", TARGET("b")), "1!NotHoldable");
    answers(bob, ASK("stat", TARGET("b") ",\"serial\":9"), "1!StaleSegment");
    answers(bob, ASK("list", "\"cursor\":\"x\""), "1!InvalidParameter");
    fake_sysv_attach_as(f->core->k, fixture_record(f->core, "b")->shmid, 9);
    answers(bob, ASK("remove", TARGET("b") ",\"only_if_unattached\":true"), "1!SegmentBusy");
    answers(bob, ASK("remove", TARGET("b")), "1=-/removing");
    foreign(ALICE);
    answers(bob, ASK("create", "\"size\":10,\"key\":99"), "1!KeyInUse");
    f->core->k->shmmni = 1;
    answers(bob, ASK("create", "\"size\":10"), "1!LimitReached");
    FIXTURE_LIMIT(f->core, max_segments_per_uid, 1);
    answers(bob, ASK("create", "\"size\":10"), "1!QuotaExceeded");
    FIXTURE_LIMIT(f->core, max_waiters, 0);
    answers(bob, ASK("wait", TARGET("x")), "1!QuotaExceeded");
    answers(bob, ASK("wait", TARGET("x") ",\"timeout_ms\":0"), "1!TimedOut");
    assert_int_equal(f->rpc.counters.errors, 15);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(each_method_needs_its_right),
        CASE(what_one_holds_one_may_let_go_of),
        CASE(why_it_cannot_be_told_whether_he_holds_it_is_not_his_business),
        CASE(foreign_segments),
        CASE(adoption),
        CASE(holders_are_listed_by_stat),
        CASE(info),
        CASE(metrics),
        CASE(reload_is_for_admins),
        CASE(who_asks_is_looked_up_once),
        CASE(refusals_of_every_sort),
    };
    return RUN_TESTS(tests);
}
