/* SPDX-License-Identifier: MIT */
/*
 * What shmdctl takes a word for that is no command: a slip is understood, and no word that means
 * something else is ever taken for what destroys.
 */
#include "tests/unit/support.h"

#include "client/cli/meant.h"
#include "client/cli/near.h"

static const struct command some[] = {
    {.name = "create"},  {.name = "stat"},
    {.name = "set"},     {.name = "rm"},
    {.name = "list"},    {.name = "info"},
    {.name = "read"},    {.name = "write"},
    {.name = "call"},    {.name = "wait"},
    {.name = "ready"},   {.name = "hold"},
    {.name = "release"}, {.name = "adopt"},
    {.name = "disown"},  {.name = "events"},
    {.name = "run"},     {.name = "ps"},
    {.name = "top"},     {.name = "gc"},
    {.name = "doctor"},  {.name = "reload"},
    {.name = "metrics"}, {.name = "help"},
    {.name = "version"}, {.name = "__complete", .is_hidden = true},
};

static const char *meant(const char *word)
{
    const char *found = meant_command(some, COUNT(some), word);
    return found ? found : "";
}

TEST(words)
{
    static const struct {
        const char *word, *meant; /* "": nothing is advised */
    } table[] = {
        /* slips of the fingers */
        {"lsit", "list"},
        {"crate", "create"},
        {"stta", "stat"},
        {"WIAT", "wait"},
        {"evnets", "events"},
        {"dcotro", ""},
        {"docotr", "doctor"},
        {"relaese", "release"},
        {"realeas", "release"},
        {"vresoin", "version"},
        {"metrisc", "metrics"},
        {"tpo", "top"},
        {"sp", "ps"},
        {"rnu", "run"},
        {"est", "set"},
        /* what others call it */
        {"remove", "rm"},
        {"Delete", "rm"},
        {"kill", "rm"},
        {"clean", "gc"},
        {"rename", "set NAME --new-name NEW"},
        {"lock", "set NAME --locked"},
        {"unlock", "set NAME --unlocked"},
        {"export", "read"},
        {"import", "adopt"},
        {"start", "run"},
        {"show", "stat"},
        {"procseses", "ps"},
        {"subscirbe", "events"},
        {"inspcet", "stat"},
        {"hodlers", "ps"},
        /* a slip in a word that says remove or replace: what destroys must be meant */
        {"remvoe", ""},
        {"remov", ""},
        {"removed", ""},
        {"delet", ""},
        {"dleete", ""},
        {"destory", ""},
        {"unlnik", ""},
        {"clean-up", ""},
        {"orphan", ""},
        {"repalce", ""},
        {"resiez", ""},
        /* words of another meaning, which must not destroy */
        {"stop", ""},
        {"remote", ""},
        {"resume", ""},
        {"reset", ""},
        {"reserve", ""},
        {"relate", ""},
        {"unload", ""},
        {"uplink", ""},
        {"unlike", ""},
        {"inlink", ""},
        {"clear", ""},
        {"prone", ""},
        {"bill", ""},
        {"fill", "write"},
        {"tree", ""},
        {"tee", ""},
        {"crop", ""},
        {"trap", ""},
        {"raise", ""},
        {"restore", ""},
        {"replica", ""},
        {"reside", ""},
        {"rm1", ""},
        {"rn", ""},
        {"mr", ""},
        {"r", ""},
        {"rmi", ""},
        {"arm", ""},
        {"gcc", ""},
        {"cg", ""},
        {"g", ""},
        {"dle", ""},
        {"dell", ""},
        {"pop", ""},
        {"tap", ""},
        {"os", ""},
        {"cp", ""},
        {"sat", "stat"},
        {"rum", ""},
        {"mood", ""},
        {"nonsense", ""},
        {"__complete", ""},
        {"", ""},
        {"a-word-that-is-longer-than-any-that-there-is", ""},
    };
    for (size_t i = 0; i < COUNT(table); i++)
        if (strcmp(meant(table[i].word), table[i].meant) != 0)
            fail_msg("\"%s\" is taken for \"%s\" and not for \"%s\"", table[i].word,
                     meant(table[i].word), table[i].meant);
}

static bool destroys(const char *word)
{
    const char *found = meant(word);
    return strcmp(found, "rm") == 0 || strcmp(found, "gc") == 0 || strstr(found, "--replace");
}

/* Any two letters, and any command with a letter of it changed, added or taken out. */
TEST(no_short_word_and_no_slip_in_a_command_destroys)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz";
    size_t tried = 0;
    for (size_t i = 0; letters[i]; i++) {
        for (size_t j = 0; letters[j]; j++, tried++)
            if (destroys((const char[]){letters[i], letters[j], '\0'}))
                fail_msg("\"%c%c\" destroys", letters[i], letters[j]);
    }
    for (size_t c = 0; c < COUNT(some); c++) {
        const char *name = some[c].name;
        for (size_t at = 0; name[at]; at++) {
            for (size_t i = 0; letters[i]; i++, tried++) {
                char changed[32], longer[32], shorter[32];
                snprintf(changed, sizeof(changed), "%.*s%c%s", (int)at, name, letters[i],
                         name + at + 1);
                snprintf(longer, sizeof(longer), "%.*s%c%s", (int)at, name, letters[i], name + at);
                snprintf(shorter, sizeof(shorter), "%.*s%s", (int)at, name, name + at + 1);
                if (destroys(changed) || destroys(longer) || destroys(shorter))
                    fail_msg("\"%s\", \"%s\" or \"%s\" destroys", changed, longer, shorter);
            }
        }
    }
    assert_true(tried > 3000);
}

TEST(how_near_a_word_must_be)
{
    static const struct {
        const char *word, *candidate;
        bool is_near;
    } table[] = {
        {"sotr", "sort", true},          {"sor", "sort", true},
        {"sortt", "sort", true},         {"sort", "SORT", true},
        {"srot", "sort", true},          {"sxxt", "sort", false},
        {"nattah", "nattch", true},      {"natch", "nattch", true},
        {"nxtxch", "nattch", false},     {"nattach", "NATTCH", true},
        {"lifteme", "lifetime", true},   {"lixexime", "lifetime", true},
        {"lxfxtxme", "lifetime", false},
    };
    for (size_t i = 0; i < COUNT(table); i++) {
        struct near near;
        near_begin(&near, table[i].word);
        near_try(&near, table[i].candidate);
        if ((near.best != NULL) != table[i].is_near)
            fail_msg("\"%s\" and \"%s\"", table[i].word, table[i].candidate);
    }
    assert_true(near_is_swapped("mr", "RM"));
    assert_true(near_is_swapped("lsit", "list"));
    assert_false(near_is_swapped("list", "list"));
    assert_false(near_is_swapped("liss", "list"));
    assert_false(near_is_swapped("lsi", "list"));
    assert_false(near_is_swapped("lists", "lis"));
    assert_false(near_is_swapped("list", ""));
    assert_false(near_is_swapped("", ""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words),
        cmocka_unit_test(no_short_word_and_no_slip_in_a_command_destroys),
        cmocka_unit_test(how_near_a_word_must_be),
    };
    return RUN_TESTS(tests);
}
