/* SPDX-License-Identifier: MIT */
/*
 * A store in memory. It fails when told to, counts, and keeps its records for a «restart»: hand it
 * to a second core, which loads what the first one wrote.
 */
#ifndef SHMD_TESTS_FAKES_FAKE_STORE_H
#define SHMD_TESTS_FAKES_FAKE_STORE_H

#include "daemon/store/store.h"

struct fake_record {
    struct stored_segment *segment; /* a copy */
    struct stored_tie *ties;        /* the oldest first */
    size_t n_ties;
};

struct fake_store {
    struct fake_record *records; /* ascending by serial */
    size_t n_records;
    struct store_daemon *daemons;
    size_t n_daemons;
    struct store_counters counters;
    bool has_intent;
    struct store_intent intent;
    int64_t records_since_at_ms;
    struct store_source source; /* that it was told to follow */

    unsigned n_commits, n_intends;   /* tried, the failed ones too */
    size_t n_changes;                /* records of the writes that succeeded */
    size_t n_offered, bytes_offered; /* records of all writes that were tried */
    size_t largest_offer;            /* the bytes of one of them */
    unsigned n_tends;
    unsigned more_to_tend; /* the test's: so many more calls of tend() say that there is more */
    /* The test's to set: writes number FAIL_FROM to FAIL_TO, counted from 1, fail with FAIL_ERRNO
     * (positive) and FAIL_REASON. 0: none. */
    unsigned fail_from, fail_to;
    int fail_errno;
    const char *fail_reason;
    int fail_load, fail_intend; /* positive errnos; 0: succeed */
};

void fake_store_init(struct fake_store *f);
void fake_store_deinit(struct fake_store *f);

/* The seam, to hand to what is tested. */
struct store fake_store(struct fake_store *f);

/* Lets the next COUNT writes fail. */
void fake_store_fail_next(struct fake_store *f, unsigned count, int errnum, const char *reason);

/* What is stored under SERIAL or NAME, or NULL. */
const struct fake_record *fake_store_find(const struct fake_store *f, uint64_t serial);
const struct fake_record *fake_store_find_name(const struct fake_store *f, const char *name);

#endif
