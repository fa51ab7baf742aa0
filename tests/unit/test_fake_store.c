/* The store of the other tests: it keeps what a store keeps, counts, and fails when told to. */
#include "tests/unit/support.h"

#include <errno.h>

#include "tests/fakes/fake_store.h"

static int commit(struct store store, const struct store_change *changes, size_t n,
                  uint64_t last_serial, const char **ret_reason)
{
    const struct store_meta meta = {last_serial, last_serial};
    return store.ops->commit(store.context, changes, n, &meta, ret_reason);
}

struct seen {
    uint64_t serials[8];
    size_t n, n_ties, n_daemons, stop_at;
};

static int see_segment(void *context, struct segment *segment, const struct stored_tie *ties,
                       size_t n_ties)
{
    struct seen *seen = context;
    seen->serials[seen->n++] = segment->serial;
    seen->n_ties += n_ties;
    for (size_t i = 0; i < n_ties; i++)
        assert_int_equal(ties[i].identity.pid, 7);
    segment_free(segment);
    return seen->n == seen->stop_at ? -ENOMEM : 0;
}

static int see_daemon(void *context, const struct store_daemon *daemon)
{
    struct seen *seen = context;
    assert_int_equal(daemon->pid, 1);
    seen->n_daemons++;
    return 0;
}

TEST(it_keeps_copies_in_order)
{
    struct fake_store f;
    fake_store_init(&f);
    struct store store = fake_store(&f);
    char name[] = "frames";
    struct label label = {"k", "v"};
    struct segment a = {.serial = 3,
                        .name = name,
                        .size = 5,
                        .labels = &label,
                        .n_labels = 1,
                        .declared = true,
                        .n_holders = 9};
    struct segment b = {.serial = 1, .size = 6};
    const struct stored_tie ties[] = {{TIE_HOLDER, {7, 1, 1}, 0, "x", 1},
                                      {TIE_HOLDER, {7, 1, 1}, 0, "x", 1}};
    const struct store_change changes[] = {{3, &a, ties, 2}, {1, &b, NULL, 0}};
    const char *reason = NULL;
    assert_int_equal(commit(store, changes, 2, 3, &reason), 0);
    assert_int_equal(store.ops->enter(store.context, &(struct store_daemon){1, 2}), 0);
    memset(name, 'x', 6);
    const struct fake_record *record = fake_store_find(&f, 3);
    assert_non_null(record);
    assert_ptr_equal(fake_store_find_name(&f, "frames"), record);
    assert_null(fake_store_find_name(&f, "xxxxxx"));
    assert_null(fake_store_find(&f, 2));
    assert_string_equal(record->segment->labels[0].value, "v");
    /* Not stored, here as there. */
    assert_false(record->segment->declared);
    assert_int_equal(record->segment->n_holders, 0);

    for (int restart = 0; restart < 2; restart++) {
        struct seen seen = {0};
        const struct store_visitor visitor = {see_segment, see_daemon, &seen};
        struct store_meta meta;
        assert_int_equal(store.ops->load(store.context, &visitor, &meta), 0);
        assert_int_equal(meta.last_serial, 3);
        assert_int_equal(seen.n, 2);
        assert_int_equal(seen.serials[0], 1);
        assert_int_equal(seen.serials[1], 3);
        assert_int_equal(seen.n_ties, 2);
        assert_int_equal(seen.n_daemons, 1);
    }
    struct seen stopped = {.stop_at = 1};
    const struct store_visitor visitor = {see_segment, see_daemon, &stopped};
    struct store_meta meta;
    assert_int_equal(store.ops->load(store.context, &visitor, &meta), -ENOMEM);
    assert_int_equal(stopped.n, 1);

    b.size = 8;
    const struct store_change next[] = {{1, &b, ties, 1}, {3, NULL, NULL, 0}, {9, NULL, NULL, 0}};
    assert_int_equal(commit(store, next, 3, 3, &reason), 0);
    assert_null(fake_store_find(&f, 3));
    assert_int_equal(fake_store_find(&f, 1)->segment->size, 8);
    assert_int_equal(fake_store_find(&f, 1)->n_ties, 1);
    assert_int_equal(f.n_commits, 2);
    assert_int_equal(f.n_changes, 5);
    assert_int_equal(f.n_loads, 3);
    fake_store_deinit(&f);
}

TEST(it_fails_when_told_to)
{
    struct fake_store f;
    fake_store_init(&f);
    struct store store = fake_store(&f);
    struct segment a = {.serial = 1, .size = 5};
    const struct store_change change = {1, &a, NULL, 0};
    const char *reason = NULL;
    fake_store_fail_next(&f, 2, ENOSPC, "full");
    for (int i = 0; i < 2; i++) {
        reason = NULL;
        assert_int_equal(commit(store, &change, 1, 1, &reason), -ENOSPC);
        assert_string_equal(reason, "full");
        assert_int_equal(f.n_records + f.n_changes + f.meta.last_serial, 0);
    }
    assert_int_equal(commit(store, &change, 1, 1, &reason), 0);
    assert_int_equal(f.n_commits, 3);
    f.fail_from = f.fail_to = 5;
    f.fail_errno = EIO;
    assert_int_equal(commit(store, &change, 1, 1, &reason), 0);
    assert_int_equal(commit(store, &change, 1, 1, &reason), -EIO);
    assert_int_equal(commit(store, &change, 1, 1, &reason), 0);

    f.fail_load = EIO;
    f.fail_enter = ENOSPC;
    const struct store_visitor none = {see_segment, see_daemon, NULL};
    struct store_meta meta;
    assert_int_equal(store.ops->load(store.context, &none, &meta), -EIO);
    assert_int_equal(store.ops->enter(store.context, &(struct store_daemon){1, 2}), -ENOSPC);
    assert_int_equal(f.n_daemons, 0);
    fake_store_deinit(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_keeps_copies_in_order),
        cmocka_unit_test(it_fails_when_told_to),
    };
    return RUN_TESTS(tests);
}
