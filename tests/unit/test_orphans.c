/* SPDX-License-Identifier: MIT */
/*
 * Orphans: what class a segment is of, and that a removal hits the segment that was listed or
 * nothing. The kernel and the daemon do as the test says, between any two questions.
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

static enum gc_class judge(const struct kernel_segment *s, enum process_state creator,
                           const struct orphan_knowledge *k)
{
    static const struct orphan_knowledge nothing;
    return orphan_judge(s, creator, k ? k : &nothing);
}

TEST(without_a_daemon)
{
    struct kernel_segment s = orphan();
    assert_int_equal(judge(&s, PROCESS_DEAD, NULL), GC_LEAKED);
    assert_int_equal(judge(&s, PROCESS_ALIVE, NULL), GC_CREATOR_LIVES);
    assert_int_equal(judge(&s, PROCESS_UNKNOWN, NULL), GC_UNDECIDED);
    s.lpid = 777;
    s.atime = 90;
    assert_int_equal(judge(&s, PROCESS_DEAD, NULL), GC_LEAKED);
    s.lpid = 778;
    assert_int_equal(judge(&s, PROCESS_DEAD, NULL), GC_LEFT);
    s.nattch = 1;
    assert_int_equal(judge(&s, PROCESS_DEAD, NULL), GC_ATTACHED);
}

TEST(what_the_daemon_manages)
{
    static struct foreign_segment foreign[] = {
        {.shmid = 3, .creator = PROCESS_ALIVE, .cpid = 1},
        {.shmid = 32770, .creator = PROCESS_DEAD, .cpid = 777},
        {.shmid = 40000, .creator = PROCESS_UNKNOWN},
    };
    struct orphan_knowledge k = {
        .asked = true, .foreign = foreign, .n_foreign = 3, .daemon_uid = 120};
    struct kernel_segment s = orphan();
    assert_int_equal(judge(&s, PROCESS_DEAD, &k), GC_LEAKED);
    s.shmid = 4;
    assert_int_equal(judge(&s, PROCESS_DEAD, &k), GC_MANAGED);
    k = (struct orphan_knowledge){.asked = true, .daemon_uid = 120};
    assert_int_equal(judge(&s, PROCESS_DEAD, &k), GC_MANAGED);
}

/* The creator is in a pid namespace that only one of the two can see. */
TEST(who_sees_the_creator_decides)
{
    struct foreign_segment foreign = {.shmid = 32770};
    const struct orphan_knowledge k = {
        .asked = true, .foreign = &foreign, .n_foreign = 1, .daemon_uid = 120};
    struct kernel_segment s = orphan();
    foreign.creator = PROCESS_UNKNOWN;
    assert_int_equal(judge(&s, PROCESS_DEAD, &k), GC_LEAKED);
    assert_int_equal(judge(&s, PROCESS_ALIVE, &k), GC_CREATOR_LIVES);
    s.cpid = 0;
    assert_int_equal(judge(&s, PROCESS_UNKNOWN, &k), GC_UNDECIDED);
    foreign.creator = PROCESS_DEAD;
    foreign.cpid = 42;
    assert_int_equal(judge(&s, PROCESS_UNKNOWN, &k), GC_LEAKED);
    foreign.lpid = 43;
    assert_int_equal(judge(&s, PROCESS_UNKNOWN, &k), GC_LEFT);
    foreign.creator = PROCESS_ALIVE;
    assert_int_equal(judge(&s, PROCESS_UNKNOWN, &k), GC_CREATOR_LIVES);
}

TEST(what_the_daemon_says_of_a_segment)
{
    struct shmd_segment s = {.shmid = 5, .orphaned = true, .last_pid = 8};
    s.creator.pid = 7;
    struct foreign_segment told = foreign_segment_of(&s);
    assert_int_equal(told.shmid, 5);
    assert_int_equal(told.cpid, 7);
    assert_int_equal(told.lpid, 8);
    assert_int_equal(told.creator, PROCESS_DEAD);
    s.orphaned = false;
    assert_int_equal(foreign_segment_of(&s).creator, PROCESS_ALIVE);
    s.creator.pid = 0;
    assert_int_equal(foreign_segment_of(&s).creator, PROCESS_UNKNOWN);
    s.creator.pid = 7;
    s.nattch = 1; /* then it is no orphan, and nothing is said of the creator */
    assert_int_equal(foreign_segment_of(&s).creator, PROCESS_UNKNOWN);
}

