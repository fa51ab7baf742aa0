/* SPDX-License-Identifier: MIT */
/*
 * rm by filters: what they find is listed first, then each segment is removed by what denotes it
 * and no other. On a terminal the user is asked in between.
 */
#ifndef SHMD_CLIENT_CLI_RM_MANY_H
#define SHMD_CLIENT_CLI_RM_MANY_H

#include "client/cli/cli.h"

/* The options that are filters. */
#define RM_FILTERS                                                                                 \
    (OPT(PREFIX) | OPT(LABEL) | OPT(UID) | OPT(LIFETIME) | OPT(STATE) | OPT(SCOPE) |               \
     OPT(FOREIGN) | OPT(ALL))

/* 0 or EXIT_USAGE. */
int rm_many_check(const struct cli *cli) MUST_CHECK;
/* The connection is there. An exit status. */
int rm_many(struct cli *cli);

#endif
