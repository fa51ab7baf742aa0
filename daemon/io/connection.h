/* SPDX-License-Identifier: MIT */
/*
 * One accepted socket: moves bytes between it and its session. All of that is done when it is its
 * uid's turn (rpc/turns.h): what the event loop reports only says that there is work. It arms a
 * write event only when the kernel would block; beside its session it needs memory only then.
 */
#ifndef SHMD_IO_CONNECTION_H
#define SHMD_IO_CONNECTION_H

#include <stdbool.h>

#include "daemon/io/loop.h"
#include "daemon/rpc/session.h"

struct connection;

/* Takes FD, CALLER's groups and the charge of a connection on CALLER's account; 0 or a negative
 * errno, FD is closed then. */
int connection_open(struct loop *loop, int fd, const struct caller *caller) MUST_CHECK;

/* All connections that there may be are taken, and UID wants one: closes the longest idle plain one
 * (no holder, waiter or subscription) of the uid that has most. False when there is none to close,
 * or UID itself has more. */
bool connections_make_room(struct loop *loop, uint32_t uid);

struct connection *connection_of(struct outbox *outbox);

/* C has work. */
void connection_add_work(struct connection *c);

/* Publishes, logs and sends what was answered since it was called last: whether there was any. */
bool connections_send_answers(struct loop *loop);

/* --- the end of the loop: all connections */

/* What is there to be read now will be received. */
void connections_read_last(struct loop *loop);
/* Whether one has received something that can be answered, or has not sent an answer. */
bool connections_have_more(const struct loop *loop);
void connections_close(struct loop *loop);

#endif
