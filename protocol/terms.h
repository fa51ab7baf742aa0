/* SPDX-License-Identifier: MIT */
/*
 * The words the wire uses for a segment's state, its lifetime, how it differs from what is
 * declared, a listing's scope and what events tell; one table each, for both directions. Index and
 * enum value are the same.
 */
#ifndef SHMD_PROTOCOL_TERMS_H
#define SHMD_PROTOCOL_TERMS_H

enum segment_state { STATE_INITIALISING, STATE_READY, STATE_REMOVING, STATE_REMOVED, STATE_COUNT };

enum lifetime {
    LIFETIME_PERSISTENT,
    LIFETIME_PROCESS,
    LIFETIME_CONNECTION,
    LIFETIME_ATTACHED,
    LIFETIME_COUNT
};

enum list_scope { SCOPE_MANAGED, SCOPE_FOREIGN, SCOPE_ALL, SCOPE_COUNT };

enum event_kind {
    EVENT_CREATED,
    EVENT_READY,
    EVENT_CHANGED,
    EVENT_ATTACHED,
    EVENT_DETACHED,
    EVENT_REMOVED,
    EVENT_ADOPTED,
    EVENT_KINDS
};

/* Why a segment was removed. */
enum reason {
    REASON_REQUEST,
    REASON_EXPIRED,
    REASON_LAST_HOLDER_EXITED,
    REASON_CONNECTION_CLOSED,
    REASON_INITIALISER_DIED,
    REASON_LAST_DETACH,
    REASON_OUT_OF_BAND,
    REASON_RECYCLED,
    REASON_REPLACED,
    REASON_COUNT
};

/* In what a segment can differ from what a configuration file declares. The first two are members
 * of the segment object, all others parameters of `create`. */
enum drift {
    DRIFT_CREATOR, /* another user made it */
    DRIFT_MANAGED, /* the daemon does not manage it */
    DRIFT_NAME,
    DRIFT_KEY,
    DRIFT_SIZE,
    DRIFT_LIFETIME,
    DRIFT_HUGE_PAGE_SIZE,
    DRIFT_NORESERVE,
    DRIFT_MODE,
    DRIFT_UID,
    DRIFT_GID,
    DRIFT_LABELS,
    DRIFT_TTL_MS,
    DRIFT_IDLE_TTL_MS,
    DRIFT_LOCKED,
    DRIFT_COUNT
};

/* NULL-terminated, so that a table can also be read without its enum. */
extern const char *const state_words[STATE_COUNT + 1];
extern const char *const lifetime_words[LIFETIME_COUNT + 1];
extern const char *const scope_words[SCOPE_COUNT + 1];
extern const char *const event_words[EVENT_KINDS + 1];
extern const char *const reason_words[REASON_COUNT + 1];
extern const char *const drift_words[DRIFT_COUNT + 1];

/* The index of WORD in WORDS, or -1. */
int term_find(const char *const *words, const char *word);

#endif
