/* SPDX-License-Identifier: MIT */
/* Runs of seeds and of scripts, each in a process of its own where it may crash. */
#ifndef SHMD_TESTS_SIMULATION_RUN_H
#define SHMD_TESTS_SIMULATION_RUN_H

#include "tests/simulation/script.h"
#include "tests/simulation/world.h"

enum { REASON_BYTES = 4096 };

/* Runs SEED in this process, and adds what it has done to COUNTS. SCRIPT (NULL: nobody wants it)
 * gets each step before it is done. False with REASON when something is not as it should be. */
bool run_seed(uint64_t seed, unsigned steps, struct script *script, FILE *log,
              struct counts *counts, char reason[REASON_BYTES]);

/* Runs SCRIPT in a process of its own. False with REASON when something is not as it should be, or
 * when that process crashes or does not come to an end. */
bool run_script(const struct script *script, bool is_loud, char reason[REASON_BYTES]);

#endif
