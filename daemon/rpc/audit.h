/*
 * The daemon's log of what it did: a line for each create, set, remove, adopt and refusal, and for
 * each end of a segment that nobody asked for. Logging is done here and in shmd.c only.
 */
#ifndef SHMD_RPC_AUDIT_H
#define SHMD_RPC_AUDIT_H

#include "daemon/rpc/dispatch.h"

/* RQ was done. */
void audit_request(const struct request *rq);
/* RQ ended in OUTCOME (a positive outcome, or a negative errno) and is told FAILURE. */
void audit_refusal(const struct request *rq, int outcome, const struct failure *failure);
/* What PROMISE tells could not be recorded, and was taken back. */
void audit_broken(struct rpc *rpc, const struct promise *promise, const char *reason);

/* What happened to a segment of itself. */
void audit_event(const struct segment_event *event);

#endif
