/* SPDX-License-Identifier: MIT */
#include "daemon/util/journal_entry.h"

#include <endian.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

static void put(struct journal_entry *entry, const void *bytes, size_t len)
{
    memcpy(entry->bytes + entry->len, bytes, len);
    entry->len += len;
}

/* The form for values of more than one line, which is good for all: name, LF, the length as 64 bits
 * with the lowest byte first, value, LF. */
void journal_entry_add(struct journal_entry *entry, const char *name, const char *value)
{
    const size_t name_len = strlen(name), len = strlen(value);
    const uint64_t on_wire = htole64(len);
    if (name_len + len + sizeof(on_wire) + 2 > sizeof(entry->bytes) - entry->len)
        return;
    put(entry, name, name_len);
    put(entry, "\n", 1);
    put(entry, &on_wire, sizeof(on_wire));
    put(entry, value, len);
    put(entry, "\n", 1);
}

int journal_entry_socket(void)
{
    return socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

size_t journal_entries_send(const struct iovec entries[], size_t n, int fd, const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct mmsghdr messages[JOURNAL_ENTRIES_MAX];
    if (fd < 0 || n > JOURNAL_ENTRIES_MAX || strlen(path) >= sizeof(address.sun_path))
        return 0;
    memcpy(address.sun_path, path, strlen(path));
    for (size_t i = 0; i < n; i++)
        messages[i] = (struct mmsghdr){.msg_hdr = {.msg_name = &address,
                                                   .msg_namelen = sizeof(address),
                                                   .msg_iov = (struct iovec *)&entries[i],
                                                   .msg_iovlen = 1}};
    const int sent = sendmmsg(fd, messages, (unsigned)n, MSG_NOSIGNAL);
    return sent > 0 ? (size_t)sent : 0;
}
