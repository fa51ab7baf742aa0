/* SPDX-License-Identifier: MIT */
/* The state directory as it really is. */
#ifndef SHMD_STORE_HOST_LINUX_H
#define SHMD_STORE_HOST_LINUX_H

#include "daemon/store/host.h"

struct host_linux {
    const char *path; /* the directory's; borrowed */
    int directory;    /* owned; -1: not entered */
};

extern const struct host_ops host_linux_ops; /* their context is a struct host_linux */

void host_linux_init(struct host_linux *h, const char *path);
void host_linux_deinit(struct host_linux *h);

#endif
