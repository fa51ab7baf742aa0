/*
 * The table of all options. A command names those it takes; everything else about an option - its
 * spelling, what it wants, what it means - stands here once.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "client/cli/cli.h"
#include "client/cli/parse.h"

struct option_row {
    const char *name;
    char letter;
    const char *argument;                              /* NULL: none; "[=X]": it may be left out */
    int (*take)(struct options *o, const char *value); /* 0 or EXIT_USAGE; NULL: a flag */
    const char *help;
};

static int refuse(enum option_id id, const char *value, const char *accepted)
{
    return cli_usage("--%s %s: not understood; it takes %s", option_name(id), value, accepted);
}

static int take_bytes(enum option_id id, const char *value, uint64_t *ret)
{
    int r = parse_size(value, ret);
    if (r == -ERANGE)
        return cli_usage("--%s %s is too large", option_name(id), value);
    return r < 0 ? refuse(id, value, SIZE_ACCEPTED) : 0;
}

static int take_time(enum option_id id, const char *value, int64_t *ret_ms)
{
    int r = parse_duration(value, ret_ms);
    if (r == -ERANGE)
        return cli_usage("--%s %s is too large", option_name(id), value);
    return r < 0 ? refuse(id, value, DURATION_ACCEPTED) : 0;
}

static int take_socket(struct options *o, const char *value)
{
    if (!*value)
        return cli_usage("--socket is empty; it takes the path of the daemon's socket");
    o->socket = value;
    return 0;
}

static int take_shmid(struct options *o, const char *value)
{
    uint64_t id;
    if (parse_number(value, 0, INT32_MAX, &id) < 0)
        return refuse(OPT_SHMID, value, "the number of a segment, as list and ipcs show it");
    o->shmid = (int)id;
    return 0;
}

static int take_key(struct options *o, const char *value)
{
    return parse_key(value, &o->key) < 0 ? refuse(OPT_KEY, value, KEY_ACCEPTED) : 0;
}

static int take_serial(struct options *o, const char *value)
{
    if (parse_number(value, 1, INT64_MAX, &o->serial) < 0)
        return refuse(OPT_SERIAL, value, "a serial, as list -o SERIAL shows it");
    return 0;
}

static int take_size(struct options *o, const char *value)
{
    return take_bytes(OPT_SIZE, value, &o->size);
}

static int take_mode(struct options *o, const char *value)
{
    return parse_mode(value, &o->mode) < 0 ? refuse(OPT_MODE, value, MODE_ACCEPTED) : 0;
}

static int take_uid(struct options *o, const char *value)
{
    return parse_user(value, &o->uid) < 0 ? refuse(OPT_UID, value, "a user's name or number") : 0;
}

static int take_gid(struct options *o, const char *value)
{
    return parse_group(value, &o->gid) < 0 ? refuse(OPT_GID, value, "a group's name or number") : 0;
}

static int take_lifetime(struct options *o, const char *value)
{
    for (int i = SHMD_LIFETIME_PERSISTENT; i <= SHMD_LIFETIME_ATTACHED; i++) {
        o->lifetime = (enum shmd_lifetime)i;
        if (strcmp(value, shmd_lifetime_word(o->lifetime)) == 0)
            return 0;
    }
    return refuse(OPT_LIFETIME, value, "persistent, process, connection or attached");
}

static int take_state(struct options *o, const char *value)
{
    for (int i = SHMD_STATE_INITIALISING; i <= SHMD_STATE_REMOVED; i++) {
        o->state = (enum shmd_state)i;
        if (strcmp(value, shmd_state_word(o->state)) == 0)
            return 0;
    }
    return refuse(OPT_STATE, value, "initialising, ready, removing or removed");
}

static int take_scope(struct options *o, const char *value)
{
    static const char *const words[] = {"managed", "foreign", "all"};
    for (size_t i = 0; i < COUNT(words); i++) {
        o->scope = (enum shmd_scope)(i + 1);
        if (strcmp(value, words[i]) == 0)
            return 0;
    }
    return refuse(OPT_SCOPE, value, "managed, foreign or all");
}

