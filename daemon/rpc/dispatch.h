/* SPDX-License-Identifier: MIT */
/*
 * From a call to its answer: one table with the right a method needs and the function that does
 * it. Handlers name no rights and see no wire.
 */
#ifndef SHMD_RPC_DISPATCH_H
#define SHMD_RPC_DISPATCH_H

#include "daemon/core/core.h"
#include "daemon/core/list.h"
#include "daemon/rpc/rpc.h"
#include "protocol/params.h"
#include "protocol/reply.h"

/* A call on its way. */
struct request {
    struct rpc *rpc;
    struct core *core;
    struct caller *caller;
    struct outbox *outbox;              /* the caller's */
    struct subscription **subscription; /* the caller's; NULL: none yet */
    struct waiter *waiter;              /* of a `wait`; NULL: there was no memory for it */
    enum method method;
    const union params *params;
    struct found found;   /* the target, where the method has one */
    bool changed_nothing; /* all was so already: there is nothing to log */
    struct outcome_detail detail;
    /* What the reply borrows, until it is written. */
    struct page page;
    struct wire_holder *holders, *waiters;
    char *text;
    struct info_limit *limits;
};

/* 0 with RET_REPLY, OUTCOME_WAITING, another outcome with the request's detail, or a negative
 * errno. */
typedef int handler_fn(struct request *rq, struct reply *ret_reply);

handler_fn handle_info, handle_metrics;
handler_fn handle_create, handle_stat, handle_set, handle_remove, handle_list, handle_adopt;
handler_fn handle_disown;
handler_fn handle_ready, handle_hold, handle_release;
handler_fn handle_wait, handle_subscribe;
handler_fn handle_reload;

/* What became of a call. */
struct answer {
    bool is_waiting; /* there is no reply yet */
    struct reply reply;
};

/* Whether METHOD does nothing but answer. */
bool dispatch_only_reads(enum method method);

/* Answers METHOD with PARAMS. Ends by dispatch_done() when the reply has been written. */
void dispatch(struct request *rq, struct answer *ret);
void dispatch_done(struct request *rq);

/* The reply to a `wait` that has come to its end. FAILURE's strings are borrowed from the
 * parameters of RQ. */
void dispatch_waited(struct request *rq, int outcome, const struct found *found,
                     const struct outcome_detail *detail, struct reply *ret_reply);

#endif
