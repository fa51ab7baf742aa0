/* SPDX-License-Identifier: MIT */
#include "protocol/plain_answer.h"

#include <stdlib.h>
#include <string.h>

#include "protocol/plain_token.h"

/* What is being read, and the room left for its strings. */
struct reading {
    struct plain_cursor c;
    struct plain_answer *answer;
    size_t used; /* of the texts */
    size_t n_holders;
};

/* --- tables of members */

enum member_type {
    MEMBER_INT32, /* from 0, as all of these but times are */
    MEMBER_UINT32,
    MEMBER_UINT64,
    MEMBER_TIME,
    MEMBER_BOOL,
    MEMBER_TEXT,
    MEMBER_MODE,
    MEMBER_STATE,
    MEMBER_LIFETIME,
    MEMBER_CREATOR,
    MEMBER_HOLDERS,
    MEMBER_LABELS,
};

struct member {
    const char *name;
    enum member_type type;
    size_t offset; /* in the struct that the object becomes */
};

/* Where those are that are asked for by their place. */
enum { AT_SHMID = 4, AT_SIZE = 6, AT_MODE = 7, AT_STATE = 13, AT_RSS = 26 };

static const struct member of_segment[] = {
    {"serial", MEMBER_UINT64, offsetof(struct wire_segment, serial)},
    {"name", MEMBER_TEXT, offsetof(struct wire_segment, name)},
    {"former_name", MEMBER_TEXT, offsetof(struct wire_segment, former_name)},
    {"replaces", MEMBER_UINT64, offsetof(struct wire_segment, replaces)},
    [AT_SHMID] = {"shmid", MEMBER_INT32, offsetof(struct wire_segment, shmid)},
    {"key", MEMBER_UINT32, offsetof(struct wire_segment, key)},
    [AT_SIZE] = {"size", MEMBER_UINT64, offsetof(struct wire_segment, size)},
    [AT_MODE] = {"mode", MEMBER_MODE, offsetof(struct wire_segment, mode)},
    {"uid", MEMBER_UINT32, offsetof(struct wire_segment, uid)},
    {"gid", MEMBER_UINT32, offsetof(struct wire_segment, gid)},
    {"nattch", MEMBER_UINT64, offsetof(struct wire_segment, nattch)},
    {"last_pid", MEMBER_INT32, offsetof(struct wire_segment, last_pid)},
    {"creator", MEMBER_CREATOR, offsetof(struct wire_segment, creator)},
    [AT_STATE] = {"state", MEMBER_STATE, offsetof(struct wire_segment, state)},
    {"lifetime", MEMBER_LIFETIME, offsetof(struct wire_segment, lifetime)},
    {"holders", MEMBER_UINT32, offsetof(struct wire_segment, holders)},
    {"holder_list", MEMBER_HOLDERS, 0},
    {"locked", MEMBER_BOOL, offsetof(struct wire_segment, locked)},
    {"huge_page_size", MEMBER_UINT64, offsetof(struct wire_segment, huge_page_size)},
    {"noreserve", MEMBER_BOOL, offsetof(struct wire_segment, noreserve)},
    {"created_at_ms", MEMBER_TIME, offsetof(struct wire_segment, created_at_ms)},
    {"attached_at_ms", MEMBER_TIME, offsetof(struct wire_segment, attached_at_ms)},
    {"detached_at_ms", MEMBER_TIME, offsetof(struct wire_segment, detached_at_ms)},
    {"changed_at_ms", MEMBER_TIME, offsetof(struct wire_segment, changed_at_ms)},
    {"expires_at_ms", MEMBER_TIME, offsetof(struct wire_segment, expires_at_ms)},
    {"labels", MEMBER_LABELS, 0},
    [AT_RSS] = {"rss", MEMBER_UINT64, offsetof(struct wire_segment, rss)},
    {"swap", MEMBER_UINT64, offsetof(struct wire_segment, swap)},
    {"managed", MEMBER_BOOL, offsetof(struct wire_segment, managed)},
    {"orphaned", MEMBER_BOOL, offsetof(struct wire_segment, orphaned)},
    {"used_by_others", MEMBER_BOOL, offsetof(struct wire_segment, used_by_others)},
    {"declared", MEMBER_BOOL, offsetof(struct wire_segment, declared)},
};
enum { N_OF_SEGMENT = sizeof(of_segment) / sizeof(of_segment[0]) };
_Static_assert(N_OF_SEGMENT <= 32, "a bit each");

static const struct member of_creator[] = {
    {"uid", MEMBER_UINT32, offsetof(struct wire_segment, creator.uid)},
    {"gid", MEMBER_UINT32, offsetof(struct wire_segment, creator.gid)},
    {"pid", MEMBER_INT32, offsetof(struct wire_segment, creator.pid)},
    {"comm", MEMBER_TEXT, offsetof(struct wire_segment, creator.comm)},
};

