/* SPDX-License-Identifier: MIT */
/*
 * The commands by name, and what is printed about them. Everything comes from the tables of
 * commands, options, columns and exit statuses.
 */
#ifndef SHMD_CLIENT_CLI_HELP_H
#define SHMD_CLIENT_CLI_HELP_H

#include "client/cli/cli.h"

/* What every command takes, and what may stand before its name. */
#define OPTIONS_EVERYWHERE     (OPT(SOCKET) | OPT(USER) | OPT(SYSTEM) | OPT(TIMEOUT) | OPT(HELP))
#define OPTIONS_BEFORE_COMMAND (OPTIONS_EVERYWHERE | OPT(JSON) | OPT(VERSION))

/* The options, the columns and the arguments of one command. */
void help_command(const struct command *command);
/* By its name or its short one; NULL: there is none. */
const struct command *help_find_command(const struct cli *cli, const char *name);

#endif
