/* SPDX-License-Identifier: MIT */
/*
 * `list`: segments by filters, in pages. A page ends after a bounded number of looks and a bounded
 * number of rows, so that no request takes long: it is then short, or empty, and has a cursor.
 */
#ifndef SHMD_CORE_LIST_H
#define SHMD_CORE_LIST_H

#include "daemon/core/core.h"
#include "protocol/segment_json.h"

struct page {
    struct wire_segment *segments; /* owned; it borrows the records' strings until the turn ends */
    size_t count;
    char cursor[32]; /* empty: this was the last page; else there may be more, whatever COUNT is */
};

/* PAGE_BYTES: about how many a page may have on the wire; one row always fits. 0,
 * OUTCOME_INVALID_PARAMETER (a cursor that is none) or -ENOMEM. */
int core_list(struct core *core, const struct caller *caller, const struct list_params *params,
              size_t page_bytes, struct page *ret, struct outcome_detail *ret_detail) MUST_CHECK;

#endif
