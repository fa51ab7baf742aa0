/* SPDX-License-Identifier: MIT */
#include "client/cli/top_feed.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "client/cli/kernel_segments.h"

enum {
    SILENT_MS = 2000,   /* after which it is said that the daemon does not answer */
    AWAY_MS = 500,      /* between two attempts to connect */
    MEMORY_ROWS = 1024, /* of the kernel's table, which takes the longer the more are read */
    EVENTS_A_STEP = 256,
};

static void answer_subscribe(struct shmd *shmd, const struct shmd_answer *answer, void *data);
static void answer_page(struct shmd *shmd, const struct shmd_answer *answer, void *data);

/* --- the state of the daemon */

static void lose(struct top_feed *feed, const char *why)
{
    shmd_disconnect(feed->cli->shmd);
    feed->cli->shmd = NULL;
    feed->is_looking = false;
    feed->due_ms = cli_now_ms() + AWAY_MS;
    top_model_status(feed->model,
                     "The daemon is away (%s). Connecting again; below is its last known state.",
                     why);
}

static void run_out_of_memory(struct top_feed *feed)
{
    feed->failed = true;
    feed->is_looking = false;
}

/* R: of a function that sends; what it has sent is under way. */
static void note_sent(struct top_feed *feed, int r)
{
    feed->asked_at_ms = cli_now_ms();
    if (r == -ENOMEM)
        run_out_of_memory(feed);
    else if (r != 0)
        feed->is_looking = false; /* the connection is lost, which the next step sees */
}

/* The look is over, well or not. The next one comes when it is due, but not before the daemon and
 * the machine have had as much rest as this one took. */
static void end_look(struct top_feed *feed)
{
    const int64_t now = cli_now_ms(), took = now - feed->look_at_ms;
    const int64_t rest = took < feed->delay_ms ? took : feed->delay_ms;
    feed->is_looking = false;
    feed->due_ms = feed->look_at_ms + feed->delay_ms;
    if (feed->due_ms < now + rest)
        feed->due_ms = now + rest;
}

static void refuse(struct top_feed *feed, const struct shmd_answer *answer)
{
    top_model_status(feed->model, "%s", answer->failure->message);
    end_look(feed);
}

/* --- a look */

static void read_processes(struct top_feed *feed)
{
    struct shmd_attachments *all = NULL;
    if (feed->wants_processes && feed->shares_ids && shmd_attachments(NULL, NULL, &all) != 0)
        all = NULL;
    if (top_model_processes(feed->model, all) < 0)
        run_out_of_memory(feed);
    shmd_attachments_free(all);
}

static void finish_look(struct top_feed *feed)
{
    struct kernel_memory *memory = calloc(MEMORY_ROWS, sizeof(*memory));
    size_t n = 0;
    if (!memory) {
        run_out_of_memory(feed);
        return;
    }
    if (feed->shares_ids && kernel_memory_read(memory, MEMORY_ROWS, &n) < 0)
        n = 0;
    if (top_model_end(feed->model, cli_now_ms(), memory, n) < 0)
        run_out_of_memory(feed);
    free(memory);
    read_processes(feed);
    top_model_status(feed->model, "%s", "");
    end_look(feed);
}

static void answer_info(struct shmd *shmd, const struct shmd_answer *answer, void *data)
{
    struct top_feed *feed = data;
    if (answer->code != 0) {
        refuse(feed, answer);
        return;
    }
    const uint64_t own = own_ipc_namespace();
    feed->shares_ids = own == 0 || own == answer->info->ipc_namespace;
    if (top_model_info(feed->model, answer->info) < 0)
        run_out_of_memory(feed);
    else
        note_sent(feed, shmd_send_list_page(shmd, &feed->filters, NULL, answer_page, feed));
}

static void answer_page(struct shmd *shmd, const struct shmd_answer *answer, void *data)
{
    struct top_feed *feed = data;
    if (answer->code != 0) {
        refuse(feed, answer);
        return;
    }
    for (size_t i = 0; i < answer->page->count; i++)
        if (top_model_add(feed->model, answer->page->segments[i]) < 0) {
            run_out_of_memory(feed);
            return;
        }
    if (answer->page->cursor)
        note_sent(feed, shmd_send_list_page(shmd, &feed->filters, answer->page->cursor, answer_page,
                                            feed));
    else
        finish_look(feed);
}

static void begin_look(struct top_feed *feed)
{
    feed->is_looking = true;
    feed->look_at_ms = cli_now_ms();
    top_model_begin(feed->model);
    note_sent(feed, shmd_send_info(feed->cli->shmd, answer_info, feed));
}