static int take_foreign(struct options *o, const char *value)
{
    (void)value;
    o->scope = SHMD_SCOPE_FOREIGN;
    return 0;
}

static int take_all(struct options *o, const char *value)
{
    (void)value;
    o->scope = SHMD_SCOPE_ALL;
    return 0;
}

static int take_ttl(struct options *o, const char *value)
{
    return take_time(OPT_TTL, value, &o->ttl_ms);
}

static int take_no_ttl(struct options *o, const char *value)
{
    (void)value;
    o->ttl_ms = 0;
    return 0;
}

static int take_timeout(struct options *o, const char *value)
{
    return take_time(OPT_TIMEOUT, value, &o->timeout_ms);
}

static int take_label(struct options *o, const char *value)
{
    const char *equals = strchr(value, '=');
    if (!equals || equals == value)
        return refuse(OPT_LABEL, value, "KEY=VALUE");
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

static int take_huge(struct options *o, const char *value)
{
    if (!value) {
        if (default_huge_page_size(&o->huge_page_size) < 0)
            return cli_usage("--huge: this kernel names no default size; say --huge=SIZE");
        return 0;
    }
    return take_bytes(OPT_HUGE, value, &o->huge_page_size);
}

static int take_new_name(struct options *o, const char *value)
{
    o->new_name = value;
    return 0;
}

static int take_prefix(struct options *o, const char *value)
{
    o->prefix = value;
    return 0;
}

static int take_output(struct options *o, const char *value)
{
    o->columns = value;
    return 0;
}

static int take_offset(struct options *o, const char *value)
{
    return take_bytes(OPT_OFFSET, value, &o->offset);
}

static int take_length(struct options *o, const char *value)
{
    return take_bytes(OPT_LENGTH, value, &o->length);
}

static int take_kinds(struct options *o, const char *value)
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
            return refuse(OPT_KINDS, value,
                          "a list with commas of created, ready, changed, attached, detached, "
                          "removed and adopted");
        o->kinds |= found;
        at = at[len] ? at + len + 1 : NULL;
    }
    return 0;
}

static int take_after(struct options *o, const char *value)
{
    if (parse_number(value, 0, INT64_MAX, &o->after) < 0)
        return refuse(OPT_AFTER, value, "the event_serial that was seen last");
    return 0;
}

static int take_count(struct options *o, const char *value)
{
    if (parse_number(value, 1, INT64_MAX, &o->count) < 0)
        return refuse(OPT_COUNT, value, "a number from 1 on");
    return 0;
}

static int take_older_than(struct options *o, const char *value)
{
    return take_time(OPT_OLDER_THAN, value, &o->older_than_ms);
}

