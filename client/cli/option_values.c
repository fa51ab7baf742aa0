/* SPDX-License-Identifier: MIT */
#include "client/cli/option_values.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/cli/parse.h"

static int refuse(const char *option, const char *value, const char *accepted)
{
    return cli_usage("--%s %s: not understood; it takes %s", option, value, accepted);
}

static int take_bytes(const char *option, const char *value, uint64_t *ret)
{
    int r = parse_size(value, ret);
    if (r == -ERANGE)
        return cli_usage("--%s %s is too large", option, value);
    return r < 0 ? refuse(option, value, SIZE_ACCEPTED) : 0;
}

static int take_time(const char *option, const char *value, int64_t *ret_ms)
{
    int r = parse_duration(value, ret_ms);
    if (r == -ERANGE)
        return cli_usage("--%s %s is too large", option, value);
    if (r < 0 && *value && strspn(value, "0123456789.") == strlen(value))
        return cli_usage("--%s %s has no unit: write %ss for seconds, or %sms for milliseconds; it "
                         "takes " DURATION_ACCEPTED,
                         option, value, value, value);
    return r < 0 ? refuse(option, value, DURATION_ACCEPTED) : 0;
}

int take_socket(struct options *o, const char *option, const char *value)
{
    if (!*value)
        return cli_usage("--%s is empty; it takes the path of the daemon's socket", option);
    o->socket = value;
    return 0;
}

/* One more segment that an option names. */
static int add_target(struct options *o, struct shmd_target target)
{
    struct shmd_target *more = reallocarray(o->targets, o->n_targets + 1, sizeof(*more));
    if (!more)
        return cli_error(EXIT_REFUSED, "out of memory");
    o->targets = more;
    o->targets[o->n_targets++] = target;
    return 0;
}

int take_shmid(struct options *o, const char *option, const char *value)
{
    uint64_t id;
    if (parse_number(value, 0, INT32_MAX, &id) < 0)
        return refuse(option, value, "the number of a segment, as list and ipcs show it");
    o->shmid = (int)id;
    return add_target(o, (struct shmd_target){.has_shmid = true, .shmid = o->shmid});
}

int take_key(struct options *o, const char *option, const char *value)
{
    if (parse_key(value, &o->key) < 0)
        return refuse(option, value, KEY_ACCEPTED);
    return add_target(o, (struct shmd_target){.key = o->key});
}

int take_serial(struct options *o, const char *option, const char *value)
{
    if (parse_number(value, 1, INT64_MAX, &o->serial) < 0)
        return refuse(option, value, "a serial, as list -o SERIAL shows it");
    return add_target(o, (struct shmd_target){.serial = o->serial});
}

int take_size(struct options *o, const char *option, const char *value)
{
    return take_bytes(option, value, &o->size);
}

int take_mode(struct options *o, const char *option, const char *value)
{
    return parse_mode(value, &o->mode) < 0 ? refuse(option, value, MODE_ACCEPTED) : 0;
}

/* A name, as parse_user() and parse_group() tell names from numbers, is right but for there being
 * nobody of that name. */
static int refuse_account(const char *option, const char *value, const char *kind)
{
    if (*value && !(*value >= '0' && *value <= '9'))
        return cli_usage("--%s %s: there is no %s %s; a number is taken as it is", option, value,
                         kind, value);
    return cli_usage("--%s %s: not understood; it takes a %s's name or number", option, value,
                     kind);
}

static int take_user(const char *option, const char *value, uint32_t *ret)
{
    return parse_user(value, ret) < 0 ? refuse_account(option, value, "user") : 0;
}

int take_uid(struct options *o, const char *option, const char *value)
{
    return take_user(option, value, &o->uid);
}

int take_gid(struct options *o, const char *option, const char *value)
{
    return parse_group(value, &o->gid) < 0 ? refuse_account(option, value, "group") : 0;
}

int take_lifetime(struct options *o, const char *option, const char *value)
{
    for (int i = SHMD_LIFETIME_PERSISTENT; i <= SHMD_LIFETIME_ATTACHED; i++) {
        o->lifetime = (enum shmd_lifetime)i;
        if (strcmp(value, shmd_lifetime_word(o->lifetime)) == 0)
            return 0;
    }
    return refuse(option, value, "persistent, process, connection or attached");
}

int take_state(struct options *o, const char *option, const char *value)
{
    for (int i = SHMD_STATE_INITIALISING; i <= SHMD_STATE_REMOVED; i++) {
        o->state = (enum shmd_state)i;
        if (strcmp(value, shmd_state_word(o->state)) == 0)
            return 0;
    }
    return refuse(option, value, "initialising, ready, removing or removed");
}

int take_scope(struct options *o, const char *option, const char *value)
{
    static const char *const words[] = {"managed", "foreign", "all"};
    for (size_t i = 0; i < COUNT(words); i++) {
        o->scope = (enum shmd_scope)(i + 1);
        if (strcmp(value, words[i]) == 0)
            return 0;
    }
    return refuse(option, value, "managed, foreign or all");
}

int take_foreign(struct options *o, const char *option, const char *value)
{
    (void)option;
    (void)value;
    o->scope = SHMD_SCOPE_FOREIGN;
    return 0;
}

int take_all(struct options *o, const char *option, const char *value)
{
    (void)option;
    (void)value;
    o->scope = SHMD_SCOPE_ALL;
    return 0;
}

int take_ttl(struct options *o, const char *option, const char *value)
{
    return take_time(option, value, &o->ttl_ms);
}

