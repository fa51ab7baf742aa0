/* SPDX-License-Identifier: MIT */
#include "daemon/store/journal_rewrite.h"

#include <errno.h>
#include <string.h>

enum {
    SLACK = 1048576,             /* a file that is not larger than this is never worth it */
    SEGMENTS_BETWEEN_LOOKS = 16, /* at the clock */
    FLUSH_BYTES = 65536,
    ROOM_FOR_COUNTERS = 4096,
};

static const int64_t first_delay_us = 1000000, longest_delay_us = INT64_C(3600) * 1000000;

uint64_t journal_room_to_leave(const struct journal *j)
{
    return journal_live_removal_bytes(&j->live) + ROOM_FOR_COUNTERS;
}

static bool is_due(const struct journal *j)
{
    return j->source.next && j->file.end > 2 * j->live.bytes + SLACK;
}

static int64_t now_us(const struct journal *j)
{
    return j->options.host.ops->monotonic_us(j->options.host.context);
}

/* Lets go of the new file. */
static void drop(struct journal *j)
{
    const struct host *host = &j->options.host;
    struct journal_rewrite *w = &j->rewrite;
    journal_file_close(host, &w->file);
    if (w->is_active)
        (void)host->ops->remove(host->context, JOURNAL_NEW_NAME);
    w->is_active = false;
    record_buffer_deinit(&w->buffer);
}

void journal_rewrite_give_up(struct journal *j)
{
    drop(j);
}

/* Tries again later, and much later when that fails, too. */
static void put_off(struct journal *j, int error)
{
    struct journal_rewrite *w = &j->rewrite;
    drop(j);
    if (w->delay_us == 0)
        journal_say(&j->options, LOG_LEVEL_WARNING,
                    "the journal cannot be compacted, and grows until it can: %s",
                    strerror(-error));
    w->delay_us = w->delay_us ? w->delay_us * 2 : first_delay_us;
    if (w->delay_us > longest_delay_us)
        w->delay_us = longest_delay_us;
    w->retry_at_us = now_us(j) + w->delay_us;
}

/* --- the steps */

static int begin(struct journal *j)
{
    const struct host *host = &j->options.host;
    struct journal_rewrite *w = &j->rewrite;
    int r = host->ops->remove(host->context, JOURNAL_NEW_NAME);
    if (r < 0 && r != -ENOENT)
        return r;
    w->is_active = true;
    w->copied_to = 0;
    r = journal_file_make(host, JOURNAL_NEW_NAME, &j->file.header, &w->file);
    if (r < 0)
        return r;
    const struct store_record counters = {.type = STORE_COUNTERS, .counters = j->counters};
    r = record_encode(&w->buffer, &counters, false);
    for (size_t i = 0; r == 0 && i < j->n_daemons; i++) {
        const struct store_record daemon = {.type = STORE_DAEMON, .daemon = j->daemons[i]};
        r = record_encode(&w->buffer, &daemon, false);
    }
    return r;
}

static int flush(struct journal *j)
{
    const struct host *host = &j->options.host;
    struct journal_rewrite *w = &j->rewrite;
    int r = journal_file_make_room(host, &w->file, w->buffer.len);
    if (r == 0 && w->buffer.len > 0)
        r = journal_file_append(host, &w->file, w->buffer.bytes, w->buffer.len);
    if (r == 0)
        w->buffer.len = 0;
    return r;
}

static int copy(struct record_buffer *buffer, const struct stored *stored)
{
    uint64_t serial = stored->segment.serial;
    const struct store_record segment = {
        .type = STORE_SEGMENT, .serial = serial, .segment = &stored->segment};
    int r = record_encode(buffer, &segment, stored->n_ties > 0);
    for (size_t i = 0; r == 0 && i < stored->n_ties; i++) {
        const struct store_record tie = {
            .type = STORE_TIE, .serial = serial, .tie = stored->ties[i]};
        r = record_encode(buffer, &tie, i + 1 < stored->n_ties);
    }
    return r;
}

/* Everything is copied: the new file takes the old one's place. */
static int finish(struct journal *j)
{
    const struct host *host = &j->options.host;
    struct journal_rewrite *w = &j->rewrite;
    const struct header *header = &j->file.header;
    int r = flush(j);
    if (r == 0)
        r = journal_file_make_room(host, &w->file, journal_room_to_leave(j));
    if (r == 0)
        r = journal_file_commit(host, &w->file, header->has_intent ? &header->intent : NULL);
    if (r == 0)
        r = host->ops->rename(host->context, JOURNAL_NEW_NAME, JOURNAL_NAME, true);
    if (r < 0)
        return r;
    journal_file_close(host, &j->file);
    j->file = w->file;
    w->file = (struct journal_file){.fd = -1};
    w->is_active = false;
    w->delay_us = 0;
    drop(j);
    return 0;
}

/* Goes on until UNTIL_US, or to the end: 1 when there is more to do, 0, or a negative errno. */
static int go_on(struct journal *j, int64_t until_us)
{
    struct journal_rewrite *w = &j->rewrite;
    for (unsigned n = 1;; n++) {
        struct stored stored;
        int r = j->source.next(j->source.context, w->copied_to, &stored);
        if (r == 0)
            return finish(j);
        if (r > 0)
            r = copy(&w->buffer, &stored);
        if (r < 0)
            return r;
        w->copied_to = stored.segment.serial;
        if (w->buffer.len >= FLUSH_BYTES && (r = flush(j)) < 0)
            return r;
        if ((n % SEGMENTS_BETWEEN_LOOKS == 0 || stored.n_ties > SEGMENTS_BETWEEN_LOOKS) &&
            now_us(j) >= until_us)
            return 1;
    }
}

bool journal_rewrite_tend(struct journal *j, int64_t budget_us)
{
    struct journal_rewrite *w = &j->rewrite;
    if (!w->is_active && !is_due(j))
        return false;
    int64_t now = now_us(j);
    if (!w->is_active && now < w->retry_at_us)
        return false;
    int r = w->is_active ? 0 : begin(j);
    if (r == 0)
        r = go_on(j, now + budget_us);
    if (r < 0)
        put_off(j, r);
    return r > 0;
}

int journal_rewrite_now(struct journal *j)
{
    drop(j);
    int r = begin(j);
    if (r == 0)
        r = go_on(j, INT64_MAX);
    if (r < 0)
        drop(j);
    return r;
}

void journal_rewrite_follow(struct journal *j, const struct store_record *records, size_t n)
{
    struct journal_rewrite *w = &j->rewrite;
    int r = 0;
    for (size_t i = 0; w->is_active && r == 0 && i < n; i++) {
        /* What is not copied yet will be copied as it is then. */
        if (records[i].serial <= w->copied_to)
            r = record_encode(&w->buffer, &records[i], false);
    }
    if (r < 0)
        put_off(j, r);
}
