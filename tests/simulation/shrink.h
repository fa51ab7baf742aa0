/* SPDX-License-Identifier: MIT */
/* Makes a script that fails shorter. */
#ifndef SHMD_TESTS_SIMULATION_SHRINK_H
#define SHMD_TESTS_SIMULATION_SHRINK_H

#include "tests/simulation/script.h"

/* Takes out of SCRIPT, which fails, what is not needed for that, for at most SECONDS. */
void shrink(struct script *script, unsigned seconds);

#endif
