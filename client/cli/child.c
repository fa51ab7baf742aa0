/* SPDX-License-Identifier: MIT */
/*
 * The command behind "--". A holder is a process (or its connection), so the command replaces
 * shmdctl by exec: it is the holder then, and its exit status is shmdctl's, whatever happens to
 * either.
 */
#include "client/cli/child.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client/cli/advice.h"

int child_check(const struct cli *cli)
{
    if (cli->child && !*cli->child)
        return cli_usage("a command must follow --: %s %s %s", advice_program(cli),
                         cli->command->name, cli->command->arguments);
    if (!cli->child && cli->command->needs_child)
        return cli_usage("%s needs a command after --: %s %s %s", cli->command->name,
                         advice_program(cli), cli->command->name, cli->command->arguments);
    return 0;
}

static int become(char **command)
{
    fflush(stdout);
    execvp(*command, command);
    int error = errno;
    return cli_error(error == ENOENT ? EXIT_NO_SUCH_COMMAND : EXIT_CANNOT_RUN, "cannot run %s: %s",
                     *command, strerror(error));
}

/* The connection is what holds a segment of lifetime `connection`: the command inherits it. */
int child_hold(const struct cli *cli, const struct shmd_segment *segment)
{
    if (segment->lifetime == SHMD_LIFETIME_CONNECTION && fcntl(shmd_fd(cli->shmd), F_SETFD, 0) < 0)
        return cli_error(EXIT_REFUSED, "cannot hand the connection on: %s", strerror(errno));
    return become(cli->child);
}