static const struct member of_holder[] = {
    {"pid", MEMBER_INT32, offsetof(struct wire_holder, pid)},
    {"uid", MEMBER_UINT32, offsetof(struct wire_holder, uid)},
    {"comm", MEMBER_TEXT, offsetof(struct wire_holder, comm)},
    {"since_at_ms", MEMBER_TIME, offsetof(struct wire_holder, since_at_ms)},
};

/* The index of the member that is called NAME; -1: there is none. The daemon writes them in the
 * table's order, so the one at NEXT is looked at first. A NAME is followed by a byte of the line.
 */
static int find_member(const struct member *members, size_t n, size_t next, const char *name,
                       size_t len)
{
    for (size_t i = 0; i < n; i++) {
        size_t at = (next + i) % n;
        const char *one = members[at].name;
        if (one[0] == name[0] && strncmp(one, name, len) == 0 && one[len] == '\0')
            return (int)at;
    }
    return -1;
}

/* --- values */

/* A copy with a NUL behind it; NULL: there is no room. */
static const char *keep_text(struct reading *r, const char *text, size_t len)
{
    if (sizeof(r->answer->texts) - r->used <= len)
        return NULL;
    char *copy = r->answer->texts + r->used;
    memcpy(copy, text, len);
    copy[len] = '\0';
    r->used += len + 1;
    return copy;
}

static bool take_text(struct reading *r, const char **ret)
{
    const char *text;
    size_t len;
    return plain_take_string(&r->c, &text, &len) && (*ret = keep_text(r, text, len));
}

static bool take_integer(struct reading *r, int64_t min, int64_t max, int64_t *ret)
{
    struct value value;
    if (!plain_take_value(&r->c, &value) || value.kind != VALUE_INT || value.integer < min ||
        value.integer > max)
        return false;
    *ret = value.integer;
    return true;
}

static bool take_bool(struct reading *r, bool *ret)
{
    struct value value;
    if (!plain_take_value(&r->c, &value) || value.kind != VALUE_BOOL)
        return false;
    *ret = value.boolean;
    return true;
}

static bool take_mode(struct reading *r, uint32_t *ret)
{
    const char *text;
    size_t len;
    if (!plain_take_string(&r->c, &text, &len) || len != 4)
        return false;
    uint32_t mode = 0;
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '7')
            return false;
        mode = mode * 8 + (uint32_t)(text[i] - '0');
    }
    *ret = mode;
    return true;
}

/* One of WORDS. */
static bool take_word(struct reading *r, const char *const *words, int *ret)
{
    const char *text;
    size_t len;
    if (!plain_take_string(&r->c, &text, &len))
        return false;
    for (int i = 0; words[i]; i++) {
        if (strncmp(words[i], text, len) == 0 && words[i][len] == '\0') {
            *ret = i;
            return true;
        }
    }
    return false;
}

static bool take_object(struct reading *r, const struct member *members, size_t n, void *into,
                        uint32_t *ret_seen);

static bool take_holders(struct reading *r)
{
    struct wire_holder *holders = r->answer->holders;
    uint32_t seen;
    if (!plain_take_byte(&r->c, '['))
        return false;
    r->answer->segment.holder_list = holders;
    if (plain_take_byte(&r->c, ']'))
        return true;
    do {
        if (r->n_holders == PLAIN_HOLDERS_MAX)
            return false;
        struct wire_holder *holder = &holders[r->n_holders++];
        if (!take_object(r, of_holder, 4, holder, &seen) || !(seen & 1)) /* a pid */
            return false;
    } while (plain_take_byte(&r->c, ','));
    return plain_take_byte(&r->c, ']');
}

static bool take_labels(struct reading *r)
{
    struct labels *labels = &r->answer->labels;
    if (!plain_take_byte(&r->c, '{'))
        return false;
    if (plain_take_byte(&r->c, '}'))
        return true;
    do {
        const char *key;
        size_t len;
        if (labels->count == SEGMENT_LABELS_MAX || !plain_take_key(&r->c, &key, &len))
            return false;
        struct label *label = &labels->items[labels->count];
        label->key = keep_text(r, key, len);
        if (!label->key || !take_text(r, &label->value))
            return false;
        for (size_t i = 0; i < labels->count; i++)
            if (strcmp(labels->items[i].key, label->key) == 0)
                return false;
        labels->count++;
    } while (plain_take_byte(&r->c, ','));
    return plain_take_byte(&r->c, '}');
}

