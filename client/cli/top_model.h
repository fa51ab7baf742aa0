/* SPDX-License-Identifier: MIT */
/*
 * What top shows, computed from what the daemon, the kernel and /proc tell: the segments of the
 * last look with what has changed since the one before, totals of each user and process, what is
 * used of the limits, and the last events. A look is taken in: begin, add every segment, add what
 * the kernel knows of memory, end; until its end the former one stays. Nothing here asks anybody.
 */
#ifndef SHMD_CLIENT_CLI_TOP_MODEL_H
#define SHMD_CLIENT_CLI_TOP_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/cli/kernel_segments.h"
#include "client/shmd.h"
#include "protocol/limits.h"

enum { TOP_USER_SIZE = 64, TOP_EVENTS = 64, TOP_METER_SIZE = 32, TOP_STATUS_SIZE = 256 };

struct top_segment {
    uint64_t serial; /* 0: not the daemon's */
    int shmid;
    uint32_t uid, creator_uid;
    uint64_t size, nattch;
    uint32_t holders;
    enum shmd_state state;
    enum shmd_lifetime lifetime; /* 0: not the daemon's */
    int64_t created_at_ms;       /* 0: not known */
    bool has_memory;
    uint64_t memory; /* bytes of it that are in memory or in swap */
    bool has_growth;
    int64_t growth; /* of the memory, bytes a second */
    bool is_new;    /* it was not there at the look before */
    char *name;     /* owned; "": none. As the daemon has it: whoever prints it makes it harmless */
    char *creator;  /* owned; the program; "": not known */
    const char *owner; /* of the table of names */
};

struct top_user {
    uint32_t uid;
    const char *name;
    uint64_t segments, bytes, attachments, memory; /* of the segments that this user has made */
    uint64_t charged_segments, charged_bytes;      /* those that count for the user's quotas */
    int64_t growth;                                /* of the memory, bytes a second */
};

struct top_process {
    int32_t pid;
    const char *user;
    char *command, *unit; /* owned; "": not known */
    uint64_t segments, bytes, attachments;
};

/* What is used of a limit. */
struct top_meter {
    char name[TOP_METER_SIZE];
    uint64_t used, max; /* UINT64_MAX: no limit */
    bool is_bytes;
};

struct top_event {
    int64_t at_ms;
    enum shmd_event_kind kind;
    enum shmd_reason reason;
    uint64_t missed;                 /* of a gap, which has nothing else */
    char name[SEGMENT_NAME_MAX + 1]; /* "": none */
    int shmid;
    uint64_t size, nattch;
};

struct top_name {
    uint32_t uid;
    char text[TOP_USER_SIZE];
};

typedef void top_name_fn(uint32_t uid, char *ret, size_t size);

struct top_sample {
    struct top_segment *segments; /* owned; in the order of their identity, once it has ended */
    size_t n, capacity;
    int64_t at_ms;
};

struct top_model {
    top_name_fn *name_of;
    struct top_name **names; /* owned, each too: it stays where it is */
    size_t n_names;
    struct top_sample now, coming;
    size_t n_looks;
    uint64_t bytes;         /* of all segments */
    struct top_user *users; /* owned */
    size_t n_users;
    struct top_process *processes; /* owned */
    size_t n_processes;
    struct top_meter *meters; /* owned */
    size_t n_meters;
    uint64_t user_max_segments, user_max_bytes; /* quotas of each user; UINT64_MAX: none */
    struct top_event events[TOP_EVENTS]; /* a ring: the newest is at (n_events - 1) % TOP_EVENTS */
    size_t n_events;                     /* that there ever were */
    char daemon[TOP_STATUS_SIZE];        /* which it is */
    char status[TOP_STATUS_SIZE];        /* what is wrong with it; "": nothing */
};

/* NAME_OF tells a user's name, and is asked once for each. */
void top_model_init(struct top_model *m, top_name_fn *name_of);
void top_model_deinit(struct top_model *m);

/* Each is 0 or -ENOMEM; then the look is to be given up, and what was there stays. */
void top_model_begin(struct top_model *m);
int top_model_add(struct top_model *m, const struct shmd_segment *segment) MUST_CHECK;
/* AT_MS: on a clock that nobody sets. Sorts MEMORY; a segment that is not in it stays unknown. */
int top_model_end(struct top_model *m, int64_t at_ms, struct kernel_memory *memory,
                  size_t n_memory) MUST_CHECK;

int top_model_info(struct top_model *m, const struct shmd_info *info) MUST_CHECK;
/* Of all segments; NULL: nobody has looked. */
int top_model_processes(struct top_model *m, const struct shmd_attachments *all) MUST_CHECK;
void top_model_event(struct top_model *m, const struct shmd_event *event);
void top_model_status(struct top_model *m, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The event AGE before the newest one; NULL: there is none any more. */
const struct top_event *top_model_event_at(const struct top_model *m, size_t age);

#endif
