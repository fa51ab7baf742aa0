/* SPDX-License-Identifier: MIT */
#include "daemon/store/journal_file.h"

#include <errno.h>

#include "daemon/store/encoding.h"

enum {
    TRIES = 16,        /* of a call that a signal keeps interrupting */
    ROOM_STEP = 65536, /* room is got in steps, so that most changes need not ask for it */
    ROOM_LEAST = 4096, /* the step when the disk is nearly full */
};

/* --- calls that are whole or fail */

/* Less than the whole is what a full disk gives. */
static int write_whole(const struct host *host, int fd, const void *bytes, size_t n, uint64_t at)
{
    ssize_t put = -EINTR;
    for (int i = 0; i < TRIES && put == -EINTR; i++)
        put = host->ops->write(host->context, fd, bytes, n, at);
    if (put < 0)
        return (int)put;
    return (size_t)put == n ? 0 : -ENOSPC;
}

ssize_t journal_file_read(const struct host *host, int fd, void *to, size_t n, uint64_t at)
{
    size_t got = 0;
    for (int interrupted = 0; got < n;) {
        ssize_t more = host->ops->read(host->context, fd, (char *)to + got, n - got, at + got);
        if (more == -EINTR && ++interrupted < TRIES)
            continue;
        if (more < 0)
            return more;
        if (more == 0)
            break;
        got += (size_t)more;
    }
    return (ssize_t)got;
}

static int allocate(const struct host *host, struct journal_file *file, uint64_t upto)
{
    int r = -EINTR;
    for (int i = 0; i < TRIES && r == -EINTR; i++)
        r = host->ops->allocate(host->context, file->fd, file->room, upto - file->room);
    if (r == 0)
        file->room = upto;
    return r;
}

/* --- the file */

int journal_file_make(const struct host *host, const char *name, const struct header *like,
                      struct journal_file *ret)
{
    struct file_info info = {0};
    struct journal_file file = {.fd = -1, .header = *like, .end = HEADER_SIZE};
    file.header.committed = HEADER_SIZE;
    int r = host->ops->open(host->context, name, true, &file.fd);
    if (r == 0)
        r = host->ops->lock(host->context, file.fd);
    if (r == 0)
        r = host->ops->make_private(host->context, file.fd);
    if (r == 0)
        r = host->ops->truncate(host->context, file.fd, 0);
    if (r == 0)
        r = host->ops->stat(host->context, file.fd, &info);
    if (r == 0)
        r = host->ops->random(host->context, file.header.seed, sizeof(file.header.seed));
    if (r < 0) {
        journal_file_close(host, &file);
        return r;
    }
    file.device = info.device;
    file.inode = info.inode;
    *ret = file;
    return 0;
}

void journal_file_close(const struct host *host, struct journal_file *file)
{
    if (file->fd >= 0)
        host->ops->close(host->context, file->fd);
    *file = (struct journal_file){.fd = -1};
}

static int put_header(const struct host *host, struct journal_file *file,
                      const struct header *header)
{
    uint8_t bytes[HEADER_SIZE];
    header_encode(header, bytes);
    int r = write_whole(host, file->fd, bytes, sizeof(bytes), 0);
    if (r < 0)
        file->header_is_unsure = true;
    return r;
}

/* Cuts off what lies behind the end. The room that was got behind it goes with it. */
static int cut_tail(const struct host *host, struct journal_file *file)
{
    struct file_info info;
    int r = host->ops->stat(host->context, file->fd, &info);
    if (r < 0 || info.size <= file->end)
        return r;
    r = host->ops->truncate(host->context, file->fd, file->end);
    if (r == 0)
        file->room = file->end;
    return r;
}

int journal_file_mend(const struct host *host, struct journal_file *file)
{
    /* The header first: one that says more than there is would be damage. */
    if (file->header_is_unsure) {
        int r = put_header(host, file, &file->header);
        if (r < 0)
            return r;
        file->header_is_unsure = false;
    }
    if (file->tail_is_unsure) {
        int r = cut_tail(host, file);
        if (r < 0)
            return r;
        file->tail_is_unsure = false;
    }
    return 0;
}

/* The failure is what is reported; whether it could be mended shows with the next change. */
static int mend_after(const struct host *host, struct journal_file *file, int failure)
{
    int ignored = journal_file_mend(host, file);
    (void)ignored;
    return failure;
}

int journal_file_make_room(const struct host *host, struct journal_file *file, uint64_t n)
{
    uint64_t needed = file->end + n;
    if (file->lacks_allocation || needed <= file->room)
        return 0;
    int r = allocate(host, file, needed / ROOM_STEP * ROOM_STEP + ROOM_STEP);
    if (r == -EOPNOTSUPP || r == -ENOSYS) {
        file->lacks_allocation = true;
        return 0;
    }
    if (r < 0)
        r = allocate(host, file, needed / ROOM_LEAST * ROOM_LEAST + ROOM_LEAST);
    return r;
}

int journal_file_append(const struct host *host, struct journal_file *file, uint8_t *bytes,
                        size_t n)
{
    uint64_t sum = file->sum;
    records_seal(bytes, n, file->header.seed, &sum);
    int r = write_whole(host, file->fd, bytes, n, file->end);
    if (r < 0) {
        file->tail_is_unsure = true;
        return mend_after(host, file, r);
    }
    file->end += n;
    file->sum = sum;
    return 0;
}

int journal_file_commit(const struct host *host, struct journal_file *file,
                        const struct store_intent *intent)
{
    struct header header = file->header;
    header.committed = file->end;
    header.has_intent = intent != NULL;
    header.intent = intent ? *intent : (struct store_intent){0};
    int r = put_header(host, file, &header);
    if (r == 0) {
        file->header = header;
        file->header_is_unsure = false;
        file->committed_sum = file->sum;
        return 0;
    }
    file->tail_is_unsure |= file->end != file->header.committed;
    file->end = file->header.committed;
    file->sum = file->committed_sum;
    return mend_after(host, file, r);
}

int journal_file_abandon(const struct host *host, struct journal_file *file)
{
    file->header.has_intent = false;
    file->header.intent = (struct store_intent){0};
    file->header_is_unsure = true;
    return journal_file_mend(host, file);
}
