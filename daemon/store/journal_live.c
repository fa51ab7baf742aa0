/* SPDX-License-Identifier: MIT */
#include "daemon/store/journal_live.h"

#include "daemon/store/encoding.h"

/* A segment's value: the ties' number in the upper half, its record's size in the lower. */
enum { TIES_SHIFT = 32 };

static uint64_t ties_of(uint64_t value)
{
    return value >> TIES_SHIFT;
}

static uint64_t size_of(uint64_t value)
{
    return value & UINT32_MAX;
}

void journal_live_deinit(struct journal_live *live)
{
    serial_map_deinit(&live->segments);
    *live = (struct journal_live){0};
}

int journal_live_reserve(struct journal_live *live, size_t n)
{
    return serial_map_reserve(&live->segments, n);
}

static void note_segment(struct journal_live *live, const struct store_record *record)
{
    uint64_t size = store_record_size(record);
    uint64_t *value = serial_map_find(&live->segments, record->serial);
    live->bytes += size;
    if (!value) {
        serial_map_put(&live->segments, record->serial, size);
        return;
    }
    live->bytes -= size_of(*value);
    *value = ties_of(*value) << TIES_SHIFT | size;
}

static void note_gone(struct journal_live *live, uint64_t serial)
{
    const uint64_t *value = serial_map_find(&live->segments, serial);
    if (!value)
        return;
    live->bytes -= size_of(*value) + ties_of(*value) * RECORD_TIE_SIZE;
    live->n_ties -= ties_of(*value);
    serial_map_take(&live->segments, serial);
}

static void note_ties(struct journal_live *live, uint64_t serial, bool one_more)
{
    uint64_t *value = serial_map_find(&live->segments, serial);
    if (!value || (!one_more && ties_of(*value) == 0))
        return;
    const uint64_t by = one_more ? 1 : UINT64_MAX; /* -1 */
    *value += by << TIES_SHIFT;
    live->n_ties += by;
    live->bytes += by * RECORD_TIE_SIZE;
}

void journal_live_note(struct journal_live *live, const struct store_record *record)
{
    switch (record->type) {
    case STORE_SEGMENT: note_segment(live, record); break;
    case STORE_TIE: note_ties(live, record->serial, true); break;
    case STORE_UNTIE: note_ties(live, record->serial, false); break;
    case STORE_GONE: note_gone(live, record->serial); break;
    case STORE_COUNTERS:
    case STORE_DAEMON:
    case STORE_IDLE: break;
    }
}

bool journal_live_has(const struct journal_live *live, uint64_t serial)
{
    return serial_map_find(&live->segments, serial) != NULL;
}

uint64_t journal_live_removal_bytes(const struct journal_live *live)
{
    return live->segments.table.count * RECORD_GONE_SIZE + live->n_ties * RECORD_UNTIE_SIZE;
}
