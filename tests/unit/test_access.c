/* SPDX-License-Identifier: MIT */
/*
 * The rights. Each one is compared with the table of the contract, written down again
 * here, over every combination of callers, owners and modes that makes a difference.
 */
#include "tests/unit/support.h"

#include "daemon/core/access.h"
#include "daemon/core/segment.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum {
    DAEMON = 990,
    ALICE = 1000,
    BOB = 1001,
    CAROL = 1002,
    ADMINS = 50,
    USERS = 100,
    VIDEO = 44,
    ALICES = 2000,
    BOBS = 2001,
};

static const struct access plain = {.own_uid = DAEMON};
static const struct access with_admins = {
    .own_uid = DAEMON, .has_admin_group = true, .admin_group = ADMINS};

static uint32_t no_groups[1];
static uint32_t in_video[] = {USERS, VIDEO};
static uint32_t in_admins[] = {USERS, 1, ADMINS};

#define CALLER(u, g, list, n)                                                                      \
    {                                                                                              \
        .uid = (u), .gid = (g), .groups = (list), .n_groups = (n)                                  \
    }

static const struct caller callers[] = {
    CALLER(0, 0, no_groups, 0),
    CALLER(DAEMON, DAEMON, no_groups, 0),
    CALLER(ALICE, ALICES, no_groups, 0),
    CALLER(ALICE, VIDEO, NULL, 0),
    CALLER(ALICE, ALICES, in_video, COUNT(in_video)),
    CALLER(ALICE, ALICES, in_admins, COUNT(in_admins)),
    CALLER(ALICE, ADMINS, no_groups, 0),
    CALLER(BOB, BOBS, in_video, COUNT(in_video)),
    CALLER(CAROL, 0, no_groups, 0), /* group 0 is no right of its own */
};

static bool has_group(const struct caller *caller, uint32_t gid)
{
    bool found = caller->gid == gid;
    for (size_t i = 0; i < caller->n_groups; i++)
        found |= caller->groups[i] == gid;
    return found;
}

static bool is_admin(const struct access *a, const struct caller *c)
{
    return c->uid == 0 || c->uid == DAEMON || (a == &with_admins && has_group(c, ADMINS));
}

TEST(admins)
{
    const struct caller *root = &callers[0], *own = &callers[1], *alice = &callers[2];
    const struct caller *member = &callers[5], *primary = &callers[6], *video = &callers[4];
    const struct access *const both[] = {&plain, &with_admins};
    for (size_t i = 0; i < 2; i++) {
        assert_true(access_is_admin(both[i], root));
        assert_true(access_is_admin(both[i], own));
        assert_false(access_is_admin(both[i], alice));
        assert_false(access_is_admin(both[i], video));
    }
    assert_true(access_is_admin(&with_admins, member));
    assert_true(access_is_admin(&with_admins, primary));
    assert_false(access_is_admin(&plain, member));
    assert_false(access_is_admin(&plain, primary));
    /* An access without a group of admins does not mean group 0. */
    assert_false(access_is_admin(&plain, &callers[8]));
    /* It may be group 0, though. */
    const struct access wheel = {.own_uid = DAEMON, .has_admin_group = true, .admin_group = 0};
    assert_true(access_is_admin(&wheel, &callers[8]));
}

static const uint32_t uids[] = {0, DAEMON, ALICE, BOB};
static const uint32_t gids[] = {0, DAEMON, ALICES, VIDEO, ADMINS};

/* ipcperms() for reading, as the kernel has it. */
static bool kernel_lets_read(const struct caller *c, const struct sysv_stat *s)
{
    if (c->uid == s->uid || c->uid == s->cuid)
        return s->mode & 0400;
    if (has_group(c, s->gid) || has_group(c, s->cgid))
        return s->mode & 0040;
    return s->mode & 0004;
}

static void check_read(const struct access *a, const struct caller *c, const struct sysv_stat *s)
{
    bool want = is_admin(a, c) || kernel_lets_read(c, s);
    bool got = access_may_read(a, c, s);
    if (got != want)
        print_error("caller %u:%u, owner %u:%u, creator %u:%u, mode %04o\n", c->uid, c->gid, s->uid,
                    s->gid, s->cuid, s->cgid, s->mode);
    assert_true(got == want);
}

TEST(reading)
{
    /* Each read bit alone, none, all, and all others but it. */
    static const uint32_t modes[] = {0, 0400, 0040, 0004, 0777, 0377, 0737, 0773, 0333};
    struct sysv_stat s = {0};
    for (size_t c = 0; c < COUNT(callers); c++)
        for (size_t u = 0; u < COUNT(uids); u++)
            for (size_t g = 0; g < COUNT(gids); g++)
                for (size_t cu = 0; cu < COUNT(uids); cu++)
                    for (size_t cg = 0; cg < COUNT(gids); cg++)
                        for (size_t m = 0; m < COUNT(modes); m++) {
                            s.uid = uids[u];
                            s.gid = gids[g];
                            s.cuid = uids[cu];
                            s.cgid = gids[cg];
                            s.mode = modes[m];
                            check_read(&plain, &callers[c], &s);
                            check_read(&with_admins, &callers[c], &s);
                        }
}

