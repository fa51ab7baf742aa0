/* SPDX-License-Identifier: MIT */
/* Record and kernel put together: the segment as the wire shows it. */
#ifndef SHMD_CORE_VIEW_H
#define SHMD_CORE_VIEW_H

#include "daemon/core/core.h"
#include "protocol/segment_json.h"

/* RET borrows the record's strings. */
void view_segment(const struct core *core, const struct segment *segment,
                  const struct sysv_stat *kernel, struct wire_segment *ret);

/* A segment that is not the daemon's. */
void view_foreign(const struct core *core, const struct sysv_stat *kernel,
                  struct wire_segment *ret);
/* Whether it is orphaned. */
bool view_is_orphaned(const struct core *core, const struct sysv_stat *kernel);

void view_found(const struct core *core, const struct found *found, struct wire_segment *ret);

/*
 * Reads anew how the processes that SEGMENT depends on are called: `shmdctl run` and `hold` become
 * their command by exec, which changes the name. The newest ties come first, and only so many are
 * read that a request stays short.
 */
void view_refresh_names(const struct core *core, struct segment *segment);

/* The holders that count, oldest first; the array is the caller's to free. NULL: out of memory. */
struct wire_holder *view_holders(const struct segment *segment) MUST_CHECK;

#endif
