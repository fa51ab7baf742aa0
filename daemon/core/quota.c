/* SPDX-License-Identifier: MIT */
#include "daemon/core/quota.h"

#include <assert.h>
#include <errno.h>
#include <search.h>
#include <string.h>

enum {
    ADMIN_CONNECTIONS = 64, /* the reserve */
    RESERVE_PART = 16,      /* the admins' reserve of everything else: one in so many */
    OWN_DESCRIPTORS = 32,   /* files, sockets and timers of the daemon itself */
    /* Fewer descriptors are not divided between connections and processes. */
    DESCRIPTORS_MIN = 4 * ADMIN_CONNECTIONS,
    MIB = 1 << 20,
};

/* The configuration keys; NULL: there is no such cap. */
static const struct {
    const char *per_uid, *total;
} keys[QUOTA_KINDS] = {
    [QUOTA_SEGMENTS] = {"max_segments_per_uid", "max_segments"},
    [QUOTA_BYTES] = {"max_bytes_per_uid", "max_bytes"},
    [QUOTA_LOCKED_BYTES] = {"max_locked_bytes_per_uid", "max_locked_bytes"},
    [QUOTA_ANCHORED_BYTES] = {"max_anchored_bytes_per_uid", "max_anchored_bytes"},
    [QUOTA_CONNECTIONS] = {"max_connections_per_uid", "max_connections"},
    [QUOTA_WAITERS] = {"max_waiters_per_uid", "max_waiters"},
    [QUOTA_PROCESSES] = {"max_processes_per_uid", "max_processes"},
    [QUOTA_SUBSCRIPTIONS] = {"max_subscriptions_per_uid", NULL},
    [QUOTA_BUFFER_BYTES] = {"max_buffer_bytes_per_uid", NULL},
};

struct account {
    struct quota *in;
    uint32_t uid;
    uint64_t used[QUOTA_KINDS];
};

/* --- accounts */

static int compare(const void *a, const void *b)
{
    uint32_t x = ((const struct account *)a)->uid, y = ((const struct account *)b)->uid;
    return (x > y) - (x < y);
}

static struct account *find(const struct quota *q, uint32_t uid)
{
    struct account key = {.uid = uid};
    void *node = tfind(&key, (void *const *)&q->accounts, compare);
    return node ? *(struct account **)node : NULL;
}

static struct account *open_account(struct quota *q, uint32_t uid)
{
    struct account *account = find(q, uid);
    if (account)
        return account;
    account = calloc(1, sizeof(*account));
    if (!account)
        return NULL;
    account->in = q;
    account->uid = uid;
    if (!tsearch(account, &q->accounts, compare)) {
        free(account);
        return NULL;
    }
    return account;
}

static void close_if_unused(struct quota *q, struct account *account)
{
    for (int i = 0; i < QUOTA_KINDS; i++)
        if (account->used[i] > 0)
            return;
    tdelete(account, &q->accounts, compare);
    free(account);
}

/* --- caps */

static uint64_t smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* A setting of 0 stands for DEFAULT_CAP. */
static uint64_t cap_or(uint64_t setting, uint64_t default_cap)
{
    return setting > 0 ? setting : default_cap;
}

/* What the machine does not tell is no cap. */
static uint64_t known(uint64_t of_machine)
{
    return of_machine > 0 ? of_machine : QUOTA_NO_CAP;
}

/* The admins' part of TOTAL, in whole UNITs. */
static uint64_t reserve(uint64_t total, uint64_t unit)
{
    return total == QUOTA_NO_CAP ? 0 : total / RESERVE_PART / unit * unit;
}

/* So few connections as a small total has are not divided: an eighth is for admins. */
static uint64_t connections_reserve(uint64_t total)
{
    return total >= UINT64_C(2) * ADMIN_CONNECTIONS ? ADMIN_CONNECTIONS : total / 8;
}

/* Connections and processes share the descriptors: half for each, and what one may not use is the
 * other's. */
