/* SPDX-License-Identifier: MIT */
/*
 * Those who act in the world: clients with their programs, other programs that know nothing of the
 * daemon, the system, and what goes wrong. Each call is one step of the script, chosen by the seed
 * and by what the world is like.
 */
#ifndef SHMD_TESTS_SIMULATION_ACTORS_H
#define SHMD_TESTS_SIMULATION_ACTORS_H

#include "tests/simulation/random.h"
#include "tests/simulation/world.h"

enum { STEP_BYTES = 40000, KNOWN_MAX = 64, UIDS_MAX = 12, PLAN_MAX = 16, PLANNED_BYTES = 8000 };

struct actors {
    struct random random;
    struct world *w;
    unsigned n_uids;
    unsigned next_id, next_process, next_connection;
    unsigned known[KNOWN_MAX], n_known; /* handles of segments that were made lately */
    bool is_silent;                     /* what is put together is a notification */
    unsigned opened;                    /* steps of the opening that were made */
    /* How the world of this seed is: 0 is never. */
    unsigned faults, kills, outside, hostile, pipelines, idle;
    /* Steps that make sense together only, and so rarely come by chance. */
    char plan[PLAN_MAX][PLANNED_BYTES];
    unsigned n_planned, n_plan_done;
    char step[STEP_BYTES];
};

void actors_init(struct actors *a, struct world *w, uint64_t seed);
/* The next step; valid until the next call. */
const char *actors_next(struct actors *a);

#endif
