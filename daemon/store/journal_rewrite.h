/* SPDX-License-Identifier: MIT */
/*
 * The journal written anew from what lives: in slices, when most of the file is dead (compaction),
 * or at once, when the file was deleted. The new file takes the old one's place by a rename; until
 * then the old one is in force. A failure leaves it in force, and compaction is tried again ever
 * less often.
 */
#ifndef SHMD_STORE_JOURNAL_REWRITE_H
#define SHMD_STORE_JOURNAL_REWRITE_H

#include "daemon/store/journal_state.h"

/* Compaction, if it is due, for about BUDGET_US: true when there is more to do at once. */
bool journal_rewrite_tend(struct journal *j, int64_t budget_us);

/* The whole at once: 0 or a negative errno. */
int journal_rewrite_now(struct journal *j) MUST_CHECK;

/* A change that the journal has: what of it concerns what was copied is added to the new file. */
void journal_rewrite_follow(struct journal *j, const struct store_record *records, size_t n);

/* Lets go of a new file that has been begun; it is begun again when that is due. */
void journal_rewrite_give_up(struct journal *j);

/* How much room a change must leave: for the removal of all that lives, and for a few records
 * that are neither. */
uint64_t journal_room_to_leave(const struct journal *j);

#endif
