/* SPDX-License-Identifier: MIT */
/* What the tests of the journal share: one world, and what must hold in it. */
#ifndef SHMD_TESTS_UNIT_JOURNAL_CASE_H
#define SHMD_TESTS_UNIT_JOURNAL_CASE_H

#include "tests/unit/support.h"

#include <errno.h>

#include "tests/fakes/journal_world.h"

static struct world w;

static inline int begin(void **state)
{
    (void)state;
    world_init(&w);
    return 0;
}

static inline int end(void **state)
{
    (void)state;
    world_deinit(&w);
    return 0;
}

#define JOURNAL_TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

/* Opens the journal, which must hold what the model says, and have an intent if INTENDED. */
static inline void assert_opens(bool intended)
{
    struct store_contents contents;
    assert_int_equal(world_open(&w, &contents), 0);
    assert_true(world_holds(&w, &contents, &w.model, true));
    assert_int_equal(contents.has_intent, intended);
    assert_int_equal(fake_host_count(&w.host, ""), 1);
    store_contents_deinit(&contents);
}

static inline void run_script(void)
{
    for (unsigned i = 0; i < WORLD_STEPS; i++)
        assert_int_equal(world_step(&w, i), 0);
}

/* The file in force. */
static inline struct fake_file *journal_file(void)
{
    struct fake_file *file = fake_host_find(&w.host, "state.journal");
    assert_non_null(file);
    return file;
}

#endif
