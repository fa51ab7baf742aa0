/* SPDX-License-Identifier: MIT */
/*
 * A script: what happens in a simulated world, one step a line. A run of a seed writes its script
 * as it goes; the script alone repeats the run. README.md lists the steps.
 */
#ifndef SHMD_TESTS_SIMULATION_SCRIPT_H
#define SHMD_TESTS_SIMULATION_SCRIPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct script {
    char **steps; /* owned, without the newline */
    size_t n, capacity;
};

/* A copy of STEP comes last. */
void script_add(struct script *script, const char *step);
/* Removes the steps from FROM on, N of them. */
void script_cut(struct script *script, size_t from, size_t n);
void script_copy(const struct script *script, struct script *into);
void script_free(struct script *script);

/* Lines that are empty or begin with «#» are no steps. False with a message when it cannot be read.
 */
bool script_read(struct script *script, const char *path);
void script_write(const struct script *script, FILE *out);

#endif
