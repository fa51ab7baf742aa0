/* SPDX-License-Identifier: MIT */
#include "daemon/core/residency.h"

#include <string.h>

static size_t bucket_of(int32_t shmid)
{
    return (uint32_t)shmid % RESIDENCY_BUCKETS;
}

static void index_rows(struct residency *r)
{
    memset(r->last, 0, sizeof(r->last));
    for (size_t i = 0; i < r->n; i++) {
        uint16_t *last = &r->last[bucket_of(r->rows[i].shmid)];
        r->next[i] = *last;
        *last = (uint16_t)(i + 1);
    }
}

static void read_table(struct residency *r, const struct sysv *sysv, const struct clock *clock,
                       int64_t now_ms)
{
    if (now_ms - r->second_began_ms >= 1000) {
        r->second_began_ms = now_ms;
        r->reads = 0;
    }
    r->reads++;
    r->has_read = true;
    r->read_at_ms = now_ms;
    r->read_at_s = clock->ops->kernel_s(clock->context);
    r->is_told = sysv->ops->resident(sysv->context, r->rows, RESIDENCY_ROWS, &r->n) >= 0;
    if (!r->is_told)
        r->n = 0;
    index_rows(r);
}

/* Whether somebody had or has SEGMENT attached since the table was read, or in that second. */
static bool was_attached_since(const struct residency *r, const struct wire_segment *segment)
{
    return segment->nattch > 0 || segment->attached_at_ms / 1000 >= r->read_at_s ||
           segment->detached_at_ms / 1000 >= r->read_at_s;
}

static bool may_read_again(const struct residency *r, int64_t now_ms)
{
    return r->reads < RESIDENCY_READS_PER_SECOND || now_ms - r->second_began_ms >= 1000;
}

static bool is_old(const struct residency *r, int64_t now_ms, const struct wire_segment *segment)
{
    const int64_t age_ms = now_ms - r->read_at_ms;
    if (!r->has_read || age_ms >= RESIDENCY_GOOD_MS)
        return true;
    return was_attached_since(r, segment) &&
           (age_ms >= RESIDENCY_IN_USE_MS || may_read_again(r, now_ms));
}

/* In the kernel's table the rows stand by slot. With a larger kernel.shmmni than is usual a slot
 * has more bits; then this may be wrong, and there is a look too many or too few. */
static uint32_t slot_of(int32_t shmid)
{
    return (uint32_t)shmid % 32768;
}

/* Whether SHMID would have been among the rows if it had been there when they were read. */
static bool has_room_for(const struct residency *r, int32_t shmid)
{
    return r->is_told &&
           (r->n < RESIDENCY_ROWS || slot_of(shmid) < slot_of(r->rows[r->n - 1].shmid));
}

static const struct sysv_resident *find(const struct residency *r, int32_t shmid)
{
    for (size_t i = r->last[bucket_of(shmid)]; i > 0; i = r->next[i - 1])
        if (r->rows[i - 1].shmid == shmid)
            return &r->rows[i - 1];
    return NULL;
}

/* The largest page in which ordinary memory may come. */
enum { ROUNDING = 2 * 1024 * 1024 };

void residency_tell(struct residency *r, const struct sysv *sysv, const struct clock *clock,
                    int64_t now_ms, struct wire_segment *segment)
{
    /* Some kernels count huge pages many times over, and which do cannot be told. */
    if (segment->huge_page_size != 0)
        return;
    const bool reads = is_old(r, now_ms, segment);
    if (reads)
        read_table(r, sysv, clock, now_ms);
    const struct sysv_resident *row = find(r, segment->shmid);
    if (!row && !reads && has_room_for(r, segment->shmid) && may_read_again(r, now_ms)) {
        read_table(r, sysv, clock, now_ms); /* the segment is newer than the table */
        row = find(r, segment->shmid);
    }
    /* More than there is: the huge pages of a segment that the daemon did not make. */
    if (!row || row->rss > segment->size + ROUNDING)
        return;
    segment->has_memory = true;
    segment->rss = row->rss;
    segment->swap = row->swap;
}
