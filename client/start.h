/* SPDX-License-Identifier: MIT */
/*
 * How a daemon is started whose socket somebody has chosen. The advice is for whoever reads it, and
 * it works as it stands: a daemon keeps its state beside its socket only where nobody else may
 * write.
 */
#ifndef SHMD_CLIENT_START_H
#define SHMD_CLIENT_START_H

#include <stddef.h>

/* The daemon's program as one word of a shell: "shmd", where a directory in PATH has it, or the
 * path at which it is installed. An ordinary user's PATH often lacks that directory. */
void start_program(char *ret, size_t size);
/* The command line for the socket PATH into RET. When nobody can type PATH, or it is too long, the
 * word PATH stands for it. Empty: PATH is, too. */
void start_text(const char *path, char *ret, size_t size);

#endif
