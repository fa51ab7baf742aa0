/* Segments that a configuration file asks for: made sure of, never changed and never removed. */
#ifndef SHMD_CORE_DECLARE_H
#define SHMD_CORE_DECLARE_H

#include "daemon/core/core.h"

/* No segment is declared any more; before the files are read again. */
void declare_none(struct core *core);

/*
 * There shall be a segment of PARAMS, which have a name. A missing one is created; one that is
 * there is left alone. 0 with what was created or not; an outcome: it could not be created, or
 * (OUTCOME_SEGMENT_EXISTS, OUTCOME_SIZE_MISMATCH) what is there is another's, or too small.
 */
int declare_segment(struct core *core, const struct create_params *params, bool *ret_created,
                    struct outcome_detail *ret_detail) MUST_CHECK;

#endif
