/* SPDX-License-Identifier: MIT */
/*
 * News: events that wait to be sent. What they say is recorded, or is a fact. They are sent in
 * order when the turn ends.
 */
#ifndef SHMD_CORE_NEWS_H
#define SHMD_CORE_NEWS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/queue.h>

#include "daemon/sys/sysv.h"
#include "protocol/terms.h"

struct core;
struct segment;
struct segment_event;

STAILQ_HEAD(segment_events, segment_event);

struct news {
    struct segment_events waiting;
    size_t count;
    bool has_lost; /* one for which there was no memory, since the last look */
};

void news_init(struct news *news);
void news_deinit(struct news *news);

/* Adds an event about SEGMENT, as KERNEL shows it. Without memory the event is lost, and
 * subscribers see the gap. */
void news_add(struct core *core, const struct segment *segment, const struct sysv_stat *kernel,
              enum event_kind kind, enum reason reason);

/* Adds an event that SEGMENT has changed: it is not the daemon's any more. KERNEL shows it as it is
 * now. */
void news_add_disowned(struct core *core, const struct segment *segment,
                       const struct sysv_stat *kernel);

/* Takes the next event, which the caller publishes, or NULL. */
struct segment_event *news_next(struct core *core);
/* Whether one was lost since this was asked last: it may have been the one that somebody waits for.
 */
bool news_take_loss(struct core *core);

#endif
