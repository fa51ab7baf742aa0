/* SPDX-License-Identifier: MIT */
/* The state directory as it really is. */
#ifndef SHMD_STORE_HOST_LINUX_H
#define SHMD_STORE_HOST_LINUX_H

#include <sys/types.h>
#include <time.h>

#include "daemon/store/host.h"

struct host_linux {
    const char *path; /* the directory's; borrowed */
    int directory;    /* owned; -1: not entered */
    dev_t device;     /* the directory's */
    ino_t inode;
    time_t in_place_at_s; /* it was seen at its path then (CLOCK_MONOTONIC); 0: not yet */
};

extern const struct host_ops host_linux_ops; /* their context is a struct host_linux */

void host_linux_init(struct host_linux *h, const char *path);
void host_linux_deinit(struct host_linux *h);

#endif
