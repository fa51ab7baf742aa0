/* Segments that a configuration file asks for: made sure of, never changed and never removed. */
#ifndef SHMD_CORE_DECLARE_H
#define SHMD_CORE_DECLARE_H

#include "daemon/core/core.h"

/* No segment is declared any more; before the files are read again. */
void declare_none(struct core *core);

/*
 * There shall be a segment of PARAMS, which have a name or a key; by the key it is looked for when
 * there is no name. A missing one is created; one that is there is left alone. 0 with what was
 * created or not; an outcome: it could not be created, or what is there is another's, or too small,
 * or another segment has the key (OUTCOME_SEGMENT_EXISTS, OUTCOME_SIZE_MISMATCH,
 * OUTCOME_KEY_IN_USE).
 */
int declare_segment(struct core *core, const struct create_params *params, bool *ret_created,
                    struct outcome_detail *ret_detail) MUST_CHECK;

#endif
