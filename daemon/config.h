/*
 * What the administrator sets, from an INI file. A file is taken whole or not at all: what is wrong
 * with it is told with its name, the line and the values that would do.
 *
 * Keys stand at the top or in a section [shmd]. Sizes may be given in K, M and G of 1024.
 */
#ifndef SHMD_CONFIG_H
#define SHMD_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/core/limits.h"
#include "daemon/util/cleanup.h"
#include "daemon/util/log.h"

struct config {
    struct limits limits;
    bool has_admin_group;
    uint32_t admin_group;
    int64_t attach_timeout_ms;
    int64_t reconcile_ms;
    enum log_level log_level;
    char *segments_dir;    /* owned */
    bool has_segments_dir; /* it is what the file says */
};

/* Where it is when nobody says. */
extern const char config_default_path[];

/*
 * Reads PATH over the defaults; the segments_dir that it does not set is segments.d beside it, or
 * the system's if there is none. 0 and a config to be freed, or a negative errno (-EINVAL for what
 * is in the file) with RET_ERROR, a line for each thing that is wrong, without a newline behind the
 * last, that the caller frees (NULL when out of memory). MISSING_IS_FINE: without the file the
 * defaults hold.
 */
int config_load(const char *path, bool missing_is_fine, struct config *ret,
                char **ret_error) MUST_CHECK;
void config_deinit(struct config *config);

#endif
