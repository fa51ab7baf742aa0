/* SPDX-License-Identifier: MIT */
/* How much of a journal lives, told from the records that are written: what compaction would keep,
 * and how much room must be left so that everything can be removed even when the disk is full. */
#ifndef SHMD_STORE_JOURNAL_LIVE_H
#define SHMD_STORE_JOURNAL_LIVE_H

#include "daemon/store/serial_map.h"
#include "daemon/store/store.h"

struct journal_live {
    struct serial_map segments; /* of each segment the size of its record and the number of ties */
    uint64_t bytes;             /* of all records of segments and ties that live */
    uint64_t n_ties;
};

void journal_live_deinit(struct journal_live *live);

/* Memory for noting N records: 0 or -ENOMEM. */
int journal_live_reserve(struct journal_live *live, size_t n) MUST_CHECK;

/* RECORD was written, or read. */
void journal_live_note(struct journal_live *live, const struct store_record *record);

bool journal_live_has(const struct journal_live *live, uint64_t serial);

/* How many bytes the records take by which everything that lives is removed. */
uint64_t journal_live_removal_bytes(const struct journal_live *live);

#endif
