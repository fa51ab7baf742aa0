/* SPDX-License-Identifier: MIT */
/*
 * Ties: a tie says that a segment depends on a party in a role. A new tie belongs to its party at
 * once, and to its segment when it is bound: between the two the change is recorded.
 */
#ifndef SHMD_CORE_TIES_H
#define SHMD_CORE_TIES_H

#include "daemon/core/party.h"
#include "daemon/store/store.h"
#include "protocol/terms.h"

struct segment;

struct tie {
    struct segment *segment; /* NULL: not bound yet */
    struct party *party;
    enum tie_role role;
    int64_t since_at_ms; /* wall clock */
    LIST_ENTRY(tie) of_segment;
    LIST_ENTRY(tie) of_party;
};

/* The tie of CALLER to SEGMENT in ROLE, or NULL: 0 or a negative errno. A holder of a `connection`
 * segment is a connection, every other party a process. The call watches no further process. */
int tie_of_caller(struct parties *p, struct caller *caller, const struct segment *segment,
                  enum tie_role role, struct tie **ret) MUST_CHECK;

/* A tie to PARTY: NULL when out of memory. */
struct tie *tie_new(struct party *party, enum tie_role role, int64_t since_at_ms);

/* A tie to the party by which CALLER has ROLE for a segment of LIFETIME: 0, or as
 * parties_of_caller(). */
int tie_new_of(struct parties *p, struct caller *caller, enum lifetime lifetime, enum tie_role role,
               int64_t since_at_ms, struct tie **ret, struct outcome_detail *ret_detail) MUST_CHECK;

/* Whether TIE (NULL: no) is to a process that the daemon cannot see. */
static inline bool tie_is_unseen(const struct tie *tie)
{
    return tie && party_is_unseen(tie->party);
}

/* Binds TIE to SEGMENT, before the ties that it has. It cannot fail. */
void tie_bind(struct parties *p, struct tie *tie, struct segment *segment);

/* Unbinds and frees TIE (NULL: nothing), and the party of a process with its last. */
void tie_free(struct parties *p, struct tie *tie);

/* The tie of SEGMENT to PARTY (NULL: to any) in ROLE, or NULL. */
struct tie *tie_find(const struct segment *segment, const struct party *party, enum tie_role role);

/* Frees the ties of SEGMENT whose role is in ROLES, a bit 1 << role for each. */
void ties_free(struct parties *p, struct segment *segment, unsigned roles);
#define TIES_ALL ((1U << TIE_ROLES) - 1)

#endif
