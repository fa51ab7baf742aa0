/* SPDX-License-Identifier: MIT */
/*
 * What tests on core_fixture.h share: a core for each test, its callers, and the end of a
 * turn. A file that sets up more has a begin() or end() of its own, which calls the one of here.
 */
#ifndef SHMD_TESTS_UNIT_CORE_CASE_H
#define SHMD_TESTS_UNIT_CORE_CASE_H

#include "tests/unit/support.h"

#include <errno.h>

#include "daemon/core/ends.h"
#include "tests/fakes/core_fixture.h"

static struct core_fixture *f;
static struct caller alice, bob, root;

static inline int core_begin(void **state)
{
    (void)state;
    f = core_fixture_new();
    alice = core_fixture_caller(f, ALICE, 1);
    bob = core_fixture_caller(f, BOB, 2);
    root = core_fixture_caller(f, 0, 3);
    return 0;
}

static inline int core_end(void **state)
{
    (void)state;
    struct caller *const callers[] = {&alice, &bob, &root};
    for (size_t i = 0; i < 3; i++)
        if (callers[i]->party)
            ends_with_party(&f->core, callers[i]->party);
    core_fixture_free(f);
    return 0;
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, core_begin, core_end)

static inline void turn_ends(void)
{
    assert_int_equal(core_fixture_turn(f), 0);
}

/* The store will not take the next write. */
static inline void store_will_fail(void)
{
    fake_store_fail_next(&f->store, 1, ENOSPC, "the disk is full");
}

/* The turn's end, when the store does not take the facts. */
static inline void facts_fail(void)
{
    store_will_fail();
    assert_int_equal(core_fixture_turn(f), -ENOSPC);
    assert_string_equal(f->reason, "the disk is full");
}

/* The turn's end, when facts that were not recorded earlier are tried again. */
static inline void facts_are_tried_again(void)
{
    ledger_retry(&f->core);
    assert_int_equal(core_fixture_turn(f), 0);
}

static inline void told(const char *want)
{
    assert_string_equal(core_fixture_told(f), want);
}

/* A segment of alice's, recorded, its event told. */
static inline struct segment *made(const char *name, enum lifetime lifetime)
{
    struct segment *s = fixture_made(f, &alice, name, lifetime);
    (void)core_fixture_told(f);
    return s;
}

#endif
