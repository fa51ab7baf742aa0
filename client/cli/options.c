/* SPDX-License-Identifier: MIT */
/*
 * The table of all options. A command names those it takes; everything else about an option - its
 * spelling, what it wants, what it means - stands here once.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/cli/advice.h"
#include "client/cli/cli.h"
#include "client/cli/option_values.h"
#include "client/cli/parse.h"
#include "client/cli/plain_text.h"

typedef int option_take(struct options *o, const char *option, const char *value);

struct option_row {
    const char *name;
    char letter;          /* 0: none */
    const char *argument; /* NULL: none; "[=X]": it may be left out */
    option_take *take;    /* NULL: a flag */
    const char *help;
};

static const struct option_row rows[OPTION_COUNT] = {
    [OPT_SOCKET] = {"socket", 's', "PATH", take_socket, "the daemon at this socket"},
    [OPT_USER] = {"user", 0, NULL, NULL, "your own daemon"},
    [OPT_SYSTEM] = {"system", 0, NULL, NULL, "the system's daemon"},
    [OPT_TIMEOUT] = {"timeout", 't', "DURATION", take_timeout, "give up after this: 500ms, 10s"},
    [OPT_JSON] = {"json", 'j', NULL, NULL, "print the answer as JSON; -J is the same"},
    [OPT_HELP] = {"help", 'h', NULL, NULL, "print this help and exit"},
    [OPT_VERSION] = {"version", 'V', NULL, NULL, "print the version and exit"},
    [OPT_SHMID] = {"shmid", 'm', "N", take_shmid, "the segment with this id"},
    [OPT_KEY] = {"key", 'M', "K", take_key, "the segment with this key, decimal or 0x"},
    [OPT_SERIAL] = {"serial", 0, "N", take_serial,
                    "the segment with this serial; with another target: both must be one"},
    [OPT_SIZE] = {"size", 0, "SIZE", take_size, "bytes, or with K, M, G: 64K"},
    [OPT_MODE] = {"mode", 0, "MODE", take_mode, "permissions, octal (0600)"},
    [OPT_EXCLUSIVE] = {"exclusive", 'x', NULL, NULL, "an existing segment is an error"},
    [OPT_UID] = {"uid", 0, "USER", take_uid, "the owner, a name or a number"},
    [OPT_GID] = {"gid", 0, "GROUP", take_gid, "the owner's group, a name or a number"},
    [OPT_LIFETIME] = {"lifetime", 0, "L", take_lifetime,
                      "persistent, process, connection or attached"},
    [OPT_TTL] = {"ttl", 0, "DURATION", take_ttl, "time to live, greater than 0: 500ms, 10s, 5m"},
    [OPT_NO_TTL] = {"no-ttl", 0, NULL, take_no_ttl, "no time to live: it does not expire"},
    [OPT_NOT_READY] = {"not-ready", 0, NULL, NULL, "others wait for it until it is ready"},
    [OPT_LABEL] = {"label", 'l', "KEY=VALUE", take_label, "a label; may be repeated"},
    [OPT_NO_LABELS] = {"no-labels", 0, NULL, NULL, "take all labels off"},
    [OPT_HUGE] = {"huge", 0, "[=SIZE]", take_huge, "huge pages (of this size)"},
    [OPT_NORESERVE] = {"noreserve", 0, NULL, NULL, "reserve no swap space"},
    [OPT_LOCKED] = {"locked", 0, NULL, NULL, "keep it out of swap"},
    [OPT_UNLOCKED] = {"unlocked", 0, NULL, NULL, "allow it to be swapped out again"},
    [OPT_ANY_OWNER] = {"any-owner", 0, NULL, NULL, "accept an existing segment of any user"},
    [OPT_OWNER] = {"owner", 0, "USER", take_owner, "accept a segment of this user, too"},
    [OPT_REPLACE] = {"replace", 0, NULL, NULL, "take the place of the segment that has the name"},
    [OPT_FROM] = {"from", 0, "FILE", take_from,
                  "fill it with this file, then let it be found; -: standard input"},
    [OPT_IDLE_TTL] = {"idle-ttl", 0, "DURATION", take_idle_ttl,
                      "remove it when no process has attached it for this long"},
    [OPT_WAIT] = {"wait", 0, NULL, NULL, "wait until it exists and is ready"},
    [OPT_INITIALISING] = {"initialising", 0, NULL, NULL,
                          "do not wait until an existing segment is ready"},
    [OPT_NEW_NAME] = {"new-name", 0, "NAME", take_new_name, "rename it"},
    [OPT_IF_UNATTACHED] = {"if-unattached", 0, NULL, NULL, "only if no process has it attached"},
    [OPT_PREFIX] = {"prefix", 0, "P", take_prefix, "only names that begin with P"},
    [OPT_STATE] = {"state", 0, "S", take_state,
                   "only initialising, ready, removing or removed ones"},
    [OPT_SCOPE] = {"scope", 0, "S", take_scope, "managed (by shmd), foreign or all"},
    [OPT_FOREIGN] = {"foreign", 0, NULL, take_foreign, "short for --scope foreign"},
    [OPT_ALL] = {"all", 'a', NULL, take_all, "short for --scope all"},
    [OPT_OUTPUT] = {"output", 'o', "COLUMNS", take_output,
                    "these columns, with commas between; +A,B: also these"},
    [OPT_NOHEADINGS] = {"noheadings", 'n', NULL, NULL, "no line of headings"},
    [OPT_BYTES] = {"bytes", 'b', NULL, NULL, "sizes as bytes"},
    [OPT_OFFSET] = {"offset", 0, "SIZE", take_offset, "where to begin, in bytes (0)"},
    [OPT_LENGTH] = {"length", 0, "SIZE", take_length, "how many bytes"},
    [OPT_KINDS] = {"kinds", 'k', "A,B", take_kinds, "only events of these kinds; may be repeated"},
    [OPT_AFTER] = {"after", 0, "N", take_after, "begin after the event with this event_serial"},
    [OPT_COUNT] = {"count", 'c', "N", take_count, "end after N events"},
    [OPT_REMOVE] = {"remove", 0, NULL, NULL, "also remove them"},
    [OPT_LEFT] = {"left", 0, NULL, NULL, "with --remove: also those that others have used"},
    [OPT_UNDECIDED] = {"undecided", 0, NULL, NULL,
                       "with --remove: also those whose creator cannot be seen (root)"},
    [OPT_LOST] = {"lost", 0, NULL, NULL, "with --remove: also those that may be the daemon's"},
    [OPT_IDLE] = {"idle", 0, "DURATION", take_idle,
                  "list managed segments as forgotten when unused this long (30d)"},
    [OPT_SORT] = {"sort", 0, "COLUMN", take_sort, "in the order of this column"},
    [OPT_REVERSE] = {"reverse", 'r', NULL, NULL, "in reverse order"},
    [OPT_TIME_FORMAT] = {"time-format", 0, "F", take_time_format,
                         "iso, short, full or unix (milliseconds)"},
    [OPT_RAW] = {"raw", 0, NULL, NULL, "one space between columns, and none inside of them"},
    [OPT_NOTRUNCATE] = {"notruncate", 0, NULL, NULL, "do not cut texts on a narrow terminal"},
    [OPT_DRY_RUN] = {"dry-run", 0, NULL, NULL, "only show what it would do"},
    [OPT_YES] = {"yes", 'y', NULL, NULL, "do not ask"},
    [OPT_FORCE] = {"force", 0, NULL, NULL, "also what the daemon does not manage"},
    [OPT_ONCE] = {"once", 0, NULL, NULL, "print it once and exit, for scripts"},
    [OPT_DELAY] = {"delay", 'd', "DURATION", take_delay, "how often to look again (1s)"},
    [OPT_OLDER_THAN] = {"older-than", 0, "DURATION", take_older_than,
                        "only segments that were idle at least this long (10m)"},
};

