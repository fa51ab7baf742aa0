/* SPDX-License-Identifier: MIT */
#include "daemon/core/deadlines.h"

#include <errno.h>
#include <stdlib.h>

#include "daemon/util/array.h"

void deadlines_init(struct deadlines *d)
{
    *d = (struct deadlines){0};
}

void deadlines_deinit(struct deadlines *d)
{
    free(d->heap);
    deadlines_init(d);
}

static void put(struct deadlines *d, size_t place, struct deadline *deadline)
{
    d->heap[place - 1] = deadline;
    deadline->place = place;
}

static void sift(struct deadlines *d, struct deadline *deadline, size_t place)
{
    while (place > 1 && d->heap[place / 2 - 1]->at_ms > deadline->at_ms) {
        put(d, place, d->heap[place / 2 - 1]);
        place /= 2;
    }
    for (;;) {
        size_t child = place * 2;
        if (child > d->count)
            break;
        if (child < d->count && d->heap[child]->at_ms < d->heap[child - 1]->at_ms)
            child++;
        if (d->heap[child - 1]->at_ms >= deadline->at_ms)
            break;
        put(d, place, d->heap[child - 1]);
        place = child;
    }
    put(d, place, deadline);
}

int deadlines_reserve(struct deadlines *d, size_t n)
{
    struct deadline **heap =
        array_reserve(d->heap, &d->capacity, d->count, n, sizeof(struct deadline *));
    if (!heap)
        return -ENOMEM;
    d->heap = heap;
    return 0;
}

int deadlines_set(struct deadlines *d, struct deadline *deadline, int64_t at_ms,
                  deadline_fn *passed)
{
    int r = deadline->place ? 0 : deadlines_reserve(d, 1);
    if (r < 0)
        return r;
    deadline->at_ms = at_ms;
    deadline->passed = passed;
    sift(d, deadline, deadline->place ? deadline->place : ++d->count);
    return 0;
}

void deadlines_clear(struct deadlines *d, struct deadline *deadline)
{
    size_t place = deadline->place;
    if (place == 0)
        return;
    deadline->place = 0;
    struct deadline *last = d->heap[--d->count];
    if (last != deadline)
        sift(d, last, place);
}

int64_t deadlines_next(const struct deadlines *d)
{
    return d->count > 0 ? d->heap[0]->at_ms : -1;
}

void deadlines_run(struct deadlines *d, int64_t now_ms, struct work *work, void *context)
{
    for (size_t budget = d->count;
         budget > 0 && d->count > 0 && d->heap[0]->at_ms <= now_ms && !work_share_is_over(work);
         budget--) {
        struct deadline *first = d->heap[0];
        deadlines_clear(d, first);
        first->passed(first, context);
        work_look_at_clock(work);
    }
}
