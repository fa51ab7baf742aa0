/* SPDX-License-Identifier: MIT */
/*
 * An entry for systemd's journal, by the journal's own protocol: one datagram. It is handed over at
 * once or not at all, whereas sd_journal_sendv() waits for a journal that does not read.
 */
#ifndef SHMD_UTIL_JOURNAL_ENTRY_H
#define SHMD_UTIL_JOURNAL_ENTRY_H

#include <stdbool.h>
#include <stddef.h>

#define JOURNAL_SOCKET "/run/systemd/journal/socket"

struct journal_entry {
    size_t len;
    char bytes[8192];
};

/* Adds a field, whose VALUE may hold any bytes; one that has no room is left out. */
void journal_entry_add(struct journal_entry *entry, const char *name, const char *value);

/* A socket to send by, of the caller; negative: there is none. */
int journal_entry_socket(void);

/* Whether whoever listens on the socket at PATH has got it, sent by FD. */
bool journal_entry_send(const struct journal_entry *entry, int fd, const char *path);

#endif
