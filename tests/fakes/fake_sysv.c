/* SPDX-License-Identifier: MIT */
#include "tests/fakes/fake_sysv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum {
    MIN_CYCLE = 64, /* the kernel's RADIX_TREE_MAP_SIZE */
    ATTACHMENTS = 65536,
};

struct fake_segment {
    bool used;
    bool is_orphaned; /* its creator has exited */
    struct sysv_stat stat;
    struct fake_huge_pages *huge; /* what its pages are; NULL: ordinary ones */
    uint64_t reserved;
    uint64_t pages;
};

struct fake_attachment {
    int32_t pid; /* 0: free */
    int32_t shmid;
};

static const struct sysv_ops fake_sysv_ops;

static size_t slots(const struct fake_sysv *k)
{
    return (size_t)1 << k->index_bits;
}

static size_t slot_of(const struct fake_sysv *k, int32_t shmid)
{
    return (size_t)shmid & (slots(k) - 1);
}

/* The kernel counts from 0 to one below. */
static int32_t sequences(const struct fake_sysv *k)
{
    return INT32_MAX >> k->index_bits;
}

static size_t min_cycle(const struct fake_sysv *k)
{
    return k->index_bits == FAKE_INDEX_BITS ? MIN_CYCLE : MIN_CYCLE * MIN_CYCLE;
}

/* Of the large arrays most is never used: memory that is not touched costs nothing. It is none of
 * malloc()'s, which tests let fail. */
