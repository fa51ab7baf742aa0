/*
 * The socket that clients connect to: bound here or inherited. Whoever is over a cap, or finds no
 * descriptor left, is told so before it is closed; a spare descriptor is kept for that.
 *
 * Nobody is refused the room of a connection that its peer had closed before: who finds none is a
 * guest until that is certain, and nobody else is accepted meanwhile.
 */
#ifndef SHMD_IO_LISTENER_H
#define SHMD_IO_LISTENER_H

#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "daemon/io/loop.h"

enum { GUESTS_MAX = 64 };

struct listener {
    struct loop *loop;
    struct event *acceptable;
    struct event *pause; /* after a failure that accepting again would only repeat */
    int fd;
    int spare;         /* -1: it went to the last guest, or there is none */
    bool has_arrivals; /* somebody can be accepted, it was said in this turn */
    size_t n_guests;
    struct caller guests[GUESTS_MAX]; /* accepted, in this order, and not let in yet; owned */
    struct horizon certain;           /* that there is no room for them, from then on */
    char *path;                       /* owned; bound here and to be unlinked; NULL: inherited */
    dev_t device;
    ino_t inode;
};

/*
 * A listening socket at PATH with MODE. A socket that nobody listens on is replaced; anything else
 * is left alone. 0, or a negative errno with the sentence that says what is wrong in RET_ERROR
 * (the caller's to free): -EADDRINUSE, when a live daemon has it, among them.
 */
int listener_bind(const char *path, mode_t mode, int *ret_fd, char **ret_error) MUST_CHECK;

/* The one socket handed over by the service manager: 0, -ENOENT when there is none, or another
 * negative errno with the sentence. */
int listener_inherit(int *ret_fd, char **ret_error) MUST_CHECK;

/* Accepts on FD, which it takes; PATH is unlinked at the end if it is still that socket (NULL: it
 * was inherited). 0 or a negative errno. */
int listener_init(struct listener *l, struct loop *loop, int fd, const char *path) MUST_CHECK;
/* Lets in whom there is room for, and refuses those for whom there is certainly none. */
void listener_end_turn(struct listener *l);
/* Accepts no more, and closes those that were not let in. */
void listener_deinit(struct listener *l);

#endif
