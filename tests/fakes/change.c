/* SPDX-License-Identifier: MIT */
#include "tests/fakes/change.h"

#include "tests/unit/support.h"

#include <errno.h>

#include "tests/fakes/fake_memory.h"

static char *settled(struct core_fixture *f)
{
    assert_int_equal(core_fixture_turn(f), 0);
    return core_fixture_snapshot(f);
}

/* After a change that ended in R. */
static void check_change(struct core_fixture *f, char *before, int r)
{
    if (r != 0) {
        char *after = core_fixture_snapshot(f);
        assert_string_equal(after, before);
        free(after);
    }
    free(before);
    assert_int_equal(core_fixture_turn(f), 0);
    core_fixture_check_kernel(f);
}

static bool fails_nth(const struct change *change, void (*fault)(unsigned long), unsigned long n)
{
    struct core_fixture *f = core_fixture_new();
    change->prepare(f);
    char *before = settled(f);
    fault(n);
    int r = change->act(f);
    bool failed = fake_memory_restore();
    if (r != 0)
        assert_int_equal(r, -ENOMEM);
    check_change(f, before, r);
    core_fixture_free(f);
    return failed;
}

void change_without_memory(const struct change *change)
{
    unsigned long n = 1;
    while (fails_nth(change, fake_memory_fail, n))
        n++;
    assert_true(n > 1); /* it must have allocated something */
    n = 1;
    while (fails_nth(change, fake_memory_exhaust, n))
        n++;
}

unsigned change_without_kernel(const struct change *change, enum fake_op op, int error)
{
    for (unsigned n = 1;; n++) {
        struct core_fixture *f = core_fixture_new();
        change->prepare(f);
        char *before = settled(f);
        unsigned long calls = f->k->calls[op];
        fake_sysv_fail(f->k, op, n, error);
        int r = change->act(f);
        bool failed = f->k->calls[op] >= calls + n;
        fake_sysv_fail(f->k, op, 0, 0);
        if (!failed)
            assert_int_equal(r, 0);
        check_change(f, before, r);
        core_fixture_free(f);
        if (!failed)
            return n - 1;
    }
}

void change_without_store(const struct change *change)
{
    struct core_fixture *f = core_fixture_new();
    change->prepare(f);
    char *before = settled(f);
    fake_store_fail_next(&f->store, 1, EIO, "no space");
    assert_int_equal(change->act(f), OUTCOME_STORE_FAILURE);
    assert_string_equal(f->detail.hint, "no space");
    assert_int_equal(f->core.news.count, 0);
    core_fixture_check_kernel(f);
    char *after = settled(f);
    assert_string_equal(after, before);
    free(before);
    free(after);
    core_fixture_free(f);
}