TEST(what_the_list_shows)
{
    struct shmd_segment s = {.shmid = -1, .orphaned = true};
    s.creator.pid = 7;
    assert_int_equal(orphan_class_of_listed(&s), ORPHAN_LEAKED);
    s.last_pid = 8;
    assert_int_equal(orphan_class_of_listed(&s), ORPHAN_LEFT);
    s.orphaned = false;
    assert_int_equal(orphan_class_of_listed(&s), ORPHAN_CREATOR_LIVES);
    s.creator.pid = 0; /* and there is no such segment here that could tell more */
    assert_int_equal(orphan_class_of_listed(&s), ORPHAN_UNDECIDED);
    s.nattch = 1;
    assert_int_equal(orphan_class_of_listed(&s), ORPHAN_ATTACHED);
}

TEST(what_may_be_the_daemons)
{
    static struct foreign_segment foreign[] = {{.shmid = 32770, .creator = PROCESS_DEAD}};
    struct orphan_knowledge k = {.asked = true,
                                 .foreign = foreign,
                                 .n_foreign = 1,
                                 .daemon_uid = 120,
                                 .records_since_at_ms = 100999};
    struct kernel_segment s = orphan();
    assert_int_equal(judge(&s, PROCESS_DEAD, &k), GC_LEAKED);
    s.cuid = 120; /* made for somebody */
    assert_int_equal(judge(&s, PROCESS_DEAD, &k), GC_LOST);
    assert_int_equal(judge(&s, PROCESS_ALIVE, &k), GC_CREATOR_LIVES);
    s.lpid = 5;
    assert_int_equal(judge(&s, PROCESS_DEAD, &k), GC_LOST);
    s.ctime = 200; /* and disowned since */
    assert_int_equal(judge(&s, PROCESS_DEAD, &k), GC_LOST);
    s = orphan();
    s.uid = 120; /* adopted once */
    assert_int_equal(judge(&s, PROCESS_DEAD, &k), GC_LOST);
    /* Of the daemon's user both ways: made by it for itself, or made by that user. */
    s.cuid = 120;
    assert_int_equal(judge(&s, PROCESS_DEAD, &k), GC_LOST);
    /* Made since the records began: the daemon would know it. */
    s.ctime = 101;
    assert_int_equal(judge(&s, PROCESS_DEAD, &k), GC_LEAKED);
    k.records_since_at_ms = 101000; /* within the same second */
    assert_int_equal(judge(&s, PROCESS_DEAD, &k), GC_LOST);
    k.records_since_at_ms = 0; /* not told */
    assert_int_equal(judge(&s, PROCESS_DEAD, &k), GC_LOST);
    k.asked = false; /* then it is for guards to say */
    assert_int_equal(judge(&s, PROCESS_DEAD, &k), GC_LEAKED);
}

static void guard(struct orphan_knowledge *k, uint32_t uid, bool serves, const char *path)
{
    struct guard g = {.uid = uid, .serves = serves};
    strcpy(g.path, path);
    assert_int_equal(orphan_guard(k, &g), 0);
}

TEST(guards)
{
    struct kernel_segment s = orphan();
    struct orphan_knowledge k = {0};
    guard(&k, 120, false, "/a");
    guard(&k, 120, false, "/b");
    assert_int_equal(k.n_guards, 1);
    assert_string_equal(k.guards[0].path, "/a");
    guard(&k, 120, true, "/c");
    guard(&k, 120, false, "/d");
    assert_int_equal(k.n_guards, 1);
    assert_string_equal(k.guards[0].path, "/c"); /* the one that can be asked */
    assert_int_equal(judge(&s, PROCESS_DEAD, &k), GC_LEAKED);
    assert_null(orphan_guard_of(&k, &s));
    s.cuid = 120; /* made by a daemon for somebody */
    assert_int_equal(judge(&s, PROCESS_DEAD, &k), GC_GUARDED);
    assert_int_equal(judge(&s, PROCESS_UNKNOWN, &k), GC_GUARDED);
    assert_string_equal(orphan_guard_of(&k, &s)->path, "/c");
    s = orphan();
    s.uid = 120; /* adopted by a daemon */
    assert_int_equal(judge(&s, PROCESS_DEAD, &k), GC_GUARDED);
    orphan_knowledge_deinit(&k);
}

TEST(any_number_of_guards_keeps_only_their_own)
{
    struct kernel_segment s = orphan();
    struct orphan_knowledge k = {0};
    for (uint32_t uid = 2000; uid < 3000; uid++)
        guard(&k, uid, true, "/tmp/shmd.sock");
    assert_int_equal(k.n_guards, 1000);
    assert_int_equal(judge(&s, PROCESS_DEAD, &k), GC_LEAKED);
    s.uid = 2999;
    assert_int_equal(judge(&s, PROCESS_DEAD, &k), GC_GUARDED);
    orphan_knowledge_deinit(&k);
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
    for (enum gc_class class = 0; class < GC_CLASSES; class ++) {
        assert_true(*gc_class_word(class) && *gc_class_reason(class));
        for (enum gc_class other = 0; other < class; other++)
            assert_string_not_equal(gc_class_word(class), gc_class_word(other));
    }
    for (enum gc_result result = 0; result < GC_RESULTS; result++) {
        assert_true(*gc_result_word(result));
        assert_true(result == GC_KEPT || *gc_result_reason(result));
        for (enum gc_result other = 0; other < result; other++)
            assert_string_not_equal(gc_result_word(result), gc_result_word(other));
    }
}

