/* SPDX-License-Identifier: MIT */
/* The one switch from what the core says to what the wire says. */
#ifndef SHMD_RPC_OUTCOME_TO_ERROR_H
#define SHMD_RPC_OUTCOME_TO_ERROR_H

#include "daemon/core/outcome.h"
#include "protocol/errors.h"
#include "protocol/params.h"

/*
 * OUTCOME: a positive enum outcome, or a negative errno. TARGET: what the request named, NULL when
 * it named none; NAME: what it waits for, or NULL. Strings are borrowed from all of them.
 */
void outcome_to_failure(int outcome, const struct outcome_detail *detail,
                        const struct target *target, const char *name, struct failure *ret);

#endif
