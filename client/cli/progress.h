/* SPDX-License-Identifier: MIT */
/*
 * How far a copy has come: on standard error, if that is a terminal, and only when there is time to
 * read it.
 */
#ifndef SHMD_CLIENT_CLI_PROGRESS_H
#define SHMD_CLIENT_CLI_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct progress {
    bool wanted, shown;
    int64_t started_ms, told_ms;
    uint64_t total; /* bytes; 0: not known */
};

struct progress progress_begin(uint64_t total);
void progress_tell(struct progress *p, uint64_t done);
/* Takes the line away. */
void progress_end(const struct progress *p);

/* What is told after ELAPSED_MS. */
void progress_text(uint64_t done, uint64_t total, int64_t elapsed_ms, char *ret, size_t size);

#endif
