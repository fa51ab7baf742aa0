/* SPDX-License-Identifier: MIT */
/*
 * The answer to clients when the daemon cannot start. Under systemd they are connected already: the
 * socket unit listened for the daemon and started it because of them. Without an answer they would
 * wait for ever, and systemd would start the daemon again and again because of them.
 */
#ifndef SHMD_IO_FAILED_START_H
#define SHMD_IO_FAILED_START_H

#include "protocol/errors.h"

/*
 * Answers every client that waits at the socket which systemd handed over with FAILURE, and closes
 * its connection; without such a socket nothing happens. When there was a client, others who come
 * within the next second are answered too, so that clients who keep coming start the daemon once a
 * second at most.
 */
void failed_start_answer(const struct failure *failure);

#endif
