/* SPDX-License-Identifier: MIT */
/*
 * Commands, options and arguments that there are not: what may have been meant instead. That is a
 * word that is spelt nearly the same, or what other programs call the same thing.
 */
#ifndef SHMD_CLIENT_CLI_UNKNOWN_H
#define SHMD_CLIENT_CLI_UNKNOWN_H

#include "client/cli/cli.h"

/* EXIT_USAGE. */
int unknown_command(const struct cli *cli, const char *name);
/* TEXT: the option as the command line has it, with its dashes; ALLOWED: the options that there
 * are. EXIT_USAGE. */
int unknown_option(const struct cli *cli, uint64_t allowed, const char *text);

/* There are more arguments than the command takes. EXIT_USAGE. */
int unexpected_argument(const struct cli *cli);

#endif
