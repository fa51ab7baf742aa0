/*
 * Ends of segments. The identity is checked against the kernel before every IPC_RMID; what is not
 * provably the same is not touched.
 */
#ifndef SHMD_CORE_REMOVAL_H
#define SHMD_CORE_REMOVAL_H

#include "daemon/core/core.h"

/*
 * Removes FOUND's segment: from the kernel now, from the records when the last process has
 * detached. The name is free at once. FOUND's kernel part is brought up to date. 0, or a negative
 * errno when the kernel refused.
 */
int removal_do(struct core *core, struct found *found, enum reason reason) MUST_CHECK;

/* The same for what happens by itself, looking first: 0 when the segment is gone or going. */
int removal_of_fact(struct core *core, struct segment *segment, enum reason reason) MUST_CHECK;

/* Removes SEGMENT if those whose life it depends on are there no more: 0; 1 when it stays, for it
 * is kept by somebody or depends on nobody; or a negative errno. */
int removal_if_abandoned(struct core *core, struct segment *segment) MUST_CHECK;

/* The kernel's segment is gone, or another's: the record goes. */
void removal_noticed(struct core *core, struct segment *segment, enum reason reason);

/* Why a segment is gone that nobody here has removed. */
enum reason removal_reason_of_gone(const struct segment *segment);

/* Somebody else has done IPC_RMID on a segment that is still attached; if by our anchor alone, it
 * goes with that, and its state is `removed`. */
void removal_begun_elsewhere(struct core *core, struct found *found);

/* `remove`: 0, OUTCOME_SEGMENT_BUSY, OUTCOME_PERMISSION_DENIED or a negative errno. */
int core_remove(struct core *core, const struct remove_params *params, struct found *found,
                struct outcome_detail *ret_detail) MUST_CHECK;

#endif
