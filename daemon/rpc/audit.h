/*
 * The daemon's log of what it did: a line for each create, set, remove, adopt and refusal, and for
 * each end of a segment that nobody asked for. Logging is done here and in shmd.c only.
 */
#ifndef SHMD_RPC_AUDIT_H
#define SHMD_RPC_AUDIT_H

#include "daemon/rpc/dispatch.h"

/* Whether the log tells of RQ, which has succeeded, and what its segment is called there: NULL when
 * it has no name. */
bool audit_is_due(const struct request *rq);
const char *audit_name(const struct request *rq);

/* What PROMISE tells was done. */
void audit_done(const struct rpc *rpc, const struct promise *promise);
/* What PROMISE tells could not be recorded, and was taken back. */
void audit_broken(struct rpc *rpc, const struct promise *promise, const char *reason);
/* RQ ended in OUTCOME (a positive outcome, or a negative errno) and is told FAILURE. */
void audit_refusal(const struct request *rq, int outcome, const struct failure *failure);
/* The same of CALLER's connection; an OUTCOME below 0 has no DETAIL. */
void audit_connection_refused(struct rpc *rpc, const struct caller *caller, int outcome,
                              const struct outcome_detail *detail, const struct failure *failure);

/* What happened to a segment of itself. */
void audit_event(const struct segment_event *event);

#endif