#define LSIPC_JSON 'J' /* what lsipc calls -j */

/* What may be given more than once, in every command that takes it. */
#define REPEATABLE (OPT(LABEL) | OPT(KINDS))

/* Of each of these sets, one option may be given. */
static const uint64_t alternatives[] = {
    OPT(SOCKET) | OPT(USER) | OPT(SYSTEM),
    OPT(SCOPE) | OPT(FOREIGN) | OPT(ALL),
    OPT(TTL) | OPT(NO_TTL),
    OPT(LABEL) | OPT(NO_LABELS),
    OPT(LOCKED) | OPT(UNLOCKED),
    OPT(OWNER) | OPT(ANY_OWNER),
    OPT(EXCLUSIVE) | OPT(REPLACE),
    OPT(KEY) | OPT(REPLACE),
    OPT(FROM) | OPT(NOT_READY),
    OPT(WAIT) | OPT(LIFETIME),
    OPT(JSON) | OPT(RAW),
    OPT(DRY_RUN) | OPT(YES),
};

void option_text(enum option_id id, struct option_text *ret)
{
    *ret = (struct option_text){rows[id].name, rows[id].letter, rows[id].argument, rows[id].help};
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
        if (i == OPT_JSON)
            *letters++ = LSIPC_JSON;
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
        if ((allowed & (UINT64_C(1) << i)) &&
            (code == 256 + i || code == rows[i].letter || (code == LSIPC_JSON && i == OPT_JSON)))
            return i;
    return -1;
}

