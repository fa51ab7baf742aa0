/*
 * The store in an SQLite database, state.db in the state directory. One process has it at a time;
 * it holds what belongs to this boot and this IPC namespace, and no more.
 *
 * Nothing is ever deleted on doubt: a file that is not a good database of ours is moved aside, to
 * state.db.corrupt-TIME. The store never logs; what the caller should say is in store_opening.
 */
#ifndef SHMD_STORE_STORE_SQLITE_H
#define SHMD_STORE_STORE_SQLITE_H

#include <stdint.h>

#include "daemon/core/store.h"
#include "daemon/util/cleanup.h"

struct store_sqlite;

/* What the records are about. Empty or 0 is unknown, and differs from nothing. */
struct store_scope {
    const char *boot_id;
    uint64_t ipc_namespace;
};

enum store_opened {
    STORE_NEW,       /* there was none */
    STORE_KEPT,      /* with what it held; an older schema was brought up to date */
    STORE_DROPPED,   /* it was of another boot or IPC namespace; only its counters were kept */
    STORE_SET_ASIDE, /* it was no good and is now called set_aside; a new one is in its place */
};

struct store_opening {
    enum store_opened opened;
    char reason[400];   /* a sentence for the last two; empty for the others */
    char set_aside[64]; /* a name in the state directory, or empty */
};

/*
 * Opens or makes the store in STATE_DIR, readable by its owner alone. 0, or a negative errno:
 * -EBUSY when another process has it, else whatever kept it from being read or made; the
 * files are as they were then, unless set_aside says otherwise. RET_OPENING is filled in either
 * case; after a failure its reason says what failed.
 */
int store_sqlite_open(const char *state_dir, const struct store_scope *scope,
                      struct store_sqlite **ret, struct store_opening *ret_opening) MUST_CHECK;
void store_sqlite_close(struct store_sqlite *st);

/* The operations; their context is a struct store_sqlite. */
extern const struct store_ops store_sqlite_ops;

#endif
