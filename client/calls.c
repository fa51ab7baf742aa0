/* SPDX-License-Identifier: MIT */
/*
 * One function per method: options -> parameters, reply -> result. What is not given is not sent,
 * and nothing is checked here that the daemon checks: its refusal says what is wrong. It cannot say
 * that of a number that stands for no word, as the word is what would be sent.
 */
#include "client/internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "config.h"
#include "protocol/terms.h"

const char *shmd_version(void)
{
    return PACKAGE_VERSION;
}

struct opt_int option_int(bool given, int64_t value)
{
    return (struct opt_int){given, value};
}

/* Sizes and serials above int64 cannot be sent; the largest one is refused just as well. */
static struct opt_int option_uint(bool given, uint64_t value)
{
    return (struct opt_int){given, value > INT64_MAX ? INT64_MAX : (int64_t)value};
}

struct opt_bool option_flag(bool value)
{
    return (struct opt_bool){value, value};
}

struct opt_int option_word(int value)
{
    return (struct opt_int){value != 0, value - 1};
}

int option_is_one_of(struct shmd *shmd, const char *name, int value, const char *const words[])
{
    char list[FAILURE_TEXT_SIZE / 2] = "";
    int count = 0;
    for (size_t length = 0; words[count] && length < sizeof(list); count++)
        length += (size_t)snprintf(list + length, sizeof(list) - length, "%s%d (%s)",
                                   count > 0 ? ", " : "", count + 1, words[count]);
    if (value >= 0 && value <= count)
        return 0;
    connection_begin(shmd);
    return failure_set(shmd, -EINVAL, "there is no %s %d: it is one of %s, or 0 when none is given",
                       name, value, list);
}

int option_needed(struct shmd *shmd, const void *what, const char *name)
{
    if (what)
        return 0;
    connection_begin(shmd);
    return failure_set(shmd, -EINVAL, "%s is NULL, and this call needs one", name);
}

/* What is copied to the wire without a look must be there. */
static int check_labels(struct shmd *shmd, const struct shmd_label *labels, size_t n)
{
    int r = n > 0 ? option_needed(shmd, labels, "labels") : 0;
    for (size_t i = 0; r == 0 && i < n; i++) {
        r = option_needed(shmd, labels[i].key, "the key of a label");
        if (r == 0)
            r = option_needed(shmd, labels[i].value, "the value of a label");
    }
    return r;
}

int option_labels(struct shmd *shmd, const struct shmd_label *labels, size_t n, struct labels *ret)
{
    if (n > SEGMENT_LABELS_MAX) {
        connection_begin(shmd);
        return failure_set(shmd, -E2BIG, "a segment has at most %d labels, not %zu",
                           SEGMENT_LABELS_MAX, n);
    }
    int r = check_labels(shmd, labels, n);
    if (r < 0)
        return r;
    *ret = (struct labels){.given = n > 0, .count = n};
    for (size_t i = 0; i < n; i++)
        ret->items[i] = (struct label){labels[i].key, labels[i].value};
    return 0;
}

struct target option_target(const struct shmd_target *target)
{
    return (struct target){
        .name = target->name,
        .shmid = option_int(target->has_shmid, target->shmid),
        .key = option_int(target->key != 0, target->key),
        .serial = option_uint(target->serial != 0, target->serial),
    };
}

int option_flags(struct shmd *shmd, unsigned flags, unsigned known)
{
    if (!(flags & ~known))
        return 0;
    connection_begin(shmd);
    return failure_set(shmd, -EINVAL, "unknown flags 0x%x: only 0x%x are known", flags & ~known,
                       known);
}

static int call_for_segment(struct shmd *shmd, enum method method, const union params *params,
                            struct shmd_segment **ret)
{
    int r = connection_call(shmd, method, params, 0);
    return r != 0 ? r : result_reply_segment(shmd, ret);
}

int shmd_info(struct shmd *shmd, struct shmd_info **ret_info)
{
    const union params none = {0};
    int r = connection_call(shmd, METHOD_INFO, &none, 0);
    return r != 0 ? r : result_reply_info(shmd, ret_info);
}

const struct shmd_create_options *option_create_given(const struct shmd_create_options *options)
{
    static const struct shmd_create_options none;
    return options ? options : &none;
}