/* --- events */

static void subscribe(struct top_feed *feed)
{
    const struct shmd_subscribe_options options = {
        .prefix = feed->filters.prefix, .has_after = feed->has_last, .after = feed->last_event};
    note_sent(feed, shmd_send_subscribe(feed->cli->shmd, &options, answer_subscribe, feed));
}

static void answer_subscribe(struct shmd *shmd, const struct shmd_answer *answer, void *data)
{
    struct top_feed *feed = data;
    (void)shmd;
    if (answer->code < 0)
        return;
    if (answer->code == 0 && !feed->has_last)
        feed->last_event = answer->event_serial;
    if (answer->code > 0 && feed->has_last) {
        /* It has begun to count anew. */
        feed->has_last = false;
        subscribe(feed);
        return;
    }
    feed->has_last = answer->code == 0;
    if (answer->code > 0)
        top_model_status(feed->model, "Events are not shown: %s", answer->failure->message);
}

/* True: there was one at least. R: 0, or how the connection was lost. */
static bool take_events(struct top_feed *feed, int *ret)
{
    int n = 0, r = 0;
    for (; n < EVENTS_A_STEP; n++) {
        struct shmd_event *event;
        r = shmd_next_event(feed->cli->shmd, 0, &event);
        if (r != 0)
            break;
        top_model_event(feed->model, event);
        if (event->event_serial > 0)
            feed->last_event = event->event_serial;
        shmd_event_free(event);
    }
    *ret = r == -ETIMEDOUT ? 0 : r;
    if (n == EVENTS_A_STEP)
        feed->due_ms = cli_now_ms();
    return n > 0;
}

/* --- the steps */

void top_feed_start(struct top_feed *feed)
{
    daemon_choice_text(&feed->cli->daemon, feed->model->daemon);
    feed->is_looking = false;
    feed->due_ms = cli_now_ms();
    if (feed->wants_events)
        subscribe(feed);
}

static void connect_again(struct top_feed *feed)
{
    int r = shmd_connect(feed->cli->daemon.path, 0, &feed->cli->shmd);
    if (r == 0)
        top_feed_start(feed);
    else
        lose(feed, strerror(-r));
}

static bool is_silent(const struct top_feed *feed)
{
    return shmd_unanswered(feed->cli->shmd) > 0 && cli_now_ms() - feed->asked_at_ms >= SILENT_MS;
}

bool top_feed_step(struct top_feed *feed)
{
    struct top_model *m = feed->model;
    const size_t looks = m->n_looks;
    int lost = 0;
    if (!feed->cli->shmd) {
        if (cli_now_ms() >= feed->due_ms)
            connect_again(feed);
        if (!feed->cli->shmd)
            return true;
    }
    int told = shmd_process(feed->cli->shmd, 0);
    bool is_new = take_events(feed, &lost) || told > 0;
    if (told < 0 || lost < 0) {
        lose(feed, strerror(told < 0 ? -told : -lost));
        return true;
    }
    if (shmd_unanswered(feed->cli->shmd) == 0 && !feed->is_looking && !feed->failed &&
        cli_now_ms() >= feed->due_ms)
        begin_look(feed);
    told = shmd_process(feed->cli->shmd, 0); /* what was asked goes out */
    if (told < 0) {
        lose(feed, strerror(-told));
        return true;
    }
    if (is_silent(feed)) {
        top_model_status(
            m, "The daemon does not answer. Waiting for it; below is its last known state.");
        return true;
    }
    return is_new || m->n_looks != looks;
}

int top_feed_fd(const struct top_feed *feed)
{
    return feed->cli->shmd ? shmd_fd(feed->cli->shmd) : -1;
}

short top_feed_poll_events(const struct top_feed *feed)
{
    if (!feed->cli->shmd)
        return 0;
    return shmd_poll_events(feed->cli->shmd);
}

int top_feed_wait_ms(const struct top_feed *feed)
{
    int64_t due = feed->due_ms;
    if (feed->cli->shmd && shmd_unanswered(feed->cli->shmd) > 0) {
        due = feed->asked_at_ms + SILENT_MS;
        /* It was told; it is looked at again in a while, or when the daemon says something. */
        if (due <= cli_now_ms())
            return SILENT_MS;
    }
    const int64_t left = due - cli_now_ms();
    if (left <= 0)
        return 0;
    return left < INT32_MAX ? (int)left : INT32_MAX;
}

void top_feed_hurry(struct top_feed *feed)
{
    if (feed->cli->shmd)
        feed->due_ms = cli_now_ms();
}
