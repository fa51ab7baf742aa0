/* SPDX-License-Identifier: MIT */
/*
 * The segments that configuration files declare always exist. A missing one is created: when the
 * files are read, and by the next look at all of them, which comes as often as the sweep. When the
 * files are read, one that exists is also changed to what is declared, as far as `set` can do that.
 * What cannot be changed is a conflict: it is reported once, and the segment stays as it is.
 *
 * Nothing is removed here, and nothing of another user's is changed.
 */
#ifndef SHMD_CORE_DECLARE_H
#define SHMD_CORE_DECLARE_H

#include "daemon/core/core.h"

enum declare_result {
    DECLARE_CREATED,
    DECLARE_CHANGED,     /* FIELDS are now as declared */
    DECLARE_NOT_CREATED, /* for ERROR and DETAIL */
    DECLARE_NOT_CHANGED, /* FIELDS are not as declared, for ERROR and DETAIL */
    DECLARE_CONFLICT,    /* FIELDS are not as declared and cannot be changed */
};

/* For the log. Everything is borrowed. */
struct declare_report {
    enum declare_result result;
    const struct declaration *declaration;
    const struct segment *segment; /* NULL: there is none */
    unsigned fields;               /* bits of enum drift */
    int error;                     /* an outcome or a negative errno */
    const struct outcome_detail *detail;
};

/*
 * Before the core is started, the DECLARATIONS are only known, so that the start's sweep knows
 * whose it is what was declared. Then: DECLARATIONS are declared from now on, and nothing else:
 * missing segments are created, others are changed. They become the core's, and are empty then. 0,
 * or -ENOMEM and all is as it was.
 *
 * All is done when it returns, however many they are: who reloads is told what is wrong, and what
 * the files say holds for the next request. Only admins can, and reading the files takes longer.
 */
int declare_segments(struct core *core, struct declarations *declarations) MUST_CHECK;

/* The next looks, in parts. */
bool declare_is_due(const struct core *core);
void declare_go_on(struct core *core);

#endif
