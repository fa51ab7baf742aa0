/* SPDX-License-Identifier: MIT */
/*
 * Entries for systemd's journal, by the journal's own protocol: a datagram each. They are handed
 * over at once or not at all, whereas sd_journal_sendv() waits for a journal that does not read.
 */
#ifndef SHMD_UTIL_JOURNAL_ENTRY_H
#define SHMD_UTIL_JOURNAL_ENTRY_H

#include <stddef.h>
#include <sys/uio.h>

#define JOURNAL_SOCKET "/run/systemd/journal/socket"

struct journal_entry {
    size_t len;
    char bytes[8192];
};

/* Adds a field, whose VALUE may hold any bytes; one that has no room is left out. */
void journal_entry_add(struct journal_entry *entry, const char *name, const char *value);

/* A socket to send by, of the caller; negative: there is none. */
int journal_entry_socket(void);

enum { JOURNAL_ENTRIES_MAX = 32 }; /* that are sent together */

/* Sends N entries by FD to whoever listens on the socket at PATH: how many of them, from the first
 * on, it has got. */
size_t journal_entries_send(const struct iovec entries[], size_t n, int fd, const char *path);

#endif
