/* SPDX-License-Identifier: MIT */
/* The event loop of the simulated daemon: what daemon/io/ does, in memory. */
#ifndef SHMD_TESTS_SIMULATION_LOOP_H
#define SHMD_TESTS_SIMULATION_LOOP_H

#include "tests/simulation/world.h"

/* 0 or a negative errno. */
int loop_begin(struct world *w) MUST_CHECK;
void loop_end(struct world *w);

void loop_wake(void *context, struct outbox *outbox);
/* One turn. */
void loop_turn(struct world *w);
/* Whether a turn would do anything at this time. */
bool loop_has_work(const struct world *w);

/* The daemon looks at the clock: one of its requests may be executed. */
void loop_look_at_requests(struct world *w);

/* The client has sent something, has read, or is gone. */
void loop_note(struct connection *c);
/* The daemon closes C. */
void loop_close(struct connection *c);
/* What a daemon does that ends in order. */
void loop_drain(struct world *w);

#endif
