/* SPDX-License-Identifier: MIT */
/*
 * rm: the removal of one segment, by the daemon or, with --force, from the kernel; and what it
 * would be. Each prints its line, and returns an exit status.
 */
#ifndef SHMD_CLIENT_CLI_RM_ONE_H
#define SHMD_CLIENT_CLI_RM_ONE_H

#include "client/cli/cli.h"

/* For targets_each(). A segment that the daemon does not manage needs --force. */
int rm_target(struct cli *cli, const struct shmd_target *target, void *unused);
/* The same of one that was listed: TARGET denotes it and no other. That it is gone meanwhile is no
 * failure. */
int rm_listed(struct cli *cli, const struct shmd_target *target, const char *subject);
/* SEGMENT, which the daemon does not manage, as it was when it was listed. */
int rm_foreign(struct cli *cli, const struct shmd_segment *segment, const char *subject);
/* Whether the caller may remove SEGMENT, which is there, without removing it: EXIT_OK, or the
 * status that rm would have; the reason was printed. */
int rm_check(struct cli *cli, const struct shmd_segment *segment, const char *subject) MUST_CHECK;
/* --dry-run. IS_LISTED, not NULL: a filter chose it, so that it was seen what it is. */
int rm_show(struct cli *cli, const struct shmd_target *target, void *is_listed);

#endif