TEST(the_first_class_that_fits_decides)
{
    const struct caller *alice = &callers[4]; /* in video, too */
    /* An owner whom the mode shuts out is not let in as one of the group or of the rest. */
    assert_false(access_may_read(
        &plain, alice,
        &(struct sysv_stat){.uid = ALICE, .gid = VIDEO, .cuid = DAEMON, .mode = 0077}));
    assert_false(access_may_read(
        &plain, alice,
        &(struct sysv_stat){.uid = BOB, .gid = VIDEO, .cuid = DAEMON, .mode = 0707}));
    assert_true(access_may_read(
        &plain, alice, &(struct sysv_stat){.uid = BOB, .gid = BOBS, .cuid = DAEMON, .mode = 0004}));
    /* The creator's group counts as the owner's does. */
    assert_true(access_may_read(
        &plain, alice,
        &(struct sysv_stat){.uid = BOB, .gid = BOBS, .cuid = DAEMON, .cgid = VIDEO, .mode = 0040}));
}

TEST(changing)
{
    struct segment record = {0};
    struct sysv_stat s = {.cuid = DAEMON};
    for (size_t c = 0; c < COUNT(callers); c++) {
        for (size_t u = 0; u < COUNT(uids); u++) {
            for (size_t cu = 0; cu < COUNT(uids); cu++) {
                s.uid = uids[u];
                record.creator.uid = uids[cu];
                bool either = callers[c].uid == uids[u] || callers[c].uid == uids[cu];
                assert_true(access_may_change(&plain, &callers[c], &record, &s) ==
                            (either || is_admin(&plain, &callers[c])));
                assert_true(access_may_change(&with_admins, &callers[c], &record, &s) ==
                            (either || is_admin(&with_admins, &callers[c])));
            }
        }
    }
    /* The mode says nothing about it, nor do groups, nor whom the kernel calls the creator. */
    record.creator.uid = ALICE;
    s = (struct sysv_stat){.uid = ALICE, .gid = VIDEO, .cuid = BOB, .cgid = VIDEO, .mode = 0777};
    assert_false(access_may_change(&plain, &callers[7], &record, &s));
    s.mode = 0;
    assert_true(access_may_change(&plain, &callers[2], &record, &s));
}

TEST(seeing)
{
    const struct segment record = {.creator = {.uid = ALICE}};
    struct sysv_stat s = {.uid = ALICE, .gid = ALICES, .cuid = DAEMON, .cgid = DAEMON};
    for (size_t c = 0; c < COUNT(callers); c++) {
        const struct caller *caller = &callers[c];
        /* Those who may read it; one that is closed to all, those who may open it again. */
        s.mode = 0604;
        assert_true(access_may_see(&plain, caller, &record, &s) ==
                    access_may_read(&plain, caller, &s));
        s.mode = 0;
        assert_true(access_may_see(&plain, caller, &record, &s) ==
                    (caller->uid == ALICE || is_admin(&plain, caller)));
    }
    s.mode = 0200; /* its owner has shut himself out, and others write */
    assert_false(access_may_see(&plain, &callers[7], &record, &s));
}

TEST(adopting)
{
    struct sysv_stat s = {.gid = VIDEO, .cgid = VIDEO, .mode = 0777};
    for (size_t c = 0; c < COUNT(callers); c++) {
        for (size_t u = 0; u < COUNT(uids); u++) {
            for (size_t cu = 0; cu < COUNT(uids); cu++) {
                s.uid = uids[u];
                s.cuid = uids[cu];
                bool either = callers[c].uid == uids[u] || callers[c].uid == uids[cu];
                assert_true(access_may_adopt(&plain, &callers[c], &s) ==
                            (either || is_admin(&plain, &callers[c])));
                assert_true(access_may_adopt(&with_admins, &callers[c], &s) ==
                            (either || is_admin(&with_admins, &callers[c])));
            }
        }
    }
}

TEST(giving_away)
{
    const struct access *const both[] = {&plain, &with_admins};
    for (size_t i = 0; i < 2; i++) {
        for (size_t c = 0; c < COUNT(callers); c++) {
            const struct caller *caller = &callers[c];
            bool admin = is_admin(both[i], caller);
            for (size_t u = 0; u < COUNT(uids); u++)
                assert_true(access_may_give_uid(both[i], caller, uids[u]) ==
                            (admin || uids[u] == caller->uid || uids[u] == DAEMON));
            for (size_t g = 0; g < COUNT(gids); g++)
                assert_true(access_may_give_gid(both[i], caller, gids[g]) ==
                            (admin || has_group(caller, gids[g])));
        }
    }
    /* Not to root, and not into the daemon's group, which is no group of the caller's. */
    assert_false(access_may_give_uid(&plain, &callers[2], 0));
    assert_false(access_may_give_gid(&plain, &callers[2], DAEMON));
    assert_true(access_may_give_gid(&plain, &callers[4], VIDEO));
}

