/* SPDX-License-Identifier: MIT */
/*
 * Who attaches and detaches. The kernel tells nobody: what has happened since the last look shows
 * in the count of attachments, in the last pid and in the two times, which are whole seconds.
 */
#ifndef SHMD_CORE_USE_H
#define SHMD_CORE_USE_H

#include "daemon/core/core.h"

/* Tells what has happened to SEGMENT since the last look, and remembers what KERNEL shows. The
 * attachments that the start finds are not told. */
void use_notice(struct core *core, struct segment *segment, const struct sysv_stat *kernel);

/* The same without telling: KERNEL is as it is when the segment comes under the daemon's care. */
void use_begin(struct core *core, struct segment *segment, const struct sysv_stat *kernel);

#endif
