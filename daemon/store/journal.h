/* SPDX-License-Identifier: MIT */
/*
 * The store in a journal: the file state.journal in the state directory. The state needs to survive
 * the death of the daemon, and nothing else: what one write has put into the page cache survives
 * SIGKILL, so that a change costs one write for its records and one for the header.
 *
 * One process has the journal at a time. It holds what belongs to this boot and this IPC namespace.
 * Nothing is ever deleted on doubt: a file that is damaged, or not ours, is set aside as
 * state.journal.corrupt-TIME. The file is never mapped.
 */
#ifndef SHMD_STORE_JOURNAL_H
#define SHMD_STORE_JOURNAL_H

#include <stdio.h>

#include "daemon/store/host.h"
#include "daemon/store/store.h"
#include "daemon/util/log.h"

struct journal;

struct journal_options {
    struct host host;      /* its context outlives the journal */
    const char *directory; /* for sentences; borrowed as long as the journal is open */
    /* What the records are about. Empty or 0 is unknown, and differs from nothing. */
    const char *boot_id;
    uint64_t ipc_namespace;
    uint32_t own_uid; /* the daemon's */
    /* What people should know of: a whole sentence. */
    void (*log)(void *context, enum log_level level, const char *sentence);
    void *log_context;
};

/*
 * Opens or makes the journal: 0, or a negative errno that has been logged. -EBUSY: another process
 * has it; -EPERM: the directory is not the daemon's alone. A failure leaves the files as they are,
 * unless the log says otherwise.
 */
int journal_open(const struct journal_options *options, struct journal **ret) MUST_CHECK;
/* Ends in order: no intent stays open. NULL is nothing. */
void journal_close(struct journal *j);

/* The operations; their context is a struct journal. load() is to be called once, first. */
extern const struct store_ops journal_ops;

/* Prints the journal in file PATH to OUT, a JSON object a line, with all sums checked, as far as
 * the file can be read: 0, -EBADMSG when it is damaged, or another negative errno. What is wrong is
 * said in OUT, and on ERR where nothing could be read. */
int journal_dump(const char *path, FILE *out, FILE *err) MUST_CHECK;
/* The same of an open file of SIZE bytes. */
int journal_dump_from(const struct host *host, int fd, uint64_t size, FILE *out) MUST_CHECK;

#endif
