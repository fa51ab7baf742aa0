/* SPDX-License-Identifier: MIT */
/*
 * The daemons of this machine, as gc and doctor see them: the one that the options name, asked
 * quietly, and traces of others that were not asked. That there is no daemon is knowledge, too.
 */
#ifndef SHMD_CLIENT_CLI_DAEMONS_H
#define SHMD_CLIENT_CLI_DAEMONS_H

#include <sys/un.h>

#include "client/cli/cli.h"
#include "client/cli/orphans.h"

enum daemon_state {
    DAEMON_ANSWERS,
    DAEMON_ELSEWHERE,   /* it answers, but its segments are of another IPC namespace */
    DAEMON_UNREACHABLE, /* we cannot connect */
    DAEMON_SILENT,      /* connected, but it gave no answer that makes sense */
};

struct daemon_seen {
    enum daemon_state state;
    char path[sizeof(((struct sockaddr_un *)0)->sun_path)]; /* "": it is too long to be one */
    int error;              /* why it is not reached, or silent: a negative errno */
    struct shmd_info *info; /* owned; of one that answers, elsewhere too */
};

/* Asks; CLI keeps the connection. Prints nothing and cannot fail. */
void daemon_ask(struct cli *cli, struct daemon_seen *ret);
void daemon_seen_deinit(struct daemon_seen *seen);
/* "nothing is there", "it answers": the state in a few words. */
const char *daemon_state_text(const struct daemon_seen *seen);

/* Which segments may be orphans, as far as the daemons know. 0 or -ENOMEM. A daemon that falls
 * silent meanwhile becomes one that was not asked, in SEEN too. */
int daemon_knowledge(struct cli *cli, struct daemon_seen *seen,
                     struct orphan_knowledge *ret) MUST_CHECK;

#endif
