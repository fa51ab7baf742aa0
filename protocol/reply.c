/* SPDX-License-Identifier: MIT */
#include "protocol/reply.h"

#include "protocol/limits.h"

static void write_limit(struct writer *w, const char *key, uint64_t limit)
{
    if (limit <= INT64_MAX)
        writer_member_uint(w, key, limit);
}

static void write_kernel(struct writer *w, const struct info *info)
{
    writer_key(w, "kernel");
    writer_object_begin(w);
    write_limit(w, "shmmax", info->kernel.shmmax);
    write_limit(w, "shmall", info->kernel.shmall);
    writer_member_uint(w, "shmmni", info->kernel.shmmni);
    writer_member_uint(w, "segments", info->kernel.segments);
    writer_member_uint(w, "bytes", info->kernel.bytes);
    writer_member_bool(w, "shm_rmid_forced", info->kernel.shm_rmid_forced);
    writer_object_end(w);
}

static void write_info_limit(struct writer *w, const struct info_limit *limit)
{
    writer_key(w, limit->name);
    writer_object_begin(w);
    if (limit->is_counted)
        writer_member_uint(w, "used", limit->used);
    write_limit(w, "max", limit->max);
    writer_object_end(w);
}

static void write_info(struct writer *w, const struct info *info)
{
    writer_object_begin(w);
    writer_member_string(w, "version", info->version);
    writer_member_uint(w, "protocol", PROTOCOL_VERSION);
    writer_member_int(w, "pid", info->pid);
    writer_member_int(w, "uid", info->uid);
    writer_member_int(w, "started_at_ms", info->started_at_ms);
    writer_member_string(w, "boot_id", info->boot_id);
    writer_member_uint(w, "ipc_namespace", info->ipc_namespace);
    write_kernel(w, info);
    writer_key(w, "limits");
    writer_object_begin(w);
    for (size_t i = 0; i < info->n_limits; i++)
        write_info_limit(w, &info->limits[i]);
    writer_object_end(w);
    writer_key(w, "usage");
    writer_object_begin(w);
    writer_member_uint(w, "segments", info->usage_segments);
    writer_member_uint(w, "bytes", info->usage_bytes);
    writer_object_end(w);
    writer_key(w, "huge_page_sizes");
    writer_array_begin(w);
    for (size_t i = 0; i < info->n_huge_page_sizes; i++)
        writer_uint(w, info->huge_page_sizes[i]);
    writer_array_end(w);
    writer_member_bool(w, "durable", info->durable);
    if (info->records_since_at_ms != 0) {
        writer_member_int(w, "records_since_at_ms", info->records_since_at_ms);
    }
    if (info->store_failure)
        writer_member_string(w, "store_failure", info->store_failure);
    writer_object_end(w);
}

void reply_write_result(struct writer *w, const struct reply *reply)
{
    switch (reply->kind) {
    case REPLY_INFO: write_info(w, &reply->u.info); return;
    case REPLY_SEGMENT:
    case REPLY_CREATED:
        writer_opening(w, "{\"segment\":");
        segment_json_write(w, &reply->u.one.segment);
        if (reply->kind == REPLY_CREATED) {
            writer_member_bool(w, "created", reply->u.one.created);
        }
        writer_object_end(w);
        return;
    case REPLY_LIST:
        writer_object_begin(w);
        writer_key(w, "segments");
        writer_array_begin(w);
        for (size_t i = 0; i < reply->u.list.count; i++)
            segment_json_write(w, &reply->u.list.segments[i]);
        writer_array_end(w);
        if (reply->u.list.cursor[0]) {
            writer_member_string(w, "cursor", reply->u.list.cursor);
        }
        writer_object_end(w);
        return;
    case REPLY_SUBSCRIBED:
        writer_object_begin(w);
        writer_member_uint(w, "event_serial", reply->u.event_serial);
        writer_object_end(w);
        return;
    case REPLY_METRICS:
        writer_object_begin(w);
        writer_key(w, "text");
        writer_string_n(w, reply->u.metrics.text, reply->u.metrics.len);
        writer_object_end(w);
        return;
    case REPLY_NOTHING:
        writer_object_begin(w);
        writer_object_end(w);
        return;
    case REPLY_FAILURE: return; /* a failure has no result: the dialect writes it */
    }
}

void reply_write_event(struct writer *w, const struct wire_event *e)
{
    writer_object_begin(w);
    if (e->missed > 0) {
        writer_member_string(w, "kind", "gap");
        writer_member_uint(w, "missed", e->missed);
    } else {
        writer_member_uint(w, "event_serial", e->event_serial);
        writer_member_int(w, "at_ms", e->at_ms);
        writer_member_word(w, "kind", event_words[e->kind]);
        if (e->kind == EVENT_REMOVED) {
            writer_member_word(w, "reason", reason_words[e->reason]);
        }
        writer_key(w, "segment");
        segment_json_write(w, e->segment);
    }
    writer_object_end(w);
}

static void write_config_errors(struct writer *w, const struct failure *f)
{
    writer_key(w, "errors");
    writer_array_begin(w);
    for (size_t i = 0; i < f->n_config_errors; i++) {
        const struct config_error *error = &f->config_errors[i];
        writer_object_begin(w);
        writer_member_string(w, "file", error->file);
        writer_member_uint(w, "line", error->line);
        writer_member_string(w, "key", error->key);
        writer_member_string(w, "message", error->message);
        writer_object_end(w);
    }
    writer_array_end(w);
}

void reply_write_failure_params(struct writer *w, const struct failure *f)
{
    for (size_t i = 0; i < f->n_params; i++) {
        writer_key(w, f->params[i].name);
        if (f->params[i].string)
            writer_string(w, f->params[i].string);
        else
            writer_int(w, f->params[i].integer);
    }
    if (f->config_errors)
        write_config_errors(w, f);
}
