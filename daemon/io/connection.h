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

/* Takes FD, CALLER's groups and CHARGE; 0 or a negative errno, FD is closed then. */
int connection_open(struct loop *loop, int fd, const struct caller *caller,
                    const struct charge *charge) MUST_CHECK;

struct connection *connection_of(struct outbox *outbox);

/* C has work. */
void connection_add_work(struct connection *c);

/* --- the end of the loop: all connections */

/* What is there to be read now will be received. */
void connections_read_last(struct loop *loop);
/* Whether one has received something that can be answered, or has not sent an answer. */
bool connections_have_more(const struct loop *loop);
void connections_close(struct loop *loop);

#endif
