/* SPDX-License-Identifier: MIT */
/*
 * What a row of records comes to: records are applied one after the other, and at the end there is
 * what is stored. Everything is copied into one arena, which goes with the contents.
 */
#ifndef SHMD_STORE_CONTENTS_H
#define SHMD_STORE_CONTENTS_H

#include "daemon/store/store.h"

/* All zeros: nothing is stored. */
struct contents_builder {
    struct stored *segments; /* ascending serials; STATE_REMOVED, which no record has: gone */
    size_t n_segments, capacity;
    struct store_contents so_far; /* all but the segments */
};

void contents_builder_deinit(struct contents_builder *b);

/* Applies RECORD, which store_check_record() has passed: 0, -ENOMEM, or -EBADMSG with RET_WHY
 * (static) for one that contradicts those before. */
int contents_apply(struct contents_builder *b, const struct store_record *record,
                   const char **ret_why) MUST_CHECK;

/* Whether names, keys and shmids denote one segment each: 0, -ENOMEM, or -EBADMSG with RET_WHY
 * (static). Users choose names, and must not know SECRET: two names that share a hash would pass
 * for one. */
int contents_check_unique(const struct contents_builder *b, const uint64_t secret[static 2],
                          const char **ret_why) MUST_CHECK;

/* Hands over what is stored and leaves the builder empty. */
void contents_finish(struct contents_builder *b, struct store_contents *ret);

enum { STORE_DAEMONS_KEPT = 16 };

/* Adds DAEMON to an array with room for STORE_DAEMONS_KEPT; the oldest goes when it is full. */
void store_daemons_add(struct store_daemon *daemons, size_t *n_daemons,
                       const struct store_daemon *daemon);

/* Counters only rise where a serial could be given twice. */
void store_counters_update(struct store_counters *counters, const struct store_record *record);

#endif
