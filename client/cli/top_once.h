/* SPDX-License-Identifier: MIT */
/*
 * top for scripts: what it shows, once, as text or as JSON.
 */
#ifndef SHMD_CLIENT_CLI_TOP_ONCE_H
#define SHMD_CLIENT_CLI_TOP_ONCE_H

#include "client/cli/cli.h"
#include "client/cli/top_view.h"

/* Asks on the connection of CLI. DELAY_MS: looks again after that, so that there is growth; 0: it
 * does not. An exit status. */
int top_once(struct cli *cli, const struct shmd_list_options *filters, struct top_view *view,
             int64_t delay_ms);

#endif
