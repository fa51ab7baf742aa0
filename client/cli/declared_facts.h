/*
 * Whether the segments that the administrator declares exist from boot on: which directory has the
 * files, and whether systemd starts the service at boot or with the first request only.
 */
#ifndef SHMD_CLIENT_CLI_DECLARED_FACTS_H
#define SHMD_CLIENT_CLI_DECLARED_FACTS_H

#include <stdbool.h>
#include <stddef.h>

struct declared_facts {
    char dir[256];           /* of the files */
    size_t n_files;          /* that the daemon would read there */
    bool systemd_runs;       /* it has booted this machine */
    bool service_is_enabled; /* shmd.service, by some target */
};

/* ROOT is put before every path. CONFIG_DIR has shmd.conf, which may name another directory of
 * declared segments than segments.d beside it. What cannot be read counts as absent. */
void declared_facts_read(const char *root, const char *config_dir, struct declared_facts *ret);

#endif
