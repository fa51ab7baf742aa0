/* SPDX-License-Identifier: MIT */
#include "daemon/core/remove.h"

#include <errno.h>

#include "daemon/core/removal.h"

/* An `attached` segment is marked for destruction all its life, so the kernel cannot tell that one
 * which is in use is being removed. The record alone does, and is written first. */
static int remove_by_record(struct core *core, struct found *found, struct outcome_detail *detail)
{
    const struct segment next = removal_record(found->segment);
    const struct ledger_change change = {.record = &next, .dropped_roles = TIES_ALL};
    int r = ledger_write(core, found->segment, &change, detail);
    if (r == 0)
        removal_follow(core, found, REASON_REQUEST);
    return r;
}

int core_remove(struct core *core, const struct remove_params *params, struct found *found,
                struct outcome_detail *detail)
{
    const struct segment *segment = found->segment;
    uint64_t nattch = segment_attachments(segment, &found->kernel);
    if (params->only_if_unattached.value && nattch > 0) {
        *detail = (struct outcome_detail){.nattch = nattch};
        return OUTCOME_SEGMENT_BUSY;
    }
    if (segment->state == STATE_REMOVING)
        return 0;
    int r = ledger_reserve(core, segment);
    if (r < 0)
        return r;
    if (segment->lifetime == LIFETIME_ATTACHED && found->kernel.destroyed && nattch > 0)
        return remove_by_record(core, found, detail);
    r = removal_do(core, found, REASON_REQUEST);
    if (r == -EPERM || r == -EACCES)
        return removal_denied(detail);
    return r;
}
