/*
 * Orphans: what counts as one, and that a removal hits the segment that was listed or nothing. The
 * kernel and the daemon do as the test says, between any two questions.
 */
#include "tests/unit/support.h"

#include <errno.h>

#include "client/cli/orphans.h"

static struct kernel_segment orphan(void)
{
    return (struct kernel_segment){
        .shmid = 32770,
        .key = 0x1234,
        .size = 4096,
        .mode = 0600,
        .uid = 1000,
        .gid = 1000,
        .cuid = 1000,
        .cgid = 1000,
        .cpid = 777,
        .ctime = 100,
    };
}

/* --- the judgement */

static enum orphan_verdict judge(const struct kernel_segment *s, enum process_state creator,
                                 const struct orphan_knowledge *k)
{
    static const struct orphan_knowledge nothing;
    return orphan_judge(s, creator, k ? k : &nothing);
}

TEST(an_orphan)
{
    struct kernel_segment s = orphan();
    assert_int_equal(judge(&s, PROCESS_DEAD, NULL), ORPHAN);
    assert_int_equal(judge(&s, PROCESS_ALIVE, NULL), KEPT_CREATOR_LIVES);
    assert_int_equal(judge(&s, PROCESS_UNKNOWN, NULL), KEPT_CREATOR_UNKNOWN);
    s.nattch = 1;
    assert_int_equal(judge(&s, PROCESS_DEAD, NULL), KEPT_ATTACHED);
}

TEST(what_the_daemon_says)
{
    static int foreign[] = {3, 32770, 40000};
    struct orphan_knowledge k = {.asked = true, .foreign = foreign, .n_foreign = 3};
    struct kernel_segment s = orphan();
    assert_int_equal(judge(&s, PROCESS_DEAD, &k), ORPHAN);
    s.shmid = 4;
    assert_int_equal(judge(&s, PROCESS_DEAD, &k), KEPT_MANAGED);
    k = (struct orphan_knowledge){.asked = true};
    assert_int_equal(judge(&s, PROCESS_DEAD, &k), KEPT_MANAGED);
}

TEST(what_the_daemon_has_lost)
{
    static int foreign[] = {32770};
    struct orphan_knowledge k = {
        .asked = true, .foreign = foreign, .n_foreign = 1, .daemon_uid = 120};
    struct kernel_segment s = orphan();
    assert_int_equal(judge(&s, PROCESS_DEAD, &k), ORPHAN);
    s.cuid = 120; /* made for somebody */
    assert_int_equal(judge(&s, PROCESS_DEAD, &k), KEPT_LOST);
    assert_int_equal(judge(&s, PROCESS_ALIVE, &k), KEPT_CREATOR_LIVES);
    k.asked = false; /* then it is for guards to say */
    assert_int_equal(judge(&s, PROCESS_DEAD, &k), ORPHAN);
    k.asked = true;
    s = orphan();
    s.uid = 120; /* adopted once */
    assert_int_equal(judge(&s, PROCESS_DEAD, &k), KEPT_LOST);
    /* Of the daemon's user both ways: that user's own, unless it is one for the daemon alone. */
    s.cuid = 120;
    assert_int_equal(judge(&s, PROCESS_DEAD, &k), ORPHAN);
    k.daemon_uid_alone = true;
    assert_int_equal(judge(&s, PROCESS_DEAD, &k), KEPT_LOST);
    s = orphan();
    assert_int_equal(judge(&s, PROCESS_DEAD, &k), ORPHAN);
}

TEST(guards)
{
    struct kernel_segment s = orphan();
    struct orphan_knowledge k = {0};
    orphan_guard(&k, 120);
    orphan_guard(&k, 120);
    assert_int_equal(k.n_guarded, 1);
    assert_int_equal(judge(&s, PROCESS_DEAD, &k), ORPHAN);
    s.cuid = 120; /* made by a daemon for somebody */
    assert_int_equal(judge(&s, PROCESS_DEAD, &k), KEPT_GUARDED);
    s = orphan();
    s.uid = 120; /* adopted by a daemon */
    assert_int_equal(judge(&s, PROCESS_DEAD, &k), KEPT_GUARDED);
    for (uint32_t uid = 500; uid < 500 + GUARDED_UIDS_MAX; uid++)
        orphan_guard(&k, uid);
    s = orphan();
    assert_int_equal(judge(&s, PROCESS_DEAD, &k), KEPT_GUARDED); /* too many to tell apart */
}

