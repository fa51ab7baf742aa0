/* SPDX-License-Identifier: MIT */
#include "client/cli/daemon_choice.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/shmd.h"

static int choose_path(const struct daemon_wish *wish, struct daemon_choice *c)
{
    char own[sizeof(c->path)];
    const char *named = getenv("SHMD_SOCKET");
    if (wish->socket) {
        c->kind = DAEMON_NAMED;
        if (strlen(wish->socket) >= sizeof(c->path))
            return -ENAMETOOLONG;
        strcpy(c->path, wish->socket);
        return 0;
    }
    if (wish->user || wish->system) {
        c->kind = wish->user ? DAEMON_USERS : DAEMON_SYSTEMS;
        return shmd_instance_path(wish->user ? SHMD_INSTANCE_USER : SHMD_INSTANCE_SYSTEM, c->path,
                                  sizeof(c->path));
    }
    c->kind = DAEMON_NAMED;
    int r = shmd_socket_path(c->path, sizeof(c->path));
    if (named && *named)
        return r;
    c->by_default = true;
    bool is_own = r == 0 && shmd_instance_path(SHMD_INSTANCE_USER, own, sizeof(own)) == 0 &&
                  strcmp(own, c->path) == 0;
    c->kind = is_own ? DAEMON_USERS : DAEMON_SYSTEMS;
    return r;
}

int daemon_choose(const struct daemon_wish *wish, struct daemon_choice *ret)
{
    struct daemon_choice c = {.kind = DAEMON_NAMED};
    int r = choose_path(wish, &c);
    *ret = c;
    return r;
}

void daemon_choice_text(const struct daemon_choice *choice, char ret[DAEMON_TEXT_SIZE])
{
    const char *whose = "the daemon";
    if (choice->kind == DAEMON_USERS)
        whose = "your own daemon";
    else if (choice->kind == DAEMON_SYSTEMS)
        whose = "the system's daemon";
    snprintf(ret, DAEMON_TEXT_SIZE, "%s%s%s", whose, *choice->path ? " at " : "", choice->path);
}

const char *daemon_choice_hint(const struct daemon_choice *choice)
{
    return choice->by_default && choice->kind == DAEMON_USERS ? "; --system asks the system's" : "";
}
