/* SPDX-License-Identifier: MIT */
/*
 * All that the administrator's files say, read as one - shmd.conf and the declared segments - and
 * what of it is in force. The start, a reload and --check-config read it here, so all three find
 * the same errors.
 *
 * Whatever is read is read whole before any of it counts. Errors are logged here, once.
 */
#ifndef SHMD_CONFIGURATION_H
#define SHMD_CONFIGURATION_H

#include "daemon/config.h"
#include "daemon/core/core.h"
#include "daemon/declared.h"

struct configuration {
    const char *path; /* borrowed; NULL: no file is read and no segments are declared */
    const struct machine *machine; /* borrowed; read before the files are */
    bool is_given;                 /* somebody named the file: see config_load() */
    struct config config;
    struct declared declared;
    struct config_errors errors; /* of the last reading, whether it came into force or not */
};

/*
 * The first reading. An error in shmd.conf ends it, for the daemon's limits and admins would not be
 * those that are meant: -EINVAL. Declared segments with errors are left out. 0 or -ENOMEM.
 */
int configuration_start(struct configuration *c) MUST_CHECK;
/* Another reading. It comes into force whole or, when there is any error, not at all: 0, -EINVAL or
 * -ENOMEM. */
int configuration_reload(struct configuration *c) MUST_CHECK;
/* Reads, and nothing comes into force: 0, -EINVAL when there is any error, or -ENOMEM. */
int configuration_check(struct configuration *c) MUST_CHECK;
void configuration_deinit(struct configuration *c);

/* From now on CORE keeps the segments as they are declared; it logs what it does to that end, and
 * what it cannot do. */
void configuration_declare(const struct configuration *c, struct core *core);
struct core_settings configuration_settings(const struct configuration *c);
/* "WHAT: " and the first of the errors, on one line. */
void configuration_describe_errors(const struct configuration *c, const char *what, char *ret,
                                   size_t size);

#endif
