/* SPDX-License-Identifier: MIT */
#include "protocol/segment_json.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>

static inline void write_time(struct writer *w, const char *key, int64_t at_ms)
{
    if (at_ms != 0)
        writer_member_int(w, key, at_ms);
}

static void write_mode(struct writer *w, uint32_t mode)
{
    char text[6] = "\"0000\"";
    for (int i = 4; i > 0; i--, mode >>= 3)
        text[i] = (char)('0' + (mode & 7));
    writer_key(w, "mode");
    writer_value(w, text, sizeof(text));
}

static void write_creator(struct writer *w, const struct wire_segment *s)
{
    writer_opening(w, "\"creator\":{");
    writer_member_uint(w, "uid", s->creator.uid);
    writer_member_uint(w, "gid", s->creator.gid);
    writer_member_int(w, "pid", s->creator.pid);
    const char *comm = s->creator.comm ? s->creator.comm : s->creator.comm_now;
    if (*comm)
        writer_member_string(w, "comm", comm);
    writer_object_end(w);
}

static void write_labels(struct writer *w, const struct wire_segment *s)
{
    writer_opening(w, "\"labels\":{");
    for (size_t i = 0; i < s->n_labels; i++)
        writer_member_string(w, s->labels[i].key, s->labels[i].value);
    writer_object_end(w);
}

/* The elements, and the end of the array. */
static void write_processes(struct writer *w, const struct wire_holder *list, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        const struct wire_holder *holder = &list[i];
        writer_object_begin(w);
        writer_member_int(w, "pid", holder->pid);
        writer_member_uint(w, "uid", holder->uid);
        if (holder->comm)
            writer_member_string(w, "comm", holder->comm);
        write_time(w, "since_at_ms", holder->since_at_ms);
        writer_object_end(w);
    }
    writer_array_end(w);
}

static void write_holder_list(struct writer *w, const struct wire_segment *s)
{
    writer_opening(w, "\"holder_list\":[");
    write_processes(w, s->holder_list, s->holders);
}

static void write_waiters(struct writer *w, const struct wire_segment *s)
{
    writer_member_uint(w, "waiters", s->waiters);
    writer_opening(w, "\"waiter_list\":[");
    write_processes(w, s->waiter_list, s->n_waiters_told);
}

static void write_drift(struct writer *w, uint32_t drift)
{
    writer_opening(w, "\"drift\":[");
    for (int i = 0; i < DRIFT_COUNT; i++)
        if (drift & (1U << i))
            writer_string(w, drift_words[i]);
    writer_array_end(w);
}

void segment_json_write(struct writer *w, const struct wire_segment *s)
{
    writer_object_begin(w);
    if (s->managed)
        writer_member_uint(w, "serial", s->serial);
    if (s->name)
        writer_member_string(w, "name", s->name);
    if (s->former_name)
        writer_member_string(w, "former_name", s->former_name);
    if (s->replaces)
        writer_member_uint(w, "replaces", s->replaces);
    writer_member_int(w, "shmid", s->shmid);
    writer_member_uint(w, "key", s->key);
    writer_member_uint(w, "size", s->size);
    write_mode(w, s->mode);
    writer_member_uint(w, "uid", s->uid);
    writer_member_uint(w, "gid", s->gid);
    writer_member_uint(w, "nattch", s->nattch);
    writer_member_int(w, "last_pid", s->last_pid);
    write_creator(w, s);
    writer_member_word(w, "state", state_words[s->state]);
    if (s->managed)
        writer_member_word(w, "lifetime", lifetime_words[s->lifetime]);
    writer_member_uint(w, "holders", s->holders);
    if (s->holder_list)
        write_holder_list(w, s);
    if (s->waiter_list)
        write_waiters(w, s);
    writer_member_bool(w, "locked", s->locked);
    if (s->managed) {
        /* Of a segment that it did not create shmd cannot know these: the kernel does not tell. */
        writer_member_uint(w, "huge_page_size", s->huge_page_size);
        writer_member_bool(w, "noreserve", s->noreserve);
    }
    write_time(w, "created_at_ms", s->created_at_ms);
    write_time(w, "attached_at_ms", s->attached_at_ms);
    write_time(w, "detached_at_ms", s->detached_at_ms);
    write_time(w, "changed_at_ms", s->changed_at_ms);
    write_time(w, "expires_at_ms", s->expires_at_ms);
    write_labels(w, s);
    if (s->has_memory) {
        writer_member_uint(w, "rss", s->rss);
        writer_member_uint(w, "swap", s->swap);
    }
    writer_member_bool(w, "managed", s->managed);
    if (!s->managed) {
        writer_member_bool(w, "orphaned", s->orphaned);
        writer_member_bool(w, "used_by_others", s->used_by_others);
    }
    writer_member_bool(w, "declared", s->declared);
    if (s->drift)
        write_drift(w, s->drift);
    writer_object_end(w);
}

