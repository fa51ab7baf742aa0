/* SPDX-License-Identifier: MIT */
#include "daemon/store/encoding.h"

#include <errno.h>
#include <stdlib.h>

#include "daemon/store/bytes.h"
#include "daemon/util/array.h"
#include "daemon/util/siphash.h"

enum {
    HEAD_SIZE = 8,
    SUM_SIZE = 8,
    SEGMENT_FIXED_SIZE = 108, /* then both names and the labels, each text with its NUL */
    IDLE_SIZE = 28,           /* behind those, where FLAG_HAS_IDLE is set */
};

enum segment_flag {
    FLAG_WAS_ADMIN = 1,
    FLAG_NORESERVE = 2,
    FLAG_ADOPTED = 4,
    FLAG_HAS_NAME = 8,
    FLAG_HAS_OTHER_NAME = 16,
    FLAG_HAS_UNSEEN = 32,
    FLAG_HAS_IDLE = 64,
    FLAG_ONLY_PAYS = 128,
};

static const char *const type_words[] = {
    [STORE_SEGMENT] = "segment", [STORE_TIE] = "tie",           [STORE_UNTIE] = "untie",
    [STORE_GONE] = "gone",       [STORE_COUNTERS] = "counters", [STORE_DAEMON] = "daemon",
    [STORE_IDLE] = "idle",
};

const char *record_type_word(unsigned type)
{
    return type < sizeof(type_words) / sizeof(type_words[0]) ? type_words[type] : NULL;
}

/* --- writing */

void record_buffer_deinit(struct record_buffer *buffer)
{
    free(buffer->bytes);
    *buffer = (struct record_buffer){0};
}

/* Room for N more bytes: 0 or -ENOMEM. */
static int reserve(struct record_buffer *buffer, size_t n)
{
    uint8_t *bytes = array_reserve(buffer->bytes, &buffer->capacity, buffer->len, n, 1);
    if (!bytes)
        return -ENOMEM;
    buffer->bytes = bytes;
    return 0;
}

static size_t segment_payload_size(const struct stored_segment *s)
{
    size_t size = SEGMENT_FIXED_SIZE + 2;
    size += s->name ? strlen(s->name) : 0;
    size += s->other_name ? strlen(s->other_name) : 0;
    for (size_t i = 0; i < s->n_labels; i++)
        size += strlen(s->labels[i].key) + strlen(s->labels[i].value) + 2;
    return s->idle.since_ms != 0 ? size + IDLE_SIZE : size;
}

static size_t payload_size(const struct store_record *record)
{
    switch (record->type) {
    case STORE_SEGMENT: return segment_payload_size(record->segment);
    case STORE_TIE: return RECORD_TIE_SIZE - RECORD_OVERHEAD;
    case STORE_UNTIE: return RECORD_UNTIE_SIZE - RECORD_OVERHEAD;
    case STORE_GONE: return RECORD_GONE_SIZE - RECORD_OVERHEAD;
    case STORE_COUNTERS: return RECORD_COUNTERS_SIZE - RECORD_OVERHEAD;
    case STORE_DAEMON: return RECORD_DAEMON_SIZE - RECORD_OVERHEAD;
    case STORE_IDLE: return RECORD_IDLE_SIZE - RECORD_OVERHEAD;
    }
    return 0;
}

size_t store_record_size(const struct store_record *record)
{
    return RECORD_OVERHEAD + payload_size(record);
}

static void put_text(uint8_t **at, const char *text)
{
    put_bytes(at, text, strlen(text) + 1);
}

/* What is behind the NUL is not anybody's business. */
static void put_comm(uint8_t **at, const char comm[static COMM_MAX])
{
    char clean[COMM_MAX] = "";
    memcpy(clean, comm, strnlen(comm, COMM_MAX - 1));
    put_bytes(at, clean, COMM_MAX);
}

