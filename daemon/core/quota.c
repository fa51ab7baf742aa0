#include "daemon/core/quota.h"

#include <assert.h>
#include <errno.h>
#include <search.h>

struct account {
    uint32_t uid;
    uint64_t used[QUOTA_KINDS];
};

static int compare(const void *a, const void *b)
{
    uint32_t x = ((const struct account *)a)->uid, y = ((const struct account *)b)->uid;
    return (x > y) - (x < y);
}

void quota_init(struct quota *q)
{
    *q = (struct quota){0};
}

void quota_deinit(struct quota *q)
{
    assert(!q->accounts);
    for (int i = 0; i < QUOTA_KINDS; i++)
        assert(q->total[i] == 0);
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

struct ceiling {
    const char *name;
    uint64_t max; /* 0: none */
    uint64_t used;
    enum quota_kind kind;
    bool is_total;
};

static bool fits(const struct ceiling *c, uint64_t amount, struct outcome_detail *detail)
{
    /* Without a limit the sum must still be a number: SHM_NORESERVE allows any size. */
    uint64_t max = c->max ? c->max : UINT64_MAX;
    if (amount == 0 || (c->used <= max && amount <= max - c->used))
        return true;
    *detail = (struct outcome_detail){
        .what = c->name, .used = c->used, .max = max, .is_total = c->is_total};
    return false;
}

int quota_charge(struct quota *q, const struct limits *l, uint32_t uid,
                 const uint64_t amount[static QUOTA_KINDS], struct charge *ret,
                 struct outcome_detail *detail)
{
    struct account *account = open_account(q, uid);
    if (!account)
        return -ENOMEM;
    const uint64_t *own = account->used, *all = q->total;
    const struct ceiling ceilings[] = {
        {"max_segments_per_uid", l->max_segments_per_uid, own[QUOTA_SEGMENTS], QUOTA_SEGMENTS,
         false},
        {"max_bytes_per_uid", l->max_bytes_per_uid, own[QUOTA_BYTES], QUOTA_BYTES, false},
        {"max_connections_per_uid", l->max_connections_per_uid, own[QUOTA_CONNECTIONS],
         QUOTA_CONNECTIONS, false},
        {"max_segments", l->max_segments, all[QUOTA_SEGMENTS], QUOTA_SEGMENTS, true},
        {"max_bytes", l->max_bytes, all[QUOTA_BYTES], QUOTA_BYTES, true},
        {"max_connections", l->max_connections, all[QUOTA_CONNECTIONS], QUOTA_CONNECTIONS, true},
    };
    for (size_t i = 0; i < sizeof(ceilings) / sizeof(ceilings[0]); i++) {
        if (!fits(&ceilings[i], amount[ceilings[i].kind], detail)) {
            close_if_unused(q, account);
            return OUTCOME_QUOTA_EXCEEDED;
        }
    }
    ret->account = account;
    for (int i = 0; i < QUOTA_KINDS; i++) {
        ret->amount[i] = amount[i];
        account->used[i] += amount[i];
        q->total[i] += amount[i];
    }
    return 0;
}

void quota_release(struct quota *q, struct charge *charge)
{
    struct account *account = steal_pointer(&charge->account);
    if (!account)
        return;
    for (int i = 0; i < QUOTA_KINDS; i++) {
        assert(account->used[i] >= charge->amount[i] && q->total[i] >= charge->amount[i]);
        account->used[i] -= charge->amount[i];
        q->total[i] -= charge->amount[i];
    }
    close_if_unused(q, account);
}

uint64_t quota_used(const struct quota *q, uint32_t uid, enum quota_kind kind)
{
    const struct account *account = find(q, uid);
    return account ? account->used[kind] : 0;
}
