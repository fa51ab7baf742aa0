/* SPDX-License-Identifier: MIT */
/*
 * Daemons of this machine that were not asked. A daemon is known by its socket - where sockets of
 * shmd are expected, and among those that processes listen on - and by the owner of the directory
 * in which it keeps its records; never by the name of a process, which anybody can choose. Each
 * guards the segments of its own uid, and no others: a stranger's socket keeps nobody's segments.
 */
#ifndef SHMD_CLIENT_CLI_OTHER_DAEMONS_H
#define SHMD_CLIENT_CLI_OTHER_DAEMONS_H

#include "client/cli/orphans.h"

struct asked_daemon {
    const char *path; /* "": none was named */
    bool answered;    /* so it is not one of the others; in another IPC namespace, too */
};

/* Puts a guard into K, which holds already what the daemon that was asked said, for each. 0 or
 * -ENOMEM. */
int other_daemons_find(const struct asked_daemon *asked, struct orphan_knowledge *k) MUST_CHECK;

#endif
