/* SPDX-License-Identifier: MIT */
/*
 * Which command may have been meant by a word that is none: what other programs, or people, call
 * it, or one that is spelt nearly the same. Whoever follows the advice must not destroy what was
 * never to be destroyed, so what removes something is advised only to who has said remove.
 */
#ifndef SHMD_CLIENT_CLI_MEANT_H
#define SHMD_CLIENT_CLI_MEANT_H

#include "client/cli/cli.h"

/* As it is to be typed behind "shmdctl"; NULL: nothing like WORD is known. */
const char *meant_command(const struct command *all, size_t n, const char *word);

#endif
