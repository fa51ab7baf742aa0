/* SPDX-License-Identifier: MIT */
#include "tests/fakes/fake_host.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void *must(void *pointer)
{
    if (!pointer)
        abort();
    return pointer;
}

void fake_host_init(struct fake_host *h)
{
    *h = (struct fake_host){.next_inode = 1,
                            .directory_mode = 0755,
                            .disk_free = UINT64_C(1) << 40,
                            .now_ms = 1700000000000,
                            .step_us = 1};
}

void fake_host_deinit(struct fake_host *h)
{
    for (size_t i = 0; i < FAKE_FILES_MAX; i++)
        free(h->files[i].data);
    *h = (struct fake_host){0};
}

void fake_host_copy(const struct fake_host *h, struct fake_host *into)
{
    *into = *h;
    memset(into->open, 0, sizeof(into->open));
    for (size_t i = 0; i < FAKE_FILES_MAX; i++) {
        struct fake_file *f = &into->files[i];
        f->n_open = 0;
        f->is_locked = false;
        if (!f->name[0]) {
            *f = (struct fake_file){0};
            continue;
        }
        if (f->capacity > 0)
            f->data = memcpy(must(malloc(f->capacity)), h->files[i].data, f->capacity);
    }
    into->n_calls = into->n_writes = 0;
    into->bytes_read = 0;
    into->kill_at = 0;
    into->is_killed = false;
    fake_host_mend(into);
}

void fake_host_fail(struct fake_host *h, unsigned count, enum fake_fault fault, int errnum)
{
    h->fail_from = h->n_calls + 1;
    h->fail_to = count > UINT32_MAX - h->n_calls ? UINT32_MAX : h->n_calls + count;
    h->fault = fault;
    h->later_fault = FAKE_NO_FAULT;
    h->fail_errno = errnum;
    h->n_faults = 0;
}

void fake_host_mend(struct fake_host *h)
{
    h->fail_from = h->fail_to = 0;
    h->fault = h->later_fault = FAKE_NO_FAULT;
    h->n_faults = 0;
}

struct fake_file *fake_host_find(struct fake_host *h, const char *name)
{
    for (size_t i = 0; i < FAKE_FILES_MAX; i++)
        if (h->files[i].inode && strcmp(h->files[i].name, name) == 0)
            return &h->files[i];
    return NULL;
}

unsigned fake_host_count(const struct fake_host *h, const char *part)
{
    unsigned n = 0;
    for (size_t i = 0; i < FAKE_FILES_MAX; i++)
        n += h->files[i].inode && h->files[i].name[0] && strstr(h->files[i].name, part);
    return n;
}

static void free_if_unused(struct fake_host *h, struct fake_file *f)
{
    if (f->name[0] || f->n_open > 0)
        return;
    h->disk_free += f->room;
    free(f->data);
    *f = (struct fake_file){0};
}

void fake_host_delete(struct fake_host *h, const char *name)
{
    struct fake_file *f = fake_host_find(h, name);
    if (!f)
        return;
    f->name[0] = '\0';
    free_if_unused(h, f);
}

static struct fake_file *make_file(struct fake_host *h, const char *name)
{
    for (size_t i = 0; i < FAKE_FILES_MAX; i++) {
        struct fake_file *f = &h->files[i];
        if (f->inode)
            continue;
        *f = (struct fake_file){.inode = h->next_inode++, .mode = 0600, .is_regular = true};
        strncpy(f->name, name, sizeof(f->name) - 1);
        return f;
    }
    abort();
}

static uint64_t pages(uint64_t bytes)
{
    return (bytes + FAKE_PAGE - 1) / FAKE_PAGE * FAKE_PAGE;
}

/* Gets room up to SIZE, as far as the disk has it: up to where there is room. */
static uint64_t get_room(struct fake_host *h, struct fake_file *f, uint64_t size)
{
    uint64_t wanted = pages(size);
    if (wanted > f->room) {
        uint64_t more = wanted - f->room;
        if (more > h->disk_free) {
            more = h->disk_free / FAKE_PAGE * FAKE_PAGE;
            h->n_all_faults++;
        }
        f->room += more;
        h->disk_free -= more;
    }
    return f->room;
}

static void resize(struct fake_file *f, size_t size)
{
    if (size > f->capacity) {
        f->data = must(realloc(f->data, size * 2));
        memset(f->data + f->capacity, 0, size * 2 - f->capacity);
        f->capacity = size * 2;
    }
    if (size < f->size)
        memset(f->data + size, 0, f->size - size);
    f->size = size;
}

