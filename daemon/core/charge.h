/*
 * What a segment charges whoever made it. Nobody is refused for what is gone: segments disappear
 * without our doing (ipcrm, the last detach of one that was removed), so before a refusal counts
 * they are looked at again: the uid's own once a turn, all others', when these are in its way, once
 * a second.
 */
#ifndef SHMD_CORE_CHARGE_H
#define SHMD_CORE_CHARGE_H

#include "daemon/core/core.h"

/* Charges UID with one segment of SIZE bytes: 0, -ENOMEM, or OUTCOME_QUOTA_EXCEEDED as
 * quota_charge() has it. */
int charge_segment(struct core *core, uint32_t uid, uint64_t size, struct charge *ret,
                   struct outcome_detail *ret_detail) MUST_CHECK;

#endif
