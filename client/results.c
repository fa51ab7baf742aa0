/* SPDX-License-Identifier: MIT */
/*
 * Typed messages -> the public structs. Each becomes one block: the struct, then its arrays, then
 * its strings; so it is freed at once and depends on nothing.
 */
#include "client/internal.h"

#include <errno.h>
#include <string.h>

_Static_assert(SHMD_STATE_REMOVED == STATE_REMOVED + 1, "states are numbered alike");
_Static_assert(SHMD_LIFETIME_ATTACHED == LIFETIME_ATTACHED + 1, "lifetimes are numbered alike");
_Static_assert(SHMD_SCOPE_ALL == SCOPE_ALL + 1, "scopes are numbered alike");
_Static_assert(SHMD_EVENT_ADOPTED == 1 << EVENT_ADOPTED, "event kinds are the bits of ours");
_Static_assert(SHMD_REASON_REPLACED == REASON_REPLACED + 1, "reasons are numbered alike");

static size_t text_size(const char *text)
{
    return text ? strlen(text) + 1 : 0;
}

/* Copies TEXT to *AT and moves that on; NULL stays NULL. */
static const char *put_text(char **at, const char *text)
{
    if (!text)
        return NULL;
    size_t size = strlen(text) + 1;
    char *copy = memcpy(*at, text, size);
    *at += size;
    return copy;
}

static const struct shmd_holder *put_holders(struct shmd_holder *holders,
                                             const struct wire_segment *wire, char **at)
{
    if (!wire->holder_list)
        return NULL;
    for (size_t i = 0; i < wire->holders; i++) {
        holders[i] = (struct shmd_holder){
            .pid = wire->holder_list[i].pid,
            .uid = wire->holder_list[i].uid,
            .comm = put_text(at, wire->holder_list[i].comm),
            .since_at_ms = wire->holder_list[i].since_at_ms,
        };
    }
    return holders;
}

static size_t count_bits(uint32_t bits)
{
    return (size_t)__builtin_popcount(bits);
}

static void put_drift(const char **words, uint32_t drift)
{
    for (int i = 0; i < DRIFT_COUNT; i++)
        if (drift & (1U << i))
            *words++ = drift_words[i];
    if (drift & (1U << DRIFT_COUNT))
        *words = "other";
}

static enum shmd_lifetime lifetime_of(const struct wire_segment *w)
{
    if (!w->has_lifetime)
        return 0;
    return w->lifetime < LIFETIME_COUNT ? (enum shmd_lifetime)(w->lifetime + 1)
                                        : SHMD_LIFETIME_UNKNOWN;
}

struct shmd_segment *result_segment(const struct wire_segment *w)
{
    size_t n_holders = w->holder_list ? w->holders : 0;
    size_t size = sizeof(struct shmd_segment) + n_holders * sizeof(struct shmd_holder) +
                  w->n_labels * sizeof(struct shmd_label) +
                  count_bits(w->drift) * sizeof(const char *) + text_size(w->name) +
                  text_size(w->former_name) + text_size(w->creator.comm);
    for (size_t i = 0; i < n_holders; i++)
        size += text_size(w->holder_list[i].comm);
    for (size_t i = 0; i < w->n_labels; i++)
        size += text_size(w->labels[i].key) + text_size(w->labels[i].value);
    struct shmd_segment *s = malloc(size);
    if (!s)
        return NULL;
    struct shmd_holder *holders = (struct shmd_holder *)(s + 1);
    struct shmd_label *labels = (struct shmd_label *)(holders + n_holders);
    const char **drift = (const char **)(labels + w->n_labels);
    char *at = (char *)(drift + count_bits(w->drift));
    put_drift(drift, w->drift);
    *s = (struct shmd_segment){
        .serial = w->serial,
        .name = put_text(&at, w->name),
        .shmid = w->shmid,
        .key = w->key,
        .size = w->size,
        .mode = w->mode,
        .uid = w->uid,
        .gid = w->gid,
        .nattch = w->nattch,
        .last_pid = w->last_pid,
        .creator = {w->creator.uid, w->creator.gid, w->creator.pid, put_text(&at, w->creator.comm)},
        .state = w->state < STATE_COUNT ? (enum shmd_state)(w->state + 1) : SHMD_STATE_UNKNOWN,
        .lifetime = lifetime_of(w),
        .holders = w->holders,
        .holder_list = put_holders(holders, w, &at),
        .locked = w->locked,
        .noreserve = w->noreserve,
        .huge_page_size = w->huge_page_size,
        .created_at_ms = w->created_at_ms,
        .attached_at_ms = w->attached_at_ms,
        .detached_at_ms = w->detached_at_ms,
        .changed_at_ms = w->changed_at_ms,
        .expires_at_ms = w->expires_at_ms,
        .labels = labels,
        .n_labels = w->n_labels,
        .managed = w->managed,
        .orphaned = w->orphaned,
        .declared = w->declared,
        .used_by_others = w->used_by_others,
        .has_memory = w->has_memory,
        .rss = w->rss,
        .swap = w->swap,
        .drift = drift,
        .n_drift = count_bits(w->drift),
        .former_name = put_text(&at, w->former_name),
        .replaces = w->replaces,
    };
    for (size_t i = 0; i < w->n_labels; i++) {
        labels[i].key = put_text(&at, w->labels[i].key);
        labels[i].value = put_text(&at, w->labels[i].value);
    }
    return s;
}

