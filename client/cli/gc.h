/* SPDX-License-Identifier: MIT */
/*
 * What gc has found, and how it is shown. cmd_gc.c finds and removes; gc_report.c shows.
 */
#ifndef SHMD_CLIENT_CLI_GC_H
#define SHMD_CLIENT_CLI_GC_H

#include "client/cli/cli.h"
#include "client/cli/daemons.h"

#define GC_IDLE_MS (INT64_C(30) * 24 * 3600 * 1000) /* unless --idle says otherwise */

struct candidate {
    const struct kernel_segment *segment;
    struct gc_outcome outcome;
};

/* A segment of the daemon's own that nobody seems to need; it is reported and never removed. */
struct forgotten {
    char *name; /* owned; NULL: it has none */
    uint64_t serial, size;
    int shmid;
    uint32_t uid;
    int64_t idle_since_ms;
    bool never_attached;
    bool is_callers; /* the caller may remove it, as far as can be seen from here */
};

struct gc {
    struct cli *cli;
    bool by_decision;        /* one segment was named */
    bool may_go[GC_CLASSES]; /* which classes --remove removes */
    int64_t older_than_ms, idle_ms;
    struct daemon_seen daemon;         /* owned */
    struct orphan_knowledge knowledge; /* owned */
    struct kernel_segments segments;   /* owned */
    struct candidate *candidates;      /* owned; by class */
    size_t count;
    size_t younger;              /* of the same classes, and left out because of that */
    struct forgotten *forgotten; /* owned */
    size_t n_forgotten, forgotten_capacity;
};

/* Each returns an exit status. */
int gc_print_json(const struct gc *gc) MUST_CHECK;
int gc_print_text(const struct gc *gc) MUST_CHECK;

#endif
