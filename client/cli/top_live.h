/* SPDX-License-Identifier: MIT */
/*
 * top on a terminal: draws what the feed has, does what keys say, until that is to quit.
 */
#ifndef SHMD_CLIENT_CLI_TOP_LIVE_H
#define SHMD_CLIENT_CLI_TOP_LIVE_H

#include "client/cli/top_feed.h"
#include "client/cli/top_view.h"

/* An exit status. The terminal is then as it was, also when a signal ends the program. */
int top_live(struct top_feed *feed, struct top_view *view);

#endif
