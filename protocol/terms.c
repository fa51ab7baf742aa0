/* SPDX-License-Identifier: MIT */
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

const char *const event_words[EVENT_KINDS + 1] = {
    [EVENT_CREATED] = "created",   [EVENT_READY] = "ready",       [EVENT_CHANGED] = "changed",
    [EVENT_ATTACHED] = "attached", [EVENT_DETACHED] = "detached", [EVENT_REMOVED] = "removed",
    [EVENT_ADOPTED] = "adopted",
};

const char *const reason_words[REASON_COUNT + 1] = {
    [REASON_REQUEST] = "request",
    [REASON_EXPIRED] = "expired",
    [REASON_LAST_HOLDER_EXITED] = "last-holder-exited",
    [REASON_CONNECTION_CLOSED] = "connection-closed",
    [REASON_INITIALISER_DIED] = "initialiser-died",
    [REASON_LAST_DETACH] = "last-detach",
    [REASON_OUT_OF_BAND] = "out-of-band",
    [REASON_RECYCLED] = "recycled",
    [REASON_REPLACED] = "replaced",
};

const char *const drift_words[DRIFT_COUNT + 1] = {
    [DRIFT_CREATOR] = "creator",
    [DRIFT_MANAGED] = "managed",
    [DRIFT_NAME] = "name",
    [DRIFT_KEY] = "key",
    [DRIFT_SIZE] = "size",
    [DRIFT_LIFETIME] = "lifetime",
    [DRIFT_HUGE_PAGE_SIZE] = "huge_page_size",
    [DRIFT_NORESERVE] = "noreserve",
    [DRIFT_MODE] = "mode",
    [DRIFT_UID] = "uid",
    [DRIFT_GID] = "gid",
    [DRIFT_LABELS] = "labels",
    [DRIFT_TTL_MS] = "ttl_ms",
    [DRIFT_IDLE_TTL_MS] = "idle_ttl_ms",
    [DRIFT_LOCKED] = "locked",
};

int term_find(const char *const *words, const char *word)
{
    for (int i = 0; words[i]; i++)
        if (strcmp(words[i], word) == 0)
            return i;
    return -1;
}
