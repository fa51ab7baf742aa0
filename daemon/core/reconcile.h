/*
 * Records and kernel brought together: the periodic sweep, and what a start must do once more.
 * Doubt never removes anything.
 */
#ifndef SHMD_CORE_RECONCILE_H
#define SHMD_CORE_RECONCILE_H

#include "daemon/core/core.h"

/* How many records got which verdict. */
struct sweep_result {
    uint64_t match, gone, recycled, dying, indeterminate;
};

/* One look at every record, by which what has its segment is anchored if it must be; tells
 * attachments and detachments since the last. */
void reconcile_sweep(struct core *core, struct sweep_result *ret);

/*
 * Removes what a former daemon created and nobody was told of: a crash between shmget() and the
 * commit. It must have been made by our uid and one of FORMERS' pids, not before that daemon's
 * start and not after its end (its pid is another's then), be in no record, and be attached by
 * nobody. Returns how many.
 */
uint64_t reconcile_unacknowledged(struct core *core, const struct store_daemon *formers,
                                  size_t n_formers);

/* Reads kernel.shm_rmid_forced; where it is set, the sweep anchors what can be lost by it. */
void reconcile_rmid_forced(struct core *core);

#endif
