/* SPDX-License-Identifier: MIT */
#include "daemon/rpc/log_budget.h"

#include <inttypes.h>

#include "daemon/util/container_of.h"
#include "daemon/util/log.h"

enum { LINE_MS = 1000 / LOG_PER_SECOND }; /* until a line that was used is there again */

void log_budget_init(struct log_budget *b, struct core *core)
{
    *b = (struct log_budget){.core = core};
}

/* The line that tells it is one of the uid's. */
static void tell_left_out(struct log_user *user)
{
    if (user->left_out == 0)
        return;
    const struct log_field fields[] = {
        {.name = "PEER_UID", .integer = user->uid},
        {.name = "LEFT_OUT", .integer = (int64_t)user->left_out},
    };
    log_entry(LOG_LEVEL_NOTICE, fields, sizeof(fields) / sizeof(fields[0]),
              "%" PRIu64 " more lines of uid %" PRIu32 " are left out: it may cause %d a second",
              user->left_out, user->uid, LOG_PER_SECOND);
    user->left_out = 0;
    user->full_at_ms += LINE_MS;
}

static void tell_all(struct deadline *deadline, void *context)
{
    struct log_budget *b = container_of(deadline, struct log_budget, tell);
    (void)context;
    for (size_t i = 0; i < LOG_UIDS; i++)
        tell_left_out(&b->users[i]);
}

/* What is known of UID, or the place of the one who has caused least of late. */
static struct log_user *find(struct log_budget *b, uint32_t uid)
{
    struct log_user *found = &b->users[0];
    for (size_t i = 0; i < LOG_UIDS; i++) {
        struct log_user *user = &b->users[i];
        if (user->full_at_ms != 0 && user->uid == uid)
            return user;
        if (user->full_at_ms < found->full_at_ms)
            found = user;
    }
    tell_left_out(found);
    *found = (struct log_user){.uid = uid};
    return found;
}

bool log_budget_take(struct log_budget *b, uint32_t uid)
{
    int64_t now = core_boottime_ms(b->core);
    struct log_user *user = find(b, uid);
    int64_t full_at = user->full_at_ms > now ? user->full_at_ms : now;
    if (full_at + LINE_MS <= now + (int64_t)LOG_BURST * LINE_MS) {
        user->full_at_ms = full_at + LINE_MS;
        return true;
    }
    user->left_out++;
    if (b->tell.place == 0) {
        int r = deadlines_set(&b->core->deadlines, &b->tell, now + LOG_TELL_MS, tell_all);
        (void)r; /* out of memory: the next that is left out sets it */
    }
    return false;
}
