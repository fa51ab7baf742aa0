/* SPDX-License-Identifier: MIT */
/*
 * Section [names] of the configuration: prefixes of names that are reserved for a user or a group.
 */
#ifndef SHMD_CONFIG_NAMES_H
#define SHMD_CONFIG_NAMES_H

#include <stddef.h>

#include "daemon/core/access.h"
#include "daemon/util/cleanup.h"

struct reserved_names {
    struct name_rule *rules; /* owned, with their prefixes */
    size_t count;
};

enum { RESERVED_NAMES_ERROR_BYTES = 400 };

/* Adds the line PREFIX = VALUE, a user, or a group behind @, by name or number: 0, -ENOMEM, or
 * -EINVAL with what is wrong in RET_ERROR. */
int reserved_names_add(struct reserved_names *names, const char *prefix, const char *value,
                       char ret_error[static RESERVED_NAMES_ERROR_BYTES]) MUST_CHECK;
void reserved_names_deinit(struct reserved_names *names);

#endif
