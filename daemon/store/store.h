/* SPDX-License-Identifier: MIT */
/*
 * The seam to what outlives the daemon. Its users see records, never bytes: what a segment
 * is, which processes it is tied to, the counters, and which daemons ran here.
 *
 * One change is one array of records. It is durable when write() has returned 0; when write()
 * fails, nothing of the change is stored. Functions return 0 or a negative errno, and leave their
 * outputs untouched on failure. A reason is a sentence for people; it belongs to the store and is
 * valid until the next call.
 */
#ifndef SHMD_STORE_STORE_H
#define SHMD_STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/sys/process.h"
#include "daemon/util/cleanup.h"
#include "protocol/limits.h"
#include "protocol/params.h"
#include "protocol/terms.h"

/* What a process is to a segment. */
enum tie_role {
    TIE_HOLDER,      /* the segment lives while one of these does */
    TIE_INITIALISER, /* it is filling the segment */
    TIE_ATTACHER,    /* it created an `attached` segment and has yet to attach */
    TIE_ROLES
};

/* Who asked for a segment. */
struct stored_creator {
    uint32_t uid, gid;
    int32_t pid;
    char comm[COMM_MAX];
    bool was_admin;
    bool only_pays; /* for what is left of a declared segment of his: no right comes of it */
};

/* Since when nobody was seen to have a segment attached, and what the kernel told then. When it
 * tells the same later, nobody has attached or detached it since. */
struct stored_idle {
    int64_t since_ms;                     /* boot clock; 0: not recorded */
    int64_t attached_at_s, detached_at_s; /* the kernel's times; 0: never */
    int32_t last_pid;
};

/* A segment's own record. All pointers are borrowed. */
struct stored_segment {
    uint64_t serial;        /* 1 or more */
    const char *name;       /* NULL: it has none */
    const char *other_name; /* what it was called, or will be; NULL: nothing */
    uint64_t replaces;      /* the serial of the segment whose place it is to take; 0: none */
    uint32_t key;           /* 0: none */
    int32_t shmid;
    int32_t cpid;
    uint32_t cuid;
    uint64_t size;
    struct stored_creator creator;
    enum segment_state state;
    enum lifetime lifetime;
    bool noreserve;
    bool adopted;
    bool has_unseen; /* ties to processes that the daemon cannot see, which are not stored */
    uint64_t huge_page_size;
    int64_t created_at_ms;   /* wall clock */
    int64_t expires_at_ms;   /* boot clock; 0: never */
    int64_t idle_ttl_ms;     /* 0: none */
    struct stored_idle idle; /* only of one with idle_ttl_ms */
    const struct label *labels;
    size_t n_labels;
};

/* A tie of a segment to a process. Ties to connections are never stored: connections do not
 * survive the daemon. */
struct stored_tie {
    enum tie_role role;
    struct process_identity identity;
    uint32_t uid;
    char comm[COMM_MAX];
    int64_t since_at_ms; /* wall clock */
};

struct store_counters {
    uint64_t last_serial;  /* no segment has a serial above it */
    uint64_t event_serial; /* no event was sent with a serial above it */
};

/* A daemon that ran on this store. */
struct store_daemon {
    int32_t pid;
    uint32_t pid_namespace; /* machine.pid_namespace: where pids that it recorded mean something */
    int64_t started_at_s;   /* clock_ops.kernel_s(), to be compared with ctimes */
};

/* A time: what the create makes cannot be told from other segments. It is not to be removed. */
#define STORE_INTENT_UNSURE INT64_MAX

/* A create that is under way: by this the next start finds a segment that has no record. */
struct store_intent {
    uint32_t key;
    uint64_t size;
    int32_t pid;  /* the daemon's; more than 0 */
    int64_t at_s; /* clock_ops.kernel_s(), or STORE_INTENT_UNSURE */
};

enum store_record_type {
    STORE_SEGMENT = 1, /* the segment is so from now on; its ties stay */
    STORE_TIE,         /* one more; its segment has a record, or gets one earlier in the change */
    STORE_UNTIE,       /* role and identity tell which; nothing if there is none */
    STORE_GONE,        /* the segment and its ties; nothing if there is none */
    STORE_COUNTERS,
    STORE_DAEMON,
    STORE_IDLE, /* the segment, which is used again and again, is so from now on, and else as it
                   was; nothing if it has no record, or none with idle_ttl_ms */
};

struct store_record {
    enum store_record_type type;
    uint64_t serial; /* the segment's; 0 for counters and daemons */
    union {
        const struct stored_segment *segment; /* with the same serial */
        struct stored_tie tie;
        struct store_counters counters;
        struct store_daemon daemon;
        struct stored_idle idle;
    };
};

/* A segment with its ties. */
struct stored {
    struct stored_segment segment;
    const struct stored_tie *ties; /* in the order in which they were made */
    size_t n_ties;
};

/* All that is stored. It owns what its pointers point to. */
struct store_contents {
    struct stored *segments; /* ascending serials */
    size_t n_segments;
    struct store_daemon *daemons; /* the latest last; of very many, the last ones */
    size_t n_daemons;
    struct store_counters counters; /* last_serial is not below any segment's serial */
    bool has_intent;
    struct store_intent intent;
    int64_t records_since_at_ms; /* wall clock: older segments may have had records that are lost */
    struct arena *memory;        /* what the pointers point into */
};

/* What lives, as the user of the store has it in memory. A store reads it when it writes its file
 * anew: at most what was written, and never a change before write() has returned. */
struct store_source {
    /* The segment with the least serial above AFTER: 1 with RET, whose pointers are valid until
     * the next call; 0 when there is none; or a negative errno. */
    int (*next)(void *context, uint64_t after, struct stored *ret);
    void *context;
};

struct store_ops {
    /* All that is stored; RET is freed by store_contents_deinit(). To be called once, first. An
     * intent in it is one that a former daemon left, and of which there is no record: it stays open
     * until the first write() or abandon(). */
    int (*load)(void *context, struct store_contents *ret);
    /* To be called once the contents are in memory: from now on SOURCE is what lives. */
    void (*follow)(void *context, const struct store_source *source);
    /* Records that a create begins. */
    int (*intend)(void *context, const struct store_intent *intent, const char **ret_reason);
    /* Records a change; no intent is open afterwards. -ENOSPC is for the disk; a change of
     * STORE_GONE, STORE_UNTIE, STORE_COUNTERS and STORE_DAEMON alone has room even when the disk is
     * full. */
    int (*write)(void *context, const struct store_record *records, size_t n,
                 const char **ret_reason);
    /* The create came to nothing: no intent is open afterwards. After a failure the next write()
     * closes it. */
    int (*abandon)(void *context, const char **ret_reason);
    /* Does what can wait, for about BUDGET_US: true when there is more to do at once. To be called
     * when nothing is half done, as at the end of a turn. */
    bool (*tend)(void *context, int64_t budget_us);
    /* The bytes that the store takes up. It shrinks when what is gone is left out. */
    uint64_t (*size)(void *context);
};

struct store {
    const struct store_ops *ops;
    void *context;
};

void store_contents_deinit(struct store_contents *contents);

/* How many bytes RECORD takes up. */
size_t store_record_size(const struct store_record *record);

/* NULL, or what is wrong with a record (static): such a one is neither written nor read. */
const char *store_check_record(const struct store_record *record);
const char *store_check_intent(const struct store_intent *intent);

#endif
