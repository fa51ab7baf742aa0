/* SPDX-License-Identifier: MIT */
/* How a record and the kernel agree. */
#ifndef SHMD_CORE_VERDICT_H
#define SHMD_CORE_VERDICT_H

#include "daemon/core/segment.h"

enum verdict {
    VERDICT_MATCH,
    VERDICT_GONE,          /* there is no segment of that id */
    VERDICT_RECYCLED,      /* the id denotes another segment now: touch nothing */
    VERDICT_DYING,         /* another process has marked it for destruction */
    VERDICT_INDETERMINATE, /* we cannot tell: keep the record, do not touch the segment */
};

/* Judges SEGMENT by the result R of looking at its shmid and, when that is 0, by what was seen. */
enum verdict verdict_of(const struct segment *segment, int r, const struct sysv_stat *kernel);

#endif
