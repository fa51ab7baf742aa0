/* SPDX-License-Identifier: MIT */
#include "daemon/core/ties.h"

#include <errno.h>
#include <stdlib.h>

#include "daemon/core/segment.h"

/* The party by which CALLER has ROLE for a segment of LIFETIME: its connection as a holder where
 * the lifetime is that, else its process. As parties_of_caller(). */
static int party_of(struct parties *p, struct caller *caller, enum lifetime lifetime,
                    enum tie_role role, struct party **ret, struct outcome_detail *detail)
{
    if (role == TIE_HOLDER && lifetime == LIFETIME_CONNECTION)
        return parties_of_connection(caller, ret);
    return parties_of_caller(p, caller, ret, detail);
}

int tie_of_caller(struct parties *p, struct caller *caller, const struct segment *segment,
                  enum tie_role role, struct tie **ret)
{
    const struct party *party = caller->party;
    if (role != TIE_HOLDER || segment->lifetime != LIFETIME_CONNECTION) {
        int r = parties_find_caller(p, caller, &party);
        if (r < 0)
            return r;
    }
    *ret = party ? tie_find(segment, party, role) : NULL;
    return 0;
}

struct tie *tie_new(struct party *party, enum tie_role role, int64_t since_at_ms)
{
    struct tie *tie = calloc(1, sizeof(*tie));
    if (!tie)
        return NULL;
    tie->party = party;
    tie->role = role;
    tie->since_at_ms = since_at_ms;
    LIST_INSERT_HEAD(&party->ties, tie, of_party);
    return tie;
}

int tie_new_of(struct parties *p, struct caller *caller, enum lifetime lifetime, enum tie_role role,
               int64_t since_at_ms, struct tie **ret, struct outcome_detail *detail)
{
    struct party *party;
    int r = party_of(p, caller, lifetime, role, &party, detail);
    if (r != 0)
        return r;
    struct tie *tie = tie_new(party, role, since_at_ms);
    if (!tie) {
        party_put(p, party);
        return -ENOMEM;
    }
    *ret = tie;
    return 0;
}

void tie_bind(struct parties *p, struct tie *tie, struct segment *segment)
{
    tie->segment = segment;
    LIST_INSERT_HEAD(&segment->ties, tie, of_segment);
    if (tie->role == TIE_HOLDER) {
        segment->n_holders++;
        p->n_holders++;
    }
}

void tie_free(struct parties *p, struct tie *tie)
{
    if (!tie)
        return;
    if (tie->segment) {
        LIST_REMOVE(tie, of_segment);
        if (tie->role == TIE_HOLDER) {
            tie->segment->n_holders--;
            p->n_holders--;
        }
    }
    LIST_REMOVE(tie, of_party);
    party_put(p, tie->party);
    free(tie);
}

struct tie *tie_find(const struct segment *segment, const struct party *party, enum tie_role role)
{
    struct tie *tie;
    LIST_FOREACH (tie, &segment->ties, of_segment)
        if (tie->role == role && (!party || tie->party == party))
            return tie;
    return NULL;
}

void ties_free(struct parties *p, struct segment *segment, unsigned roles)
{
    for (struct tie *tie = LIST_FIRST(&segment->ties), *next; tie; tie = next) {
        next = LIST_NEXT(tie, of_segment);
        if (roles & (1U << tie->role))
            tie_free(p, tie);
    }
}
