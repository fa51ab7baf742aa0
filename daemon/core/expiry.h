/* ttl_ms: a segment's end at a time, whatever its lifetime. */
#ifndef SHMD_CORE_EXPIRY_H
#define SHMD_CORE_EXPIRY_H

#include <stdint.h>

#include "daemon/util/cleanup.h"

struct core;
struct segment;

/* SEGMENT is removed at EXPIRES_AT_MS (boot clock; 0: never). 0 or -ENOMEM, which only a segment
 * that had no expiry can get. */
int expiry_set(struct core *core, struct segment *segment, int64_t expires_at_ms) MUST_CHECK;

/* The boot clock's time TTL_MS from now; 0 for 0. */
int64_t expiry_after(const struct core *core, int64_t ttl_ms);

#endif
