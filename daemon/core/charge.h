/* SPDX-License-Identifier: MIT */
/*
 * What a request charges for a segment. Segments may end without the daemon (ipcrm, the last detach
 * of one that was removed), and what is gone does not count: so before a charge is refused,
 * some segments are looked at again: those of the refused uid once a turn, all others, if only the
 * total is in the way, once a second.
 */
#ifndef SHMD_CORE_CHARGE_H
#define SHMD_CORE_CHARGE_H

#include "daemon/core/core.h"

/* Each charges SEGMENT's creator on behalf of CALLER, who may use the admins' reserve if he is one:
 * as segment_charge.h has it. Of more than the kernel allows to lock, the answer is
 * OUTCOME_LIMIT_REACHED. */
int charge_segment(struct core *core, const struct caller *caller, struct segment *segment,
                   struct outcome_detail *ret_detail) MUST_CHECK;
int charge_lock(struct core *core, const struct caller *caller, struct segment *segment,
                struct outcome_detail *ret_detail) MUST_CHECK;
int charge_anchor(struct core *core, const struct caller *caller, struct segment *segment,
                  struct outcome_detail *ret_detail) MUST_CHECK;

#endif
