/* SPDX-License-Identifier: MIT */
/*
 * What to type after a refusal, where this side knows more than the daemon's sentence says.
 */
#ifndef SHMD_CLIENT_CLI_HINTS_H
#define SHMD_CLIENT_CLI_HINTS_H

#include <stdio.h>

#include "client/cli/cli.h"

/* Says what FAILURE means to the command, instead of the daemon's sentence; false: nothing. */
bool hints_replace(FILE *out, const struct cli *cli, const struct shmd_failure *failure);
/* Adds to the daemon's sentence. */
void hints_add(FILE *out, const struct cli *cli, const struct shmd_failure *failure);

#endif
