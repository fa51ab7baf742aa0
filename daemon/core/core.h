/*
 * The core: all that shmd knows and decides, on top of the seams to the kernel, the clock,
 * processes and the store. What it can be asked is in the headers beside this one, a file a verb.
 * Each change is durable when its verb returns (ledger.h); its event is told when the turn ends.
 */
#ifndef SHMD_CORE_CORE_H
#define SHMD_CORE_CORE_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/core/access.h"
#include "daemon/core/caller.h"
#include "daemon/core/deadlines.h"
#include "daemon/core/declaration.h"
#include "daemon/core/event_log.h"
#include "daemon/core/ledger.h"
#include "daemon/core/limits.h"
#include "daemon/core/news.h"
#include "daemon/core/outcome.h"
#include "daemon/core/party.h"
#include "daemon/core/quota.h"
#include "daemon/core/registry.h"
#include "daemon/core/wait.h"
#include "daemon/store/store.h"
#include "daemon/sys/clock.h"
#include "daemon/sys/machine.h"
#include "daemon/sys/process.h"
#include "daemon/sys/sysv.h"

/* What the core stands on. The contexts must outlive it. */
struct core_seams {
    struct sysv sysv;
    struct clock clock;
    struct processes processes;
    struct watcher watcher;
    struct store store;
};

struct core_settings {
    struct limits limits;
    struct access access;
    int64_t attach_timeout_ms;
    int64_t reconcile_ms;
};

/* How often segments were looked at before a charge was refused: charge.h. */
struct looks {
    unsigned n;              /* in this turn */
    uint32_t uid;            /* whose the last was */
    int64_t others_again_ms; /* boot clock: until then those of all others are not looked at */
};

SLIST_HEAD(dead_segments, segment);

struct core {
    struct core_seams on;
    struct core_settings settings;
    const struct machine *machine;
    int32_t own_pid;
    uint32_t own_gid;
    bool rmid_forced; /* kernel.shm_rmid_forced, as last read */
    struct registry registry;
    struct quota quota;
    struct parties parties;
    struct deadlines deadlines;
    struct deadline sweep; /* set while there are segments */
    struct event_log events;
    struct waiters waiters;
    struct news news;
    struct ledger ledger;
    struct declarations declarations;
    struct dead_segments dead; /* out of the registry; freed when the turn is over */
    struct looks looks;
    bool is_started; /* until then no event tells of attachments */
};

/* A segment as it is now. */
struct found {
    struct segment *segment; /* NULL: it is not the daemon's */
    struct sysv_stat kernel;
};

enum { UNCLEAR_MAX = 8 };

/* What a former daemon was about to create when it ended, and nobody was told of. */
struct unacknowledged {
    bool is_removed;
    size_t n_unclear;             /* so many segments may be it, and so none of them was removed */
    int32_t unclear[UNCLEAR_MAX]; /* the first of their shmids */
};

/* What the start found, for the log. */
struct core_start {
    uint64_t kept, gone, recycled, dying, indeterminate;
    uint64_t dead; /* removed, for all whose life they depended on have ended */
    struct unacknowledged unacknowledged;
    int store_error; /* why the store takes no changes for now; 0: it does */
};

void core_init(struct core *core, const struct core_seams *on, const struct core_settings *settings,
               const struct machine *machine, int32_t own_pid, uint32_t own_gid);
/* Lets go of everything without removing a segment. */
void core_deinit(struct core *core);

/* Loads the store and brings records and kernel together: 0 or a negative errno. */
int core_start(struct core *core, struct core_start *ret) MUST_CHECK;

/* One look at every record, and at kernel.shm_rmid_forced. Events tell what has changed. */
void core_reconcile(struct core *core, struct core_start *ret);

/* New settings, in force for what comes. */
void core_configure(struct core *core, const struct core_settings *settings);

/* Does what is due. A turn must end after it. */
void core_tick(struct core *core);
/* When it is next due (boot clock), or -1. */
int64_t core_next_tick(const struct core *core);

/* The end of a turn: facts are recorded. Then events are told, then what is dead is buried. */
void core_end_turn(struct core *core);
/* Whether anything waits for a turn's end. */
bool core_turn_is_due(const struct core *core);
/* Frees what has left the registry; nothing may point to it any more. */
void core_bury(struct core *core);

static inline int64_t core_boottime_ms(const struct core *core)
{
    return core->on.clock.ops->boottime_ms(core->on.clock.context);
}

static inline int64_t core_realtime_ms(const struct core *core)
{
    return core->on.clock.ops->realtime_ms(core->on.clock.context);
}

#endif
