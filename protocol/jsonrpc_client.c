/* SPDX-License-Identifier: MIT */
#include "protocol/jsonrpc_client.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/plain_answer.h"

static void begin_request(struct writer *w, int64_t id, const char *method)
{
    writer_restart(w);
    writer_object_begin(w);
    writer_member_string(w, "jsonrpc", "2.0");
    writer_member_int(w, "id", id);
    writer_member_string(w, "method", method);
}

static void end_request(struct writer *w)
{
    writer_object_end(w);
    writer_bytes(w, "\n", 1);
}

void jsonrpc_client_request(struct writer *w, int64_t id, enum method method,
                            const union params *params)
{
    begin_request(w, id, method_word(method));
    writer_key(w, "params");
    params_encode(w, method, params);
    end_request(w);
}

int jsonrpc_client_request_text(struct writer *w, int64_t id, const char *method,
                                const char *params)
{
    if (params) {
        json_t *decoded = json_loads(params, JSON_DECODE_ANY, NULL);
        if (!decoded)
            return -EINVAL;
        json_decref(decoded);
    }
    begin_request(w, id, method);
    if (params) {
        writer_key(w, "params");
        writer_value(w, params, strlen(params));
    }
    end_request(w);
    return 0;
}

/* Which kind of message ROOT is and where its body lies. */
static int classify(json_t *root, const char *line, size_t len, struct client_message *ret)
{
    static const struct {
        const char *member;
        enum client_message_kind kind;
    } bodies[] = {
        {"result", CLIENT_RESULT},
        {"error", CLIENT_FAILURE},
        {"params", CLIENT_EVENT},
    };
    const json_t *id = json_object_get(root, "id");
    struct client_message m = {.root = root, .has_id = json_is_integer(id)};
    m.id = json_integer_value(id);
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]) && !m.body; i++) {
        m.kind = bodies[i].kind;
        m.body = json_object_get(root, bodies[i].member);
        /* An escaped name has no slice; ours are never escaped. */
        if (m.body && !json_slice_member((struct json_slice){line, len}, bodies[i].member, &m.text))
            return -EBADMSG;
    }
    const char *method = json_string_value(json_object_get(root, "method"));
    bool is_event = method && strcmp(method, "event") == 0;
    if (!json_is_object(m.body) || is_event != (m.kind == CLIENT_EVENT) ||
        (m.kind == CLIENT_RESULT && !m.has_id))
        return -EBADMSG;
    *ret = m;
    return 0;
}

int jsonrpc_client_decode_tree(const char *line, size_t len, struct client_message *ret)
{
    json_error_t error;
    json_t *root = json_loadb(line, len, JSON_REJECT_DUPLICATES, &error);
    if (!root)
        return json_error_code(&error) == json_error_out_of_memory ? -ENOMEM : -EBADMSG;
    int r = classify(root, line, len, ret);
    if (r < 0)
        json_decref(root);
    return r;
}

int jsonrpc_client_decode(const char *line, size_t len, struct client_message *ret)
{
    struct plain_answer *plain = plain_answer_read(line, len);
    if (!plain)
        return jsonrpc_client_decode_tree(line, len, ret);
    *ret = (struct client_message){.plain = plain,
                                   .kind = CLIENT_RESULT,
                                   .has_id = true,
                                   .id = plain->id,
                                   .text = plain->result};
    return 0;
}

void jsonrpc_client_free(struct client_message *m)
{
    json_decref(m->root);
    free(m->plain);
    *m = (struct client_message){0};
}

