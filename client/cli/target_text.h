/* SPDX-License-Identifier: MIT */
/*
 * Segments as the command line names them, for messages and for advice that somebody may copy.
 */
#ifndef SHMD_CLIENT_CLI_TARGET_TEXT_H
#define SHMD_CLIENT_CLI_TARGET_TEXT_H

#include "client/cli/cli.h"

enum { TARGET_TEXT_SIZE = 512 };

/* TARGET as the command line has it, harmless for a terminal. */
void target_text(const struct shmd_target *target, char ret[TARGET_TEXT_SIZE]);
/* The segment that was typed, as it is typed in another command. */
void typed_target(const struct cli *cli, char ret[TARGET_TEXT_SIZE]);

#endif
