/* SPDX-License-Identifier: MIT */
/* Watches processes: a pidfd becomes readable when its process has exited. */
#ifndef SHMD_IO_PROCESS_WATCH_H
#define SHMD_IO_PROCESS_WATCH_H

#include "daemon/core/party.h"

/* Its context is a struct loop. */
extern const struct watch_ops process_watch_ops;

#endif
