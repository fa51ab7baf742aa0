/* SPDX-License-Identifier: MIT */
/*
 * The daemon's log of what it did: a line for each create, set, remove, adopt and refusal, and for
 * each segment that ended without a request, as many as its uid may have (log_budget.h). Logging is
 * done here and in shmd.c only.
 */
#ifndef SHMD_RPC_AUDIT_H
#define SHMD_RPC_AUDIT_H

#include "daemon/rpc/dispatch.h"

/* RQ has succeeded. */
void audit_done(const struct request *rq);
/* RQ ended in OUTCOME (a positive outcome, or a negative errno) and is answered by FAILURE. */
void audit_refusal(const struct request *rq, int outcome, const struct failure *failure);
/* The same of CALLER's connection; an OUTCOME below 0 has no DETAIL. */
void audit_connection_refused(struct rpc *rpc, const struct caller *caller, int outcome,
                              const struct outcome_detail *detail, const struct failure *failure);

/* What happened to a segment of itself. */
void audit_event(struct rpc *rpc, const struct segment_event *event);

#endif
