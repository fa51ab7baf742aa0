/* SPDX-License-Identifier: MIT */
/*
 * What feeds top: the daemon, asked without ever waiting for it. One request is under way at a
 * time: the daemon's info, then page after page of segments, then nothing until the next look is
 * due. Events come by themselves. A daemon that is lost is connected to again, and events go on
 * behind the last one.
 */
#ifndef SHMD_CLIENT_CLI_TOP_FEED_H
#define SHMD_CLIENT_CLI_TOP_FEED_H

#include "client/cli/cli.h"
#include "client/cli/top_model.h"

struct top_feed {
    struct cli *cli; /* its connection is the feed's; NULL in it: the daemon is away */
    struct top_model *model;
    struct shmd_list_options filters;
    int64_t delay_ms; /* from one look to the next */
    bool wants_events;
    bool wants_processes; /* those are read from /proc at the end of each look */
    /* What the feed itself keeps. */
    bool shares_ids;     /* the daemon's shmids denote its segments here, too */
    int64_t due_ms;      /* when there is something to do, unless the daemon says something */
    int64_t asked_at_ms; /* the request that is under way */
    int64_t look_at_ms;  /* when the look that is under way began */
    bool is_looking;
    bool has_last;
    uint64_t last_event; /* its event_serial */
    bool failed;         /* out of memory */
};

/* On a connection that was just made. */
void top_feed_start(struct top_feed *feed);
/* Does what can be done at once. True: there is something new in the model. */
bool top_feed_step(struct top_feed *feed);
/* For poll(): -1 while the daemon is away. */
int top_feed_fd(const struct top_feed *feed);
short top_feed_poll_events(const struct top_feed *feed);
/* Milliseconds until top_feed_step() has something to do, 0 or more. */
int top_feed_wait_ms(const struct top_feed *feed);
/* A look is due now. */
void top_feed_hurry(struct top_feed *feed);

#endif
