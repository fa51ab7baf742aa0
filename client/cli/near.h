/* SPDX-License-Identifier: MIT */
/*
 * Near misses: which of the words that there are may have been meant by one that there is not.
 */
#ifndef SHMD_CLIENT_CLI_NEAR_H
#define SHMD_CLIENT_CLI_NEAR_H

#include <stdbool.h>

struct near {
    const char *word; /* borrowed */
    const char *best; /* NULL: none is near */
    unsigned distance;
};

void near_begin(struct near *near, const char *word);
/* CANDIDATE must stay. Capitals count as small letters. */
void near_try(struct near *near, const char *candidate);
/* Whether the two differ only in two neighbours that have changed places. */
bool near_is_swapped(const char *a, const char *b);

#endif