static void share_descriptors(struct quota *q, const struct limits *l, uint64_t descriptors)
{
    uint64_t connections = l->max_connections, processes = cap_or(l->max_processes, QUOTA_NO_CAP);
    if (descriptors != QUOTA_NO_CAP) {
        uint64_t rest = descriptors > OWN_DESCRIPTORS ? descriptors - OWN_DESCRIPTORS : 0;
        if (rest >= DESCRIPTORS_MIN)
            connections = smaller(connections, rest - smaller(processes, rest / 2));
        processes = smaller(processes, rest - smaller(connections, rest / 2));
    }
    q->caps[QUOTA_CONNECTIONS] = (struct quota_cap){l->max_connections_per_uid, connections,
                                                    connections_reserve(connections)};
    q->caps[QUOTA_PROCESSES] =
        (struct quota_cap){l->max_processes_per_uid, processes, reserve(processes, 1)};
}

static uint64_t memory_and_swap(const struct machine *m)
{
    return m->memory > 0 ? m->memory + m->swap : QUOTA_NO_CAP;
}

/* What may be locked at most: without a limit of the system's, the memory. */
static uint64_t lockable(const struct machine *m)
{
    return m->max_locked_bytes == UINT64_MAX || m->max_locked_bytes == 0 ? known(m->memory)
                                                                         : m->max_locked_bytes;
}

void quota_configure(struct quota *q, const struct limits *l, const struct machine *m)
{
    const uint64_t segments = cap_or(l->max_segments, QUOTA_NO_CAP);
    const uint64_t bytes = cap_or(l->max_bytes, QUOTA_NO_CAP);
    const uint64_t locked = cap_or(l->max_locked_bytes, lockable(m));
    const uint64_t of_address_space =
        known(m->max_address_space) == QUOTA_NO_CAP ? QUOTA_NO_CAP : m->max_address_space / 2;
    const uint64_t anchored = smaller(l->max_anchored_bytes, of_address_space);
    share_descriptors(q, l, known(m->max_descriptors));
    q->caps[QUOTA_SEGMENTS] = (struct quota_cap){cap_or(l->max_segments_per_uid, QUOTA_NO_CAP),
                                                 segments, reserve(segments, 1)};
    q->caps[QUOTA_BYTES] = (struct quota_cap){cap_or(l->max_bytes_per_uid, memory_and_swap(m)),
                                              bytes, reserve(bytes, MIB)};
    q->caps[QUOTA_LOCKED_BYTES] = (struct quota_cap){
        cap_or(l->max_locked_bytes_per_uid, lockable(m) / 4), locked, reserve(locked, 1)};
    q->caps[QUOTA_ANCHORED_BYTES] = (struct quota_cap){
        smaller(l->max_anchored_bytes_per_uid, anchored), anchored, reserve(anchored, MIB)};
    q->caps[QUOTA_WAITERS] =
        (struct quota_cap){l->max_waiters_per_uid, l->max_waiters, reserve(l->max_waiters, 1)};
    q->caps[QUOTA_SUBSCRIPTIONS] =
        (struct quota_cap){l->max_subscriptions_per_uid, QUOTA_NO_CAP, 0};
    q->caps[QUOTA_BUFFER_BYTES] = (struct quota_cap){l->max_buffer_bytes_per_uid, QUOTA_NO_CAP, 0};
}

void quota_init(struct quota *q)
{
    *q = (struct quota){0};
    for (int i = 0; i < QUOTA_KINDS; i++)
        q->caps[i] = (struct quota_cap){QUOTA_NO_CAP, QUOTA_NO_CAP, 0};
}

void quota_deinit(struct quota *q)
{
    assert(!q->accounts);
    for (int i = 0; i < QUOTA_KINDS; i++)
        assert(q->total[i] == 0);
}

/* --- taking and giving back */

/* Without a cap the sum must still be a number: SHM_NORESERVE allows any size. */
static bool fits(uint64_t used, uint64_t amount, uint64_t max)
{
    return amount == 0 || (used <= max && amount <= max - used);
}

