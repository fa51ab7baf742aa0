/* SPDX-License-Identifier: MIT */
#include "daemon/core/news.h"

#include "daemon/core/core.h"
#include "daemon/core/view.h"

void news_init(struct news *news)
{
    *news = (struct news){.count = 0};
    STAILQ_INIT(&news->waiting);
}

/* The first event of NEWS, taken out, or NULL. */
static struct segment_event *take(struct news *news)
{
    struct segment_event *event = STAILQ_FIRST(&news->waiting);
    if (!event)
        return NULL;
    STAILQ_REMOVE_HEAD(&news->waiting, in_news);
    news->count--;
    return event;
}

void news_deinit(struct news *news)
{
    for (struct segment_event *event; (event = take(news));)
        segment_event_free(event);
}

static void add(struct core *core, const struct wire_segment *view, const struct sysv_stat *kernel,
                enum event_kind kind, enum reason reason)
{
    struct segment_event *event =
        segment_event_new(kind, reason, core_realtime_ms(core), view, kernel);
    if (!event) {
        event_log_publish(&core->events, NULL);
        core->news.has_lost = true;
        return;
    }
    STAILQ_INSERT_TAIL(&core->news.waiting, event, in_news);
    core->news.count++;
}

void news_add(struct core *core, const struct segment *segment, const struct sysv_stat *kernel,
              enum event_kind kind, enum reason reason)
{
    struct wire_segment view;
    view_segment(core, segment, kernel, &view);
    add(core, &view, kernel, kind, reason);
}

void news_add_disowned(struct core *core, const struct segment *segment,
                       const struct sysv_stat *kernel)
{
    struct wire_segment view;
    view_foreign(core, kernel, &view);
    view.former_name = segment->name;
    add(core, &view, kernel, EVENT_CHANGED, REASON_REQUEST);
}

struct segment_event *news_next(struct core *core)
{
    return take(&core->news);
}

bool news_take_loss(struct core *core)
{
    const bool has_lost = core->news.has_lost;
    core->news.has_lost = false;
    return has_lost;
}
