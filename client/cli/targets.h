/* SPDX-License-Identifier: MIT */
/*
 * Commands that take several segments: each is tried, and none keeps another from being tried.
 */
#ifndef SHMD_CLIENT_CLI_TARGETS_H
#define SHMD_CLIENT_CLI_TARGETS_H

#include "client/cli/cli.h"
#include "client/cli/target_text.h"

/* 0 or EXIT_USAGE: there is none, or one that denotes no segment. */
int targets_check(const struct cli *cli) MUST_CHECK;

/*
 * Calls EACH for every name, then for every option that names a segment. One --serial beside one
 * other target is a guard, as everywhere; among more it is a target. The exit status of the first
 * that failed.
 */
typedef int target_fn(struct cli *cli, const struct shmd_target *target, void *data);
int targets_each(struct cli *cli, target_fn *each, void *data);

#endif
