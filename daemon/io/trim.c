/* SPDX-License-Identifier: MIT */
#include "daemon/io/trim.h"

#include <malloc.h>

enum {
    MUCH = 4 << 20,
    PAUSE_MS = 100, /* it looks at the whole heap */
};

/* About what each thing takes, without its buffers. */
static const uint64_t bytes_of[QUOTA_KINDS] = {
    [QUOTA_SEGMENTS] = 512,  [QUOTA_CONNECTIONS] = 1024,  [QUOTA_WAITERS] = 512,
    [QUOTA_PROCESSES] = 256, [QUOTA_SUBSCRIPTIONS] = 128, [QUOTA_BUFFER_BYTES] = 1,
};

void trim_if_much_was_freed(struct trim *trim, const struct core *core)
{
    uint64_t has = 0;
    for (int i = 0; i < QUOTA_KINDS; i++)
        has += core->quota.total[i] * bytes_of[i];
    if (has > trim->most)
        trim->most = has;
    if (trim->most - has < MUCH)
        return;
    int64_t now_ms = core_boottime_ms(core);
    if (now_ms < trim->again_ms)
        return;
    malloc_trim(0);
    trim->most = has;
    trim->again_ms = now_ms + PAUSE_MS;
}