int option_create(struct shmd *shmd, const struct shmd_create_options *options, union params *ret)
{
    const struct shmd_create_options *o = option_create_given(options);
    *ret =
        (union params){.create = {
                           .name = o->name,
                           .key = option_int(o->key != 0, o->key),
                           .size = option_uint(true, o->size),
                           .mode = option_int(o->has_mode, o->mode),
                           .exclusive = option_flag(o->exclusive),
                           .uid = option_int(o->has_uid, o->uid),
                           .gid = option_int(o->has_gid, o->gid),
                           .lifetime = option_word((int)o->lifetime),
                           .ttl_ms = option_int(o->ttl_ms != 0, o->ttl_ms),
                           .idle_ttl_ms = option_int(o->idle_ttl_ms != 0, o->idle_ttl_ms),
                           .ready = {o->not_ready, false},
                           .replace = option_flag(o->replace),
                           .hold = {o->no_hold, false},
                           .huge_page_size = option_uint(o->huge_page_size != 0, o->huge_page_size),
                           .noreserve = option_flag(o->noreserve),
                           .locked = option_flag(o->locked),
                           .any_owner = option_flag(o->any_owner),
                       }};
    int r = option_is_one_of(shmd, "lifetime", (int)o->lifetime, lifetime_words);
    return r < 0 ? r : option_labels(shmd, o->labels, o->n_labels, &ret->create.labels);
}

int shmd_create(struct shmd *shmd, const struct shmd_create_options *options,
                struct shmd_segment **ret_segment, bool *ret_created)
{
    const struct shmd_create_options *o = option_create_given(options);
    union params params;
    int r = option_create(shmd, o, &params);
    if (r == 0)
        r = held_make_room(shmd);
    if (r == 0)
        r = connection_call(shmd, METHOD_CREATE, &params, 0);
    if (r != 0)
        return r;
    bool created;
    r = jsonrpc_client_created(&shmd->reply, &created);
    if (r < 0)
        return failure_of_answer(shmd, r);
    r = result_reply_segment(shmd, ret_segment);
    if (r != 0)
        return r;
    if (ret_created)
        *ret_created = created;
    if (created || !o->no_hold)
        held_add_reply(shmd);
    return 0;
}

int option_set(struct shmd *shmd, const struct shmd_target *target,
               const struct shmd_set_options *options, union params *ret)
{
    static const struct shmd_set_options none;
    const struct shmd_set_options *o = options ? options : &none;
    int r = option_needed(shmd, target, "the target");
    if (r == 0)
        r = option_is_one_of(shmd, "lifetime", (int)o->lifetime, lifetime_words);
    if (r < 0)
        return r;
    *ret = (union params){.set = {
                              .target = option_target(target),
                              .mode = option_int(o->has_mode, o->mode),
                              .uid = option_int(o->has_uid, o->uid),
                              .gid = option_int(o->has_gid, o->gid),
                              .new_name = o->new_name,
                              .lifetime = option_word((int)o->lifetime),
                              .ttl_ms = option_int(o->has_ttl, o->ttl_ms),
                              .idle_ttl_ms = option_int(o->has_idle_ttl, o->idle_ttl_ms),
                              .locked = {o->has_locked, o->locked},
                          }};
    r = option_labels(shmd, o->labels, o->n_labels, &ret->set.labels);
    ret->set.labels.given = o->has_labels;
    return r;
}

int shmd_set(struct shmd *shmd, const struct shmd_target *target, const struct shmd_set_options *o,
             struct shmd_segment **ret_segment)
{
    union params params;
    int r = option_set(shmd, target, o, &params);
    if (r == 0)
        r = held_make_room(shmd);
    if (r == 0)
        r = call_for_segment(shmd, METHOD_SET, &params, ret_segment);
    if (r == 0)
        held_set_reply(shmd, params.set.lifetime.given);
    return r;
}

static int call_target(struct shmd *shmd, enum method method, const struct shmd_target *target,
                       struct shmd_segment **ret_segment)
{
    union params params = {0};
    int r = option_needed(shmd, target, "the target");
    if (r < 0)
        return r;
    params.target = (struct target_params){.target = option_target(target)};
    return call_for_segment(shmd, method, &params, ret_segment);
}

int shmd_stat(struct shmd *shmd, const struct shmd_target *target,
              struct shmd_segment **ret_segment)
{
    return call_target(shmd, METHOD_STAT, target, ret_segment);
}

int shmd_ready(struct shmd *shmd, const struct shmd_target *target,
               struct shmd_segment **ret_segment)
{
    return call_target(shmd, METHOD_READY, target, ret_segment);
}

int shmd_hold(struct shmd *shmd, const struct shmd_target *target,
              struct shmd_segment **ret_segment)
{
    int r = held_make_room(shmd);
    if (r == 0)
        r = call_target(shmd, METHOD_HOLD, target, ret_segment);
    if (r == 0)
        held_add_reply(shmd);
    return r;
}

int shmd_release(struct shmd *shmd, const struct shmd_target *target,
                 struct shmd_segment **ret_segment)
{
    int r = call_target(shmd, METHOD_RELEASE, target, ret_segment);
    if (r == 0)
        held_drop_reply(shmd);
    return r;
}

