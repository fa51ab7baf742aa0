/* SPDX-License-Identifier: MIT */
/*
 * What each uid has of what is limited, and how much it may have.
 *
 * Each kind of thing has a cap for a uid, a total for all, and a part of the total that only admins
 * may use. The caps are computed once, when the daemon starts or reloads, from the settings and
 * the machine. An account is there while its uid has something; it is freed with the last thing.
 */
#ifndef SHMD_CORE_QUOTA_H
#define SHMD_CORE_QUOTA_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/core/limits.h"
#include "daemon/core/outcome.h"
#include "daemon/sys/machine.h"
#include "daemon/util/cleanup.h"

enum quota_kind {
    QUOTA_SEGMENTS,
    QUOTA_BYTES,          /* of segments, noreserve included */
    QUOTA_LOCKED_BYTES,   /* of segments that are locked in memory */
    QUOTA_ANCHORED_BYTES, /* of the daemon's address space */
    QUOTA_CONNECTIONS,
    QUOTA_WAITERS,
    QUOTA_PROCESSES, /* that segments depend on: a descriptor each */
    QUOTA_SUBSCRIPTIONS,
    QUOTA_BUFFER_BYTES, /* input, decoded requests and output of connections */
    QUOTA_KINDS
};

#define QUOTA_NO_CAP UINT64_MAX

struct quota_cap {
    uint64_t per_uid, total; /* QUOTA_NO_CAP: none */
    uint64_t reserve;        /* of the total; for admins alone */
};

struct account;

struct quota {
    void *accounts; /* tsearch tree by uid */
    struct quota_cap caps[QUOTA_KINDS];
    uint64_t total[QUOTA_KINDS]; /* in use */
};

void quota_init(struct quota *q);
/* Everything must have been given back. */
void quota_deinit(struct quota *q);

/* Sets the caps. What is there already stays, also above them. */
void quota_configure(struct quota *q, const struct limits *limits, const struct machine *machine);

/*
 * Takes AMOUNT of KIND for UID. *ACCOUNT is UID's if the caller has it already, else NULL; it is
 * set, and stays valid while the caller has something in it. 0, -ENOMEM or OUTCOME_QUOTA_EXCEEDED
 * with the configuration key, used and max in RET_DETAIL.
 */
int quota_take(struct quota *q, uint32_t uid, bool is_admin, enum quota_kind kind, uint64_t amount,
               struct account **account, struct outcome_detail *ret_detail) MUST_CHECK;

/* The same for what is there already, whatever the caps: 0, or -ENOMEM, which cannot be when
 * *ACCOUNT is given. */
int quota_add(struct quota *q, uint32_t uid, enum quota_kind kind, uint64_t amount,
              struct account **account) MUST_CHECK;

/* Gives AMOUNT back. The account may be freed. */
void quota_give(struct quota *q, struct account *account, enum quota_kind kind, uint64_t amount);

/* Sets what a holder of ACCOUNT has of KIND from *HAS to WANTED, whatever the caps. ACCOUNT has
 * something else, so that it stays; NULL: nothing is counted. */
void quota_set(struct account *account, enum quota_kind kind, uint64_t *has, uint64_t wanted);

/* The account of UID, or NULL. */
const struct account *quota_find(const struct quota *q, uint32_t uid);

uint64_t quota_used(const struct quota *q, uint32_t uid, enum quota_kind kind);
uint64_t quota_used_by(const struct account *account, enum quota_kind kind);
/* Whether ACCOUNT (NULL: no) has more than 1/PARTS of what its uid may have. */
bool quota_is_above(const struct account *account, enum quota_kind kind, unsigned parts);

/* What has been used by UID, or by all, of what configuration key KEY limits: false when it limits
 * no thing that is counted. */
struct quota_use {
    uint64_t used, max; /* QUOTA_NO_CAP: none */
};
bool quota_show(const struct quota *q, uint32_t uid, const char *key, struct quota_use *ret);

/* What all uids together have of KIND. Returns the configuration key that limits it; NULL: none
 * does. */
const char *quota_total(const struct quota *q, enum quota_kind kind, struct quota_use *ret);

#endif
