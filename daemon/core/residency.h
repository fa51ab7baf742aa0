/* SPDX-License-Identifier: MIT */
/*
 * How much of a segment is in memory and in swap. The kernel tells it in one table of all segments,
 * which takes long to read, so it is kept. For a segment that nobody has had attached since it was
 * read, it is good for a second. Whoever has one attached may change what is told of it at any
 * moment, and one may have come since: for those it is read again at once, but only so many times a
 * second. Beyond that the table is good for a while for the one, and nothing is told of the other
 * until it is old. Of a segment that stands far down in a long table nothing is told at all.
 */
#ifndef SHMD_CORE_RESIDENCY_H
#define SHMD_CORE_RESIDENCY_H

#include "daemon/sys/clock.h"
#include "daemon/sys/sysv.h"
#include "protocol/segment_json.h"

enum {
    RESIDENCY_ROWS = 256, /* reading them takes about 0.5 ms */
    RESIDENCY_GOOD_MS = 1000,
    RESIDENCY_READS_PER_SECOND = 32, /* at once: 1.6 % of the time at most */
    RESIDENCY_IN_USE_MS = 32,        /* between two more, which are as many again */
    RESIDENCY_BUCKETS = 256,
};

struct residency {
    int64_t read_at_ms, second_began_ms; /* monotonic clock */
    unsigned reads;                      /* in that second */
    int64_t read_at_s;                   /* the kernel's clock of attachments */
    bool has_read;                       /* ever */
    bool is_told;                        /* the kernel gave the rows */
    size_t n;
    struct sysv_resident rows[RESIDENCY_ROWS];
    /* By the last bits of the shmid, which are the slot in the kernel: 1 +
     * the index of the bucket's last row, and of each row's next; 0: no more. */
    uint16_t last[RESIDENCY_BUCKETS], next[RESIDENCY_ROWS];
};

/* Puts rss and swap into SEGMENT where they are known. NOW_MS: monotonic clock. */
void residency_tell(struct residency *r, const struct sysv *sysv, const struct clock *clock,
                    int64_t now_ms, struct wire_segment *segment);

#endif