static int check(const struct quota *q, const struct account *account, bool is_admin,
                 enum quota_kind kind, uint64_t amount, struct outcome_detail *detail)
{
    const struct quota_cap *cap = &q->caps[kind];
    const uint64_t all = is_admin ? cap->total : cap->total - cap->reserve;
    const uint64_t own = account->used[kind];
    if (!fits(own, amount, cap->per_uid)) {
        *detail =
            (struct outcome_detail){.what = keys[kind].per_uid, .used = own, .max = cap->per_uid};
        return OUTCOME_QUOTA_EXCEEDED;
    }
    if (!fits(q->total[kind], amount, all)) {
        *detail = (struct outcome_detail){
            .what = keys[kind].total, .used = q->total[kind], .max = all, .is_total = true};
        return OUTCOME_QUOTA_EXCEEDED;
    }
    return 0;
}

static void add(struct quota *q, struct account *account, enum quota_kind kind, uint64_t amount)
{
    account->used[kind] += amount;
    q->total[kind] += amount;
}

int quota_take(struct quota *q, uint32_t uid, bool is_admin, enum quota_kind kind, uint64_t amount,
               struct account **account, struct outcome_detail *detail)
{
    struct account *of_uid = *account ? *account : open_account(q, uid);
    if (!of_uid)
        return -ENOMEM;
    int r = check(q, of_uid, is_admin, kind, amount, detail);
    if (r != 0) {
        close_if_unused(q, of_uid);
        return r;
    }
    add(q, of_uid, kind, amount);
    *account = of_uid;
    return 0;
}

int quota_add(struct quota *q, uint32_t uid, enum quota_kind kind, uint64_t amount,
              struct account **account)
{
    struct account *of_uid = *account ? *account : open_account(q, uid);
    if (!of_uid)
        return -ENOMEM;
    /* It is given back as it was taken, so it must be a sum. */
    if (!fits(q->total[kind], amount, UINT64_MAX)) {
        close_if_unused(q, of_uid);
        return -EOVERFLOW;
    }
    add(q, of_uid, kind, amount);
    *account = of_uid;
    return 0;
}

void quota_give(struct quota *q, struct account *account, enum quota_kind kind, uint64_t amount)
{
    assert(account->used[kind] >= amount && q->total[kind] >= amount);
    account->used[kind] -= amount;
    q->total[kind] -= amount;
    close_if_unused(q, account);
}

void quota_set(struct account *account, enum quota_kind kind, uint64_t *has, uint64_t wanted)
{
    if (!account || *has == wanted)
        return;
    if (wanted > *has)
        add(account->in, account, kind, wanted - *has);
    else
        quota_give(account->in, account, kind, *has - wanted);
    *has = wanted;
}

/* --- what is used */

uint64_t quota_used_by(const struct account *account, enum quota_kind kind)
{
    return account ? account->used[kind] : 0;
}

const struct account *quota_find(const struct quota *q, uint32_t uid)
{
    return find(q, uid);
}

uint64_t quota_used(const struct quota *q, uint32_t uid, enum quota_kind kind)
{
    return quota_used_by(find(q, uid), kind);
}

bool quota_is_above(const struct account *account, enum quota_kind kind, unsigned parts)
{
    return account && account->used[kind] > account->in->caps[kind].per_uid / parts;
}

bool quota_show(const struct quota *q, uint32_t uid, const char *key, struct quota_use *ret)
{
    for (int i = 0; i < QUOTA_KINDS; i++) {
        if (strcmp(keys[i].per_uid, key) == 0) {
            *ret = (struct quota_use){quota_used(q, uid, (enum quota_kind)i), q->caps[i].per_uid};
            return true;
        }
        if (keys[i].total && strcmp(keys[i].total, key) == 0) {
            *ret = (struct quota_use){q->total[i], q->caps[i].total};
            return true;
        }
    }
    return false;
}

const char *quota_total(const struct quota *q, enum quota_kind kind, struct quota_use *ret)
{
    *ret = (struct quota_use){q->total[kind], q->caps[kind].total};
    return keys[kind].total;
}