static uint8_t flags_of(const struct stored_segment *s)
{
    unsigned flags = 0;
    flags |= s->creator.was_admin ? FLAG_WAS_ADMIN : 0U;
    flags |= s->creator.only_pays ? FLAG_ONLY_PAYS : 0U;
    flags |= s->noreserve ? FLAG_NORESERVE : 0U;
    flags |= s->adopted ? FLAG_ADOPTED : 0U;
    flags |= s->has_unseen ? FLAG_HAS_UNSEEN : 0U;
    flags |= s->name ? FLAG_HAS_NAME : 0U;
    flags |= s->other_name ? FLAG_HAS_OTHER_NAME : 0U;
    flags |= s->idle.since_ms != 0 ? FLAG_HAS_IDLE : 0U;
    return (uint8_t)flags;
}

static void put_idle(uint8_t **at, const struct stored_idle *idle)
{
    put_64(at, (uint64_t)idle->since_ms);
    put_64(at, (uint64_t)idle->attached_at_s);
    put_64(at, (uint64_t)idle->detached_at_s);
    put_32(at, (uint32_t)idle->last_pid);
}

static void put_segment(uint8_t **at, const struct stored_segment *s)
{
    put_64(at, s->serial);
    put_64(at, s->size);
    put_64(at, s->huge_page_size);
    put_64(at, (uint64_t)s->created_at_ms);
    put_64(at, (uint64_t)s->expires_at_ms);
    put_64(at, (uint64_t)s->idle_ttl_ms);
    put_64(at, s->replaces);
    put_32(at, s->key);
    put_32(at, (uint32_t)s->shmid);
    put_32(at, (uint32_t)s->cpid);
    put_32(at, s->cuid);
    put_32(at, s->creator.uid);
    put_32(at, s->creator.gid);
    put_32(at, (uint32_t)s->creator.pid);
    put_comm(at, s->creator.comm);
    put_8(at, flags_of(s));
    put_8(at, (uint8_t)s->state);
    put_8(at, (uint8_t)s->lifetime);
    put_8(at, (uint8_t)s->n_labels);
    put_32(at, 0);
    put_text(at, s->name ? s->name : "");
    put_text(at, s->other_name ? s->other_name : "");
    for (size_t i = 0; i < s->n_labels; i++) {
        put_text(at, s->labels[i].key);
        put_text(at, s->labels[i].value);
    }
    if (s->idle.since_ms != 0)
        put_idle(at, &s->idle);
}

/* Which tie it is; the same in `tie` and `untie`. */
static void put_tie_identity(uint8_t **at, uint64_t serial, const struct stored_tie *tie)
{
    put_64(at, serial);
    put_64(at, tie->identity.inode);
    put_64(at, tie->identity.started_at);
    put_32(at, (uint32_t)tie->identity.pid);
    put_32(at, (uint32_t)tie->role);
}

static void put_payload(uint8_t **at, const struct store_record *record)
{
    switch (record->type) {
    case STORE_SEGMENT: put_segment(at, record->segment); break;
    case STORE_TIE:
        put_tie_identity(at, record->serial, &record->tie);
        put_64(at, (uint64_t)record->tie.since_at_ms);
        put_32(at, record->tie.uid);
        put_32(at, 0);
        put_comm(at, record->tie.comm);
        break;
    case STORE_UNTIE: put_tie_identity(at, record->serial, &record->tie); break;
    case STORE_GONE: put_64(at, record->serial); break;
    case STORE_COUNTERS:
        put_64(at, record->counters.last_serial);
        put_64(at, record->counters.event_serial);
        break;
    case STORE_DAEMON:
        put_64(at, (uint64_t)record->daemon.started_at_s);
        put_32(at, (uint32_t)record->daemon.pid);
        put_32(at, record->daemon.pid_namespace); /* it was 0 in version 0.1.0 */
        break;
    case STORE_IDLE:
        put_64(at, record->serial);
        put_idle(at, &record->idle);
        break;
    }
}

