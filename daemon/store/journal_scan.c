/* SPDX-License-Identifier: MIT */
#include "daemon/store/journal_scan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/store/journal_file.h"

enum { READ_AHEAD = 262144 };

void journal_scan_init(struct journal_scan *scan, const struct host *host, int fd, uint64_t size,
                       uint64_t at)
{
    *scan = (struct journal_scan){.host = host, .fd = fd, .size = size, .bytes_at = at};
}

void journal_scan_deinit(struct journal_scan *scan)
{
    free(scan->bytes);
    scan->bytes = NULL;
}

uint64_t journal_scan_at(const struct journal_scan *scan)
{
    return scan->bytes_at + scan->next;
}

/* Moves what is kept to the front and makes room for READ_AHEAD more: 0 or -ENOMEM. */
static int make_room(struct journal_scan *scan)
{
    if (scan->bytes && scan->kept > 0) {
        memmove(scan->bytes, scan->bytes + scan->kept, scan->len - scan->kept);
        scan->bytes_at += scan->kept;
        scan->len -= scan->kept;
        scan->next -= scan->kept;
        scan->kept = 0;
    }
    if (scan->capacity - scan->len >= READ_AHEAD)
        return 0;
    size_t capacity = scan->capacity ? scan->capacity * 2 : (size_t)2 * READ_AHEAD;
    uint8_t *bytes = realloc(scan->bytes, capacity);
    if (!bytes)
        return -ENOMEM;
    scan->bytes = bytes;
    scan->capacity = capacity;
    return 0;
}

/* Reads on: 1 when there was more, 0 at the end of the file, or a negative errno. */
static int read_on(struct journal_scan *scan)
{
    uint64_t at = scan->bytes_at + scan->len;
    if (at >= scan->size)
        return 0;
    int r = make_room(scan);
    if (r < 0)
        return r;
    size_t n = scan->size - at < READ_AHEAD ? (size_t)(scan->size - at) : READ_AHEAD;
    ssize_t got = journal_file_read(scan->host, scan->fd, scan->bytes + scan->len, n, at);
    if (got < 0)
        return (int)got;
    scan->len += (size_t)got;
    if ((size_t)got < n)
        scan->size = at + (size_t)got;
    return got > 0;
}

int journal_scan_find(struct journal_scan *scan, const uint64_t seed[static 2], uint64_t previous,
                      enum record_found *ret_found, struct record_frame *ret)
{
    for (;;) {
        const uint8_t *bytes = scan->bytes ? scan->bytes + scan->next : (const uint8_t *)"";
        enum record_found found = record_find(bytes, scan->len - scan->next, seed, previous, ret);
        int more = found == RECORD_CUT_OFF ? read_on(scan) : 0;
        if (more < 0)
            return more;
        if (more == 0) {
            *ret_found = found;
            return 0;
        }
    }
}

void journal_scan_step(struct journal_scan *scan, const struct record_frame *frame)
{
    scan->next += frame->size;
}

void journal_scan_forget(struct journal_scan *scan)
{
    scan->kept = scan->next;
}
