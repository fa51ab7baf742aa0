/* SPDX-License-Identifier: MIT */
/*
 * What one segment charges its creator: itself and its bytes for as long as it has a record, its
 * bytes once more while it is locked in memory, and once more while the daemon has it attached. A
 * charge is taken once and given back once.
 */
#ifndef SHMD_CORE_SEGMENT_CHARGE_H
#define SHMD_CORE_SEGMENT_CHARGE_H

#include "daemon/core/segment.h"

/* Each: 0, -ENOMEM or OUTCOME_QUOTA_EXCEEDED, as quota_take() has it. IS_ADMIN: the reserve may be
 * used. The second and third do nothing when that is charged already. */
int segment_charge(struct quota *q, struct segment *segment, bool is_admin,
                   struct outcome_detail *ret_detail) MUST_CHECK;
int segment_charge_lock(struct quota *q, struct segment *segment, bool is_admin,
                        struct outcome_detail *ret_detail) MUST_CHECK;
int segment_charge_anchor(struct quota *q, struct segment *segment, bool is_admin,
                          struct outcome_detail *ret_detail) MUST_CHECK;

/* Charges a segment that is there already, whatever the caps: 0 or a negative errno. */
int segment_charge_found(struct quota *q, struct segment *segment) MUST_CHECK;

/* The kernel shows that SEGMENT, which is charged, is locked or not. Whoever locked it, it counts.
 */
void segment_charge_follow_lock(struct quota *q, struct segment *segment, bool is_locked);

/* From now on UID is charged for SEGMENT, whatever the caps, and is a creator who only pays: 0, or
 * -ENOMEM and nothing has changed, which cannot be when UID has an account. */
int segment_charge_give(struct quota *q, struct segment *segment, uint32_t uid) MUST_CHECK;

/* Give the charge back; without one they do nothing. The second gives back everything. */
void segment_uncharge_anchor(struct quota *q, struct segment *segment);
void segment_uncharge(struct quota *q, struct segment *segment);

#endif