int record_encode(struct record_buffer *buffer, const struct store_record *record, bool goes_on)
{
    size_t len = payload_size(record);
    int r = reserve(buffer, RECORD_OVERHEAD + len);
    if (r < 0)
        return r;
    uint8_t *at = buffer->bytes + buffer->len;
    put_32(&at, (uint32_t)len);
    put_8(&at, (uint8_t)record->type);
    put_8(&at, goes_on);
    put_8(&at, 0);
    put_8(&at, 0);
    put_payload(&at, record);
    put_64(&at, 0);
    buffer->len += RECORD_OVERHEAD + len;
    return 0;
}

/* --- sums */

static uint64_t sum_of(const uint8_t *record, size_t len, const uint64_t seed[static 2],
                       uint64_t previous)
{
    const uint64_t key[2] = {seed[0] ^ previous, seed[1]};
    return siphash(key, record, len);
}

void records_seal(uint8_t *bytes, size_t len, const uint64_t seed[static 2], uint64_t *sum)
{
    while (len > 0) {
        struct bytes_left left = {bytes, bytes + len, false};
        size_t summed = HEAD_SIZE + get_32(&left);
        *sum = sum_of(bytes, summed, seed, *sum);
        uint8_t *at = bytes + summed;
        put_64(&at, *sum);
        bytes += summed + SUM_SIZE;
        len -= summed + SUM_SIZE;
    }
}

/* --- reading */

enum record_found record_find_unsummed(const uint8_t *bytes, size_t len, struct record_frame *ret)
{
    struct bytes_left left = {bytes, bytes + len, false};
    if (len < HEAD_SIZE)
        return RECORD_CUT_OFF;
    struct record_frame frame = {0};
    frame.payload_len = get_32(&left);
    frame.type = get_8(&left);
    uint8_t goes_on = get_8(&left);
    uint8_t zeros[2];
    get_bytes(&left, zeros, sizeof(zeros));
    if (frame.payload_len > RECORD_PAYLOAD_MAX || !record_type_word(frame.type) || goes_on > 1 ||
        zeros[0] != 0 || zeros[1] != 0)
        return RECORD_BAD;
    frame.size = RECORD_OVERHEAD + frame.payload_len;
    if (len < frame.size)
        return RECORD_CUT_OFF;
    frame.goes_on = goes_on;
    frame.payload = left.at;
    left.at += frame.payload_len;
    frame.sum = get_64(&left);
    *ret = frame;
    return RECORD_FOUND;
}

enum record_found record_find(const uint8_t *bytes, size_t len, const uint64_t seed[static 2],
                              uint64_t previous, struct record_frame *ret)
{
    enum record_found found = record_find_unsummed(bytes, len, ret);
    if (found == RECORD_FOUND)
        ret->has_right_sum =
            ret->sum == sum_of(bytes, HEAD_SIZE + ret->payload_len, seed, previous);
    return found;
}

/* Within range, so that no conversion changes it; what it may be is store_check_record()'s. */
static int32_t get_pid(struct bytes_left *left)
{
    return (int32_t)get_32(left);
}

static struct stored_idle get_idle(struct bytes_left *left)
{
    struct stored_idle idle = {.since_ms = (int64_t)get_64(left)};
    idle.attached_at_s = (int64_t)get_64(left);
    idle.detached_at_s = (int64_t)get_64(left);
    idle.last_pid = get_pid(left);
    return idle;
}