void shmd_segment_free(struct shmd_segment *segment)
{
    free(segment);
}

int result_reply_segment(struct shmd *shmd, struct shmd_segment **ret)
{
    struct client_segment read;
    int r = jsonrpc_client_segment(&shmd->reply, &read);
    if (r < 0)
        return failure_of_answer(shmd, r);
    shmd->reply_segment = (struct held_segment){read.wire.serial, read.wire.shmid};
    shmd->reply_lifetime = read.wire.lifetime;
    struct shmd_segment *segment = ret ? result_segment(&read.wire) : NULL;
    client_segment_free(&read);
    if (!ret)
        return 0;
    if (!segment)
        return failure_of_answer(shmd, -ENOMEM);
    *ret = segment;
    return 0;
}

/* --- pages */

void shmd_page_free(struct shmd_page *page)
{
    if (!page)
        return;
    for (size_t i = 0; i < page->count; i++)
        shmd_segment_free(page->segments[i]);
    free(page);
}

static int fill_page(const struct shmd *shmd, struct shmd_segment **segments, size_t count,
                     size_t *ret_filled)
{
    for (*ret_filled = 0; *ret_filled < count; (*ret_filled)++) {
        struct client_segment read;
        int r = jsonrpc_client_list_item(&shmd->reply, *ret_filled, &read);
        if (r < 0)
            return r;
        segments[*ret_filled] = result_segment(&read.wire);
        client_segment_free(&read);
        if (!segments[*ret_filled])
            return -ENOMEM;
    }
    return 0;
}

int result_reply_page(struct shmd *shmd, struct shmd_page **ret)
{
    size_t count;
    const char *cursor;
    int r = jsonrpc_client_list(&shmd->reply, &count, &cursor);
    if (r < 0)
        return failure_of_answer(shmd, r);
    if (!ret)
        return 0;
    struct shmd_page *page =
        malloc(sizeof(*page) + count * sizeof(struct shmd_segment *) + text_size(cursor));
    if (!page)
        return failure_of_answer(shmd, -ENOMEM);
    struct shmd_segment **segments = (struct shmd_segment **)(page + 1);
    char *at = (char *)(segments + count);
    *page = (struct shmd_page){.segments = segments, .cursor = put_text(&at, cursor)};
    r = fill_page(shmd, segments, count, &page->count);
    if (r < 0) {
        shmd_page_free(page);
        return failure_of_answer(shmd, r);
    }
    *ret = page;
    return 0;
}

/* --- info */

struct shmd_info *result_info(const struct client_info *c)
{
    const struct info *i = &c->info;
    size_t size = sizeof(struct shmd_info) + i->n_limits * sizeof(struct shmd_limit) +
                  i->n_huge_page_sizes * sizeof(uint64_t) + text_size(i->version) +
                  text_size(i->boot_id) + text_size(i->store_failure);
    for (size_t k = 0; k < i->n_limits; k++)
        size += text_size(i->limits[k].name);
    struct shmd_info *info = malloc(size);
    if (!info)
        return NULL;
    struct shmd_limit *limits = (struct shmd_limit *)(info + 1);
    uint64_t *page_sizes = (uint64_t *)(limits + i->n_limits);
    char *at = (char *)(page_sizes + i->n_huge_page_sizes);
    *info = (struct shmd_info){
        .version = put_text(&at, i->version),
        .protocol = c->protocol,
        .pid = (int32_t)i->pid,
        .uid = (uint32_t)i->uid,
        .started_at_ms = i->started_at_ms,
        .boot_id = put_text(&at, i->boot_id),
        .ipc_namespace = i->ipc_namespace,
        .kernel = {i->kernel.shmmax, i->kernel.shmall, i->kernel.shmmni, i->kernel.segments,
                   i->kernel.bytes, i->kernel.shm_rmid_forced},
        .limits = limits,
        .n_limits = i->n_limits,
        .usage_segments = i->usage_segments,
        .usage_bytes = i->usage_bytes,
        .huge_page_sizes = page_sizes,
        .n_huge_page_sizes = i->n_huge_page_sizes,
        .durable = i->durable,
        .records_since_at_ms = i->records_since_at_ms,
        .store_failure = put_text(&at, i->store_failure),
    };
    for (size_t k = 0; k < i->n_limits; k++)
        limits[k] = (struct shmd_limit){put_text(&at, i->limits[k].name), i->limits[k].max,
                                        i->limits[k].is_counted, i->limits[k].used};
    if (i->n_huge_page_sizes > 0)
        memcpy(page_sizes, i->huge_page_sizes, i->n_huge_page_sizes * sizeof(uint64_t));
    return info;
}

