/* SPDX-License-Identifier: MIT */
#include "client/cli/meant.h"

#include <string.h>
#include <strings.h>

#include "client/cli/near.h"

enum {
    SHORT_NAME = 3, /* letters: one wrong letter of so few makes another word, as stop of top */
    SHORT_WORD = 5, /* the same of what others call a command */
};

/* What other programs, or people, call a command. */
static const struct {
    const char *word;
    const char *meant; /* as it is to be typed */
} other_commands[] = {
    {"remove", "rm"},
    {"delete", "rm"},
    {"del", "rm"},
    {"unlink", "rm"},
    {"destroy", "rm"},
    {"erase", "rm"},
    {"kill", "rm"},
    {"free", "rm"},
    {"drop", "rm"},
    {"ipcrm", "rm"},
    {"rename", "set NAME --new-name NEW"},
    {"move", "set NAME --new-name NEW"},
    {"mv", "set NAME --new-name NEW"},
    {"chmod", "set NAME --mode MODE"},
    {"chown", "set NAME --uid USER"},
    {"chgrp", "set NAME --gid GROUP"},
    {"lock", "set NAME --locked"},
    {"unlock", "set NAME --unlocked"},
    {"change", "set"},
    {"modify", "set"},
    {"update", "set"},
    {"edit", "set"},
    {"resize", "create NAME --size SIZE --replace"},
    {"replace", "create NAME --size SIZE --replace"},
    {"new", "create"},
    {"make", "create"},
    {"add", "create"},
    {"ipcmk", "create"},
    {"load", "create NAME --from FILE"},
    {"show", "stat"},
    {"inspect", "stat"},
    {"describe", "stat"},
    {"get", "stat"},
    {"dir", "list"},
    {"segments", "list"},
    {"ipcs", "list --all"},
    {"lsipc", "list --all"},
    {"status", "info"},
    {"limits", "info"},
    {"ping", "info"},
    {"cat", "read"},
    {"dump", "read"},
    {"copy", "read"},
    {"export", "read"},
    {"save", "read"},
    {"fill", "write"},
    {"put", "write"},
    {"processes", "ps"},
    {"procs", "ps"},
    {"attachments", "ps"},
    {"attached", "ps"},
    {"holders", "ps"},
    {"users", "ps"},
    {"lsof", "ps"},
    {"fuser", "ps"},
    {"who", "ps"},
    {"monitor", "events"},
    {"follow", "events"},
    {"subscribe", "events"},
    {"log", "events"},
    {"watch", "top"},
    {"exec", "run"},
    {"start", "run"},
    {"publish", "ready"},
    {"keep", "hold"},
    {"acquire", "hold"},
    {"unhold", "release"},
    {"take", "adopt"},
    {"import", "adopt"},
    {"clean", "gc"},
    {"cleanup", "gc"},
    {"prune", "gc"},
    {"purge", "gc"},
    {"orphans", "gc"},
    {"check", "doctor"},
    {"health", "doctor"},
    {"diagnose", "doctor"},
};

static bool destroys(const char *meant)
{
    return strcmp(meant, "rm") == 0 || strcmp(meant, "gc") == 0 || strstr(meant, "--replace");
}

/* The command whose name is spelt nearly as WORD. */
static const char *near_command(const struct command *all, size_t n, const char *word)
{
    struct near near;
    near_begin(&near, word);
    for (size_t i = 0; i < n; i++) {
        const char *name = all[i].name;
        if (!all[i].is_hidden && !destroys(name) &&
            (strlen(name) > SHORT_NAME || near_is_swapped(word, name)))
            near_try(&near, name);
    }
    return near.best;
}

/* What is meant by a word of others that is spelt nearly as WORD; nothing that destroys. */
static const char *near_other(const char *word)
{
    struct near near;
    near_begin(&near, word);
    for (size_t i = 0; i < COUNT(other_commands); i++) {
        const char *other = other_commands[i].word;
        if (strlen(other) > SHORT_WORD || near_is_swapped(word, other))
            near_try(&near, other);
    }
    for (size_t i = 0; i < COUNT(other_commands); i++)
        if (near.best == other_commands[i].word)
            return destroys(other_commands[i].meant) ? NULL : other_commands[i].meant;
    return NULL;
}

const char *meant_command(const struct command *all, size_t n, const char *word)
{
    for (size_t i = 0; i < COUNT(other_commands); i++)
        if (strcasecmp(other_commands[i].word, word) == 0)
            return other_commands[i].meant;
    const char *meant = near_command(all, n, word);
    return meant ? meant : near_other(word);
}
