/* SPDX-License-Identifier: MIT */
/*
 * Which daemon a command asks: the one at a socket that was named, the user's own, or the system's.
 * A user's own daemon hides the system's, so every message about an answer says where it came from.
 */
#ifndef SHMD_CLIENT_CLI_DAEMON_CHOICE_H
#define SHMD_CLIENT_CLI_DAEMON_CHOICE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/un.h>

enum daemon_kind {
    DAEMON_NAMED, /* by --socket or SHMD_SOCKET */
    DAEMON_USERS,
    DAEMON_SYSTEMS,
};

struct daemon_choice {
    enum daemon_kind kind;
    bool by_default; /* no option and no variable chose it */
    /* "": there is none, as the path is too long or its directory is not known. */
    char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
};

/* What --socket, --user and --system say; at most one of them does. */
struct daemon_wish {
    const char *socket; /* NULL: not given */
    bool user, system;
};

/* 0; -ENAMETOOLONG; or -ENXIO: the user's own daemon was asked for, and XDG_RUNTIME_DIR is not set.
 * RET is filled in any case. */
int daemon_choose(const struct daemon_wish *wish, struct daemon_choice *ret)
    __attribute__((warn_unused_result));

enum { DAEMON_TEXT_SIZE = 160 };

/* "your own daemon at PATH", "the system's daemon at PATH" or "the daemon at PATH". */
void daemon_choice_text(const struct daemon_choice *choice, char ret[DAEMON_TEXT_SIZE]);
/* What to add to a message about an answer: how to ask another daemon. "" where that is plain. */
const char *daemon_choice_hint(const struct daemon_choice *choice);

#endif