void shmd_info_free(struct shmd_info *info)
{
    free(info);
}

int result_reply_info(struct shmd *shmd, struct shmd_info **ret)
{
    struct client_info *read = malloc(sizeof(*read));
    if (!read)
        return failure_of_answer(shmd, -ENOMEM);
    struct shmd_info *info = NULL;
    int r = jsonrpc_client_info(&shmd->reply, read);
    if (r == 0) {
        shmd->knows_daemon = true;
        shmd->daemon_namespace = read->info.ipc_namespace;
        shmd->daemon_uid = (uint32_t)read->info.uid;
        shmd->daemon_pid = (int32_t)read->info.pid;
        info = ret ? result_info(read) : NULL;
        r = ret && !info ? -ENOMEM : 0;
    }
    free(read);
    if (r < 0)
        return failure_of_answer(shmd, r);
    if (ret)
        *ret = info;
    return 0;
}

/* --- events */

struct shmd_event *result_event(const struct wire_event *w, struct json_slice text)
{
    struct shmd_event *event = malloc(sizeof(*event) + text.len + 1);
    struct shmd_segment *segment = event && w->segment ? result_segment(w->segment) : NULL;
    if (!event || (w->segment && !segment)) {
        free(event);
        return NULL;
    }
    char *copy = (char *)(event + 1);
    memcpy(copy, text.text, text.len);
    copy[text.len] = '\0';
    *event = (struct shmd_event){.kind = SHMD_EVENT_GAP, .missed = w->missed, .text = copy};
    if (w->missed > 0)
        return event;
    event->kind = w->kind < EVENT_KINDS ? (enum shmd_event_kind)(1 << w->kind) : SHMD_EVENT_UNKNOWN;
    event->event_serial = w->event_serial;
    event->at_ms = w->at_ms;
    if (w->kind == EVENT_REMOVED)
        event->reason =
            w->reason < REASON_COUNT ? (enum shmd_reason)(w->reason + 1) : SHMD_REASON_UNKNOWN;
    event->segment = segment;
    return event;
}

void shmd_event_free(struct shmd_event *event)
{
    if (!event)
        return;
    free((struct shmd_segment *)(uintptr_t)event->segment);
    free(event);
}

/* --- words */

#define UNKNOWN "unknown"

static const char *word_of(const char *const *words, int count, int index)
{
    return index >= 0 && index < count ? words[index] : NULL;
}

const char *shmd_state_word(enum shmd_state state)
{
    return state == SHMD_STATE_UNKNOWN ? UNKNOWN
                                       : word_of(state_words, STATE_COUNT, (int)state - 1);
}

const char *shmd_lifetime_word(enum shmd_lifetime lifetime)
{
    return lifetime == SHMD_LIFETIME_UNKNOWN
               ? UNKNOWN
               : word_of(lifetime_words, LIFETIME_COUNT, (int)lifetime - 1);
}

const char *shmd_reason_word(enum shmd_reason reason)
{
    return reason == SHMD_REASON_UNKNOWN ? UNKNOWN
                                         : word_of(reason_words, REASON_COUNT, (int)reason - 1);
}

const char *shmd_event_word(enum shmd_event_kind kind)
{
    if (kind == SHMD_EVENT_GAP)
        return "gap";
    if (kind == SHMD_EVENT_UNKNOWN)
        return UNKNOWN;
    for (int i = 0; i < EVENT_KINDS; i++)
        if ((int)kind == 1 << i)
            return event_words[i];
    return NULL;
}

const char *shmd_strerror(int code)
{
    if (code == 0)
        return "success";
    if (code < 0)
        return strerror(-code);
    if (code == SHMD_ERROR_UNKNOWN)
        return "the daemon is newer than this library and refused for a reason of its own";
    int error = error_find(NULL, code < SHMD_ERROR_INVALID_REQUEST ? code : -code);
    return error < 0 ? "not an error of shmd" : error_row((enum protocol_error)error)->message;
}
