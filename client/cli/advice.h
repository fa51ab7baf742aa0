/* SPDX-License-Identifier: MIT */
/*
 * Command lines that messages advise. Somebody may copy them, so they ask the daemon that was
 * asked, and leave nothing out that was typed.
 */
#ifndef SHMD_CLIENT_CLI_ADVICE_H
#define SHMD_CLIENT_CLI_ADVICE_H

#include <stdio.h>

#include "client/cli/cli.h"

/* What a line begins with: "shmdctl" and the options that choose the daemon, as they were typed. It
 * holds until the next call. */
const char *advice_program(const struct cli *cli);
/* TEXT, in which each line that is advised begins with the word shmdctl, with those options.
 * RET is to be freed; NULL: out of memory. */
char *advice_text(const struct cli *cli, const char *text) MUST_CHECK;
/* TEXT as one word of a shell's command line, to be freed; NULL: out of memory. */
char *advice_word(const char *text) MUST_CHECK;
/* Whether the daemon lets the caller change SEGMENT, as far as that is known here: an admin is not
 * known. */
bool advice_may_change(const struct shmd_segment *segment);
/* The command behind "--", each word with a space before it, to be freed; NULL: out of memory. */
char *advice_child(const struct cli *cli) MUST_CHECK;
/*
 * The line that was typed, with INSTEAD for the argument at number AT; each option and the command
 * behind "--" stay. INSTEAD is a part of a line already; "": the argument is left out. RET is to be
 * freed; NULL: out of memory, or words were typed to which nothing can be added.
 */
char *advice_line(const struct cli *cli, int at, const char *instead) MUST_CHECK;

#endif
