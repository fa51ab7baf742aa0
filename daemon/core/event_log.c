/* SPDX-License-Identifier: MIT */
#include "daemon/core/event_log.h"

#include <stdlib.h>
#include <string.h>

void event_log_init(struct event_log *log, uint64_t last)
{
    *log = (struct event_log){.last = last, .first = last + 1};
}

void event_log_deinit(struct event_log *log)
{
    for (size_t i = 0; i < EVENTS_KEPT; i++)
        segment_event_free(log->kept[i]);
}

static size_t text_size(const struct wire_segment *s)
{
    size_t size = s->n_labels * sizeof(struct label);
    if (s->name)
        size += strlen(s->name) + 1;
    if (s->former_name)
        size += strlen(s->former_name) + 1;
    if (s->creator.comm)
        size += strlen(s->creator.comm) + 1;
    for (size_t i = 0; i < s->n_labels; i++)
        size += strlen(s->labels[i].key) + strlen(s->labels[i].value) + 2;
    return size;
}

static const char *copy_text(char **at, const char *text)
{
    char *copy = *at;
    *at = stpcpy(copy, text) + 1;
    return copy;
}

struct segment_event *segment_event_new(enum event_kind kind, enum reason reason, int64_t at_ms,
                                        const struct wire_segment *segment,
                                        const struct sysv_stat *kernel)
{
    /* The labels' array comes first, where it is aligned. */
    struct segment_event *event = malloc(sizeof(*event) + text_size(segment));
    if (!event)
        return NULL;
    *event = (struct segment_event){
        .kind = kind, .reason = reason, .at_ms = at_ms, .segment = *segment, .kernel = *kernel};
    struct label *labels = (struct label *)(void *)event->text;
    char *at = (char *)(labels + segment->n_labels);
    for (size_t i = 0; i < segment->n_labels; i++) {
        labels[i].key = copy_text(&at, segment->labels[i].key);
        labels[i].value = copy_text(&at, segment->labels[i].value);
    }
    event->segment.labels = labels;
    if (segment->name)
        event->segment.name = copy_text(&at, segment->name);
    if (segment->former_name)
        event->segment.former_name = copy_text(&at, segment->former_name);
    if (segment->creator.comm)
        event->segment.creator.comm = copy_text(&at, segment->creator.comm);
    event->segment.holder_list = NULL;
    return event;
}

_Static_assert(offsetof(struct segment_event, text) % _Alignof(struct label) == 0,
               "labels stand there");

void segment_event_free(struct segment_event *event)
{
    free(event);
}

void event_log_publish(struct event_log *log, struct segment_event *event)
{
    uint64_t serial = ++log->last;
    struct segment_event **slot = &log->kept[serial % EVENTS_KEPT];
    segment_event_free(*slot);
    *slot = event;
    if (event)
        event->serial = serial;
    if (serial - log->first >= EVENTS_KEPT)
        log->first = serial - EVENTS_KEPT + 1;
}

const struct segment_event *event_log_get(const struct event_log *log, uint64_t serial)
{
    if (serial < log->first || serial > log->last)
        return NULL;
    return log->kept[serial % EVENTS_KEPT];
}
