/*
 * One peer's conversation: cuts what it sends into messages, has them answered in order, and keeps
 * the output until it is sent. No descriptors: the connection (io/) moves the bytes.
 *
 * Replies leave in the order of the requests. A request that must wait stops the session, as does
 * output above the high-water mark; what was received meanwhile is held, and the connection reads
 * no more until session_wants_input().
 */
#ifndef SHMD_RPC_SESSION_H
#define SHMD_RPC_SESSION_H

#include <stdbool.h>
#include <stddef.h>

#include "daemon/core/caller.h"
#include "daemon/core/wait.h"
#include "daemon/rpc/rpc.h"
#include "protocol/dialect.h"
#include "protocol/scanner.h"

struct held;
struct subscription;

struct session {
    struct rpc *rpc;
    struct caller caller; /* its groups and its party are the session's to free */
    struct scanner scanner;
    const struct dialect *dialect; /* NULL: not known yet */
    struct writer out;
    size_t sent;            /* of out, by the connection */
    size_t counted;         /* of out, in rpc's sum of what is not sent */
    struct held *held;      /* input that was not dealt with; NULL: none */
    struct message message; /* being answered; empty: none */
    size_t next_call;       /* of the message */
    bool batch_begun;
    bool is_waiting;
    bool input_ended;
    bool value_ended;  /* one was finished, or given up, since the connection asked last */
    bool is_closing;   /* no more is read or answered; what is in `out` is sent, then it closes */
    bool is_cut_off;   /* a subscriber past its cap: closed at once */
    bool is_backed_up; /* the connection could not send all: the peer has not made room for it */
    struct waiter *waiter;
    struct subscription *subscription;
};

/* Takes CALLER with its groups. */
void session_init(struct session *s, struct rpc *rpc, const struct caller *caller);
/* Whatever depended on the connection ends. */
void session_deinit(struct session *s);

/* N bytes came. */
void session_receive(struct session *s, const char *data, size_t n);
/* No more will come. */
void session_end_input(struct session *s);
/* The value that was begun was not finished in time. */
void session_value_overdue(struct session *s);
/* The peer is gone: nobody is to be told how a wait ends. */
void session_give_up_waiting(struct session *s);
/* Goes on where it was stopped, if it can now. */
void session_continue(struct session *s);

bool session_wants_input(const struct session *s);
/* It was stopped and can go on now. */
bool session_has_work(const struct session *s);
/* In the midst of a value. */
bool session_is_unfinished(const struct session *s);
/* Whether a value has ended since this was asked last: an unfinished one began after that. */
bool session_took_value(struct session *s);
/* Nothing will be sent any more but what is in `out`. */
bool session_is_over(const struct session *s);

/* CALLER has no session, and gets none; an OUTCOME below 0 has no DETAIL. Appends what he is told
 * to W. */
void session_refuse_connection(struct writer *w, struct rpc *rpc, const struct caller *caller,
                               int outcome, const struct outcome_detail *detail);

/* --- for the other files of this floor */

/* Bytes of output that are not sent yet, and whether they are too many to go on. */
size_t session_unsent(const struct session *s);
bool session_is_above_high_water(const struct session *s);
/* Brings rpc's sum up to date, after output was written or sent. */
void session_count_output(struct session *s);

/* The session's waiter: NULL when out of memory. */
struct waiter *session_waiter(struct session *s);

#endif