static void *zeroes(size_t n, size_t size)
{
    void *memory = mmap(NULL, n * size, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
        abort();
    return memory;
}

static struct fake_sysv *new_kernel(unsigned index_bits)
{
    struct fake_sysv *k = calloc(1, sizeof(*k));
    if (!k)
        abort();
    *k = (struct fake_sysv){
        .sysv = {&fake_sysv_ops, k},
        .self = {990, 990, 100},
        .shmmax = UINT64_MAX - (1 << 24),
        .shmall = UINT64_MAX - (1 << 24),
        .shmmni = 4096,
        .page_size = 4096,
        .next_id = -1,
        .memory_max = UINT64_C(16) << 30,
        .memlock_max = UINT64_MAX,
        .now = 1700000000,
        .index_bits = index_bits,
        .segments = zeroes((size_t)1 << index_bits, sizeof(struct fake_segment)),
        .attachments = zeroes(ATTACHMENTS, sizeof(struct fake_attachment)),
        .last_index = -1,
    };
    return k;
}

struct fake_sysv *fake_sysv_new(void)
{
    return new_kernel(FAKE_INDEX_BITS);
}

struct fake_sysv *fake_sysv_new_extended(void)
{
    return new_kernel(FAKE_INDEX_BITS_EXTENDED);
}

void fake_sysv_free(struct fake_sysv *k)
{
    if (!k)
        return;
    munmap(k->segments, slots(k) * sizeof(struct fake_segment));
    munmap(k->attachments, ATTACHMENTS * sizeof(struct fake_attachment));
    free(k);
}

void fake_sysv_fail(struct fake_sysv *k, enum fake_op op, unsigned long n, int error)
{
    unsigned long at = k->calls[op] + (n ? n : 1);
    k->faults[op] = error ? (struct fake_op_fault){at, n == 0, error} : (struct fake_op_fault){0};
}

/* What every operation begins with: 0, or the fault that the test wants. */
static int enter(struct fake_sysv *k, enum fake_op op, int32_t shmid)
{
    unsigned long call = ++k->calls[op];
    if (k->before && !k->in_hook) {
        k->in_hook = true;
        k->before(k, op, shmid);
        k->in_hook = false;
    }
    const struct fake_op_fault *fault = &k->faults[op];
    if (fault->at > 0 && (call == fault->at || (fault->ever && call > fault->at))) {
        k->n_faults++;
        k->op_faults[op]++;
        return -fault->error;
    }
    return 0;
}

static struct fake_segment *lookup(struct fake_sysv *k, int32_t shmid)
{
    if (shmid < 0)
        return NULL;
    struct fake_segment *s = &k->segments[slot_of(k, shmid)];
    return s->used && s->stat.shmid == shmid ? s : NULL;
}

struct sysv_stat *fake_sysv_segment(struct fake_sysv *k, int32_t shmid)
{
    struct fake_segment *s = lookup(k, shmid);
    return s ? &s->stat : NULL;
}

const struct sysv_stat *fake_sysv_at(const struct fake_sysv *k, size_t index)
{
    return index < k->end && k->segments[index].used ? &k->segments[index].stat : NULL;
}

size_t fake_sysv_count(const struct fake_sysv *k)
{
    return k->in_use;
}

static uint64_t pages_of(const struct fake_sysv *k, uint64_t size)
{
    return size / k->page_size + (size % k->page_size != 0);
}

static uint64_t memory_used(const struct fake_sysv *k)
{
    return k->memory_used + k->pages * k->page_size;
}

static struct fake_segment *by_key(struct fake_sysv *k, uint32_t key)
{
    for (size_t i = 0; i < k->end; i++)
        if (k->segments[i].used && k->segments[i].stat.key == key)
            return &k->segments[i];
    return NULL;
}

/* The first free index from FROM up to END, or -1. */
static int32_t free_index(const struct fake_sysv *k, size_t from, size_t end)
{
    for (size_t i = from; i < end && i < slots(k); i++)
        if (!k->segments[i].used)
            return (int32_t)i;
    return -1;
}

/* ipc_idr_alloc(): cyclic over half as many indexes again as are in use, but at least 64; the
 * sequence rises whenever the index does not. */
static int32_t allocate_id(struct fake_sysv *k)
{
    int32_t index, sequence;
    if (k->next_id >= 0) {
        index = free_index(k, slot_of(k, k->next_id), slots(k));
        sequence = k->next_id >> k->index_bits;
        k->next_id = -1;
        return index < 0 ? -1 : (sequence << k->index_bits) + index;
    }
    size_t end = k->in_use * 3 / 2;
    if (end < min_cycle(k))
        end = min_cycle(k);
    index = free_index(k, k->cursor, end);
    if (index < 0)
        index = free_index(k, 0, end);
    if (index < 0)
        return -1;
    k->cursor = (size_t)index + 1;
    if (index <= k->last_index)
        k->sequence = (k->sequence + 1) % sequences(k);
    k->last_index = index;
    return (k->sequence << k->index_bits) + index;
}

static bool has_ipc_lock(const struct fake_sysv *k, const struct fake_process *who)
{
    return who->uid == 0 || k->cap_ipc_lock;
}

/* hugetlb_file_setup(): 0, -EINVAL for a size that there is not, -EPERM, -ENOMEM. */
static int reserve_huge(struct fake_sysv *k, const struct fake_process *who,
                        const struct sysv_create *args, struct fake_segment *ret)
{
    struct fake_huge_pages *huge = NULL;
    for (size_t i = 0; i < FAKE_HUGE_SIZES; i++)
        if (k->huge_pages[i].size == args->huge_page_size)
            huge = &k->huge_pages[i];
    if (!huge)
        return -EINVAL;
    if (!has_ipc_lock(k, who))
        return -EPERM;
    ret->huge = huge;
    if (args->noreserve)
        return 0;
    uint64_t need = args->size / huge->size + (args->size % huge->size != 0);
    if (need > huge->free - huge->reserved)
        return -ENOMEM;
    huge->reserved += need;
    ret->reserved = need;
    return 0;
}

static int reserve_memory(const struct fake_sysv *k, const struct sysv_create *args)
{
    if (!k->memory_is_counted)
        return args->size > k->memory_max && !args->noreserve ? -ENOMEM : 0;
    uint64_t used = memory_used(k);
    return used > k->memory_max || args->size > k->memory_max - used ? -ENOMEM : 0;
}

/* ipcget() and newseg(), in their order. */
static int create(struct fake_sysv *k, const struct fake_process *who,
                  const struct sysv_create *args, uint32_t mode, int32_t *ret_shmid)
{
    if (args->key != 0 && by_key(k, args->key))
        return -EEXIST;
    if (args->size < 1 || args->size > k->shmmax)
        return -EINVAL;
    if (k->pages > k->shmall || pages_of(k, args->size) > k->shmall - k->pages)
        return -ENOSPC;
    struct fake_segment segment = {.used = true, .pages = pages_of(k, args->size)};
    int r = args->huge_page_size ? reserve_huge(k, who, args, &segment) : reserve_memory(k, args);
    if (r < 0)
        return r;
    int32_t shmid = k->in_use < k->shmmni ? allocate_id(k) : -1;
    if (shmid < 0) {
        if (segment.huge)
            segment.huge->reserved -= segment.reserved;
        return -ENOSPC;
    }
    segment.stat = (struct sysv_stat){
        .shmid = shmid,
        .key = args->key,
        .size = args->size,
        .uid = who->uid,
        .gid = who->gid,
        .cuid = who->uid,
        .cgid = who->gid,
        .mode = mode & 0777,
        .cpid = who->pid,
        .ctime = k->now,
    };
    size_t index = slot_of(k, shmid);
    k->segments[index] = segment;
    k->end = index >= k->end ? index + 1 : k->end;
    k->pages += segment.pages;
    k->in_use++;
    *ret_shmid = shmid;
    return 0;
}

static void destroy(struct fake_sysv *k, struct fake_segment *s)
{
    if (s->huge)
        s->huge->reserved -= s->reserved;
    k->pages -= s->pages;
    *s = (struct fake_segment){0};
    k->in_use--;
}

/* do_shm_rmid() */
static void mark_for_destruction(struct fake_sysv *k, struct fake_segment *s)
{
    s->stat.destroyed = true;
    s->stat.key = 0;
    if (s->stat.nattch == 0)
        destroy(k, s);
}

static struct fake_attachment *attach(struct fake_sysv *k, struct fake_segment *s, int32_t pid)
{
    for (size_t i = 0; i < ATTACHMENTS; i++) {
        struct fake_attachment *a = &k->attachments[i];
        if (a->pid != 0)
            continue;
        *a = (struct fake_attachment){pid, s->stat.shmid};
        k->attachments_end = i >= k->attachments_end ? i + 1 : k->attachments_end;
        s->stat.nattch++;
        s->stat.lpid = pid;
        s->stat.atime = k->now;
        return a;
    }
    abort(); /* the test wants more than this kernel has */
}

static void detach(struct fake_sysv *k, struct fake_attachment *a)
{
    struct fake_segment *s = lookup(k, a->shmid);
    s->stat.nattch--;
    s->stat.lpid = a->pid;
    s->stat.dtime = k->now;
    *a = (struct fake_attachment){0};
    if (s->stat.nattch == 0 && (s->stat.destroyed || k->shm_rmid_forced))
        destroy(k, s);
}

/* ipcperms() for reading. */
static bool may_read(const struct fake_process *who, const struct sysv_stat *s)
{
    uint32_t bits = s->mode;
    if (who->uid == s->uid || who->uid == s->cuid)
        bits >>= 6;
    else if (who->gid == s->gid || who->gid == s->cgid)
        bits >>= 3;
    return (bits & 4) || who->uid == 0;
}

static bool may_control(const struct fake_process *who, const struct sysv_stat *s)
{
    return who->uid == 0 || who->uid == s->uid || who->uid == s->cuid;
}

static int fake_create(void *context, const struct sysv_create *args, int32_t *ret_shmid)
{
    struct fake_sysv *k = context;
    int r = enter(k, FAKE_CREATE, -1);
    return r < 0 ? r : create(k, &k->self, args, 0600, ret_shmid);
}

static int fake_find(void *context, uint32_t key, int32_t *ret_shmid)
{
    struct fake_sysv *k = context;
    int r = enter(k, FAKE_FIND, -1);
    if (r < 0)
        return r;
    if (key == 0)
        return -EINVAL; /* shmget() would make a private segment, of size 0 */
    const struct fake_segment *s = by_key(k, key);
    if (!s)
        return -ENOENT;
    *ret_shmid = s->stat.shmid;
    return 0;
}

static int fake_stat(void *context, int32_t shmid, struct sysv_stat *ret)
{
    struct fake_sysv *k = context;
    int r = enter(k, FAKE_STAT, shmid);
    if (r < 0)
        return r;
    const struct fake_segment *s = lookup(k, shmid);
    if (!s)
        return -ENOENT;
    *ret = s->stat;
    return 0;
}

static int fake_stat_index(void *context, int32_t index, struct sysv_stat *ret)
{
    struct fake_sysv *k = context;
    int r = enter(k, FAKE_STAT_INDEX, index);
    if (r < 0)
        return r;
    const struct fake_segment *s = index >= 0 ? &k->segments[slot_of(k, index)] : NULL;
    if (!s || !s->used)
        return -ENOENT;
    *ret = s->stat;
    return 0;
}

static int fake_set(void *context, int32_t shmid, uint32_t uid, uint32_t gid, uint32_t mode)
{
    struct fake_sysv *k = context;
    int r = enter(k, FAKE_SET, shmid);
    if (r < 0)
        return r;
    struct fake_segment *s = lookup(k, shmid);
    if (!s || uid == UINT32_MAX || gid == UINT32_MAX)
        return -ENOENT;
    if (!may_control(&k->self, &s->stat))
        return -EPERM;
    s->stat.uid = uid;
    s->stat.gid = gid;
    s->stat.mode = mode & 0777;
    s->stat.ctime = k->now;
    return 0;
}

static int fake_remove(void *context, int32_t shmid)
{
    struct fake_sysv *k = context;
    int r = enter(k, FAKE_REMOVE, shmid);
    if (r < 0)
        return r;
    struct fake_segment *s = lookup(k, shmid);
    if (!s)
        return -ENOENT;
    if (!may_control(&k->self, &s->stat))
        return -EPERM;
    mark_for_destruction(k, s);
    return 0;
}

static uint64_t locked_bytes(const struct fake_sysv *k)
{
    uint64_t pages = 0;
    for (size_t i = 0; i < k->end; i++)
        if (k->segments[i].used && k->segments[i].stat.locked)
            pages += k->segments[i].pages;
    return pages * k->page_size;
}

static int fake_lock(void *context, int32_t shmid, bool locked)
{
    struct fake_sysv *k = context;
    int r = enter(k, FAKE_LOCK, shmid);
    if (r < 0)
        return r;
    struct fake_segment *s = lookup(k, shmid);
    if (!s)
        return -ENOENT;
    if (!has_ipc_lock(k, &k->self)) {
        if (!may_control(&k->self, &s->stat) || (locked && k->memlock_max == 0))
            return -EPERM;
        if (locked && !s->stat.locked && locked_bytes(k) + s->pages * k->page_size > k->memlock_max)
            return -ENOMEM;
    }
    if (!s->huge)
        s->stat.locked = locked; /* huge pages are never swapped: success, and nothing is done */
    return 0;
}

static int fake_attach(void *context, int32_t shmid, void **ret_address)
{
    struct fake_sysv *k = context;
    int r = enter(k, FAKE_ATTACH, shmid);
    if (r < 0)
        return r;
    struct fake_segment *s = lookup(k, shmid);
    if (!s)
        return -ENOENT;
    if (!may_read(&k->self, &s->stat))
        return -EACCES;
    *ret_address = attach(k, s, k->self.pid);
    return 0;
}

static int fake_detach(void *context, void *address)
{
    struct fake_sysv *k = context;
    struct fake_attachment *a = address;
    bool ours = a >= k->attachments && a < k->attachments + ATTACHMENTS && a->pid == k->self.pid;
    int r = enter(k, FAKE_DETACH, ours ? a->shmid : -1);
    if (r < 0)
        return r;
    if (!ours)
        return -EINVAL;
    detach(k, a);
    return 0;
}

static int fake_limits(void *context, struct sysv_limits *ret)
{
    struct fake_sysv *k = context;
    int r = enter(k, FAKE_LIMITS, -1);
    if (r < 0)
        return r;
    int32_t max_index = -1;
    for (size_t i = 0; i < k->end; i++)
        if (k->segments[i].used)
            max_index = (int32_t)i;
    *ret = (struct sysv_limits){
        .shmmax = k->shmmax,
        .shmall = k->shmall,
        .shmmni = k->shmmni,
        .segments = k->in_use,
        .pages = k->pages,
        .max_index = max_index,
        .page_size = k->page_size,
        .shm_rmid_forced = k->shm_rmid_forced,
    };
    return 0;
}

static int fake_huge_pages(void *context, uint64_t page_size, uint64_t *ret_total,
                           uint64_t *ret_free)
{
    struct fake_sysv *k = context;
    int r = enter(k, FAKE_HUGE_PAGES, -1);
    if (r < 0)
        return r;
    for (size_t i = 0; i < FAKE_HUGE_SIZES; i++) {
        if (page_size != 0 && k->huge_pages[i].size == page_size) {
            *ret_total = k->huge_pages[i].total;
            *ret_free = k->huge_pages[i].free - k->huge_pages[i].reserved;
            return 0;
        }
    }
    return -ENOENT;
}

static int fake_memory(void *context, uint64_t *ret_used, uint64_t *ret_max)
{
    struct fake_sysv *k = context;
    int r = enter(k, FAKE_MEMORY, -1);
    if (r < 0)
        return r;
    *ret_used = k->memory_is_counted ? memory_used(k) : UINT64_MAX;
    *ret_max = k->memory_max;
    return 0;
}

static int fake_resident(void *context, struct sysv_resident *ret, size_t max, size_t *ret_n)
{
    struct fake_sysv *k = context;
    int r = enter(k, FAKE_RESIDENT, -1);
    if (r < 0)
        return r;
    *ret_n = k->n_resident < max ? k->n_resident : max;
    for (size_t i = 0; i < *ret_n; i++)
        ret[i] = k->resident[i];
    return 0;
}

static int fake_memlock(void *context, uint64_t *ret_max)
{
    struct fake_sysv *k = context;
    int r = enter(k, FAKE_MEMLOCK, -1);
    if (r < 0)
        return r;
    *ret_max = k->memlock_max;
    return 0;
}

static const struct sysv_ops fake_sysv_ops = {
    .create = fake_create,
    .find = fake_find,
    .stat = fake_stat,
    .stat_index = fake_stat_index,
    .set = fake_set,
    .remove = fake_remove,
    .lock = fake_lock,
    .attach = fake_attach,
    .detach = fake_detach,
    .limits = fake_limits,
    .huge_pages = fake_huge_pages,
    .memory = fake_memory,
    .memlock = fake_memlock,
    .resident = fake_resident,
};

int fake_sysv_create_as(struct fake_sysv *k, const struct fake_process *who,
                        const struct sysv_create *args, uint32_t mode, int32_t *ret_shmid)
{
    return create(k, who, args, mode, ret_shmid);
}

int fake_sysv_remove_as(struct fake_sysv *k, int32_t shmid)
{
    struct fake_segment *s = lookup(k, shmid);
    if (!s)
        return -ENOENT;
    mark_for_destruction(k, s);
    return 0;
}

int fake_sysv_attach_as(struct fake_sysv *k, int32_t shmid, int32_t pid)
{
    struct fake_segment *s = lookup(k, shmid);
    if (!s)
        return -ENOENT;
    (void)attach(k, s, pid);
    return 0;
}

int fake_sysv_detach_as(struct fake_sysv *k, int32_t shmid, int32_t pid)
{
    for (size_t i = 0; i < k->attachments_end; i++) {
        if (k->attachments[i].pid == pid && k->attachments[i].shmid == shmid) {
            detach(k, &k->attachments[i]);
            return 0;
        }
    }
    return -ENOENT;
}

int32_t fake_sysv_at_address(const void *address)
{
    return ((const struct fake_attachment *)address)->shmid;
}

void fake_sysv_fork(struct fake_sysv *k, int32_t pid, int32_t child)
{
    const size_t end = k->attachments_end;
    for (size_t i = 0; i < end; i++) {
        if (k->attachments[i].pid != pid)
            continue;
        struct fake_segment *s = lookup(k, k->attachments[i].shmid);
        (void)attach(k, s, child);
        s->stat.lpid = pid; /* the kernel does it while the parent runs */
    }
}

void fake_sysv_exec(struct fake_sysv *k, int32_t pid)
{
    for (size_t i = 0; i < k->attachments_end; i++)
        if (k->attachments[i].pid == pid)
            detach(k, &k->attachments[i]);
}

void fake_sysv_exit(struct fake_sysv *k, int32_t pid)
{
    fake_sysv_exec(k, pid);
    for (size_t i = 0; i < k->end; i++) {
        struct fake_segment *s = &k->segments[i];
        if (!s->used || s->stat.cpid != pid || s->is_orphaned)
            continue;
        s->is_orphaned = true;
        if (k->shm_rmid_forced && s->stat.nattch == 0)
            destroy(k, s);
    }
}

uint64_t fake_sysv_attachments(const struct fake_sysv *k, int32_t shmid, int32_t but_pid)
{
    uint64_t n = 0;
    for (size_t i = 0; i < k->attachments_end; i++)
        n += k->attachments[i].pid != 0 && k->attachments[i].shmid == shmid &&
             k->attachments[i].pid != but_pid;
    return n;
}

void fake_sysv_force_rmid(struct fake_sysv *k, bool forced)
{
    k->shm_rmid_forced = forced;
    for (size_t i = 0; i < k->end && forced; i++)
        if (k->segments[i].used && k->segments[i].is_orphaned && k->segments[i].stat.nattch == 0)
            destroy(k, &k->segments[i]);
}

void fake_sysv_take_settings(struct fake_sysv *k, const struct fake_sysv *old)
{
    k->self = old->self;
    k->cap_ipc_lock = old->cap_ipc_lock;
    k->shmmax = old->shmmax;
    k->shmall = old->shmall;
    k->shmmni = old->shmmni;
    k->shm_rmid_forced = old->shm_rmid_forced;
    memcpy(k->huge_pages, old->huge_pages, sizeof(k->huge_pages));
    for (size_t i = 0; i < FAKE_HUGE_SIZES; i++)
        k->huge_pages[i].reserved = 0;
    k->memory_max = old->memory_max;
    k->memory_is_counted = old->memory_is_counted;
    k->memlock_max = old->memlock_max;
    k->now = old->now;
}

int fake_sysv_recycle(struct fake_sysv *k, int32_t shmid, const struct fake_process *who,
                      uint64_t size)
{
    struct fake_segment *s = lookup(k, shmid);
    if (!s)
        return -ENOENT;
    if (s->stat.nattch > 0)
        return -EBUSY;
    mark_for_destruction(k, s);
    const struct sysv_create args = {.size = size};
    int32_t again = -1, old_next = k->next_id;
    k->next_id = shmid;
    int r = create(k, who, &args, 0600, &again);
    k->next_id = old_next;
    return r;
}