TEST(trusting)
{
    static const struct {
        uint32_t owner, creator;
        bool was_admin, trusted;
    } cases[] = {
        {ALICE, ALICE, false, true},
        {0, ALICE, false, true},
        {DAEMON, ALICE, false, true},
        {ALICE, 0, false, true},
        {ALICE, DAEMON, false, true},
        {0, 0, false, true},
        /* A stranger made it: whoever owns it, the content is the stranger's. */
        {BOB, BOB, false, false},
        {ALICE, BOB, false, false},
        {0, BOB, false, false},
        {DAEMON, BOB, false, false},
        /* Given away: the new owner writes into it. */
        {BOB, ALICE, false, false},
        {BOB, 0, true, false},
        /* An admin made it for the caller. */
        {ALICE, BOB, true, true},
        {0, BOB, true, true},
        {BOB, BOB, true, false},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        const struct segment record = {
            .creator = {.uid = cases[i].creator, .was_admin = cases[i].was_admin}};
        const struct sysv_stat s = {.uid = cases[i].owner, .cuid = DAEMON};
        uint32_t other = 12345;
        bool trusted = access_is_of(&plain, ALICE, &record, &s, &other);
        if (trusted != cases[i].trusted)
            print_error("case %zu\n", i);
        assert_true(trusted == cases[i].trusted);
        assert_int_equal(other, trusted ? 12345 : BOB);
    }
    /* Of a segment that is not the daemon's the kernel's creator counts. */
    uint32_t other;
    const struct sysv_stat alices = {.uid = ALICE, .cuid = ALICE},
                           given = {.uid = ALICE, .cuid = BOB};
    assert_true(access_is_of(&plain, ALICE, NULL, &alices, &other));
    assert_false(access_is_of(&plain, ALICE, NULL, &given, &other));
    assert_int_equal(other, BOB);
    /* Being an admin is no reason to be fed a stranger's segment: it is asked for by any_owner. */
    const struct segment bobs = {.creator = {.uid = BOB}};
    const struct sysv_stat s = {.uid = BOB, .cuid = DAEMON};
    assert_false(access_is_of(&with_admins, callers[5].uid, &bobs, &s, &other));
    assert_false(access_is_of(&plain, 0, &bobs, &s, &other));
}

TEST(reserved_names)
{
    static const struct name_rule rules[] = {{(char *)"db/", false, ALICE},
                                             {(char *)"team/", true, VIDEO},
                                             {(char *)"team/x", false, BOB}};
    const struct access a = {.own_uid = DAEMON, .names = rules, .n_names = 3};
    uint32_t video[] = {VIDEO};
    const struct caller alice = {.uid = ALICE, .gid = 5}, bob = {.uid = BOB, .gid = 5},
                        member = {.uid = 7, .gid = 5, .groups = video, .n_groups = 1},
                        root = {.uid = 0}, self = {.uid = DAEMON};
    const struct name_rule *rule = NULL;
    static const char *const free_names[] = {NULL, "db", "d", "other/db/", "teams", "dbx/"};
    for (size_t i = 0; i < COUNT(free_names); i++)
        assert_true(access_may_use_name(&a, &bob, free_names[i], &rule));
    assert_null(rule);
    assert_true(access_may_use_name(&a, &alice, "db/a", &rule));
    assert_true(access_may_use_name(&a, &root, "db/a", &rule));
    assert_true(access_may_use_name(&a, &self, "db/a", &rule));
    assert_false(access_may_use_name(&a, &bob, "db/a", &rule));
    assert_ptr_equal(rule, &rules[0]);
    assert_false(access_may_use_name(&a, &member, "db/", &rule));
    assert_true(access_may_use_name(&a, &member, "team/a", &rule));
    assert_false(access_may_use_name(&a, &alice, "team/a", &rule));
    assert_ptr_equal(rule, &rules[1]);
    /* The longest prefix counts, wherever it stands. */
    assert_true(access_may_use_name(&a, &bob, "team/xyz", &rule));
    assert_false(access_may_use_name(&a, &member, "team/xyz", &rule));
    assert_ptr_equal(rule, &rules[2]);
    static const struct name_rule reversed[] = {{(char *)"team/x", false, BOB},
                                                {(char *)"team/", true, VIDEO}};
    const struct access b = {.own_uid = DAEMON, .names = reversed, .n_names = 2};
    assert_true(access_may_use_name(&b, &bob, "team/xyz", &rule));
    assert_false(access_may_use_name(&b, &member, "team/xyz", &rule));
    assert_ptr_equal(rule, &reversed[0]);
    /* A user and a group may have the same number. */
    uint32_t like_bob[] = {BOB};
    const struct caller namesake = {.uid = 7, .gid = 5, .groups = like_bob, .n_groups = 1};
    assert_false(access_may_use_name(&b, &namesake, "team/xyz", &rule));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(admins),
        cmocka_unit_test(reading),
        cmocka_unit_test(the_first_class_that_fits_decides),
        cmocka_unit_test(changing),
        cmocka_unit_test(seeing),
        cmocka_unit_test(adopting),
        cmocka_unit_test(giving_away),
        cmocka_unit_test(trusting),
        cmocka_unit_test(reserved_names),
    };
    return RUN_TESTS(tests);
}
