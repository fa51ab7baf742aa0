/* SPDX-License-Identifier: MIT */
/*
 * The socket that clients connect to: bound here or inherited. A peer that is over a cap, or for
 * which no descriptor is left, gets an answer that says so before it is closed; a spare descriptor
 * is kept for that.
 *
 * Peers are let in at the end of a turn, when those that have left are gone; a turn accepts a few.
 * A peer for which there is no room then stays a guest for some turns: the hang-up that makes the
 * room may be in the kernel already, and not have been seen. Others are accepted meanwhile, and
 * when there are too many guests the oldest is refused at once.
 */
#ifndef SHMD_IO_LISTENER_H
#define SHMD_IO_LISTENER_H

#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "daemon/io/loop.h"

enum { GUESTS_MAX = 64 };

struct guest {
    struct caller caller; /* owned, with its socket */
    unsigned turns;       /* that it has been there */
};

struct listener {
    struct loop *loop;
    struct event *acceptable;
    struct event *pause; /* after a failure that accepting again would only repeat */
    int fd;
    int spare;
    uint64_t empty_ticks; /* nobody had connected then and not been accepted; process_ops.now() */
    bool has_arrivals;    /* libevent has said in this turn that a peer can be accepted */
    size_t n_guests;
    struct guest guests[GUESTS_MAX]; /* accepted and not let in yet, the oldest first */
    char *path;                      /* owned; bound here and to be unlinked; NULL: inherited */
    dev_t device;
    ino_t inode;
};

/*
 * A listening socket at PATH with MODE. A socket that no process listens on is replaced; anything
 * else is left alone. 0, or a negative errno with the sentence that says what is wrong in RET_ERROR
 * (the caller's to free): -EADDRINUSE, when a live daemon has it, among them.
 */
int listener_bind(const char *path, mode_t mode, int *ret_fd, char **ret_error) MUST_CHECK;

/* The one socket handed over by the service manager: 0, -ENOENT when there is none, or another
 * negative errno with the sentence. */
int listener_inherit(int *ret_fd, char **ret_error) MUST_CHECK;

/* Sends ANSWER to the client of the connection FD, without waiting for it, and closes FD. */
void listener_turn_out(int fd, const struct writer *answer);

/* Accepts on FD, which it takes; PATH is unlinked at the end if it is still that socket (NULL: it
 * was inherited). 0 or a negative errno. */
int listener_init(struct listener *l, struct loop *loop, int fd, const char *path) MUST_CHECK;
/* At the end of a turn: accepts some, and lets in those for which there is room. Returns how many
 * were accepted. */
unsigned listener_end_turn(struct listener *l);
/* Whether guests wait for a turn to end. */
static inline bool listener_has_guests(const struct listener *l)
{
    return l->n_guests > 0;
}
/* Accepts no more, and closes those that were not let in. */
void listener_deinit(struct listener *l);

#endif
