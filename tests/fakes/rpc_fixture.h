/* SPDX-License-Identifier: MIT */
/*
 * Sessions on a core of fakes, with an event loop that does what io/ does, in memory: what a client
 * says is received, a turn ends, and what was answered is there to be heard, in short.
 */
#ifndef SHMD_TESTS_FAKES_RPC_FIXTURE_H
#define SHMD_TESTS_FAKES_RPC_FIXTURE_H

#include "daemon/rpc/rpc.h"
#include "daemon/rpc/session.h"
#include "tests/fakes/core_fixture.h"

enum { CLIENTS = 8 };

struct client {
    struct session session;
    bool is_open;
    bool is_awake; /* it was woken, and has not gone on since */
    bool is_slow;  /* what is in its output stays there */
    char *text;    /* all that was sent to it and not heard */
    size_t len;
};

struct rpc_fixture {
    struct core_fixture *core;
    struct rpc rpc;
    struct client clients[CLIENTS];
    const char *reason; /* of the last write to the store that failed */
    unsigned wakes;
};

struct rpc_fixture *rpc_fixture_new(void);
void rpc_fixture_free(struct rpc_fixture *f);

/* A connection of process PID, started unless it lives. */
struct client *client_open(struct rpc_fixture *f, uint32_t uid, int32_t pid);
void client_close(struct client *c);

/* Bytes come, in a buffer of just their length; no turn ends. */
void client_send(struct client *c, const char *data, size_t n);
/* The same for a text, and turns end until nobody has work. Returns what rpc_fixture_turn() does.
 */
int client_say(struct rpc_fixture *f, struct client *c, const char *text);

/* A turn's end, and what follows from it. 0, or how the last write to the store ended in the first
 * turn in which that failed. */
int rpc_fixture_turn(struct rpc_fixture *f);

/* The bytes that were sent since the last call, without a NUL at their end; the caller's to free.
 */
char *client_heard_raw(struct client *c, size_t *ret_len);

/*
 * The same in short, until the next call; a message each, a space between:
 *   1=frames/ready    a segment       1+frames/ready   one that was created
 *   1=[a,b]           a list          1=[a,b]>m2       with a cursor
 *   1=@7              subscribed      1=ok             anything else
 *   1!StoreFailure    an error        null!-32700      one of the envelope
 *   *created:frames#5 an event        *gap:3
 *   [1=ok;2=ok]       a batch
 */
const char *client_heard(struct client *c);

#endif
