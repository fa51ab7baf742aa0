/* SPDX-License-Identifier: MIT */
/*
 * A segment that is filled before it is ready. Until it is, this process is its initialiser: if it
 * dies in between, the daemon removes the segment.
 */
#include "client/internal.h"

#include <errno.h>
#include <string.h>

enum { OWNER_READ_WRITE = 0600 };

static int refuse(struct shmd *shmd, const char *reason)
{
    connection_begin(shmd);
    return failure_set(shmd, -EINVAL, "%s", reason);
}

static int check(struct shmd *shmd, const struct shmd_create_options *o,
                 const struct shmd_content *content)
{
    if (o->not_ready)
        return refuse(shmd, "a segment that is filled is ready then: leave out not_ready");
    if (o->lifetime == SHMD_LIFETIME_ATTACHED)
        return refuse(shmd, "a segment of lifetime attached would go when it has been filled and "
                            "is detached: choose another lifetime");
    if (!content->fill && content->length > 0 && !content->bytes)
        return refuse(shmd, "the content has a length, and its bytes are NULL");
    if (!content->fill && content->length > o->size)
        return refuse(shmd, "the content is longer than the segment");
    return 0;
}

/* For filling, the caller needs to own it and to be allowed to write. */
static struct shmd_create_options while_filling(const struct shmd_create_options *o)
{
    struct shmd_create_options options = *o;
    options.not_ready = true;
    options.has_uid = false;
    if (options.has_mode)
        options.mode |= OWNER_READ_WRITE;
    return options;
}

static int fill(struct shmd *shmd, const struct shmd_segment *segment,
                const struct shmd_content *content)
{
    void *address;
    int r = shmd_attach(shmd, segment, 0, &address);
    if (r != 0)
        return r;
    if (content->fill)
        r = content->fill(address, segment->size, content->data);
    else if (content->length > 0)
        memcpy(address, content->bytes, content->length);
    (void)shmd_detach(address);
    return r == 0 ? 0 : failure_set(shmd, r, "the segment could not be filled: %s", strerror(-r));
}

/* What the segment was not to be while it was filled. */
static int set_what_was_left_out(struct shmd *shmd, const struct shmd_target *target,
                                 const struct shmd_create_options *o)
{
    const struct shmd_set_options options = {
        .has_mode = o->has_mode && (o->mode & OWNER_READ_WRITE) != OWNER_READ_WRITE,
        .mode = o->mode,
        .has_uid = o->has_uid,
        .uid = o->uid,
    };
    return options.has_mode || options.has_uid ? shmd_set(shmd, target, &options, NULL) : 0;
}

static void remove_again(struct shmd *shmd, const struct shmd_target *target)
{
    struct kept_call kept;
    connection_keep(shmd, &kept);
    int r = shmd_remove(shmd, target, 0, NULL);
    (void)r; /* the daemon removes it when this process ends, at the latest */
    connection_put_back(shmd, &kept);
}

int shmd_create_filled(struct shmd *shmd, const struct shmd_create_options *given,
                       const struct shmd_content *given_content, struct shmd_segment **ret_segment,
                       bool *ret_created)
{
    static const struct shmd_content nothing;
    const struct shmd_create_options *o = option_create_given(given);
    const struct shmd_content *content = given_content ? given_content : &nothing;
    struct shmd_segment *segment, *ready = NULL;
    bool created;
    int r = check(shmd, o, content);
    if (r == 0)
        r = attach_check_namespace(shmd);
    if (r != 0)
        return r;
    const struct shmd_create_options options = while_filling(o);
    r = shmd_create(shmd, &options, &segment, &created);
    if (r != 0)
        return r;
    if (created) {
        const struct shmd_target target = {.serial = segment->serial};
        r = fill(shmd, segment, content);
        if (r == 0)
            r = set_what_was_left_out(shmd, &target, o);
        if (r == 0)
            r = shmd_ready(shmd, &target, &ready);
        if (r != 0)
            remove_again(shmd, &target);
        shmd_segment_free(segment);
        segment = ready;
    }
    if (r == 0 && ret_segment)
        *ret_segment = segment;
    else
        shmd_segment_free(segment);
    if (r == 0 && ret_created)
        *ret_created = created;
    return r;
}
