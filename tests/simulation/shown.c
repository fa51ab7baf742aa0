/* SPDX-License-Identifier: MIT */
#include "tests/simulation/shown.h"

#include <stdlib.h>
#include <string.h>

static uint64_t sum_of(uint64_t sum, const char *text)
{
    for (; *text; text++)
        sum = (sum ^ (unsigned char)*text) * UINT64_C(1099511628211);
    return sum;
}

/* The order of labels does not count. */
static uint64_t sum_of_label(const char *key, const char *value)
{
    const uint64_t begin = UINT64_C(14695981039346656037);
    return sum_of(sum_of(begin, key) + 1, value);
}

static uint64_t sum_of_labels(const json_t *labels)
{
    const char *key;
    json_t *value;
    uint64_t sum = 0;
    json_object_foreach ((json_t *)labels, key, value)
        sum += sum_of_label(key, json_string_value(value));
    return sum;
}

void shown_in_log(const struct segment_event *event, struct shown *ret)
{
    const struct wire_segment *s = &event->segment;
    *ret = (struct shown){
#define X(member, word, is_known) .member = (int64_t)s->member,
        SHOWN_NUMBERS(X)
#undef X
#define X(member, word) .member = s->member,
            SHOWN_FLAGS(X)
#undef X
                .mode = s->mode,
        .creator_uid = s->creator.uid,
        .creator_gid = s->creator.gid,
        .creator_pid = s->creator.pid,
        .state = s->state,
        .lifetime = s->lifetime,
        .holders_least = s->holders,
        .holders_most = s->holders};
    model_copy_name(ret->name, s->name);
    model_copy_name(ret->former_name, s->former_name);
    for (size_t i = 0; i < s->n_labels; i++)
        ret->labels += sum_of_label(s->labels[i].key, s->labels[i].value);
}

static int64_t number(const json_t *object, const char *word)
{
    return json_integer_value(json_object_get(object, word));
}

static const char *text(const json_t *object, const char *word)
{
    return json_string_value(json_object_get(object, word));
}

void shown_on_wire(const json_t *s, struct shown *ret)
{
    const json_t *creator = json_object_get(s, "creator");
    const char *mode = text(s, "mode"), *state = text(s, "state"), *lifetime = text(s, "lifetime");
    *ret = (struct shown){
#define X(member, word, is_known) .member = number(s, word),
        SHOWN_NUMBERS(X)
#undef X
#define X(member, word) .member = json_is_true(json_object_get(s, word)),
            SHOWN_FLAGS(X)
#undef X
                .mode = mode ? (uint32_t)strtoul(mode, NULL, 8) : UINT32_MAX,
        .creator_uid = number(creator, "uid"),
        .creator_gid = number(creator, "gid"),
        .creator_pid = number(creator, "pid"),
        .holders_least = number(s, "holders"),
        .holders_most = number(s, "holders"),
        .labels = sum_of_labels(json_object_get(s, "labels"))};
    ret->state = state ? (enum segment_state)term_find(state_words, state) : STATE_COUNT;
    if (lifetime)
        ret->lifetime = (enum lifetime)term_find(lifetime_words, lifetime);
    model_copy_name(ret->name, text(s, "name"));
    model_copy_name(ret->former_name, text(s, "former_name"));
}

static int64_t end_of(const struct model *m, const struct model_segment *s)
{
    const struct fake_clock *c = &m->w->clock;
    return s->expires_at_ms == 0 ? 0 : s->expires_at_ms - c->boot_ms + c->real_ms;
}

void shown_by_model(const struct model *m, const struct model_segment *s, struct shown *ret)
{
    *ret = (struct shown){.serial = (int64_t)s->serial,
                          .replaces = (int64_t)s->replaces,
                          .shmid = s->kernel.shmid,
                          .key = model_key(m, s),
                          .size = (int64_t)s->kernel.size,
                          .uid = s->adopted ? s->creator_uid : s->kernel.uid,
                          .gid = s->kernel.gid,
                          .nattch = (int64_t)model_attachments(m, s),
                          .huge_page_size = (int64_t)s->huge_page_size,
                          /* Since when it is idle is the daemon's to find out. */
                          .expires_at_ms = s->idle_ttl_ms != 0 ? -1 : end_of(m, s),
                          .locked = s->kernel.locked,
                          .noreserve = s->noreserve,
                          .managed = true,
                          .mode = s->kernel.mode & 0777,
                          .creator_uid = s->creator_uid,
                          .creator_gid = s->creator_gid,
                          .creator_pid = s->creator_pid,
                          .state = s->state,
                          .lifetime = s->lifetime,
                          .holders_most = (int64_t)s->n_holders,
                          .labels = sum_of_labels(s->labels)};
    for (size_t i = 0; i < s->n_holders; i++)
        ret->holders_least += !model_is_holder_gone(m, &s->holders[i]);
    memcpy(ret->name, s->name, NAME_BYTES);
}

void shown_as_foreign(const struct sysv_stat *k, struct shown *ret)
{
    struct shown now = {.shmid = k->shmid,
                        .key = k->key,
                        .size = (int64_t)k->size,
                        .uid = k->uid,
                        .gid = k->gid,
                        .nattch = ret->nattch,
                        .locked = k->locked,
                        .mode = k->mode & 0777,
                        .creator_uid = k->cuid,
                        .creator_gid = k->cgid,
                        .creator_pid = k->cpid,
                        .state = k->destroyed ? STATE_REMOVING : STATE_READY};
    memcpy(now.former_name, ret->name, NAME_BYTES);
    *ret = now;
}

const char *shown_difference(const struct shown *a, const struct shown *b, bool is_whole)
{
    if (strcmp(a->name, b->name) != 0)
        return "name";
    if (is_whole && strcmp(a->former_name, b->former_name) != 0)
        return "former_name";
#define X(member, word, is_known)                                                                  \
    if (a->member != b->member && (is_known || is_whole) && a->member != -1)                       \
        return word;
    SHOWN_NUMBERS(X)
#undef X
#define X(member, word)                                                                            \
    if (a->member != b->member)                                                                    \
        return word;
    SHOWN_FLAGS(X)
#undef X
    if (a->mode != b->mode)
        return "mode";
    if (a->creator_uid != b->creator_uid || a->creator_gid != b->creator_gid ||
        a->creator_pid != b->creator_pid)
        return "creator";
    if (a->state != b->state)
        return "state";
    if (a->managed && a->lifetime != b->lifetime)
        return "lifetime";
    if (b->holders_least < a->holders_least || b->holders_most > a->holders_most)
        return "holders";
    return a->labels != b->labels ? "labels" : NULL;
}
