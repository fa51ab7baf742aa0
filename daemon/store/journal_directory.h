/* SPDX-License-Identifier: MIT */
/* The state directory under a journal: whether it is fit to keep one, and files that are moved out
 * of the way there. */
#ifndef SHMD_STORE_JOURNAL_DIRECTORY_H
#define SHMD_STORE_JOURNAL_DIRECTORY_H

#include "daemon/store/journal_state.h"

/* Enters the directory, or enters it again: 0, or a negative errno with WHY, a sentence. -EPERM: it
 * is not the daemon's own, or others may write to it. */
int journal_directory_enter(const struct journal_options *options, char *why,
                            size_t why_size) MUST_CHECK;

enum { SET_ASIDE_NAME_MAX = 64 };

/* Renames NAME to NAME.corrupt-TIME, or a name like it that is free: 0 or a negative errno. */
int journal_directory_set_aside(const struct host *host, const char *name,
                                char ret_name[static SET_ASIDE_NAME_MAX]) MUST_CHECK;

/* Sets aside the database of shmd 0.1.0, if there is one, and says so in the log. */
void journal_directory_set_old_aside(const struct journal_options *options);

#endif
