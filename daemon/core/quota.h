/*
 * What each uid uses of what is limited. A charge is taken once and given back once; an account
 * whose sums are zero is freed, and one that is freed has sums of zero (asserted).
 */
#ifndef SHMD_CORE_QUOTA_H
#define SHMD_CORE_QUOTA_H

#include <stdint.h>

#include "daemon/core/limits.h"
#include "daemon/core/outcome.h"
#include "daemon/util/cleanup.h"

enum quota_kind { QUOTA_SEGMENTS, QUOTA_BYTES, QUOTA_CONNECTIONS, QUOTA_KINDS };

struct account;

struct quota {
    void *accounts; /* tsearch tree by uid */
    uint64_t total[QUOTA_KINDS];
};

struct charge {
    struct account *account; /* NULL: nothing is charged */
    uint64_t amount[QUOTA_KINDS];
};

void quota_init(struct quota *q);
/* All charges must have been given back. */
void quota_deinit(struct quota *q);

/*
 * Charges UID with AMOUNT, all or nothing. 0, -ENOMEM or OUTCOME_QUOTA_EXCEEDED with the
 * configuration key, used and max in RET_DETAIL.
 */
int quota_charge(struct quota *q, const struct limits *limits, uint32_t uid,
                 const uint64_t amount[static QUOTA_KINDS], struct charge *ret,
                 struct outcome_detail *ret_detail) MUST_CHECK;

/* Gives a charge back; a second time does nothing. */
void quota_release(struct quota *q, struct charge *charge);

uint64_t quota_used(const struct quota *q, uint32_t uid, enum quota_kind kind);

#endif
