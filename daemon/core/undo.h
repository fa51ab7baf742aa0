/*
 * How a segment was before the turn, and how all that a turn's requests changed is taken back when
 * it cannot be recorded: in the kernel, in the records, in the ties, and in what would be told.
 */
#ifndef SHMD_CORE_UNDO_H
#define SHMD_CORE_UNDO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/sys/sysv.h"
#include "daemon/util/cleanup.h"
#include "protocol/terms.h"

struct core;
struct label;
struct segment;

struct undo {
    bool was_created;
    bool was_removed; /* since then, and by the record alone */
    char *name;
    struct label *labels;
    size_t n_labels;
    enum segment_state state;
    enum lifetime lifetime;
    int64_t expires_at_ms;
    uint32_t uid, gid, mode;
    bool locked;
};

/* SEGMENT and KERNEL as they are now; NULL when out of memory. */
struct undo *undo_new(const struct segment *segment, const struct sysv_stat *kernel) MUST_CHECK;
void undo_free(struct undo *undo);

/* Takes back what has changed since the last commit; facts stay, to be written with the next. */
void undo_turn(struct core *core);

#endif
