/* SPDX-License-Identifier: MIT */
/*
 * What a peer is answered, free of any dialect's envelope: a typed result or a failure.
 */
#ifndef SHMD_PROTOCOL_REPLY_H
#define SHMD_PROTOCOL_REPLY_H

#include "protocol/errors.h"
#include "protocol/segment_json.h"
#include "protocol/writer.h"

/* A limit of the kernel beyond what the wire can say, as the default ones are, is no limit. */
#define KERNEL_NO_LIMIT UINT64_MAX

struct info {
    const char *version;
    int64_t pid, uid;
    int64_t started_at_ms;
    const char *boot_id;
    uint64_t ipc_namespace; /* inode */
    struct {
        uint64_t shmmax, shmall, shmmni; /* bytes, pages, segments; KERNEL_NO_LIMIT */
        uint64_t segments, bytes;
        bool shm_rmid_forced;
    } kernel;
    const struct info_limit *limits;
    size_t n_limits;
    uint64_t usage_segments, usage_bytes;
    const uint64_t *huge_page_sizes; /* bytes */
    size_t n_huge_page_sizes;
    bool durable;
    int64_t records_since_at_ms; /* the daemon's records have no gap since then; 0: not known */
    const char *store_failure;   /* why the last change could not be recorded; NULL: it was */
};

struct info_limit {
    const char *name; /* the configuration key */
    uint64_t max;     /* UINT64_MAX: none */
    bool is_counted;  /* there is a count of what it limits */
    uint64_t used;
};

enum reply_kind {
    REPLY_FAILURE,
    REPLY_INFO,
    REPLY_SEGMENT,
    REPLY_CREATED,
    REPLY_LIST,
    REPLY_SUBSCRIBED,
    REPLY_METRICS,
    REPLY_NOTHING, /* done, and there is no more to say: {} */
};

/* What a handler answers. Pointers are borrowed until the reply is written. */
struct reply {
    enum reply_kind kind;
    union {
        struct failure failure;
        struct info info;
        struct {
            struct wire_segment segment;
            bool created; /* REPLY_CREATED only */
        } one;
        struct {
            const struct wire_segment *segments;
            size_t count;
            char cursor[32]; /* empty: this was the last page */
        } list;
        uint64_t event_serial; /* REPLY_SUBSCRIBED: of the newest event */
        struct {
            const char *text;
            size_t len;
        } metrics;
    } u;
};

/* What a subscriber is told: a change of a segment, or that it missed some. */
struct wire_event {
    uint64_t missed; /* 0: an event; else a gap of so many, and nothing else counts */
    uint64_t event_serial;
    int64_t at_ms;
    enum event_kind kind;
    enum reason reason; /* of EVENT_REMOVED */
    const struct wire_segment *segment;
};

void reply_write_event(struct writer *w, const struct wire_event *event);

/* The result alone, which all dialects share: {"segment":…}, {"segments":…}, info's members. */
void reply_write_result(struct writer *w, const struct reply *reply);
/* The members of a failure's parameters, inside an object that the caller has begun. */
void reply_write_failure_params(struct writer *w, const struct failure *f);

#endif
