/* SPDX-License-Identifier: MIT */
/*
 * The administrator's settings, from an INI file. Whoever finds an error in the file uses none of
 * its values: a file counts whole or not at all.
 *
 * Keys are at the top or in a section [shmd]; reserved prefixes of names are in [names]. Sizes may
 * be given in K, M, G and T of 1024.
 */
#ifndef SHMD_CONFIG_H
#define SHMD_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/config_errors.h"
#include "daemon/config_names.h"
#include "daemon/core/limits.h"
#include "daemon/util/cleanup.h"
#include "daemon/util/log.h"

struct config {
    struct limits limits;
    bool has_admin_group;
    uint32_t admin_group;
    int64_t attach_timeout_ms;
    int64_t reconcile_ms;
    int64_t turn_work_us;
    enum log_level log_level;
    struct reserved_names names;
    char *segments_dir;         /* owned; NULL: no segments are declared */
    unsigned segments_dir_line; /* of the file, which sets it there; 0: it does not */
};

/* The file of the system's instance. */
extern const char config_system_path[];

/*
 * Reads PATH over the defaults (NULL: the defaults hold) and adds what is wrong with it to ERRORS;
 * a key with an error keeps its default. IS_GIVEN: somebody named the file, so it must be there;
 * otherwise the defaults hold without it. The segments_dir that the file does not set is segments.d
 * beside the file, if that is a directory; for a file that was named it must belong to root or to
 * the file's owner. 0 and a config to be freed, or -ENOMEM.
 */
int config_load(const char *path, bool is_given, struct config *ret,
                struct config_errors *errors) MUST_CHECK;
void config_deinit(struct config *config);

#endif
