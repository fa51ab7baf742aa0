#include "daemon/core/expiry.h"

#include <stddef.h>

#include "daemon/core/core.h"
#include "daemon/core/removal.h"

static void expired(struct deadline *deadline, void *context)
{
    struct core *core = context;
    struct segment *segment =
        (struct segment *)(void *)((char *)deadline - offsetof(struct segment, expiry));
    segment->expires_at_ms = 0;
    if (removal_of_fact(core, segment, REASON_EXPIRED) == 0)
        return;
    /* The kernel would not: again with the next sweep. */
    segment->expires_at_ms = core_boottime_ms(core) + core->settings.reconcile_ms;
    if (expiry_set(core, segment, segment->expires_at_ms) < 0)
        segment->expires_at_ms = 0;
}

int expiry_set(struct core *core, struct segment *segment, int64_t expires_at_ms)
{
    if (expires_at_ms == 0) {
        deadlines_clear(&core->deadlines, &segment->expiry);
    } else {
        int r = deadlines_set(&core->deadlines, &segment->expiry, expires_at_ms, expired);
        if (r < 0)
            return r;
    }
    segment->expires_at_ms = expires_at_ms;
    return 0;
}

int64_t expiry_after(const struct core *core, int64_t ttl_ms)
{
    return ttl_ms == 0 ? 0 : core_boottime_ms(core) + ttl_ms;
}
