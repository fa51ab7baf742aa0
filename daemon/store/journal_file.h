/* SPDX-License-Identifier: MIT */
/*
 * One file in the journal's format that records are added to: the journal in force, or the one that
 * is to take its place.
 *
 * After a failure the file is brought back to what it was: first the header, then the length. If
 * that fails, too, it is tried again before the next change, and until then nothing is added.
 */
#ifndef SHMD_STORE_JOURNAL_FILE_H
#define SHMD_STORE_JOURNAL_FILE_H

#include "daemon/store/header.h"
#include "daemon/store/host.h"

struct journal_file {
    int fd; /* the host's; -1: none */
    uint64_t device, inode;
    struct header header;
    uint64_t end;           /* the records end here */
    uint64_t sum;           /* of the last record; 0: there is none */
    uint64_t committed_sum; /* of the last record that header.committed covers */
    uint64_t room;          /* the file system has given room up to here */
    bool lacks_allocation;  /* the file system cannot */
    bool header_is_unsure;  /* what stands in the file may be another one */
    bool tail_is_unsure;    /* there may be something behind the end */
};

/* Makes an empty file of that name, or empties the one that no other process has locked, and locks
 * it. Its header is to be LIKE that one, with a seed of its own. */
int journal_file_make(const struct host *host, const char *name, const struct header *like,
                      struct journal_file *ret) MUST_CHECK;
void journal_file_close(const struct host *host, struct journal_file *file);

/* Brings the file to what it should be, where a failure left that undone. */
int journal_file_mend(const struct host *host, struct journal_file *file) MUST_CHECK;

/* Gets room for N bytes behind the end: 0 where the file system cannot say. */
int journal_file_make_room(const struct host *host, struct journal_file *file,
                           uint64_t n) MUST_CHECK;

/* Adds encoded records, and sets their sums in BYTES. They count when journal_file_commit() has
 * returned 0. */
int journal_file_append(const struct host *host, struct journal_file *file, uint8_t *bytes,
                        size_t n) MUST_CHECK;

/* All that was added is acknowledged from now on. INTENT may be NULL. On failure the header stays
 * as it was, and the records since the last commit are cut off. */
int journal_file_commit(const struct host *host, struct journal_file *file,
                        const struct store_intent *intent) MUST_CHECK;

/* No intent is open any more. After a failure it is so with the next mending. */
int journal_file_abandon(const struct host *host, struct journal_file *file) MUST_CHECK;

/* Reads N bytes, or up to the end of the file. */
ssize_t journal_file_read(const struct host *host, int fd, void *to, size_t n, uint64_t at);

#endif
