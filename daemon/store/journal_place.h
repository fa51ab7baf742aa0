/* SPDX-License-Identifier: MIT */
/* Before a change: whether the journal is still where it was, and fit to be written to. */
#ifndef SHMD_STORE_JOURNAL_PLACE_H
#define SHMD_STORE_JOURNAL_PLACE_H

#include "daemon/store/journal_state.h"

/* A journal that was deleted, replaced or cut short under the daemon is written anew, and the log
 * says so; what an earlier failure left behind is mended. 0, or a negative errno with a reason. */
int journal_place_make_sure(struct journal *j) MUST_CHECK;

#endif