int shmd_disown(struct shmd *shmd, const struct shmd_target *target,
                struct shmd_segment **ret_segment)
{
    int r = call_target(shmd, METHOD_DISOWN, target, ret_segment);
    if (r == 0)
        held_drop_disowned(shmd);
    return r;
}

int option_remove(struct shmd *shmd, const struct shmd_target *target, unsigned flags,
                  union params *ret)
{
    int r = option_needed(shmd, target, "the target");
    if (r < 0)
        return r;
    *ret = (union params){.remove = {
                              .target = option_target(target),
                              .only_if_unattached = option_flag(flags & SHMD_REMOVE_IF_UNATTACHED),
                          }};
    return option_flags(shmd, flags, SHMD_REMOVE_IF_UNATTACHED);
}

int shmd_remove(struct shmd *shmd, const struct shmd_target *target, unsigned flags,
                struct shmd_segment **ret_segment)
{
    union params params;
    int r = option_remove(shmd, target, flags, &params);
    if (r == 0)
        r = call_for_segment(shmd, METHOD_REMOVE, &params, ret_segment);
    if (r == 0)
        held_drop_reply(shmd);
    return r;
}

int option_wait(struct shmd *shmd, const char *name, int64_t timeout_ms, unsigned flags,
                union params *ret)
{
    *ret = (union params){.wait = {
                              .name = name,
                              .timeout_ms = option_int(timeout_ms >= 0, timeout_ms),
                              .hold = option_flag(flags & SHMD_WAIT_HOLD),
                          }};
    return option_flags(shmd, flags, SHMD_WAIT_HOLD);
}

int shmd_wait(struct shmd *shmd, const char *name, int64_t timeout_ms,
              struct shmd_segment **ret_segment)
{
    union params params;
    int r = option_wait(shmd, name, timeout_ms, 0, &params);
    if (r == 0)
        r = connection_call(shmd, METHOD_WAIT, &params, timeout_ms);
    return r != 0 ? r : result_reply_segment(shmd, ret_segment);
}

/* --- lists */

int option_list(struct shmd *shmd, const struct shmd_list_options *options, const char *cursor,
                union params *ret)
{
    static const struct shmd_list_options all;
    const struct shmd_list_options *o = options ? options : &all;
    int r = option_is_one_of(shmd, "lifetime", (int)o->lifetime, lifetime_words);
    if (r == 0)
        r = option_is_one_of(shmd, "state", (int)o->state, state_words);
    if (r == 0)
        r = option_is_one_of(shmd, "scope", (int)o->scope, scope_words);
    if (r < 0)
        return r;
    *ret = (union params){.list = {
                              .prefix = o->prefix,
                              .uid = option_int(o->has_uid, o->uid),
                              .lifetime = option_word((int)o->lifetime),
                              .state = option_word((int)o->state),
                              .scope = option_word((int)o->scope),
                              .limit = option_int(o->page_size != 0, o->page_size),
                              .cursor = cursor,
                          }};
    if (o->page_size == 0)
        ret->list.limit = option_int(true, LIST_LIMIT_MAX);
    return option_labels(shmd, o->labels, o->n_labels, &ret->list.labels);
}

int shmd_list_page(struct shmd *shmd, const struct shmd_list_options *options, const char *cursor,
                   struct shmd_page **ret_page)
{
    union params params;
    int r = option_list(shmd, options, cursor, &params);
    if (r == 0)
        r = connection_call(shmd, METHOD_LIST, &params, 0);
    return r != 0 ? r : result_reply_page(shmd, ret_page);
}

int shmd_list(struct shmd *shmd, const struct shmd_list_options *options, shmd_list_fn *each,
              void *data)
{
    struct shmd_page *page = NULL;
    int r = option_needed(shmd, (const void *)(uintptr_t)each, "the function to call");
    if (r < 0)
        return r;
    do {
        struct shmd_page *next;
        r = shmd_list_page(shmd, options, page ? page->cursor : NULL, &next);
        shmd_page_free(page);
        if (r != 0)
            return r;
        page = next;
        for (size_t i = 0; i < page->count && r == 0; i++)
            r = each(page->segments[i], data);
    } while (r == 0 && page->cursor);
    shmd_page_free(page);
    return r;
}

/* --- events */