int jsonrpc_client_failure(const struct client_message *m, struct client_failure *ret)
{
    const json_t *code = json_object_get(m->body, "code");
    const json_t *data = json_object_get(m->body, "data");
    struct client_failure f = {
        .name = json_string_value(json_object_get(data, "error")),
        .message = json_string_value(json_object_get(m->body, "message")),
    };
    if (m->kind != CLIENT_FAILURE || !json_is_integer(code) || !f.message)
        return -EBADMSG;
    f.error = error_find(f.name, json_integer_value(code));
    if (json_is_object(data)) {
        json_t *params = json_copy((json_t *)(uintptr_t)data);
        if (!params)
            return -ENOMEM;
        json_object_del(params, "error");
        f.params = json_dumps(params, JSON_COMPACT);
        json_decref(params);
    } else {
        f.params = strdup("{}");
    }
    if (!f.params)
        return -ENOMEM;
    *ret = f;
    return 0;
}

void client_segment_free(struct client_segment *s)
{
    free(s->holders);
    s->holders = NULL;
}

static int read_segment(const json_t *object, struct client_segment *ret)
{
    struct wire_holder *holders = NULL;
    if (json_object_get(object, "holder_list")) {
        holders = calloc(segment_json_holders(object) + 1, sizeof(*holders));
        if (!holders)
            return -ENOMEM;
    }
    int r = segment_json_read(object, &ret->labels, holders, &ret->wire);
    if (r < 0) {
        free(holders);
        return r;
    }
    ret->holders = holders;
    return 0;
}

int jsonrpc_client_segment(const struct client_message *m, struct client_segment *ret)
{
    if (m->plain) {
        ret->wire = m->plain->segment;
        ret->holders = NULL;
        return 0;
    }
    return read_segment(json_object_get(m->body, "segment"), ret);
}

int jsonrpc_client_created(const struct client_message *m, bool *ret)
{
    if (m->plain && m->plain->has_created) {
        *ret = m->plain->created;
        return 0;
    }
    const json_t *created = json_object_get(m->body, "created");
    if (!json_is_boolean(created))
        return -EBADMSG;
    *ret = json_is_true(created);
    return 0;
}

int jsonrpc_client_list(const struct client_message *m, size_t *ret_count, const char **ret_cursor)
{
    const json_t *segments = json_object_get(m->body, "segments");
    if (!json_is_array(segments))
        return -EBADMSG;
    *ret_count = json_array_size(segments);
    *ret_cursor = json_string_value(json_object_get(m->body, "cursor"));
    return 0;
}

int jsonrpc_client_list_item(const struct client_message *m, size_t index,
                             struct client_segment *ret)
{
    return read_segment(json_array_get(json_object_get(m->body, "segments"), index), ret);
}

static uint64_t uint_of(const json_t *object, const char *key)
{
    json_int_t value = json_integer_value(json_object_get(object, key));
    return value < 0 ? 0 : (uint64_t)value;
}

/* A limit that is not there, or is as large as a number can be, is none. */
static uint64_t limit_of(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    bool is_limit = json_is_integer(value) && json_integer_value(value) < INT64_MAX;
    return is_limit ? uint_of(object, key) : KERNEL_NO_LIMIT;
}

static struct info_limit info_limit_of(const char *name, const json_t *value)
{
    const json_t *max = json_object_get(value, "max");
    return (struct info_limit){.name = name,
                               .max = json_is_integer(max) ? (uint64_t)json_integer_value(max)
                                                           : UINT64_MAX,
                               .is_counted = json_is_integer(json_object_get(value, "used")),
                               .used = uint_of(value, "used")};
}

