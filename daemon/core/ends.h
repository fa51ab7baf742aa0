/* SPDX-License-Identifier: MIT */
/*
 * Ends that happen by themselves: a time is over, nobody has attached, a process has exited, a
 * connection was closed. All are facts. The kernel is looked at before anything is removed.
 */
#ifndef SHMD_CORE_ENDS_H
#define SHMD_CORE_ENDS_H

#include "daemon/core/core.h"

/* SEGMENT is removed when its expires_at_ms has come, or its idle_ttl_ms is over; to be called
 * whenever one of them has changed. 0 or -ENOMEM; it cannot fail when the segment had one of them,
 * or room for a deadline was reserved. */
int ends_in_time(struct core *core, struct segment *segment) MUST_CHECK;

/* The boot clock's time TTL_MS from now; 0 for 0. */
int64_t ends_after(const struct core *core, int64_t ttl_ms);

/* The anchor of SEGMENT, an `attached` one, is let go when a client has attached, or
 * attach_timeout_ms is over. Errors as ends_in_time(). */
int ends_unless_attached(struct core *core, struct segment *segment) MUST_CHECK;

/* Removes SEGMENT if its initialiser has died before it was ready, or its last holder is gone: 0; 1
 * when it stays; or a negative errno. */
int ends_if_abandoned(struct core *core, struct segment *segment) MUST_CHECK;

/* The process behind PARTY has exited, or its connection was closed. What that means for the
 * segments that depend on it is done by ends_go_on(), which frees PARTY at last. */
void ends_note(struct core *core, struct party *party);
/* The same, and what there is time for is done at once. */
void ends_with_party(struct core *core, struct party *party);
/* Whether there is something left to be done. */
bool ends_are_due(const struct core *core);
void ends_go_on(struct core *core);
/* Frees the parties; no tie must be left. */
void ends_deinit(struct core *core);

#endif
