/* SPDX-License-Identifier: MIT */
/*
 * The command line of a segment's creator, read from /proc with the caller's own rights.
 */
#ifndef SHMD_CLIENT_CLI_PROCESS_COMMAND_H
#define SHMD_CLIENT_CLI_PROCESS_COMMAND_H

#include <stddef.h>

#include "client/shmd.h"

/* "" when the creator has ended, or when it cannot be told that this is still the same process. */
void process_command(const struct shmd_segment *segment, char *ret, size_t size);

#endif
