/*
 * What a segment charges its creator. Segments may end without the daemon (ipcrm, the last detach
 * of one that was removed), and what is gone does not count: so before a charge is refused,
 * some segments are looked at again: those of the refused uid once a turn, all others, if only the
 * total is in the way, once a second.
 */
#ifndef SHMD_CORE_CHARGE_H
#define SHMD_CORE_CHARGE_H

#include "daemon/core/core.h"

/* Charges UID with one segment of SIZE bytes: 0, -ENOMEM, or OUTCOME_QUOTA_EXCEEDED as
 * quota_charge() has it. */
int charge_segment(struct core *core, uint32_t uid, uint64_t size, struct charge *ret,
                   struct outcome_detail *ret_detail) MUST_CHECK;

#endif