/* --- removal */

/* What is answered, and what was asked: d(aemon), s(tat), p(rocess), r(emove). */
struct world {
    int is_foreign;
    struct foreign_segment told;
    int stat_result;
    struct kernel_segment now;
    enum process_state creator;
    int remove_result;
    char asked[8];
};

static void note(struct world *w, const char *what)
{
    assert_true(strlen(w->asked) + 1 < sizeof(w->asked));
    strcat(w->asked, what);
}

static int ask_is_foreign(void *context, int shmid, struct foreign_segment *ret)
{
    struct world *w = context;
    assert_int_equal(shmid, 32770);
    note(w, "d");
    if (w->is_foreign == 1)
        *ret = w->told;
    return w->is_foreign;
}

static int ask_stat(void *context, int shmid, struct kernel_segment *ret)
{
    struct world *w = context;
    assert_int_equal(shmid, 32770);
    note(w, "s");
    if (w->stat_result == 0)
        *ret = w->now;
    return w->stat_result;
}

static enum process_state ask_look(void *context, int32_t pid)
{
    struct world *w = context;
    assert_int_equal(pid, w->now.cpid);
    note(w, "p");
    return w->creator;
}

static int ask_remove(void *context, int shmid)
{
    struct world *w = context;
    assert_int_equal(shmid, 32770);
    note(w, "r");
    return w->remove_result;
}

static struct world unchanged(void)
{
    return (struct world){
        .is_foreign = 1, .told = {.shmid = -1}, .now = orphan(), .creator = PROCESS_DEAD};
}

static struct gc_outcome remove_as(struct world *w, enum gc_class class, bool by_decision)
{
    static const struct orphan_ops ops = {ask_is_foreign, ask_stat, ask_look, ask_remove};
    static const struct orphan_knowledge nothing;
    const struct kernel_segment listed = orphan();
    *w->asked = '\0';
    return orphan_remove(&ops, w, &listed, class, &nothing, by_decision);
}

/* As a leaked one of a sweep. */
#define REMOVES(w, class_now, want)                                                                \
    do {                                                                                           \
        struct gc_outcome got = remove_as(w, GC_LEAKED, false);                                    \
        assert_int_equal(got.class, class_now);                                                    \
        assert_int_equal(got.result, want);                                                        \
    } while (0)

TEST(removes_what_was_listed)
{
    struct world w = unchanged();
    REMOVES(&w, GC_LEAKED, GC_REMOVED);
    assert_string_equal(w.asked, "dspr"); /* the daemon first, the kernel last */
}

TEST(removes_each_class_only_while_it_is_of_that_class)
{
    struct world w = unchanged();
    w.creator = PROCESS_UNKNOWN;
    REMOVES(&w, GC_UNDECIDED, GC_KEPT);
    assert_int_equal(remove_as(&w, GC_UNDECIDED, false).result, GC_REMOVED);
    assert_int_equal(remove_as(&w, GC_LEFT, false).result, GC_KEPT);
    /* The daemon, asked again, sees that the creator lives. */
    w.told = (struct foreign_segment){.shmid = 32770, .creator = PROCESS_ALIVE, .cpid = 9};
    assert_int_equal(remove_as(&w, GC_UNDECIDED, false).class, GC_CREATOR_LIVES);
    assert_null(strchr(w.asked, 'r'));
}

TEST(keeps_another_with_the_same_id)
{
#define DIFFERS(member, value)                                                                     \
    do {                                                                                           \
        struct world w = unchanged();                                                              \
        w.now.member = (value);                                                                    \
        for (int by_decision = 0; by_decision < 2; by_decision++) {                                \
            assert_int_equal(remove_as(&w, GC_LEAKED, by_decision).result, GC_CHANGED);            \
            assert_string_equal(w.asked, "ds");                                                    \
        }                                                                                          \
    } while (0)
    DIFFERS(shmid, 2);
    DIFFERS(key, 1);
    DIFFERS(size, 4097);
    DIFFERS(uid, 1);
    DIFFERS(gid, 1);
    DIFFERS(cuid, 1);
    DIFFERS(cgid, 1);
    DIFFERS(cpid, 1);
    DIFFERS(mode, 0640);
    DIFFERS(ctime, 101);
#undef DIFFERS
}

