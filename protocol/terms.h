/*
 * The words the wire uses for a segment's state, its lifetime and a listing's scope; one table
 * each, for both directions. Index and enum value are the same.
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

/* NULL-terminated, so that a table can also be read without its enum. */
extern const char *const state_words[STATE_COUNT + 1];
extern const char *const lifetime_words[LIFETIME_COUNT + 1];
extern const char *const scope_words[SCOPE_COUNT + 1];

/* The index of WORD in WORDS, or -1. */
int term_find(const char *const *words, const char *word);

#endif
