/* SPDX-License-Identifier: MIT */
/* Changes of a core that must be whole or nothing, made to fail at every step. */
#ifndef SHMD_TESTS_FAKES_CHANGE_H
#define SHMD_TESTS_FAKES_CHANGE_H

#include "tests/fakes/core_fixture.h"

/* What is to be done, in two steps: the state before, and the change whose outcome it returns. */
struct change {
    void (*prepare)(struct core_fixture *f);
    int (*act)(struct core_fixture *f);
};

/*
 * Makes each allocation of a change fail, one after the other and then all from each on. A change
 * that fails must end in -ENOMEM and leave everything as it was; one that succeeds all the same
 * must be whole after the turn.
 */
void change_without_memory(const struct change *change);

/*
 * The same with the kernel's operations: each call that a change makes of OP fails with ERROR
 * (positive). A change that fails must leave everything as it was. Returns how many calls were made
 * to fail.
 */
unsigned change_without_kernel(const struct change *change, enum fake_op op, int error);

/* The store does not take the change: it ends in OUTCOME_STORE_FAILURE, and all is as it was. */
void change_without_store(const struct change *change);

#endif