int take_idle_ttl(struct options *o, const char *option, const char *value)
{
    return take_time(option, value, &o->idle_ttl_ms);
}

int take_owner(struct options *o, const char *option, const char *value)
{
    return take_user(option, value, &o->owner);
}

int take_from(struct options *o, const char *option, const char *value)
{
    if (!*value)
        return cli_usage("--%s is empty; it takes the path of a file, or -", option);
    o->from = value;
    return 0;
}

int take_no_ttl(struct options *o, const char *option, const char *value)
{
    (void)option;
    (void)value;
    o->ttl_ms = 0;
    return 0;
}

int take_timeout(struct options *o, const char *option, const char *value)
{
    return take_time(option, value, &o->timeout_ms);
}

int take_label(struct options *o, const char *option, const char *value)
{
    const char *equals = strchr(value, '=');
    if (!equals || equals == value)
        return refuse(option, value, "KEY=VALUE");
    for (size_t i = 0; i < o->n_labels; i++)
        if (strlen(o->labels[i].key) == (size_t)(equals - value) &&
            strncmp(o->labels[i].key, value, (size_t)(equals - value)) == 0)
            return cli_usage("--%s %s: the label %s was given before", option, value,
                             o->labels[i].key);
    if (o->n_labels == LABELS_ROOM)
        return cli_usage("too many labels: a segment has at most 16");
    char *key = strndup(value, (size_t)(equals - value));
    if (!key)
        return cli_error(EXIT_REFUSED, "out of memory");
    o->labels[o->n_labels++] = (struct shmd_label){key, equals + 1};
    return 0;
}

/* The size of huge pages that the kernel takes when none is named. */
static int default_huge_page_size(uint64_t *ret)
{
    char line[128];
    uint64_t kib = 0;
    FILE *file = fopen("/proc/meminfo", "re");
    if (!file)
        return -errno;
    while (kib == 0 && fgets(line, sizeof(line), file))
        if (strncmp(line, "Hugepagesize:", 13) == 0)
            kib = strtoull(line + 13, NULL, 10);
    fclose(file);
    if (kib == 0)
        return -ENOENT;
    *ret = kib * 1024;
    return 0;
}

int take_huge(struct options *o, const char *option, const char *value)
{
    if (!value) {
        if (default_huge_page_size(&o->huge_page_size) < 0)
            return cli_usage("--%s: this kernel names no default size; say --%s=SIZE", option,
                             option);
        return 0;
    }
    return take_bytes(option, value, &o->huge_page_size);
}

int take_new_name(struct options *o, const char *option, const char *value)
{
    (void)option;
    o->new_name = value;
    return 0;
}

int take_prefix(struct options *o, const char *option, const char *value)
{
    (void)option;
    o->prefix = value;
    return 0;
}

int take_output(struct options *o, const char *option, const char *value)
{
    if (!*value)
        return cli_usage("--%s is empty; it takes columns with commas between, as NAME,SHMID",
                         option);
    o->columns = value;
    return 0;
}

int take_offset(struct options *o, const char *option, const char *value)
{
    return take_bytes(option, value, &o->offset);
}

int take_length(struct options *o, const char *option, const char *value)
{
    return take_bytes(option, value, &o->length);
}

int take_kinds(struct options *o, const char *option, const char *value)
{
    for (const char *at = value; at;) {
        size_t len = strcspn(at, ",");
        unsigned found = 0;
        for (unsigned kind = SHMD_EVENT_CREATED; kind <= SHMD_EVENT_ADOPTED; kind <<= 1) {
            const char *word = shmd_event_word((enum shmd_event_kind)kind);
            if (strlen(word) == len && strncmp(at, word, len) == 0)
                found = kind;
        }
        if (!found)
            return refuse(option, value,
                          "a list with commas of created, ready, changed, attached, detached, "
                          "removed and adopted");
        o->kinds |= found;
        at = at[len] ? at + len + 1 : NULL;
    }
    return 0;
}

int take_after(struct options *o, const char *option, const char *value)
{
    if (parse_number(value, 0, INT64_MAX, &o->after) < 0)
        return refuse(option, value, "the event_serial that was seen last");
    return 0;
}

int take_count(struct options *o, const char *option, const char *value)
{
    if (parse_number(value, 1, INT64_MAX, &o->count) < 0)
        return refuse(option, value, "a number from 1 on");
    return 0;
}

int take_older_than(struct options *o, const char *option, const char *value)
{
    return take_time(option, value, &o->older_than_ms);
}

int take_idle(struct options *o, const char *option, const char *value)
{
    return take_time(option, value, &o->idle_ms);
}

int take_sort(struct options *o, const char *option, const char *value)
{
    if (!*value)
        return cli_usage("--%s is empty; it takes a column, as NAME", option);
    o->sort = value;
    return 0;
}

int take_time_format(struct options *o, const char *option, const char *value)
{
    for (enum time_format i = 0; i < TIME_FORMATS; i++) {
        o->time_format = i;
        if (strcmp(value, time_format_word(i)) == 0)
            return 0;
    }
    return refuse(option, value, "iso, short, full or unix");
}

int take_delay(struct options *o, const char *option, const char *value)
{
    int r = take_time(option, value, &o->delay_ms);
    if (r == 0 && o->delay_ms < 100)
        return cli_usage("--%s %s is too short: it takes 100ms or more", option, value);
    if (r == 0 && o->delay_ms > INT32_MAX)
        return cli_usage("--%s %s is too long: it takes 24d or less", option, value);
    return r;
}