TEST(daemons_that_run)
{
    struct kernel_segment s = orphan();
    struct orphan_knowledge k = {.asked = false};
    orphan_guard_running(&k, (struct running_daemon){.pid = 31, .uid = 120});
    orphan_guard_running(&k, (struct running_daemon){.pid = 32, .uid = 121});
    orphan_guard(&k, 121);
    assert_int_equal(judge(&s, PROCESS_DEAD, &k), ORPHAN);
    assert_int_equal(orphan_unasked(&k, &s), 0);
    s.cuid = 121;
    assert_int_equal(judge(&s, PROCESS_DEAD, &k), KEPT_UNASKED);
    assert_int_equal(orphan_unasked(&k, &s), 32);
    s.uid = 120;
    assert_int_equal(orphan_unasked(&k, &s), 31);
    for (int32_t pid = 100; pid < 100 + GUARDED_UIDS_MAX; pid++)
        orphan_guard_running(&k, (struct running_daemon){.pid = pid, .uid = 500});
    s = orphan();
    assert_int_equal(judge(&s, PROCESS_DEAD, &k), KEPT_GUARDED);
}

TEST(idle)
{
    struct kernel_segment s = {.ctime = 5};
    assert_int_equal(orphan_idle_since(&s), 5);
    s.atime = 9;
    assert_int_equal(orphan_idle_since(&s), 9);
    s.dtime = 12;
    assert_int_equal(orphan_idle_since(&s), 12);
    s.ctime = 20;
    assert_int_equal(orphan_idle_since(&s), 20);
}

TEST(words)
{
    for (int i = ORPHAN; i <= KEPT_FAILED; i++) {
        assert_true(strlen(orphan_word((enum orphan_verdict)i)) > 3);
        assert_true(strlen(orphan_reason((enum orphan_verdict)i)) > 5);
    }
}

/* --- the removal */

struct world {
    int is_foreign;
    int stat_result, remove_result;
    struct kernel_segment now; /* what the id denotes when the kernel is asked */
    enum process_state creator;
    int removed;   /* the id; 0: nothing */
    char asked[8]; /* in which order */
};

static void note(struct world *w, char what)
{
    w->asked[strlen(w->asked)] = what;
}

static int world_is_foreign(void *context, int shmid)
{
    struct world *w = context;
    assert_int_equal(shmid, orphan().shmid);
    note(w, 'd');
    return w->is_foreign;
}

static int world_stat(void *context, int shmid, struct kernel_segment *ret)
{
    struct world *w = context;
    assert_int_equal(shmid, orphan().shmid);
    note(w, 's');
    if (w->stat_result == 0)
        *ret = w->now;
    return w->stat_result;
}

static enum process_state world_look(void *context, int32_t pid)
{
    struct world *w = context;
    assert_int_equal(pid, w->now.cpid);
    note(w, 'p');
    return w->creator;
}

static int world_remove(void *context, int shmid)
{
    struct world *w = context;
    note(w, 'r');
    if (w->remove_result == 0)
        w->removed = shmid;
    return w->remove_result;
}

static const struct orphan_ops ops = {world_is_foreign, world_stat, world_look, world_remove};

static struct world unchanged(void)
{
    return (struct world){.is_foreign = 1, .now = orphan(), .creator = PROCESS_DEAD};
}

/* The verdict in WORLD; ERROR: the errno told with it. */
static enum orphan_verdict remove_in(struct world *w, int error)
{
    static const struct orphan_knowledge nothing;
    const struct kernel_segment listed = orphan();
    int told = 0;
    enum orphan_verdict verdict = orphan_remove(&ops, w, &listed, &nothing, &told);
    assert_int_equal(told, error);
    assert_int_equal(w->removed, verdict == ORPHAN_REMOVED ? listed.shmid : 0);
    return verdict;
}

