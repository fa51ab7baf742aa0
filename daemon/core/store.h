/*
 * The seam to what outlives the daemon: the records of all segments, who they are tied to, and
 * which processes served from this store before.
 *
 * All functions return 0 or a negative errno. A commit is all or nothing.
 */
#ifndef SHMD_CORE_STORE_H
#define SHMD_CORE_STORE_H

#include <stddef.h>
#include <stdint.h>

#include "daemon/core/segment.h"
#include "daemon/core/ties.h"

/* A tie to a process. Ties to connections are never stored: connections do not survive. */
struct stored_tie {
    enum tie_role role;
    struct process_identity identity;
    uint32_t uid;
    char comm[COMM_MAX];
    int64_t since_at_ms;
};

/* SEGMENT NULL: the record SERIAL goes, with its ties; else it is put, with TIES in place of those
 * it had. */
struct store_change {
    uint64_t serial;
    const struct segment *segment;
    const struct stored_tie *ties;
    size_t n_ties;
};

/* A daemon that served from this store, this one too. */
struct store_daemon {
    int32_t pid;
    int64_t started_at_s; /* clock_ops.kernel_s(), to be compared with ctimes */
};

struct store_visitor {
    /* Takes SEGMENT over; TIES are borrowed. A negative errno ends the loading. */
    int (*segment)(void *context, struct segment *segment, const struct stored_tie *ties,
                   size_t n_ties);
    int (*daemon)(void *context, const struct store_daemon *daemon);
    void *context;
};

struct store_meta {
    uint64_t last_serial;  /* no segment was given one above it */
    uint64_t event_serial; /* no event was told with one above it */
};

struct store_ops {
    /* Everything that is stored, in ascending order of serials. */
    int (*load)(void *context, const struct store_visitor *visitor, struct store_meta *ret_meta);
    /* Adds a daemon, for good. */
    int (*enter)(void *context, const struct store_daemon *daemon);
    /* Makes CHANGES durable, and META with them. On failure nothing of it is, and RET_REASON
     * (static or the store's, until the next call) says in a sentence why. */
    int (*commit)(void *context, const struct store_change *changes, size_t n_changes,
                  const struct store_meta *meta, const char **ret_reason);
};

struct store {
    const struct store_ops *ops;
    void *context;
};

#endif
