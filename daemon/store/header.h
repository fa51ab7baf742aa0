/* SPDX-License-Identifier: MIT */
/*
 * The first block of a journal. It says whose records follow, how far they were acknowledged, and
 * which create is under way. It is always written whole, by one call, at offset 0.
 *
 *     0   8  magic
 *     8   4  format
 *    12   4  0
 *    16  16  seed of the sums
 *    32   8  inode of the IPC namespace; 0: unknown
 *    40  40  boot id, padded with NULs; empty: unknown
 *    80   8  records_since_at_ms
 *    88   8  committed
 *    96  24  intent: at_s, size, key, pid; pid 0: there is none
 *   120   8  sum of all before it
 */
#ifndef SHMD_STORE_HEADER_H
#define SHMD_STORE_HEADER_H

#include "daemon/store/store.h"

enum {
    HEADER_SIZE = 128,
    HEADER_FORMAT = 1,
    BOOT_ID_SIZE = 40,
};

struct header {
    uint64_t seed[2];
    uint64_t ipc_namespace;
    char boot_id[BOOT_ID_SIZE];
    int64_t records_since_at_ms;
    uint64_t committed; /* up to here everything was acknowledged */
    bool has_intent;
    struct store_intent intent;
};

void header_encode(const struct header *header, uint8_t ret[static HEADER_SIZE]);

/* 0, or -EBADMSG with WHY: a sentence that begins with "it". */
int header_decode(const uint8_t *bytes, size_t len, struct header *ret, char *why,
                  size_t why_size) MUST_CHECK;

#endif