struct fake_file *fake_host_put(struct fake_host *h, const char *name, const void *data, size_t n)
{
    fake_host_delete(h, name);
    struct fake_file *f = make_file(h, name);
    get_room(h, f, n);
    resize(f, n);
    if (n > 0)
        memcpy(f->data, data, n);
    return f;
}

/* --- the calls */

/* Counts a call: whether it is to be done, and if not what it returns. */
static enum fake_fault begin_call(struct fake_host *h)
{
    h->n_calls++;
    if (h->kill_at > 0 && h->n_calls >= h->kill_at)
        h->is_killed = true;
    if (h->fail_from == 0 || h->n_calls < h->fail_from || h->n_calls > h->fail_to)
        return FAKE_NO_FAULT;
    h->n_faults++;
    h->n_all_faults++;
    return h->n_calls > h->fail_from && h->later_fault ? h->later_fault : h->fault;
}

/* For calls that are done or not: true with *RET when the call is over. */
static bool is_over(struct fake_host *h, int *ret)
{
    enum fake_fault fault = begin_call(h);
    if (h->is_killed) {
        *ret = -EIO;
        return true;
    }
    if (fault == FAKE_NO_FAULT)
        return false;
    *ret = -h->fail_errno;
    return true;
}

static int enter(void *context, struct file_info *ret_directory)
{
    struct fake_host *h = context;
    int r;
    if (is_over(h, &r))
        return r;
    if (h->directory_is_moved)
        fake_host_delete(h, "state.journal");
    h->directory_is_gone = h->directory_is_moved = h->directory_is_left = false;
    *ret_directory = (struct file_info){.uid = h->directory_uid, .mode = h->directory_mode};
    return 0;
}

static void leave(void *context)
{
    struct fake_host *h = context;
    h->directory_is_left = true;
}

static int open_file(void *context, const char *name, bool create, int *ret_file)
{
    struct fake_host *h = context;
    int r;
    if (is_over(h, &r))
        return r;
    if (h->directory_is_left)
        return -EBADF;
    struct fake_file *f = h->directory_is_gone ? NULL : fake_host_find(h, name);
    if (!f && (!create || h->directory_is_gone))
        return -ENOENT;
    if (!f)
        f = make_file(h, name);
    for (int i = 0; i < FAKE_OPEN_MAX; i++) {
        if (h->open[i].file)
            continue;
        h->open[i].file = f;
        h->open[i].has_lock = false;
        f->n_open++;
        *ret_file = i;
        return 0;
    }
    abort();
}

static void close_file(void *context, int file)
{
    struct fake_host *h = context;
    struct fake_file *f = must(h->open[file].file);
    if (h->open[file].has_lock)
        f->is_locked = false;
    h->open[file].file = NULL;
    f->n_open--;
    if (!h->is_killed)
        free_if_unused(h, f);
}

static int lock_file(void *context, int file)
{
    struct fake_host *h = context;
    int r;
    if (is_over(h, &r))
        return r;
    if (h->open[file].file->is_locked)
        return -EWOULDBLOCK;
    h->open[file].has_lock = h->open[file].file->is_locked = true;
    return 0;
}

static int make_private(void *context, int file)
{
    struct fake_host *h = context;
    int r;
    if (is_over(h, &r))
        return r;
    h->open[file].file->mode = 0600;
    return 0;
}

static void take_info(const struct fake_host *h, const struct fake_file *f, struct file_info *ret)
{
    *ret = (struct file_info){.is_regular = f->is_regular,
                              .uid = h->directory_uid,
                              .mode = f->mode,
                              .device = 7,
                              .inode = f->inode,
                              .size = f->size};
}

static int stat_file(void *context, int file, struct file_info *ret)
{
    struct fake_host *h = context;
    int r;
    if (is_over(h, &r))
        return r;
    take_info(h, h->open[file].file, ret);
    return 0;
}

static int stat_name(void *context, const char *name, struct file_info *ret)
{
    struct fake_host *h = context;
    int r;
    if (is_over(h, &r))
        return r;
    const bool is_elsewhere = h->directory_is_gone || h->directory_is_moved;
    const struct fake_file *f = is_elsewhere ? NULL : fake_host_find(h, name);
    if (!f)
        return -ENOENT;
    take_info(h, f, ret);
    return 0;
}

static ssize_t read_file(void *context, int file, void *to, size_t n, uint64_t at)
{
    struct fake_host *h = context;
    const struct fake_file *f = h->open[file].file;
    int r;
    enum fake_fault fault = begin_call(h);
    if (h->is_killed)
        return -EIO;
    if (fault == FAKE_SHORT && n > 1)
        n /= 2;
    else if (fault != FAKE_NO_FAULT && (r = -h->fail_errno))
        return r;
    uint64_t left = at < f->size ? f->size - at : 0;
    size_t got = left < n ? (size_t)left : n;
    if (got > 0)
        memcpy(to, f->data + at, got);
    h->bytes_read += got;
    return (ssize_t)got;
}

