/* SPDX-License-Identifier: MIT */
/*
 * One peer's conversation: cuts what the peer sends into messages and has them answered in order,
 * into the outbox. No descriptors: the connection (io/) moves the bytes.
 *
 * Replies leave in the order of the requests; only a `wait` is answered when it is over, and holds
 * nothing up meanwhile (waits.h). A session stops when its uid's share of the turn is over, but not
 * before it has served one request, and when its outbox is above the high-water mark. What was
 * received meanwhile is held, and the connection reads no more until session_wants_input().
 */
#ifndef SHMD_RPC_SESSION_H
#define SHMD_RPC_SESSION_H

#include <stdbool.h>
#include <stddef.h>

#include "daemon/core/caller.h"
#include "daemon/rpc/rpc.h"
#include "daemon/rpc/subscription.h"
#include "daemon/rpc/waits.h"
#include "protocol/dialect.h"
#include "protocol/scanner.h"

struct held;
struct underway;

struct session {
    struct rpc *rpc;
    struct caller caller; /* its groups and its party are the session's to free */
    struct scanner scanner;
    struct outbox outbox;
    uint64_t counted;          /* bytes of `held` and `underway`, in the outbox's buffers */
    struct held *held;         /* input that was not handled yet; NULL: none */
    struct underway *underway; /* the message that is being answered; NULL: none */
    struct waits *waits;       /* NULL: it has not waited yet */
    struct subscription *subscription;
    bool has_served; /* something, since it was given time last */
    bool input_ended;
    bool is_unheard;  /* nobody reads its answers any more */
    bool value_ended; /* one was finished, or given up, since the connection asked last */
    TAILQ_ENTRY(session) of_rpc;
};

/* Takes CALLER with its groups; what it buffers is charged to CALLER's account. */
void session_init(struct session *s, struct rpc *rpc, const struct caller *caller);
/* Whatever depended on the connection ends. */
void session_deinit(struct session *s);

/* The peer has done something: S is the one that was idle for the shortest time. */
void session_mark_active(struct session *s);
/* N bytes came. What DATA holds afterwards does not matter: requests are read in place. */
void session_receive(struct session *s, char *data, size_t n);
/* No more will come. */
void session_end_input(struct session *s);
/* The value that was begun was not finished in time. */
void session_value_overdue(struct session *s);
/* The peer can read no answer any more: of what it has sent, what only reads is not executed. */
void session_nobody_hears(struct session *s);
/* The peer is gone, and will not hear how its waits end. */
void session_give_up_waiting(struct session *s);
/* Tells events and goes on where it was stopped, until the share is over. */
void session_continue(struct session *s);

bool session_wants_input(const struct session *s);
/* It was stopped, or events have come, and it can go on now. */
bool session_has_work(const struct session *s);
/* Nothing depends on it: it holds nothing, waits for nothing and is no subscriber. */
bool session_is_plain(const struct session *s);
/* In the midst of a value. */
bool session_is_unfinished(const struct session *s);
/* Whether a value has ended since this was asked last: an unfinished one began after that. */
bool session_took_value(struct session *s);
/* Nothing will be sent any more but what is in the outbox. */
bool session_is_over(const struct session *s);

/* CALLER gets no session; an OUTCOME below 0 has no DETAIL. Appends what it is answered to W. */
void session_refuse_connection(struct writer *w, struct rpc *rpc, const struct caller *caller,
                               int outcome, const struct outcome_detail *detail);

#endif
