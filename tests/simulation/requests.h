/* SPDX-License-Identifier: MIT */
/* Requests as clients of all kinds send them: every method, with every parameter. */
#ifndef SHMD_TESTS_SIMULATION_REQUESTS_H
#define SHMD_TESTS_SIMULATION_REQUESTS_H

#include "tests/simulation/actors.h"

/* Appends one request or one batch of connection C to a->step. */
void requests_add(struct actors *a, const struct connection *c);
/* The same, of something that is no good request, with what it is to be answered before it. */
void requests_add_bad(struct actors *a);

#endif
