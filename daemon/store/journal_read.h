/* SPDX-License-Identifier: MIT */
/* Reading a journal back: what it holds, and whether that is all that was acknowledged. */
#ifndef SHMD_STORE_JOURNAL_READ_H
#define SHMD_STORE_JOURNAL_READ_H

#include "daemon/store/contents.h"
#include "daemon/store/header.h"
#include "daemon/store/host.h"

struct journal_reading {
    struct header header;
    struct contents_builder builder; /* owned */
    uint64_t end;                    /* of the last whole change */
    uint64_t sum;                    /* of its last record */
    uint64_t size;                   /* of the file; more than END: a torn end */
    char why[300];                   /* a sentence that begins with "it", for -EBADMSG */
};

void journal_reading_deinit(struct journal_reading *reading);

/* Reads the header of a file of SIZE bytes: 0, -EBADMSG with RET->why, or another negative errno.
 * RET must be deinitialised in any case. */
int journal_read_header(const struct host *host, int fd, uint64_t size,
                        struct journal_reading *ret) MUST_CHECK;

/* Reads the records behind it: 0, -EBADMSG when something that was acknowledged is missing or is
 * not as it was written, or another negative errno. Then READING has what stands before that. */
int journal_read_records(const struct host *host, int fd,
                         struct journal_reading *reading) MUST_CHECK;

#endif