static const struct option_row rows[OPTION_COUNT] = {
    [OPT_SOCKET] = {"socket", 's', "PATH", take_socket, "the daemon's socket"},
    [OPT_JSON] = {"json", 'j', NULL, NULL, "print JSON, the daemon's as it came"},
    [OPT_HELP] = {"help", 'h', NULL, NULL, "print this"},
    [OPT_VERSION] = {"version", 'V', NULL, NULL, "print the version"},
    [OPT_SHMID] = {"shmid", 'm', "N", take_shmid, "the segment with this id"},
    [OPT_KEY] = {"key", 'M', "K", take_key, "the segment with this key, decimal or 0x"},
    [OPT_SERIAL] = {"serial", 0, "N", take_serial, "the segment with this serial, or no other"},
    [OPT_SIZE] = {"size", 0, "SIZE", take_size, "bytes, or with K, M, G: 64K"},
    [OPT_MODE] = {"mode", 0, "MODE", take_mode, "permissions, octal (0600)"},
    [OPT_EXCLUSIVE] = {"exclusive", 'x', NULL, NULL, "an existing segment is an error"},
    [OPT_UID] = {"uid", 0, "USER", take_uid, "the owner, a name or a number"},
    [OPT_GID] = {"gid", 0, "GROUP", take_gid, "the owner's group, a name or a number"},
    [OPT_LIFETIME] = {"lifetime", 0, "L", take_lifetime,
                      "persistent, process, connection or attached"},
    [OPT_TTL] = {"ttl", 0, "DURATION", take_ttl, "expire after this: 500ms, 10s, 5m"},
    [OPT_NO_TTL] = {"no-ttl", 0, NULL, take_no_ttl, "do not expire any more"},
    [OPT_NOT_READY] = {"not-ready", 0, NULL, NULL, "who waits for it waits until it is ready"},
    [OPT_LABEL] = {"label", 'l', "KEY=VALUE", take_label, "a label; may be repeated"},
    [OPT_NO_LABELS] = {"no-labels", 0, NULL, NULL, "take all labels off"},
    [OPT_HUGE] = {"huge", 0, "[=SIZE]", take_huge, "huge pages (of this size)"},
    [OPT_NORESERVE] = {"noreserve", 0, NULL, NULL, "reserve no swap space"},
    [OPT_LOCKED] = {"locked", 0, NULL, NULL, "keep it out of swap"},
    [OPT_UNLOCKED] = {"unlocked", 0, NULL, NULL, "it may be swapped again"},
    [OPT_ANY_OWNER] = {"any-owner", 0, NULL, NULL, "an existing segment may be a stranger's"},
    [OPT_NEW_NAME] = {"new-name", 0, "NAME", take_new_name, "rename it"},
    [OPT_IF_UNATTACHED] = {"if-unattached", 0, NULL, NULL, "only if nobody has it attached"},
    [OPT_PREFIX] = {"prefix", 0, "P", take_prefix, "only names that begin so"},
    [OPT_STATE] = {"state", 0, "S", take_state, "only of this state"},
    [OPT_SCOPE] = {"scope", 0, "S", take_scope, "managed (by shmd), foreign or all"},
    [OPT_FOREIGN] = {"foreign", 0, NULL, take_foreign, "--scope foreign"},
    [OPT_ALL] = {"all", 'a', NULL, take_all, "--scope all"},
    [OPT_OUTPUT] = {"output", 'o', "COLUMNS", take_output, "which columns, with commas between"},
    [OPT_NOHEADINGS] = {"noheadings", 'n', NULL, NULL, "no line of headings"},
    [OPT_BYTES] = {"bytes", 'b', NULL, NULL, "sizes as bytes"},
    [OPT_OFFSET] = {"offset", 0, "SIZE", take_offset, "begin there (0)"},
    [OPT_LENGTH] = {"length", 0, "SIZE", take_length, "so many bytes"},
    [OPT_TIMEOUT] = {"timeout", 't', "DURATION", take_timeout, "give up after this"},
    [OPT_KINDS] = {"kinds", 'k', "A,B", take_kinds, "only events of these kinds"},
    [OPT_AFTER] = {"after", 0, "N", take_after, "first what came after this event"},
    [OPT_COUNT] = {"count", 'c', "N", take_count, "end after so many"},
    [OPT_REMOVE] = {"remove", 0, NULL, NULL, "remove them, too"},
    [OPT_OLDER_THAN] = {"older-than", 0, "DURATION", take_older_than, "only what was idle so long"},
};

const char *option_name(enum option_id id)
{
    return rows[id].name;
}

static bool is_optional(const struct option_row *row)
{
    return row->argument && *row->argument == '[';
}

void options_list(uint64_t options)
{
    for (int i = 0; i < OPTION_COUNT; i++) {
        const struct option_row *row = &rows[i];
        char text[64];
        if (!(options & (UINT64_C(1) << i)))
            continue;
        snprintf(text, sizeof(text), "--%s%s%s", row->name,
                 row->argument && !is_optional(row) ? " " : "", row->argument ? row->argument : "");
        if (row->letter)
            printf("  -%c, %-22s %s\n", row->letter, text, row->help);
        else
            printf("      %-22s %s\n", text, row->help);
    }
}

