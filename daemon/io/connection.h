/*
 * One accepted socket: moves bytes between it and its session. It writes when a turn ends and arms
 * a write event only when the kernel would block; beside its session it needs memory only then.
 */
#ifndef SHMD_IO_CONNECTION_H
#define SHMD_IO_CONNECTION_H

#include <stdbool.h>

#include "daemon/io/loop.h"
#include "daemon/rpc/session.h"

struct connection;

/* Takes FD, CALLER's groups and CHARGE; 0 or a negative errno, FD is closed then. */
int connection_open(struct loop *loop, int fd, const struct caller *caller,
                    const struct charge *charge) MUST_CHECK;
void connection_close(struct connection *c);

struct connection *connection_of(struct outbox *outbox);
struct connection *connection_next(const struct connection *c);

/* Has it looked after at the end of the turn. */
void connection_mark_busy(struct connection *c);
void connection_unmark_busy(struct connection *c);
struct connection *connection_next_busy(const struct connection *c);

/* Goes on with what was received earlier. */
void connection_continue(struct connection *c);
/* Sends, and sets up what the connection waits for next; it may be closed after that, or busy again
 * when it can go on in the next turn. */
void connection_settle(struct connection *c);

/* Before the end: what is there to be read now is received. */
void connection_read_last(struct connection *c);
/* Something it received is not answered yet that can be, or its answer is not sent. */
bool connection_has_more(const struct connection *c);

#endif
