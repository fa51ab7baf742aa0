/* SPDX-License-Identifier: MIT */
/*
 * The newest events. Each has a serial, one above the last; those that fell out of the log are
 * a gap to a subscriber. An event is a snapshot: it owns its strings.
 */
#ifndef SHMD_CORE_EVENT_LOG_H
#define SHMD_CORE_EVENT_LOG_H

#include <stdint.h>
#include <sys/queue.h>

#include "daemon/sys/sysv.h"
#include "protocol/limits.h"
#include "protocol/segment_json.h"
#include "protocol/terms.h"

struct segment_event {
    uint64_t serial; /* 0 until it is published */
    int64_t at_ms;   /* wall clock */
    enum event_kind kind;
    enum reason reason;
    struct wire_segment segment;
    struct sysv_stat kernel; /* for the right to see it */
    STAILQ_ENTRY(segment_event) in_news;
    char text[]; /* what `segment` points into */
};

struct event_log {
    struct segment_event
        *kept[EVENTS_KEPT]; /* by serial modulo; NULL: none, or lost to lack of memory */
    uint64_t last;          /* serial of the newest */
    uint64_t first;         /* the oldest that may be kept; last + 1: none */
};

/* LAST: the highest serial that an event ever had. */
void event_log_init(struct event_log *log, uint64_t last);
void event_log_deinit(struct event_log *log);

/* A snapshot; NULL when out of memory. */
struct segment_event *segment_event_new(enum event_kind kind, enum reason reason, int64_t at_ms,
                                        const struct wire_segment *segment,
                                        const struct sysv_stat *kernel);
void segment_event_free(struct segment_event *event);

/* Takes EVENT (NULL: one that was lost) as the newest. */
void event_log_publish(struct event_log *log, struct segment_event *event);

/* The event with that serial, or NULL when it is not kept. */
const struct segment_event *event_log_get(const struct event_log *log, uint64_t serial);

#endif
