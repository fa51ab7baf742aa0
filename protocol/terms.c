#include "protocol/terms.h"

#include <string.h>

const char *const state_words[STATE_COUNT + 1] = {
    [STATE_INITIALISING] = "initialising",
    [STATE_READY] = "ready",
    [STATE_REMOVING] = "removing",
    [STATE_REMOVED] = "removed",
};

const char *const lifetime_words[LIFETIME_COUNT + 1] = {
    [LIFETIME_PERSISTENT] = "persistent",
    [LIFETIME_PROCESS] = "process",
    [LIFETIME_CONNECTION] = "connection",
    [LIFETIME_ATTACHED] = "attached",
};

const char *const scope_words[SCOPE_COUNT + 1] = {
    [SCOPE_MANAGED] = "managed",
    [SCOPE_FOREIGN] = "foreign",
    [SCOPE_ALL] = "all",
};

int term_find(const char *const *words, const char *word)
{
    for (int i = 0; words[i]; i++)
        if (strcmp(words[i], word) == 0)
            return i;
    return -1;
}
