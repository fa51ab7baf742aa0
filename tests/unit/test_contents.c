/* SPDX-License-Identifier: MIT */
/* What a row of records comes to, against arrays that do the same slowly. Serials come in any
 * order, and again after they were gone. */
#include "tests/unit/support.h"

#include <errno.h>

#include "daemon/store/contents.h"

enum { SERIALS = 40, TIES = 12, RECORDS = 4000 };

static struct expected {
    bool is_there;
    int32_t shmid;
    size_t n_ties;
    int32_t pids[TIES];
} expected[SERIALS + 1];

static struct contents_builder builder;

static uint32_t next_random(void)
{
    static uint32_t state = 1;
    state = state * 1664525 + 1013904223;
    return state >> 8;
}

static int apply(struct store_record record)
{
    const char *why = NULL;
    return contents_apply(&builder, &record, &why);
}

static void put_segment(uint64_t serial, int32_t shmid)
{
    struct expected *e = &expected[serial];
    const struct stored_segment segment = {
        .serial = serial, .shmid = shmid, .state = STATE_READY, .size = 1};
    assert_int_equal(
        apply((struct store_record){.type = STORE_SEGMENT, .serial = serial, .segment = &segment}),
        0);
    e->n_ties = e->is_there ? e->n_ties : 0;
    e->is_there = true;
    e->shmid = shmid;
}

static void put_tie(uint64_t serial, int32_t pid)
{
    struct expected *e = &expected[serial];
    if (e->n_ties == TIES)
        return;
    int r = apply((struct store_record){.type = STORE_TIE,
                                        .serial = serial,
                                        .tie = {.role = TIE_HOLDER, .identity = {.pid = pid}}});
    assert_int_equal(r, e->is_there ? 0 : -EBADMSG);
    if (e->is_there)
        e->pids[e->n_ties++] = pid;
}

static void put_untie(uint64_t serial, int32_t pid)
{
    struct expected *e = &expected[serial];
    assert_int_equal(
        apply((struct store_record){.type = STORE_UNTIE,
                                    .serial = serial,
                                    .tie = {.role = TIE_HOLDER, .identity = {.pid = pid}}}),
        0);
    size_t i = 0;
    while (i < e->n_ties && e->pids[i] != pid)
        i++;
    if (i == e->n_ties)
        return;
    memmove(&e->pids[i], &e->pids[i + 1], (e->n_ties - i - 1) * sizeof(e->pids[0]));
    e->n_ties--;
}

static void put_gone(uint64_t serial)
{
    assert_int_equal(apply((struct store_record){.type = STORE_GONE, .serial = serial}), 0);
    expected[serial] = (struct expected){0};
}

static void check(const struct store_contents *c)
{
    size_t n = 0;
    for (uint64_t serial = 1; serial <= SERIALS; serial++) {
        const struct expected *e = &expected[serial];
        if (!e->is_there)
            continue;
        assert_true(n < c->n_segments);
        const struct stored *stored = &c->segments[n++];
        assert_int_equal(stored->segment.serial, serial);
        assert_int_equal(stored->segment.shmid, e->shmid);
        assert_int_equal(stored->segment.state, STATE_READY);
        assert_int_equal(stored->n_ties, e->n_ties);
        for (size_t i = 0; i < e->n_ties; i++)
            assert_int_equal(stored->ties[i].identity.pid, e->pids[i]);
    }
    assert_int_equal(c->n_segments, n);
}

TEST(they_come_to_what_arrays_come_to)
{
    for (int round = 0; round < 20; round++) {
        struct store_contents contents;
        memset(expected, 0, sizeof(expected));
        for (int i = 0; i < RECORDS; i++) {
            const uint64_t serial = next_random() % SERIALS + 1;
            const int32_t pid = (int32_t)(next_random() % 6) + 1;
            switch (next_random() % 16) {
            case 0: put_gone(serial); break;
            case 1:
            case 2: put_segment(serial, i); break;
            case 3:
            case 4:
            case 5:
            case 6:
            case 7: put_untie(serial, pid); break;
            default: put_tie(serial, pid); break;
            }
        }
        contents_finish(&builder, &contents);
        check(&contents);
        store_contents_deinit(&contents);
        assert_null(builder.segments);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(they_come_to_what_arrays_come_to),
    };
    return RUN_TESTS(tests);
}