TEST(removes_what_was_listed)
{
    struct world w = unchanged();
    assert_int_equal(remove_in(&w, 0), ORPHAN_REMOVED);
    /* The kernel is asked last: what comes between its answer and the removal is the least. */
    assert_string_equal(w.asked, "dspr");
}

TEST(keeps_another_with_the_same_id)
{
    struct kernel_segment others[10];
    for (size_t i = 0; i < 10; i++)
        others[i] = orphan();
    others[0].key = 0;
    others[1].size = 8192;
    others[2].uid = 120; /* handed to a daemon within the same second */
    others[3].gid = 120;
    others[4].cuid = 0;
    others[5].cgid = 0;
    others[6].cpid = 778; /* made anew, alike in everything else */
    others[7].mode = 0644;
    others[8].ctime = 101;
    others[9].shmid = 3;
    for (size_t i = 0; i < 10; i++) {
        struct world w = unchanged();
        w.now = others[i];
        if (remove_in(&w, 0) != KEPT_CHANGED)
            fail_msg("difference %zu was not seen", i);
        assert_null(strchr(w.asked, 'r'));
    }
}

TEST(keeps_what_came_to_life)
{
    struct world w = unchanged();
    w.now.nattch = 1;
    assert_int_equal(remove_in(&w, 0), KEPT_ATTACHED);
    w = unchanged();
    w.creator = PROCESS_ALIVE;
    assert_int_equal(remove_in(&w, 0), KEPT_CREATOR_LIVES);
    w = unchanged();
    w.creator = PROCESS_UNKNOWN;
    assert_int_equal(remove_in(&w, 0), KEPT_CREATOR_UNKNOWN);
}

TEST(keeps_what_was_used_meanwhile)
{
    /* Somebody had it attached for a moment and is gone again: it is not idle. */
    struct world w = unchanged();
    w.now.atime = 500;
    w.now.dtime = 501;
    w.now.lpid = 900;
    assert_int_equal(remove_in(&w, 0), KEPT_CHANGED);
}

TEST(keeps_what_the_daemon_has_taken_over)
{
    struct world w = unchanged();
    w.is_foreign = 0;
    assert_int_equal(remove_in(&w, 0), KEPT_MANAGED);
    assert_string_equal(w.asked, "d");
    w = unchanged();
    w.is_foreign = -ECONNRESET;
    assert_int_equal(remove_in(&w, -ECONNRESET), KEPT_UNANSWERED);
    assert_string_equal(w.asked, "d");
    w = unchanged();
    w.is_foreign = -ENOENT;
    assert_int_equal(remove_in(&w, -ENOENT), KEPT_GONE);
}

TEST(tells_what_the_kernel_refuses)
{
    static const struct {
        int error;
        enum orphan_verdict verdict;
    } cases[] = {{-ENOENT, KEPT_GONE},
                 {-EPERM, KEPT_NOT_PERMITTED},
                 {-EACCES, KEPT_NOT_PERMITTED},
                 {-ENOMEM, KEPT_FAILED}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct world w = unchanged();
        w.remove_result = cases[i].error;
        assert_int_equal(remove_in(&w, cases[i].error), cases[i].verdict);
        assert_string_equal(w.asked, "dspr");
        w = unchanged();
        w.stat_result = cases[i].error;
        assert_int_equal(remove_in(&w, cases[i].error), cases[i].verdict);
        assert_string_equal(w.asked, "ds");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_orphan),
        cmocka_unit_test(what_the_daemon_says),
        cmocka_unit_test(what_the_daemon_has_lost),
        cmocka_unit_test(guards),
        cmocka_unit_test(daemons_that_run),
        cmocka_unit_test(idle),
        cmocka_unit_test(words),
        cmocka_unit_test(removes_what_was_listed),
        cmocka_unit_test(keeps_another_with_the_same_id),
        cmocka_unit_test(keeps_what_came_to_life),
        cmocka_unit_test(keeps_what_was_used_meanwhile),
        cmocka_unit_test(keeps_what_the_daemon_has_taken_over),
        cmocka_unit_test(tells_what_the_kernel_refuses),
    };
    return RUN_TESTS(tests);
}
