/* SPDX-License-Identifier: MIT */
/*
 * The command that run and hold become.
 */
#ifndef SHMD_CLIENT_CLI_CHILD_H
#define SHMD_CLIENT_CLI_CHILD_H

#include "client/cli/cli.h"

/* There is a command where there must be one: 0 or EXIT_USAGE. */
int child_check(const struct cli *cli) MUST_CHECK;
/* Becomes the command, which then holds SEGMENT, as this process does already. Returns only when
 * the command could not be started: an exit status. */
int child_hold(const struct cli *cli, const struct shmd_segment *segment) MUST_CHECK;

#endif