/* KINDS has no bit but those of the kinds that can be asked for. */
static int check_kinds(struct shmd *shmd, unsigned kinds)
{
    const unsigned known = (1U << EVENT_KINDS) - 1;
    char list[FAILURE_TEXT_SIZE / 2] = "";
    if (!(kinds & ~known))
        return 0;
    for (size_t i = 0, length = 0; i < EVENT_KINDS && length < sizeof(list); i++)
        length += (size_t)snprintf(list + length, sizeof(list) - length, "%s%u (%s)",
                                   i > 0 ? ", " : "", 1U << i, event_words[i]);
    connection_begin(shmd);
    return failure_set(shmd, -EINVAL,
                       "there are no kinds 0x%x of events: they are bits of %s, or 0 for all",
                       kinds & ~known, list);
}

int option_subscribe(struct shmd *shmd, const struct shmd_subscribe_options *options,
                     union params *ret, struct subscribed *ret_subscribed)
{
    static const struct shmd_subscribe_options all;
    const struct shmd_subscribe_options *o = options ? options : &all;
    int r = check_kinds(shmd, o->kinds);
    if (r < 0)
        return r;
    char *prefix = o->prefix ? strdup(o->prefix) : NULL;
    if (o->prefix && !prefix) {
        connection_begin(shmd);
        return failure_set(shmd, -ENOMEM, "out of memory");
    }
    *ret = (union params){.subscribe = {
                              .prefix = o->prefix,
                              .kinds = option_int(o->kinds != 0, o->kinds),
                              .after = option_uint(o->has_after, o->after),
                          }};
    *ret_subscribed = (struct subscribed){
        .prefix = prefix, .kinds = o->kinds, .has_after = o->has_after, .last = o->after};
    return 0;
}

int subscribed_note(struct shmd *shmd, struct subscribed *wanted, uint64_t *ret_event_serial)
{
    uint64_t event_serial;
    int r = jsonrpc_client_subscribed(&shmd->reply, &event_serial);
    if (r < 0)
        return failure_of_answer(shmd, r);
    free(shmd->subscribed.prefix);
    shmd->subscribed = *wanted;
    shmd->subscribed.is_on = true;
    if (!wanted->has_after)
        shmd->subscribed.last = event_serial;
    wanted->prefix = NULL;
    if (ret_event_serial)
        *ret_event_serial = event_serial;
    return 0;
}

int shmd_subscribe(struct shmd *shmd, const struct shmd_subscribe_options *options,
                   uint64_t *ret_event_serial)
{
    union params params;
    struct subscribed wanted = {.prefix = NULL};
    int r = option_subscribe(shmd, options, &params, &wanted);
    if (r < 0)
        return r;
    r = connection_call(shmd, METHOD_SUBSCRIBE, &params, 0);
    if (r == 0)
        r = subscribed_note(shmd, &wanted, ret_event_serial);
    free(wanted.prefix);
    return r;
}

int shmd_next_event(struct shmd *shmd, int timeout_ms, struct shmd_event **ret_event)
{
    char *line;
    size_t len;
    int r = connection_event(shmd, timeout_ms, &line, &len);
    if (r != 0)
        return r;
    struct client_message m = {0};
    struct wire_event wire = {.event_serial = 0};
    struct client_segment segment = {.holders = NULL};
    struct shmd_event *event = NULL;
    r = jsonrpc_client_decode(line, len, &m);
    if (r == 0)
        r = jsonrpc_client_event(&m, &wire, &segment);
    if (r == 0 && !(event = result_event(&wire, m.text)))
        r = -ENOMEM;
    if (r == 0 && wire.event_serial > 0)
        shmd->subscribed.last = wire.event_serial;
    client_segment_free(&segment);
    jsonrpc_client_free(&m);
    free(line);
    if (r < 0)
        return failure_of_answer(shmd, r);
    if (ret_event)
        *ret_event = event;
    else
        shmd_event_free(event);
    return 0;
}

int shmd_reload(struct shmd *shmd)
{
    const union params none = {0};
    return connection_call(shmd, METHOD_RELOAD, &none, 0);
}

/* --- text */

int shmd_metrics(struct shmd *shmd, char **ret_text)
{
    const union params none = {0};
    int r = connection_call(shmd, METHOD_METRICS, &none, 0);
    if (r != 0)
        return r;
    const char *text;
    r = jsonrpc_client_metrics(&shmd->reply, &text);
    if (r < 0)
        return failure_of_answer(shmd, r);
    char *copy = strdup(text);
    if (!copy)
        return failure_of_answer(shmd, -ENOMEM);
    if (ret_text)
        *ret_text = copy;
    else
        free(copy);
    return 0;
}

int shmd_call(struct shmd *shmd, const char *method, const char *parameters, char **ret_reply)
{
    char *reply = NULL;
    int r = option_needed(shmd, method, "the method");
    if (r < 0)
        return r;
    r = connection_call_text(shmd, method, parameters, &reply);
    if (reply && ret_reply)
        *ret_reply = reply;
    else
        free(reply);
    return r;
}
