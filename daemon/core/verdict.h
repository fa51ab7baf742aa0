/* What the kernel says of a record. */
#ifndef SHMD_CORE_VERDICT_H
#define SHMD_CORE_VERDICT_H

#include "daemon/core/segment.h"

enum verdict {
    VERDICT_MATCH,
    VERDICT_GONE,          /* there is no segment of that id */
    VERDICT_RECYCLED,      /* the id denotes another segment now: touch nothing */
    VERDICT_DYING,         /* somebody else has marked it for destruction */
    VERDICT_INDETERMINATE, /* could not tell: keep, do not touch */
};

/* Judges SEGMENT by the result R of looking at its shmid and, when that is 0, by what was seen. */
enum verdict verdict_of(const struct segment *segment, int r, const struct sysv_stat *kernel);

#endif