static int64_t int_of(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

static bool bool_of(const json_t *object, const char *key)
{
    return json_is_true(json_object_get(object, key));
}

static int read_mode(const json_t *object, uint32_t *ret)
{
    const char *text = json_string_value(json_object_get(object, "mode"));
    if (!text || strlen(text) != 4 || strspn(text, "01234567") != 4)
        return -EBADMSG;
    *ret = 0;
    for (; *text; text++)
        *ret = *ret * 8 + (uint32_t)(*text - '0');
    return 0;
}

/* The index of the member's word in WORDS, or COUNT when a newer daemon has another. -ENOENT: there
 * is no such member; -EBADMSG: it is no word. */
static int read_word(const json_t *object, const char *key, const char *const *words, int count)
{
    const json_t *value = json_object_get(object, key);
    if (!value)
        return -ENOENT;
    if (!json_is_string(value))
        return -EBADMSG;
    int index = term_find(words, json_string_value(value));
    return index < 0 ? count : index;
}

/* Whether each member that is there is an integer from MIN to MAX. */
static bool are_in_range(const json_t *object, const char *const *keys, int64_t min, int64_t max)
{
    for (; *keys; keys++) {
        const json_t *value = json_object_get(object, *keys);
        if (value && (!json_is_integer(value) || json_integer_value(value) < min ||
                      json_integer_value(value) > max))
            return false;
    }
    return true;
}

/* No number that the struct could not hold. */
static bool has_good_numbers(const json_t *object)
{
    static const char *const ids[] = {"shmid", "last_pid", NULL};
    static const char *const numbers[] = {"key", "uid", "gid", "holders", NULL};
    static const char *const sizes[] = {"serial", "size", "nattch", "huge_page_size", NULL};
    static const char *const of_creator[] = {"uid", "gid", NULL};
    static const char *const pids[] = {"pid", NULL};
    const json_t *creator = json_object_get(object, "creator");
    return are_in_range(object, ids, 0, INT32_MAX) &&
           are_in_range(object, numbers, 0, UINT32_MAX) &&
           are_in_range(object, sizes, 0, INT64_MAX) &&
           are_in_range(creator, of_creator, 0, UINT32_MAX) &&
           are_in_range(creator, pids, 0, INT32_MAX);
}

static void read_labels(const json_t *object, struct labels *labels)
{
    *labels = (struct labels){.given = true};
    const char *key;
    json_t *value;
    json_object_foreach (json_object_get(object, "labels"), key, value) {
        if (labels->count < SEGMENT_LABELS_MAX && json_is_string(value))
            labels->items[labels->count++] = (struct label){key, json_string_value(value)};
    }
}

static uint32_t read_drift(const json_t *object)
{
    uint32_t drift = 0;
    size_t i;
    json_t *value;
    json_array_foreach (json_object_get(object, "drift"), i, value) {
        int bit = json_is_string(value) ? term_find(drift_words, json_string_value(value)) : -1;
        drift |= 1U << (bit < 0 ? DRIFT_COUNT : bit);
    }
    return drift;
}

size_t segment_json_holders(const json_t *object)
{
    return json_array_size(json_object_get(object, "holder_list"));
}

/* As many as `holders` says, or it is not a segment: the writer has only that number. */
static int read_holders(const json_t *object, struct wire_holder *holders, struct wire_segment *s)
{
    const json_t *list = json_object_get(object, "holder_list");
    if (!holders || !list)
        return 0;
    if (!json_is_array(list) || json_array_size(list) != s->holders)
        return -EBADMSG;
    for (size_t i = 0; i < s->holders; i++) {
        const json_t *holder = json_array_get(list, i);
        static const char *const pids[] = {"pid", NULL}, *const uids[] = {"uid", NULL};
        if (!json_is_integer(json_object_get(holder, "pid")) ||
            !are_in_range(holder, pids, 0, INT32_MAX) || !are_in_range(holder, uids, 0, UINT32_MAX))
            return -EBADMSG;
        holders[i] = (struct wire_holder){
            .pid = (int32_t)int_of(holder, "pid"),
            .uid = (uint32_t)int_of(holder, "uid"),
            .comm = json_string_value(json_object_get(holder, "comm")),
            .since_at_ms = int_of(holder, "since_at_ms"),
        };
    }
    s->holder_list = holders;
    return 0;
}

int segment_json_read(const json_t *object, struct labels *labels, struct wire_holder *holders,
                      struct wire_segment *ret)
{
    int state = read_word(object, "state", state_words, STATE_COUNT);
    int lifetime = read_word(object, "lifetime", lifetime_words, LIFETIME_COUNT);
    const json_t *creator = json_object_get(object, "creator");
    struct wire_segment s = {0};
    s.managed = bool_of(object, "managed");
    bool has_no_lifetime = lifetime == -ENOENT && !s.managed;
    if (state < 0 || (lifetime < 0 && !has_no_lifetime) ||
        !json_is_integer(json_object_get(object, "shmid")) ||
        !json_is_integer(json_object_get(object, "size")) || !has_good_numbers(object) ||
        read_mode(object, &s.mode) < 0)
        return -EBADMSG;
    s.serial = (uint64_t)int_of(object, "serial");
    s.name = json_string_value(json_object_get(object, "name"));
    s.former_name = json_string_value(json_object_get(object, "former_name"));
    s.replaces = (uint64_t)int_of(object, "replaces");
    s.shmid = (int32_t)int_of(object, "shmid");
    s.key = (uint32_t)int_of(object, "key");
    s.size = (uint64_t)int_of(object, "size");
    s.uid = (uint32_t)int_of(object, "uid");
    s.gid = (uint32_t)int_of(object, "gid");
    s.nattch = (uint64_t)int_of(object, "nattch");
    s.last_pid = (int32_t)int_of(object, "last_pid");
    s.creator.uid = (uint32_t)int_of(creator, "uid");
    s.creator.gid = (uint32_t)int_of(creator, "gid");
    s.creator.pid = (int32_t)int_of(creator, "pid");
    s.creator.comm = json_string_value(json_object_get(creator, "comm"));
    s.state = (enum segment_state)state;
    s.has_lifetime = lifetime >= 0;
    s.lifetime = s.has_lifetime ? (enum lifetime)lifetime : LIFETIME_COUNT;
    s.holders = (uint32_t)int_of(object, "holders");
    if (read_holders(object, holders, &s) < 0)
        return -EBADMSG;
    s.locked = bool_of(object, "locked");
    s.huge_page_size = (uint64_t)int_of(object, "huge_page_size");
    s.noreserve = bool_of(object, "noreserve");
    s.created_at_ms = int_of(object, "created_at_ms");
    s.attached_at_ms = int_of(object, "attached_at_ms");
    s.detached_at_ms = int_of(object, "detached_at_ms");
    s.changed_at_ms = int_of(object, "changed_at_ms");
    s.expires_at_ms = int_of(object, "expires_at_ms");
    read_labels(object, labels);
    s.labels = labels->items;
    s.n_labels = labels->count;
    s.orphaned = bool_of(object, "orphaned");
    s.used_by_others = bool_of(object, "used_by_others");
    s.declared = bool_of(object, "declared");
    s.drift = read_drift(object);
    s.has_memory = json_is_integer(json_object_get(object, "rss"));
    s.rss = (uint64_t)int_of(object, "rss");
    s.swap = (uint64_t)int_of(object, "swap");
    *ret = s;
    return 0;
}
