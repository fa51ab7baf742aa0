/* SPDX-License-Identifier: MIT */
/*
 * How much of a segment is in memory and in swap. The kernel tells it in one table of all segments,
 * which takes long to read, so it is kept for a second: an answer is as old as that at most. Only a
 * segment that has come since makes it be read again, at most so many times a second; beyond that
 * nothing is told of it until the table is old. Of a segment that stands far down in a long table
 * nothing is told at all.
 */
#ifndef SHMD_CORE_RESIDENCY_H
#define SHMD_CORE_RESIDENCY_H

#include "daemon/sys/sysv.h"
#include "protocol/segment_json.h"

enum {
    RESIDENCY_ROWS = 256, /* reading them takes about 0.5 ms */
    RESIDENCY_GOOD_MS = 1000,
    RESIDENCY_READS_PER_SECOND = 32, /* 1.6 % of the time at most */
    RESIDENCY_BUCKETS = 256,
};

struct residency {
    int64_t read_at_ms, second_began_ms; /* monotonic clock */
    unsigned reads;                      /* in that second */
    bool has_read;                       /* ever */
    bool is_told;                        /* the kernel gave the rows */
    size_t n;
    struct sysv_resident rows[RESIDENCY_ROWS];
    /* By the last bits of the shmid, which are the slot in the kernel: 1 +
     * the index of the bucket's last row, and of each row's next; 0: no more. */
    uint16_t last[RESIDENCY_BUCKETS], next[RESIDENCY_ROWS];
};

/* Puts rss and swap into SEGMENT where they are known. NOW_MS: monotonic clock. */
void residency_tell(struct residency *r, const struct sysv *sysv, int64_t now_ms,
                    struct wire_segment *segment);

#endif
