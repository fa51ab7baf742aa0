#include "daemon/core/residency.h"

static void refresh(struct residency *r, const struct sysv *sysv, int64_t now_ms)
{
    if (r->reads == 0 || now_ms - r->second_began_ms >= 1000) {
        r->second_began_ms = now_ms;
        r->reads = 0;
    }
    if (r->reads == RESIDENCY_READS_PER_SECOND)
        return;
    r->reads++;
    if (sysv->ops->resident(sysv->context, r->rows, RESIDENCY_ROWS, &r->n) < 0)
        r->n = 0;
}

static const struct sysv_resident *find(const struct residency *r, int32_t shmid)
{
    for (size_t i = 0; i < r->n; i++)
        if (r->rows[i].shmid == shmid)
            return &r->rows[i];
    return NULL;
}

/* The largest page in which ordinary memory may come. */
enum { ROUNDING = 2 * 1024 * 1024 };

void residency_tell(struct residency *r, const struct sysv *sysv, int64_t now_ms,
                    struct wire_segment *segment)
{
    /* Some kernels count huge pages many times over, and which do cannot be told. */
    if (segment->huge_page_size != 0)
        return;
    refresh(r, sysv, now_ms);
    const struct sysv_resident *row = find(r, segment->shmid);
    /* More than there is: the huge pages of a segment that the daemon did not make. */
    if (!row || row->rss > segment->size + ROUNDING)
        return;
    segment->has_memory = true;
    segment->rss = row->rss;
    segment->swap = row->swap;
}