int jsonrpc_client_info(const struct client_message *m, struct client_info *ret)
{
    const json_t *kernel = json_object_get(m->body, "kernel");
    const json_t *usage = json_object_get(m->body, "usage");
    struct client_info c = {.protocol = (int64_t)uint_of(m->body, "protocol")};
    struct info *info = &c.info;
    info->version = json_string_value(json_object_get(m->body, "version"));
    info->boot_id = json_string_value(json_object_get(m->body, "boot_id"));
    if (!info->version || !info->boot_id || !json_is_object(kernel) || !json_is_object(usage))
        return -EBADMSG;
    info->pid = (int64_t)uint_of(m->body, "pid");
    info->uid = (int64_t)uint_of(m->body, "uid");
    info->started_at_ms = (int64_t)uint_of(m->body, "started_at_ms");
    info->ipc_namespace = uint_of(m->body, "ipc_namespace");
    info->kernel.shmmax = limit_of(kernel, "shmmax");
    info->kernel.shmall = limit_of(kernel, "shmall");
    info->kernel.shmmni = uint_of(kernel, "shmmni");
    info->kernel.segments = uint_of(kernel, "segments");
    info->kernel.bytes = uint_of(kernel, "bytes");
    info->kernel.shm_rmid_forced = json_is_true(json_object_get(kernel, "shm_rmid_forced"));
    info->usage_segments = uint_of(usage, "segments");
    info->usage_bytes = uint_of(usage, "bytes");
    info->durable = json_is_true(json_object_get(m->body, "durable"));
    info->records_since_at_ms = (int64_t)uint_of(m->body, "records_since_at_ms");
    info->store_failure = json_string_value(json_object_get(m->body, "store_failure"));

    *ret = c;
    info = &ret->info;
    const char *key;
    json_t *value;
    json_object_foreach (json_object_get(m->body, "limits"), key, value) {
        if (info->n_limits < CLIENT_LIMITS_MAX && json_is_object(value))
            ret->limits[info->n_limits++] = info_limit_of(key, value);
    }
    info->limits = ret->limits;
    size_t i;
    json_array_foreach (json_object_get(m->body, "huge_page_sizes"), i, value) {
        if (i < CLIENT_PAGE_SIZES_MAX)
            ret->huge_page_sizes[info->n_huge_page_sizes++] = (uint64_t)json_integer_value(value);
    }
    info->huge_page_sizes = ret->huge_page_sizes;
    return 0;
}

int jsonrpc_client_subscribed(const struct client_message *m, uint64_t *ret_event_serial)
{
    if (!json_is_integer(json_object_get(m->body, "event_serial")))
        return -EBADMSG;
    *ret_event_serial = uint_of(m->body, "event_serial");
    return 0;
}

int jsonrpc_client_metrics(const struct client_message *m, const char **ret_text)
{
    const char *text = json_string_value(json_object_get(m->body, "text"));
    if (!text)
        return -EBADMSG;
    *ret_text = text;
    return 0;
}

/* COUNT: the word of a newer daemon. -1: there is none. */
static int find_word(const json_t *object, const char *key, const char *const *words, int count)
{
    const char *word = json_string_value(json_object_get(object, key));
    int index = word ? term_find(words, word) : -1;
    return word && index < 0 ? count : index;
}

int jsonrpc_client_event(const struct client_message *m, struct wire_event *ret,
                         struct client_segment *ret_segment)
{
    if (m->kind != CLIENT_EVENT)
        return -EBADMSG;
    struct wire_event e = {.missed = uint_of(m->body, "missed")};
    if (e.missed > 0) {
        *ret_segment = (struct client_segment){.holders = NULL};
        *ret = e;
        return 0;
    }
    int kind = find_word(m->body, "kind", event_words, EVENT_KINDS);
    int reason =
        kind == EVENT_REMOVED ? find_word(m->body, "reason", reason_words, REASON_COUNT) : 0;
    const json_t *segment = json_object_get(m->body, "segment");
    if (kind < 0 || reason < 0)
        return -EBADMSG;
    e.event_serial = uint_of(m->body, "event_serial");
    e.at_ms = (int64_t)uint_of(m->body, "at_ms");
    e.kind = (enum event_kind)kind;
    e.reason = (enum reason)reason;
    *ret_segment = (struct client_segment){.holders = NULL};
    if (segment || kind != EVENT_KINDS) {
        int r = read_segment(segment, ret_segment);
        if (r < 0)
            return r;
        e.segment = &ret_segment->wire;
    }
    *ret = e;
    return 0;
}
