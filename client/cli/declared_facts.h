/* SPDX-License-Identifier: MIT */
/*
 * Whether the segments that the administrator declares exist from boot on: which directory has the
 * files, whether systemd starts the service at boot or with the first request only, and who may
 * write what the daemon reads.
 */
#ifndef SHMD_CLIENT_CLI_DECLARED_FACTS_H
#define SHMD_CLIENT_CLI_DECLARED_FACTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A file of the configuration, or a directory of such files, that others may write. */
struct loose_file {
    char path[256]; /* without the root */
    uint32_t mode, uid;
    bool is_strangers; /* neither root's nor the daemon's; else every user may write it */
};

struct declared_facts {
    char dir[256];           /* of the files */
    size_t n_files;          /* that the daemon would read there */
    bool systemd_runs;       /* it has booted this machine */
    bool service_is_enabled; /* shmd.service, by some target */
    size_t n_loose;
    struct loose_file loose; /* the first of them */
};

/* ROOT is put before every path. CONFIG_DIR has shmd.conf, which may name another directory of
 * declared segments than segments.d beside it. What cannot be read counts as absent. OWNER is the
 * daemon's uid. */
void declared_facts_read(const char *root, const char *config_dir, uint32_t owner,
                         struct declared_facts *ret);

#endif