/* What the disk has room for. */
static ssize_t put(struct fake_host *h, struct fake_file *f, const void *from, size_t n,
                   uint64_t at)
{
    uint64_t room = get_room(h, f, at + n);
    if (room <= at)
        return -ENOSPC;
    if (room - at < n)
        n = (size_t)(room - at);
    if (at + n > f->size)
        resize(f, (size_t)at + n);
    memcpy(f->data + at, from, n);
    return (ssize_t)n;
}

static ssize_t write_file(void *context, int file, const void *from, size_t n, uint64_t at)
{
    struct fake_host *h = context;
    struct fake_file *f = h->open[file].file;
    bool was_killed = h->is_killed;
    h->n_writes++;
    enum fake_fault fault = begin_call(h);
    if (h->is_killed) {
        size_t to_page = (size_t)(FAKE_PAGE - at % FAKE_PAGE);
        if (!was_killed && h->cuts && n > to_page)
            (void)put(h, f, from, to_page, at);
        return -EIO;
    }
    switch (fault) {
    case FAKE_NO_FAULT: return put(h, f, from, n, at);
    case FAKE_ERROR: return -h->fail_errno;
    case FAKE_SHORT: return put(h, f, from, n / 2, at);
    case FAKE_EMPTY: return (ssize_t)(n / 2);
    case FAKE_DONE_ERROR: (void)put(h, f, from, n, at); return -h->fail_errno;
    }
    return -EIO;
}

static int truncate_file(void *context, int file, uint64_t size)
{
    struct fake_host *h = context;
    struct fake_file *f = h->open[file].file;
    int r;
    if (is_over(h, &r))
        return r;
    resize(f, (size_t)size);
    if (f->room > pages(size)) {
        h->disk_free += f->room - pages(size);
        f->room = pages(size);
    }
    return 0;
}

static int allocate(void *context, int file, uint64_t from, uint64_t n)
{
    struct fake_host *h = context;
    struct fake_file *f = h->open[file].file;
    int r;
    if (is_over(h, &r))
        return r;
    if (h->lacks_allocation)
        return -EOPNOTSUPP;
    uint64_t before = f->room;
    if (get_room(h, f, from + n) >= from + n)
        return 0;
    h->disk_free += f->room - before;
    f->room = before;
    return -ENOSPC;
}

static int rename_file(void *context, const char *from, const char *to, bool replace)
{
    struct fake_host *h = context;
    int r;
    if (is_over(h, &r))
        return r;
    if (h->directory_is_left)
        return -EBADF;
    struct fake_file *f = h->directory_is_gone ? NULL : fake_host_find(h, from);
    if (!f)
        return -ENOENT;
    if (!replace && fake_host_find(h, to))
        return -EEXIST;
    fake_host_delete(h, to);
    memset(f->name, 0, sizeof(f->name));
    strncpy(f->name, to, sizeof(f->name) - 1);
    return 0;
}

static int remove_file(void *context, const char *name)
{
    struct fake_host *h = context;
    int r;
    if (is_over(h, &r))
        return r;
    if (h->directory_is_left)
        return -EBADF;
    if (h->directory_is_gone || !fake_host_find(h, name))
        return -ENOENT;
    fake_host_delete(h, name);
    return 0;
}

static int64_t monotonic_us(void *context)
{
    struct fake_host *h = context;
    return h->now_us += h->step_us;
}

static int64_t realtime_ms(void *context)
{
    const struct fake_host *h = context;
    return h->now_ms;
}

static int random_bytes(void *context, void *to, size_t n)
{
    struct fake_host *h = context;
    uint8_t *bytes = to;
    int r;
    if (is_over(h, &r))
        return r;
    for (size_t i = 0; i < n; i++)
        bytes[i] = (uint8_t)(h->next_inode * 31 + i * 7 + 1);
    return 0;
}

static const struct host_ops fake_host_ops = {
    .enter = enter,
    .leave = leave,
    .open = open_file,
    .close = close_file,
    .lock = lock_file,
    .make_private = make_private,
    .stat = stat_file,
    .stat_name = stat_name,
    .read = read_file,
    .write = write_file,
    .truncate = truncate_file,
    .allocate = allocate,
    .rename = rename_file,
    .remove = remove_file,
    .monotonic_us = monotonic_us,
    .realtime_ms = realtime_ms,
    .random = random_bytes,
};

struct host fake_host(struct fake_host *h)
{
    return (struct host){&fake_host_ops, h};
}