/* The value of the member that is at PLACE in its struct. */
static bool take_member(struct reading *r, enum member_type type, void *place)
{
    int64_t integer = 0;
    int word = 0;
    uint32_t seen;
    bool taken = false;
    switch (type) {
    case MEMBER_INT32:
        taken = take_integer(r, 0, INT32_MAX, &integer);
        *(int32_t *)place = (int32_t)integer;
        return taken;
    case MEMBER_UINT32:
        taken = take_integer(r, 0, UINT32_MAX, &integer);
        *(uint32_t *)place = (uint32_t)integer;
        return taken;
    case MEMBER_UINT64:
        taken = take_integer(r, 0, INT64_MAX, &integer);
        *(uint64_t *)place = (uint64_t)integer;
        return taken;
    case MEMBER_TIME: return take_integer(r, INT64_MIN, INT64_MAX, place);
    case MEMBER_BOOL: return take_bool(r, place);
    case MEMBER_TEXT: return take_text(r, place);
    case MEMBER_MODE: return take_mode(r, place);
    case MEMBER_STATE:
        taken = take_word(r, state_words, &word);
        *(enum segment_state *)place = (enum segment_state)word;
        return taken;
    case MEMBER_LIFETIME:
        taken = take_word(r, lifetime_words, &word);
        *(enum lifetime *)place = (enum lifetime)word;
        return taken;
    case MEMBER_CREATOR: return take_object(r, of_creator, 4, &r->answer->segment, &seen);
    case MEMBER_HOLDERS: return take_holders(r);
    case MEMBER_LABELS: return take_labels(r);
    }
    return false;
}

/* An object of MEMBERS, each at most once; RET_SEEN has a bit for each that was there. */
static bool take_object(struct reading *r, const struct member *members, size_t n, void *into,
                        uint32_t *ret_seen)
{
    size_t next = 0;
    *ret_seen = 0;
    if (!plain_take_byte(&r->c, '{'))
        return false;
    if (plain_take_byte(&r->c, '}'))
        return true;
    do {
        const char *name;
        size_t len;
        if (!plain_take_key(&r->c, &name, &len))
            return false;
        int at = find_member(members, n, next, name, len);
        if (at < 0 || (*ret_seen & UINT32_C(1) << at) ||
            !take_member(r, members[at].type, (char *)into + members[at].offset))
            return false;
        *ret_seen |= UINT32_C(1) << at;
        next = (size_t)at + 1;
    } while (plain_take_byte(&r->c, ','));
    return plain_take_byte(&r->c, '}');
}

static bool was_seen(uint32_t seen, unsigned place)
{
    return seen >> place & 1;
}

static bool take_segment(struct reading *r)
{
    struct wire_segment *s = &r->answer->segment;
    uint32_t seen;
    s->lifetime = LIFETIME_COUNT;
    if (!take_object(r, of_segment, N_OF_SEGMENT, s, &seen))
        return false;
    s->has_lifetime = s->lifetime != LIFETIME_COUNT;
    s->has_memory = was_seen(seen, AT_RSS);
    s->labels = r->answer->labels.items;
    s->n_labels = r->answer->labels.count;
    /* Without these it is no segment. */
    return was_seen(seen, AT_STATE) && was_seen(seen, AT_SHMID) && was_seen(seen, AT_SIZE) &&
           was_seen(seen, AT_MODE) && (s->has_lifetime || !s->managed) &&
           (!s->holder_list || s->holders == r->n_holders);
}

/* --- the envelope, as the daemon writes it */

static bool take_literal(struct plain_cursor *c, const char *text)
{
    size_t len = strlen(text);
    if ((size_t)(c->end - c->at) < len || memcmp(c->at, text, len) != 0)
        return false;
    c->at += len;
    return true;
}

static bool take_answer(struct reading *r)
{
    struct plain_answer *a = r->answer;
    if (!take_segment(r))
        return false;
    if (take_literal(&r->c, ",\"created\":")) {
        a->has_created = true;
        if (!take_bool(r, &a->created))
            return false;
    }
    return take_literal(&r->c, "}");
}

struct plain_answer *plain_answer_read(const char *line, size_t len)
{
    struct reading r = {.c = {line, line + len}};
    int64_t id;
    if (!take_literal(&r.c, "{\"jsonrpc\":\"2.0\",\"id\":") ||
        !take_integer(&r, INT64_MIN, INT64_MAX, &id) || !take_literal(&r.c, ",\"result\":"))
        return NULL;
    const char *result = r.c.at;
    if (!take_literal(&r.c, "{\"segment\":") || !(r.answer = malloc(sizeof(*r.answer))))
        return NULL;
    memset(r.answer, 0, offsetof(struct plain_answer, texts));
    if (!take_answer(&r) || r.c.end - r.c.at != 1 || *r.c.at != '}') {
        free(r.answer);
        return NULL;
    }
    r.answer->id = id;
    r.answer->result = (struct json_slice){result, (size_t)(r.c.at - result)};
    return r.answer;
}