TEST(keeps_what_came_to_life)
{
    struct world w = unchanged();
    w.now.nattch = 1;
    REMOVES(&w, GC_ATTACHED, GC_KEPT);
    assert_null(strchr(w.asked, 'r'));
    w = unchanged();
    w.creator = PROCESS_ALIVE;
    REMOVES(&w, GC_CREATOR_LIVES, GC_KEPT);
    w = unchanged();
    w.creator = PROCESS_UNKNOWN;
    REMOVES(&w, GC_UNDECIDED, GC_KEPT);
}

TEST(keeps_what_was_used_meanwhile)
{
    /* Somebody had it attached for a moment and is gone again: it is not idle. */
    struct world w = unchanged();
    w.now.atime = 500;
    w.now.dtime = 501;
    w.now.lpid = 777;
    REMOVES(&w, GC_LEAKED, GC_CHANGED);
    assert_null(strchr(w.asked, 'r'));
}

TEST(keeps_what_the_daemon_has_taken_over)
{
    struct world w = unchanged();
    w.is_foreign = 0;
    REMOVES(&w, GC_MANAGED, GC_KEPT);
    assert_string_equal(w.asked, "d");
    w = unchanged();
    w.is_foreign = -ECONNRESET;
    REMOVES(&w, GC_LEAKED, GC_UNANSWERED);
    assert_int_equal(remove_as(&w, GC_LEAKED, true).error, -ECONNRESET);
    assert_string_equal(w.asked, "d");
    w = unchanged();
    w.is_foreign = -ENOENT;
    REMOVES(&w, GC_LEAKED, GC_GONE);
}

TEST(a_decision_counts_in_any_state)
{
    struct world w = unchanged();
    w.now.nattch = 2;
    w.now.atime = 500;
    w.now.lpid = 900;
    struct gc_outcome got = remove_as(&w, GC_ATTACHED, true);
    assert_int_equal(got.result, GC_REMOVING);
    assert_int_equal(got.class, GC_ATTACHED);
    w = unchanged();
    w.creator = PROCESS_ALIVE;
    assert_int_equal(remove_as(&w, GC_CREATOR_LIVES, true).result, GC_REMOVED);
    /* What the daemon manages it must remove itself. */
    w.is_foreign = 0;
    got = remove_as(&w, GC_MANAGED, true);
    assert_int_equal(got.result, GC_KEPT);
    assert_int_equal(got.class, GC_MANAGED);
    assert_null(strchr(w.asked, 'r'));
}

TEST(tells_what_the_kernel_refuses)
{
    static const struct {
        int error;
        enum gc_result result;
    } cases[] = {{-ENOENT, GC_GONE},
                 {-EPERM, GC_NOT_PERMITTED},
                 {-EACCES, GC_NOT_PERMITTED},
                 {-ENOMEM, GC_FAILED}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct world w = unchanged();
        w.remove_result = cases[i].error;
        struct gc_outcome got = remove_as(&w, GC_LEAKED, false);
        assert_int_equal(got.result, cases[i].result);
        assert_int_equal(got.error, got.result == GC_FAILED ? cases[i].error : 0);
        assert_string_equal(w.asked, "dspr");
        w = unchanged();
        w.stat_result = cases[i].error;
        assert_int_equal(remove_as(&w, GC_LEAKED, false).result, cases[i].result);
        assert_string_equal(w.asked, "ds");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_daemon),
        cmocka_unit_test(what_the_daemon_manages),
        cmocka_unit_test(who_sees_the_creator_decides),
        cmocka_unit_test(what_the_daemon_says_of_a_segment),
        cmocka_unit_test(what_the_list_shows),
        cmocka_unit_test(what_may_be_the_daemons),
        cmocka_unit_test(guards),
        cmocka_unit_test(any_number_of_guards_keeps_only_their_own),
        cmocka_unit_test(idle),
        cmocka_unit_test(words),
        cmocka_unit_test(removes_what_was_listed),
        cmocka_unit_test(removes_each_class_only_while_it_is_of_that_class),
        cmocka_unit_test(keeps_another_with_the_same_id),
        cmocka_unit_test(keeps_what_came_to_life),
        cmocka_unit_test(keeps_what_was_used_meanwhile),
        cmocka_unit_test(keeps_what_the_daemon_has_taken_over),
        cmocka_unit_test(a_decision_counts_in_any_state),
        cmocka_unit_test(tells_what_the_kernel_refuses),
    };
    return RUN_TESTS(tests);
}
