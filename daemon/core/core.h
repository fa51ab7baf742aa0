/* SPDX-License-Identifier: MIT */
/*
 * The core: all that shmd knows and decides, on top of the seams to the kernel, the clock,
 * processes and the store. What it can be asked is in the headers beside this one, a file a verb.
 * Each change is durable when its verb returns (ledger.h); its event is sent when the turn ends.
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
#include "daemon/core/work.h"
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
    int64_t turn_work_us;
};

/* How often segments were looked at before a charge was refused: charge.h. */
struct looks {
    unsigned n;   /* in this turn */
    uint32_t uid; /* whose the last was */
    struct registry_walk walk;
    int64_t others_again_ms; /* boot clock: until then those of all others are not looked at */
};

/* How many records got which verdict. */
struct sweep_result {
    uint64_t match, gone, recycled, dying, indeterminate;
};

/* What a sweep that was asked for has found. */
typedef void swept_fn(void *context, const struct sweep_result *result);

/* The look at all records, periodic or asked for: reconcile.h. */
struct sweep {
    struct deadline due; /* set while there are segments, and none is under way */
    bool is_under_way;
    bool is_told;      /* this one was asked for */
    bool is_asked_for; /* while one is under way: another begins behind it */
    swept_fn *swept;   /* NULL: nobody is told */
    void *context;
    struct registry_walk walk;
    struct sweep_result result; /* so far */
    int32_t next_index;         /* of the kernel's, once all records are looked at */
    uint64_t foreign, orphaned; /* so far: segments that are not the daemon's */
    bool has_unnumbered;        /* so far: a look failed that was to tell its creator's number */
    unsigned listeners;         /* who subscribe to what only a sweep finds */
    uint64_t n_done;
};

/* What the last sweep counted. */
struct counted {
    uint64_t foreign, orphaned;
    struct sysv_limits kernel;
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
    struct sweep sweep;
    struct counted counted;
    struct event_log events;
    struct waiters waiters;
    struct news news;
    struct ledger ledger;
    struct declarations declarations;
    struct dead_segments dead; /* out of the registry; freed when the turn is over */
    struct looks looks;
    struct work work;
    struct ended_parties ended; /* what depends on them is to be dealt with: ends.h */
    bool is_started;            /* until then no event tells of attachments */
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
    size_t n_unclear;             /* so many segments may be it, and none of them was removed */
    int32_t unclear[UNCLEAR_MAX]; /* the first of their shmids */
};

/* What the start found, for the log. */
struct core_start {
    struct sweep_result sweep;
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

/* New settings, in force for what comes. */
void core_configure(struct core *core, const struct core_settings *settings);

/* What the daemon does by itself, in parts: each goes on until the share is over. */
struct core_chore {
    bool (*is_due)(const struct core *core);
    void (*go_on)(struct core *core);
};
enum { CORE_CHORES = 6 };
extern const struct core_chore core_chores[CORE_CHORES];

/* Goes on with each that is due. A turn must end after it. */
void core_tick(struct core *core);
/* When it is next due (boot clock; it may have passed), or -1. */
int64_t core_next_tick(const struct core *core);

/* Records the facts. Then the caller sends the events, and core_bury() frees what is dead. */
void core_record_facts(struct core *core);
/* The end of a turn: the same, and the store is tended. */
void core_end_turn(struct core *core);
/* Whether there are facts to record, events to send, or dead segments to free. */
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
