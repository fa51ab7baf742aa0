/* SPDX-License-Identifier: MIT */
#include "daemon/core/segment_charge.h"

static int take(struct quota *q, struct segment *s, bool is_admin, enum quota_kind kind,
                uint64_t amount, struct outcome_detail *detail)
{
    return quota_take(q, s->creator.uid, is_admin, kind, amount, &s->account, detail);
}

int segment_charge(struct quota *q, struct segment *s, bool is_admin, struct outcome_detail *detail)
{
    int r = take(q, s, is_admin, QUOTA_SEGMENTS, 1, detail);
    if (r != 0)
        return r;
    r = take(q, s, is_admin, QUOTA_BYTES, s->size, detail);
    if (r != 0)
        quota_give(q, steal_pointer(&s->account), QUOTA_SEGMENTS, 1);
    return r;
}

int segment_charge_found(struct quota *q, struct segment *s)
{
    int r = quota_add(q, s->creator.uid, QUOTA_SEGMENTS, 1, &s->account);
    if (r < 0)
        return r;
    r = quota_add(q, s->creator.uid, QUOTA_BYTES, s->size, &s->account);
    if (r < 0)
        quota_give(q, steal_pointer(&s->account), QUOTA_SEGMENTS, 1);
    return r;
}

int segment_charge_lock(struct quota *q, struct segment *s, bool is_admin,
                        struct outcome_detail *detail)
{
    int r = s->is_lock_charged ? 0 : take(q, s, is_admin, QUOTA_LOCKED_BYTES, s->size, detail);
    s->is_lock_charged |= r == 0;
    return r;
}

int segment_charge_anchor(struct quota *q, struct segment *s, bool is_admin,
                          struct outcome_detail *detail)
{
    int r = s->is_anchor_charged ? 0 : take(q, s, is_admin, QUOTA_ANCHORED_BYTES, s->size, detail);
    s->is_anchor_charged |= r == 0;
    return r;
}

static void uncharge_lock(struct quota *q, struct segment *s)
{
    if (s->is_lock_charged)
        quota_give(q, s->account, QUOTA_LOCKED_BYTES, s->size);
    s->is_lock_charged = false;
}

void segment_charge_follow_lock(struct quota *q, struct segment *s, bool is_locked)
{
    if (!is_locked)
        uncharge_lock(q, s);
    else if (!s->is_lock_charged)
        s->is_lock_charged =
            quota_add(q, s->creator.uid, QUOTA_LOCKED_BYTES, s->size, &s->account) == 0;
}

int segment_charge_give(struct quota *q, struct segment *s, uint32_t uid)
{
    struct segment other = *s;
    other.account = NULL;
    other.creator.uid = uid;
    other.creator.gid = s->seen.gid;
    other.creator.was_admin = false;
    other.creator.only_pays = true;
    int r = segment_charge_found(q, &other);
    if (r < 0)
        return r;
    if (s->is_lock_charged)
        (void)!quota_add(q, uid, QUOTA_LOCKED_BYTES, s->size, &other.account); /* has an account */
    if (s->is_anchor_charged)
        (void)!quota_add(q, uid, QUOTA_ANCHORED_BYTES, s->size, &other.account);
    struct segment before = *s;
    segment_uncharge(q, &before);
    s->account = other.account;
    s->creator = other.creator;
    return 0;
}

void segment_uncharge_anchor(struct quota *q, struct segment *s)
{
    if (s->is_anchor_charged)
        quota_give(q, s->account, QUOTA_ANCHORED_BYTES, s->size);
    s->is_anchor_charged = false;
}

void segment_uncharge(struct quota *q, struct segment *s)
{
    if (!s->account)
        return;
    uncharge_lock(q, s);
    segment_uncharge_anchor(q, s);
    quota_give(q, s->account, QUOTA_BYTES, s->size);
    quota_give(q, steal_pointer(&s->account), QUOTA_SEGMENTS, 1);
}
