/* SPDX-License-Identifier: MIT */
/* The seams that the daemon stands on in a simulated world: the fakes, with every call counted, and
 * a kill at any of them. */
#ifndef SHMD_TESTS_SIMULATION_SEAMS_H
#define SHMD_TESTS_SIMULATION_SEAMS_H

#include "tests/simulation/world.h"

struct sysv seams_sysv(struct world *w);
struct processes seams_processes(struct world *w);
struct watcher seams_watcher(struct world *w);
struct host seams_host(struct world *w);
/* The daemon looks at it after each request. */
struct clock seams_clock(struct world *w);

#endif
