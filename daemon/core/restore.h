/* SPDX-License-Identifier: MIT */
/*
 * What the store holds becomes segments again, with their names, charges, deadlines and ties.
 *
 * The pids that a daemon of another pid namespace has recorded, as when a container with the daemon
 * is started anew, mean nothing here. Its holders may live on and cannot be found: their segments
 * are left behind, kept while anybody has them attached. The creators of segments, which the kernel
 * tells by other numbers now, are noted anew by the first look that shows one: that of the sweep at
 * the start, or if it fails of a later one. The kernel is not looked at here.
 */
#ifndef SHMD_CORE_RESTORE_H
#define SHMD_CORE_RESTORE_H

#include "daemon/core/core.h"

/* 0 or a negative errno. Ties to processes that have ended are left out: what that means shows when
 * all is there. */
int restore_segments(struct core *core, const struct store_contents *contents) MUST_CHECK;

#endif