static int check_alternatives(uint64_t given)
{
    for (size_t i = 0; i < COUNT(alternatives); i++) {
        uint64_t both = given & alternatives[i];
        if ((both & (both - 1)) == 0)
            continue;
        int first = __builtin_ctzll(both), second = __builtin_ctzll(both & (both - 1));
        return cli_usage("--%s and --%s exclude one another", rows[first].name, rows[second].name);
    }
    return 0;
}

/* Whether WORD is a long option with only one dash, which reads as a letter with a value: "-size"
 * as -s with "ize". */
static bool lacks_dash(uint64_t allowed, const char *word)
{
    size_t len = strcspn(word, "=");
    for (int i = 0; word[0] == '-' && word[1] != '-' && i < OPTION_COUNT; i++)
        if ((allowed & (UINT64_C(1) << i)) && strlen(rows[i].name) == len - 1 &&
            strncmp(rows[i].name, word + 1, len - 1) == 0)
            return true;
    return false;
}

/* Whether the value of the option that getopt_long() has found is a part of WORD. */
static bool ends_with_value(const char *word)
{
    size_t len = strlen(word), value = optarg ? strlen(optarg) : len;
    return value < len && word + len - value == optarg;
}

/* Takes the option at row I with its VALUE. */
static int take(struct options *o, int i, uint64_t repeatable, const char *value)
{
    uint64_t bit = UINT64_C(1) << i;
    if (o->given & bit & ~(REPEATABLE | repeatable))
        return cli_usage("--%s is given twice", rows[i].name);
    o->given |= bit;
    return rows[i].take ? rows[i].take(o, rows[i].name, value) : 0;
}

/* What is advised asks the daemon that is named behind what is wrong, too. The rest is not looked
 * at. */
static void find_daemon(struct options *o, uint64_t allowed, int argc, char **argv,
                        const char *letters, const struct option *long_options)
{
    int code;
    while ((code = getopt_long(argc, argv, letters, long_options, NULL)) != -1) {
        int i = code == ':' || code == '?' ? -1 : find(allowed, code);
        if (i == OPT_SOCKET && !o->socket && *optarg)
            o->socket = optarg;
        else if (i == OPT_USER || i == OPT_SYSTEM)
            o->given |= UINT64_C(1) << i;
    }
}

