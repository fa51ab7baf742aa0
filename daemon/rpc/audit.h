/*
 * The daemon's log of what it did: a line for each create, set, remove, adopt and refusal, and for
 * each end of a segment that nobody asked for. Logging is done here and in shmd.c only.
 */
#ifndef SHMD_RPC_AUDIT_H
#define SHMD_RPC_AUDIT_H

#include "daemon/rpc/dispatch.h"

/* RQ ended in OUTCOME (0, a positive outcome, a negative errno). */
void audit_request(const struct request *rq, int outcome);

/* What happened to a segment of itself. */
void audit_event(const struct segment_event *event);

#endif
