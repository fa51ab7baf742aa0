/* SPDX-License-Identifier: MIT */
/*
 * systemd-logind's configuration, merged as systemd does: the first main file found, and over it
 * the drop-ins of all directories in the order of their names, of which a directory that comes
 * first hides those of the same name in the others.
 */
#ifndef SHMD_CLIENT_CLI_LOGIND_CONF_H
#define SHMD_CLIENT_CLI_LOGIND_CONF_H

#include <stdbool.h>

struct logind_conf {
    bool remove_ipc;
    char source[256]; /* the file that says so; "": none does, it is the default */
};

/* ROOT is put before every path. What cannot be read counts as absent, as it does for logind. */
void logind_conf_read(const char *root, struct logind_conf *ret);

#endif
