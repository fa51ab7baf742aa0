/*
 * From what a request names to a segment as it is now. Every look compares record and kernel;
 * what was changed or removed behind the daemon's back is noticed here.
 */
#ifndef SHMD_CORE_LOOKUP_H
#define SHMD_CORE_LOOKUP_H

#include "daemon/core/core.h"

/*
 * Looks at SEGMENT in the kernel. 0; or, when the record has no segment any more and is dropped,
 * OUTCOME_NO_SUCH_SEGMENT (gone) or OUTCOME_STALE_SEGMENT (the id is another's); or a negative
 * errno when the kernel did not tell: the record stays. SEGMENT may be freed at the end of the turn
 * only.
 */
int lookup_verify(struct core *core, struct segment *segment, struct sysv_stat *ret) MUST_CHECK;

/*
 * The segment that TARGET denotes; one that is not the daemon's too. 0, OUTCOME_NO_SUCH_SEGMENT,
 * OUTCOME_STALE_SEGMENT or a negative errno.
 */
int lookup_target(struct core *core, const struct target *target, struct found *ret,
                  struct outcome_detail *ret_detail) MUST_CHECK;

/* The managed segment that is called NAME, or has KEY, looked at: as lookup_verify(), and
 * OUTCOME_NO_SUCH_SEGMENT when there is none. */
int lookup_name(struct core *core, const char *name, struct found *ret) MUST_CHECK;
int lookup_key(struct core *core, uint32_t key, struct found *ret) MUST_CHECK;

#endif
