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

void view_found(const struct core *core, const struct found *found, struct wire_segment *ret);

/* The holders that count, oldest first; the array is the caller's to free. NULL: out of memory. */
struct wire_holder *view_holders(const struct segment *segment) MUST_CHECK;

#endif
