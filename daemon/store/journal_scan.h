/* SPDX-License-Identifier: MIT */
/*
 * A walk over the records of a file, front to back, each byte read once. What is kept in memory is
 * one change and what was read ahead.
 */
#ifndef SHMD_STORE_JOURNAL_SCAN_H
#define SHMD_STORE_JOURNAL_SCAN_H

#include "daemon/store/encoding.h"
#include "daemon/store/host.h"

struct journal_scan {
    const struct host *host;
    int fd;
    uint64_t size; /* of the file */
    uint8_t *bytes;
    size_t len, capacity;
    uint64_t bytes_at; /* where in the file BYTES begin */
    size_t kept;       /* in BYTES: from here on nothing is forgotten */
    size_t next;       /* in BYTES: the next record */
};

/* A walk that begins at offset AT of a file of SIZE bytes. */
void journal_scan_init(struct journal_scan *scan, const struct host *host, int fd, uint64_t size,
                       uint64_t at);
void journal_scan_deinit(struct journal_scan *scan);

/* Where in the file the next record is. */
uint64_t journal_scan_at(const struct journal_scan *scan);

/* Looks at the next record, whose bytes are valid until the next call: 0 with what was found, or a
 * negative errno of the reading. */
int journal_scan_find(struct journal_scan *scan, const uint64_t seed[static 2], uint64_t previous,
                      enum record_found *ret_found, struct record_frame *ret) MUST_CHECK;

/* Steps over the record that was found. */
void journal_scan_step(struct journal_scan *scan, const struct record_frame *frame);

/* What was stepped over may be forgotten. */
void journal_scan_forget(struct journal_scan *scan);

#endif
