/* SPDX-License-Identifier: MIT */
#include "daemon/core/segment.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct segment *segment_new(void)
{
    return calloc(1, sizeof(struct segment));
}

struct segment *segment_new_stored(const struct stored_segment *stored)
{
    struct segment *s = segment_new();
    if (!s)
        return NULL;
    s->serial = stored->serial;
    s->key = stored->key;
    s->shmid = stored->shmid;
    s->cpid = stored->cpid;
    s->cuid = stored->cuid;
    s->size = stored->size;
    s->creator = stored->creator;
    s->state = stored->state;
    s->lifetime = stored->lifetime;
    s->noreserve = stored->noreserve;
    s->adopted = stored->adopted;
    s->has_unseen = s->is_left_behind = stored->has_unseen;
    s->huge_page_size = stored->huge_page_size;
    s->created_at_ms = stored->created_at_ms;
    s->expires_at_ms = stored->expires_at_ms;
    s->idle_ttl_ms = stored->idle_ttl_ms;
    s->idle_since_ms = stored->idle.since_ms;
    s->seen.attached_at_s = stored->idle.attached_at_s;
    s->seen.detached_at_s = stored->idle.detached_at_s;
    s->seen.last_pid = stored->idle.last_pid;
    s->replaces = stored->replaces;
    s->n_labels = stored->n_labels;
    if ((stored->name && !(s->name = strdup(stored->name))) ||
        (stored->other_name && !(s->other_name = strdup(stored->other_name))) ||
        segment_copy_labels(stored->labels, stored->n_labels, &s->labels) < 0) {
        segment_free(s);
        return NULL;
    }
    return s;
}

static struct stored_idle stored_idle(const struct segment *s)
{
    if (s->idle_ttl_ms == 0)
        return (struct stored_idle){0};
    return (struct stored_idle){.since_ms = s->idle_since_ms,
                                .attached_at_s = s->seen.attached_at_s,
                                .detached_at_s = s->seen.detached_at_s,
                                .last_pid = s->seen.last_pid};
}

struct stored_segment segment_stored(const struct segment *s)
{
    return (struct stored_segment){.serial = s->serial,
                                   .name = s->name,
                                   .key = s->key,
                                   .shmid = s->shmid,
                                   .cpid = s->cpid,
                                   .cuid = s->cuid,
                                   .size = s->size,
                                   .creator = s->creator,
                                   .state = s->state,
                                   .lifetime = s->lifetime,
                                   .noreserve = s->noreserve,
                                   .adopted = s->adopted,
                                   .has_unseen = s->has_unseen,
                                   .huge_page_size = s->huge_page_size,
                                   .created_at_ms = s->created_at_ms,
                                   .expires_at_ms = s->expires_at_ms,
                                   .idle_ttl_ms = s->idle_ttl_ms,
                                   .idle = stored_idle(s),
                                   .replaces = s->replaces,
                                   .other_name = s->other_name,
                                   .labels = s->labels,
                                   .n_labels = s->n_labels};
}

void segment_free(struct segment *segment)
{
    if (!segment)
        return;
    free(segment->name);
    free(segment->other_name);
    free(segment->labels);
    free(segment);
}

int segment_copy_labels(const struct label *labels, size_t count, struct label **ret)
{
    if (count == 0) {
        *ret = NULL;
        return 0;
    }
    size_t bytes = count * sizeof(struct label);
    for (size_t i = 0; i < count; i++)
        bytes += strlen(labels[i].key) + strlen(labels[i].value) + 2;
    struct label *copy = malloc(bytes);
    if (!copy)
        return -ENOMEM;
    char *text = (char *)(copy + count);
    for (size_t i = 0; i < count; i++) {
        copy[i].key = text;
        text = stpcpy(text, labels[i].key) + 1;
        copy[i].value = text;
        text = stpcpy(text, labels[i].value) + 1;
    }
    *ret = copy;
    return 0;
}

bool segment_has_labels(const struct segment *segment, const struct labels *wanted)
{
    for (size_t i = 0; i < wanted->count; i++) {
        bool found = false;
        for (size_t j = 0; j < segment->n_labels && !found; j++)
            found = strcmp(segment->labels[j].key, wanted->items[i].key) == 0 &&
                    strcmp(segment->labels[j].value, wanted->items[i].value) == 0;
        if (!found)
            return false;
    }
    return true;
}