int options_parse(struct cli *cli, const struct option_rules *rules, int argc, char **argv,
                  int *ret_rest)
{
    struct options *o = &cli->options;
    uint64_t allowed = rules->allowed;
    struct option long_options[OPTION_COUNT + 1];
    char letters[2 * OPTION_COUNT + 4];
    strcpy(letters, rules->permute ? ":" : "+:");
    describe(allowed, long_options, letters + strlen(letters));
    optind = 0; /* glibc: from the beginning, with these letters */
    opterr = 0;
    for (;;) {
        int code = getopt_long(argc, argv, letters, long_options, NULL);
        if (code == -1)
            break;
        const char *word = argv[optind - 1];
        if (code == '?' && optopt < 256 && optind < argc && strchr(argv[optind], optopt))
            word = argv[optind]; /* more letters follow the one that is not known */
        if ((code == '?' || (code < 256 && ends_with_value(word))) && lacks_dash(allowed, word))
            return cli_usage("%s: an option of more than one letter has two dashes; do you mean "
                             "-%s?",
                             word, word);
        int i = find(allowed, code == ':' || code == '?' ? optopt : code);
        if (code == ':')
            return cli_usage("--%s needs a value: %s", rows[i].name, rows[i].argument);
        if (code == '?') {
            if (i >= 0 && optopt >= 256)
                return cli_usage("--%s takes no value", rows[i].name);
            char letter[] = {'-', (char)optopt, '\0'};
            bool is_letter = optopt > 0 && optopt < 256;
            const char *text = is_letter ? letter : argv[optind - 1];
            find_daemon(o, allowed, argc, argv, letters, long_options);
            return rules->unknown(cli, allowed, text);
        }
        int r = take(o, i, rules->repeatable, optarg);
        if (r != 0)
            return r;
    }
    *ret_rest = optind;
    return check_alternatives(o->given);
}

void options_deinit(struct options *o)
{
    for (size_t i = 0; i < o->n_labels; i++)
        free((char *)(uintptr_t)o->labels[i].key);
    o->n_labels = 0;
    free(o->targets);
    o->targets = NULL;
    o->n_targets = 0;
}

static bool given(const struct options *o, uint64_t option)
{
    return (o->given & option) != 0;
}

int options_check_new(const struct options *o)
{
    if (given(o, OPT(TTL)) && o->ttl_ms == 0)
        return cli_usage("--ttl 0: a new segment that does not expire has none: leave it out");
    if (given(o, OPT(IDLE_TTL)) && o->idle_ttl_ms == 0)
        return cli_usage("--idle-ttl 0: a new segment that does not expire has none: leave it out");
    if (given(o, OPT(KEY)) && o->key == 0)
        return cli_usage("--key 0 is IPC_PRIVATE, a segment without a key: leave it out");
    return 0;
}

/* Perhaps it was given in another way; then it is shown how. */
static int refuse_without_size(const struct cli *cli)
{
    const char *socket = cli->options.socket;
    char *line = NULL, instead[64];
    uint64_t size;
    if (socket && parse_size(socket, &size) == 0)
        return cli_usage("--size is missing, and -s is the socket; if %s is the size, in place of "
                         "-s: --size %s",
                         socket, socket);
    if (cli->n_args > 0 && parse_size(cli->args[0], &size) == 0 &&
        (size_t)snprintf(instead, sizeof(instead), "NAME --size %s", cli->args[0]) <
            sizeof(instead))
        line = advice_line(cli, 0, instead);
    int status = line ? cli_usage("--size is missing; if %s is the size: %s", cli->args[0], line)
                      : cli_usage("--size is missing; it takes %s", SIZE_ACCEPTED);
    free(line);
    return status;
}

int options_create(const struct cli *cli, struct shmd_create_options *ret)
{
    const struct options *o = &cli->options;
    if (!given(o, OPT(SIZE)))
        return refuse_without_size(cli);
    if (o->size == 0)
        return cli_usage("--size 0: a segment has at least 1 byte");
    int r = options_check_new(o);
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
        .idle_ttl_ms = o->idle_ttl_ms,
        .replace = given(o, OPT(REPLACE)),
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