/* What getopt_long() wants: the options in ALLOWED. The last row of LONG_OPTIONS is zero. */
static void describe(uint64_t allowed, struct option *long_options, char *letters)
{
    for (int i = 0; i < OPTION_COUNT; i++) {
        const struct option_row *row = &rows[i];
        if (!(allowed & (UINT64_C(1) << i)))
            continue;
        *long_options++ = (struct option){
            .name = row->name,
            .has_arg = is_optional(row) ? optional_argument
                       : row->argument  ? required_argument
                                        : no_argument,
            .val = 256 + i,
        };
        if (row->letter) {
            *letters++ = row->letter;
            if (row->argument)
                *letters++ = ':';
        }
    }
    *long_options = (struct option){0};
    *letters = '\0';
}

static int find(uint64_t allowed, int code)
{
    for (int i = 0; i < OPTION_COUNT; i++)
        if ((allowed & (UINT64_C(1) << i)) && (code == 256 + i || code == rows[i].letter))
            return i;
    return -1;
}

int options_parse(struct options *o, uint64_t allowed, bool permute, int argc, char **argv,
                  int *ret_rest)
{
    struct option long_options[OPTION_COUNT + 1];
    char letters[2 * OPTION_COUNT + 3];
    strcpy(letters, permute ? ":" : "+:");
    describe(allowed, long_options, letters + strlen(letters));
    optind = 0; /* glibc: from the beginning, with these letters */
    opterr = 0;
    for (;;) {
        int code = getopt_long(argc, argv, letters, long_options, NULL);
        if (code == -1)
            break;
        int i = find(allowed, code == ':' || code == '?' ? optopt : code);
        if (code == ':')
            return cli_usage("--%s needs a value: %s", rows[i].name, rows[i].argument);
        if (code == '?') {
            if (i >= 0 && optopt >= 256)
                return cli_usage("--%s takes no value", rows[i].name);
            if (optopt > 0 && optopt < 256)
                return cli_usage("unknown option -%c", optopt);
            return cli_usage("unknown option %s", argv[optind - 1]);
        }
        int r = rows[i].take ? rows[i].take(o, optarg) : 0;
        if (r != 0)
            return r;
        o->given |= UINT64_C(1) << i;
    }
    *ret_rest = optind;
    return 0;
}

void options_deinit(struct options *o)
{
    for (size_t i = 0; i < o->n_labels; i++)
        free((char *)(uintptr_t)o->labels[i].key);
    o->n_labels = 0;
}

static bool given(const struct options *o, uint64_t option)
{
    return (o->given & option) != 0;
}

int options_check_ttl(const struct options *o)
{
    return given(o, OPT(TTL)) && o->ttl_ms == 0
               ? cli_usage("--ttl 0: a new segment that does not expire has none: leave it out")
               : 0;
}

int options_create(const struct options *o, struct shmd_create_options *ret)
{
    if (!given(o, OPT(SIZE)))
        return cli_usage("--size is missing: %s", SIZE_ACCEPTED);
    if (o->size == 0)
        return cli_usage("--size 0: a segment has at least 1 byte");
    int r = options_check_ttl(o);
    if (r != 0)
        return r;
    *ret = (struct shmd_create_options){
        .key = o->key,
        .size = o->size,
        .has_mode = given(o, OPT(MODE)),
        .mode = o->mode,
        .exclusive = given(o, OPT(EXCLUSIVE)),
        .has_uid = given(o, OPT(UID)),
        .uid = o->uid,
        .has_gid = given(o, OPT(GID)),
        .gid = o->gid,
        .lifetime = o->lifetime,
        .ttl_ms = o->ttl_ms,
        .not_ready = given(o, OPT(NOT_READY)),
        .labels = o->labels,
        .n_labels = o->n_labels,
        .huge_page_size = o->huge_page_size,
        .noreserve = given(o, OPT(NORESERVE)),
        .locked = given(o, OPT(LOCKED)),
        .any_owner = given(o, OPT(ANY_OWNER)),
    };
    return 0;
}