static void get_segment(struct bytes_left *left, struct decoded_record *d, bool *ret_is_odd)
{
    struct stored_segment *s = &d->segment;
    *s = (struct stored_segment){.serial = get_64(left)};
    s->size = get_64(left);
    s->huge_page_size = get_64(left);
    s->created_at_ms = (int64_t)get_64(left);
    s->expires_at_ms = (int64_t)get_64(left);
    s->idle_ttl_ms = (int64_t)get_64(left);
    s->replaces = get_64(left);
    s->key = get_32(left);
    s->shmid = (int32_t)get_32(left);
    s->cpid = get_pid(left);
    s->cuid = get_32(left);
    s->creator.uid = get_32(left);
    s->creator.gid = get_32(left);
    s->creator.pid = get_pid(left);
    get_bytes(left, s->creator.comm, COMM_MAX);
    uint8_t flags = get_8(left);
    s->creator.was_admin = flags & FLAG_WAS_ADMIN;
    s->creator.only_pays = flags & FLAG_ONLY_PAYS;
    s->noreserve = flags & FLAG_NORESERVE;
    s->adopted = flags & FLAG_ADOPTED;
    s->has_unseen = flags & FLAG_HAS_UNSEEN;
    s->state = (enum segment_state)get_8(left);
    s->lifetime = (enum lifetime)get_8(left);
    s->n_labels = get_8(left);
    uint32_t zero = get_32(left);
    const char *name = get_text(left);
    const char *other_name = get_text(left);
    s->name = flags & FLAG_HAS_NAME ? name : NULL;
    s->other_name = flags & FLAG_HAS_OTHER_NAME ? other_name : NULL;
    *ret_is_odd = (!s->name && *name) || (!s->other_name && *other_name) || zero != 0 ||
                  s->n_labels > SEGMENT_LABELS_MAX;
    for (size_t i = 0; !*ret_is_odd && i < s->n_labels; i++) {
        d->labels[i].key = get_text(left);
        d->labels[i].value = get_text(left);
    }
    if (!*ret_is_odd && flags & FLAG_HAS_IDLE) {
        s->idle = get_idle(left);
        *ret_is_odd = s->idle.since_ms == 0;
    }
    s->labels = s->n_labels > 0 ? d->labels : NULL;
    d->record.segment = s;
    d->record.serial = s->serial;
}

static void get_tie_identity(struct bytes_left *left, struct store_record *record)
{
    record->serial = get_64(left);
    record->tie = (struct stored_tie){.identity.inode = get_64(left)};
    record->tie.identity.started_at = get_64(left);
    record->tie.identity.pid = get_pid(left);
    record->tie.role = (enum tie_role)get_32(left);
}

int record_decode(const struct record_frame *frame, struct decoded_record *ret,
                  const char **ret_why)
{
    struct bytes_left left = {frame->payload, frame->payload + frame->payload_len, false};
    struct store_record *record = &ret->record;
    bool is_odd = false;
    *record = (struct store_record){.type = (enum store_record_type)frame->type};
    switch (record->type) {
    case STORE_SEGMENT: get_segment(&left, ret, &is_odd); break;
    case STORE_TIE:
        get_tie_identity(&left, record);
        record->tie.since_at_ms = (int64_t)get_64(&left);
        record->tie.uid = get_32(&left);
        is_odd = get_32(&left) != 0;
        get_bytes(&left, record->tie.comm, COMM_MAX);
        break;
    case STORE_UNTIE: get_tie_identity(&left, record); break;
    case STORE_GONE: record->serial = get_64(&left); break;
    case STORE_COUNTERS:
        record->counters.last_serial = get_64(&left);
        record->counters.event_serial = get_64(&left);
        break;
    case STORE_DAEMON:
        record->daemon.started_at_s = (int64_t)get_64(&left);
        record->daemon.pid = get_pid(&left);
        record->daemon.pid_namespace = get_32(&left);
        break;
    case STORE_IDLE:
        record->serial = get_64(&left);
        record->idle = get_idle(&left);
        break;
    }
    if (left.is_short || left.at != left.end || is_odd) {
        *ret_why = "it is not laid out as its type is";
        return -EBADMSG;
    }
    const char *why = store_check_record(record);
    if (why)
        *ret_why = why;
    return why ? -EBADMSG : 0;
}
