/*
 * Records and kernel are brought together: by the periodic sweep, and at the start by one thing
 * more. Doubt never removes anything.
 */
#ifndef SHMD_CORE_RECONCILE_H
#define SHMD_CORE_RECONCILE_H

#include "daemon/core/core.h"

/* How many records got which verdict. */
struct sweep_result {
    uint64_t match, gone, recycled, dying, indeterminate;
};

/* One look at every record and at kernel.shm_rmid_forced. What has its segment is anchored if it
 * needs that; attachments and detachments since the last sweep are told. */
void reconcile_sweep(struct core *core, struct sweep_result *ret);

/* Sees to it that a sweep is due while there are segments: to be called when there is a new one. */
void reconcile_watch(struct core *core);

/*
 * Removes what a former daemon created and nobody was told of: it crashed between shmget() and the
 * record. Such a segment was made by our uid and one of FORMERS' pids, not before that daemon's
 * start and not after its end (its pid is another process's then). It is in no record, and nobody
 * has it attached. Returns how many there were.
 */
uint64_t reconcile_unacknowledged(struct core *core, const struct store_daemon *formers,
                                  size_t n_formers);

#endif
