/* SPDX-License-Identifier: MIT */
/* Changes: each is one write of all its records at the end of the file, then one of the header. It
 * has happened when both have returned. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "daemon/store/contents.h"
#include "daemon/store/journal_place.h"
#include "daemon/store/journal_rewrite.h"

/* --- what may be written */

/* A segment that has a record, or that the change gives one before its record number N. */
static bool has_record(const struct journal *j, const struct store_record *records, size_t n,
                       uint64_t serial)
{
    if (journal_live_has(&j->live, serial))
        return true;
    for (size_t i = 0; i < n; i++)
        if (records[i].type == STORE_SEGMENT && records[i].serial == serial)
            return true;
    return false;
}

static int check_records(struct journal *j, const struct store_record *records, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const char *why = store_check_record(&records[i]);
        if (!why && records[i].type == STORE_TIE && !has_record(j, records, i, records[i].serial))
            why = "it ties a process to a segment that has no record";
        if (why)
            return journal_fail(j, -EINVAL, "a record of segment %" PRIu64 " cannot be stored: %s",
                                records[i].serial, why);
    }
    return 0;
}

/* --- how much room it needs */

struct room {
    bool adds;              /* a segment, a tie, or what can be done without */
    bool removes;           /* a segment or a tie */
    uint64_t removal_bytes; /* what removing the new ones will take */
};

static struct room room_of(const struct journal *j, const struct store_record *records, size_t n)
{
    struct room room = {0};
    for (size_t i = 0; i < n; i++) {
        switch (records[i].type) {
        case STORE_SEGMENT:
            room.adds = true;
            if (!journal_live_has(&j->live, records[i].serial))
                room.removal_bytes += RECORD_GONE_SIZE;
            break;
        case STORE_TIE:
            room.adds = true;
            room.removal_bytes += RECORD_UNTIE_SIZE;
            break;
        case STORE_IDLE: room.adds = true; break;
        case STORE_UNTIE:
        case STORE_GONE: room.removes = true; break;
        case STORE_COUNTERS:
        case STORE_DAEMON: break;
        }
    }
    return room;
}

/* Room for the change in the buffer, and behind it for the removal of all that lives. What removes
 * takes from that room, so that it need not ask for any. */
static int make_room(struct journal *j, const struct store_record *records, size_t n)
{
    const struct host *host = &j->options.host;
    const struct room room = room_of(j, records, n);
    uint64_t bytes = j->buffer.len;
    if (room.adds)
        bytes += journal_room_to_leave(j) + room.removal_bytes;
    else if (!room.removes)
        bytes += journal_live_removal_bytes(&j->live);
    int r = journal_file_make_room(host, &j->file, bytes);
    return room.adds || !room.removes ? r : 0;
}

/* A failure has cut the room off with the tail: it is got back while it is still free. */
static void get_room_back(struct journal *j)
{
    int ignored = journal_file_make_room(&j->options.host, &j->file, journal_room_to_leave(j));
    (void)ignored;
}

/* --- the operations */

static int encode(struct journal *j, const struct store_record *records, size_t n)
{
    j->buffer.len = 0;
    for (size_t i = 0; i < n; i++) {
        int r = record_encode(&j->buffer, &records[i], i + 1 < n);
        if (r < 0)
            return r;
    }
    return 0;
}

static int put(struct journal *j)
{
    const struct host *host = &j->options.host;
    int r = 0;
    if (j->buffer.len > 0)
        r = journal_file_append(host, &j->file, j->buffer.bytes, j->buffer.len);
    if (r == 0)
        r = journal_file_commit(host, &j->file, NULL);
    if (r < 0) {
        get_room_back(j);
        return journal_fail(j, r, "the journal cannot be written to: %s", strerror(-r));
    }
    return 0;
}

static void remember(struct journal *j, const struct store_record *record)
{
    journal_live_note(&j->live, record);
    store_counters_update(&j->counters, record);
    if (record->type == STORE_DAEMON)
        store_daemons_add(j->daemons, &j->n_daemons, &record->daemon);
}

static int write_records(struct journal *j, const struct store_record *records, size_t n)
{
    int r = check_records(j, records, n);
    if (r < 0)
        return r;
    if (n == 0 && !j->file.header.has_intent)
        return 0;
    r = journal_live_reserve(&j->live, n);
    if (r == 0)
        r = encode(j, records, n);
    if (r < 0)
        return journal_fail(j, r, "the daemon is out of memory");
    /* Right behind the header with the intent nothing can have happened to the file. */
    if (!j->file.header.has_intent || j->file.header_is_unsure || j->file.tail_is_unsure)
        r = journal_place_make_sure(j);
    if (r < 0)
        return r;
    r = make_room(j, records, n);
    if (r < 0)
        return journal_fail(j, r, "the journal has no room for a change: %s", strerror(-r));
    r = put(j);
    if (r < 0)
        return r;
    for (size_t i = 0; i < n; i++)
        remember(j, &records[i]);
    journal_rewrite_follow(j, records, n);
    return 0;
}

/* How a change ended, as store.h has it: a quota that is used up is a disk that is full. */
static int report(const struct journal *j, int r, const char **ret_reason)
{
    if (r < 0)
        *ret_reason = j->reason;
    return r == -EDQUOT ? -ENOSPC : r;
}

static int journal_write(void *context, const struct store_record *records, size_t n,
                         const char **ret_reason)
{
    struct journal *j = context;
    return report(j, write_records(j, records, n), ret_reason);
}

static int journal_intend(void *context, const struct store_intent *intent, const char **ret_reason)
{
    struct journal *j = context;
    const char *why = store_check_intent(intent);
    int r = why ? journal_fail(j, -EINVAL, "an intent cannot be stored: %s", why)
                : journal_place_make_sure(j);
    if (r == 0) {
        r = journal_file_commit(&j->options.host, &j->file, intent);
        if (r < 0)
            (void)journal_fail(j, r, "the journal cannot be written to: %s", strerror(-r));
    }
    if (r == 0)
        j->intent_is_ours = true;
    return report(j, r, ret_reason);
}

static int journal_abandon(void *context, const char **ret_reason)
{
    struct journal *j = context;
    if (!j->file.header.has_intent)
        return 0;
    int r = journal_file_abandon(&j->options.host, &j->file);
    if (r < 0)
        (void)journal_fail(j, r, "the journal cannot be written to: %s", strerror(-r));
    return report(j, r, ret_reason);
}

static int journal_load(void *context, struct store_contents *ret)
{
    struct journal *j = context;
    if (!j->has_contents)
        return -EINVAL;
    *ret = j->contents;
    j->contents = (struct store_contents){0};
    j->has_contents = false;
    return 0;
}

static void journal_follow(void *context, const struct store_source *source)
{
    struct journal *j = context;
    j->source = *source;
}

static bool journal_tend(void *context, int64_t budget_us)
{
    return journal_rewrite_tend(context, budget_us);
}

static uint64_t journal_size(void *context)
{
    const struct journal *j = context;
    return j->file.end;
}

const struct store_ops journal_ops = {
    .load = journal_load,
    .follow = journal_follow,
    .intend = journal_intend,
    .write = journal_write,
    .abandon = journal_abandon,
    .tend = journal_tend,
    .size = journal_size,
};
