/* SPDX-License-Identifier: MIT */
/*
 * Limits of the wire that no configuration changes. What an administrator can set is in
 * daemon/core/limits.h. Sizes are bytes unless said otherwise.
 */
#ifndef SHMD_PROTOCOL_LIMITS_H
#define SHMD_PROTOCOL_LIMITS_H

#define PROTOCOL_VERSION 2

#define SEGMENT_NAME_MAX    255 /* without the terminating NUL */
#define SEGMENT_LABELS_MAX  16  /* pairs */
#define LABEL_KEY_MAX       63
#define LABEL_VALUE_MAX     255
#define JSON_DEPTH_MAX      32   /* open brackets */
#define BATCH_MEMBERS_MAX   64   /* calls in one JSON-RPC batch */
#define LIST_LIMIT_MAX      1000 /* segments in one answer to list */
#define LIST_PAGE_BYTES_MAX (1024 * 1024)
#define COMM_MAX            16 /* a process's name, with the terminating NUL, as the kernel has it */

#define EVENTS_KEPT        1024  /* the newest, for `after` */
#define MESSAGE_TIMEOUT_MS 30000 /* from a value's first byte to its last */

#endif
