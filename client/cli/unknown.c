/* SPDX-License-Identifier: MIT */
#include "client/cli/unknown.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/cli/advice.h"
#include "client/cli/meant.h"
#include "client/cli/near.h"
#include "client/cli/parse.h"
#include "client/cli/plain_text.h"

/* --- commands */

int unknown_command(const struct cli *cli, const char *name)
{
    char list[512] = "";
    const char *meant = meant_command(cli->commands, cli->n_commands, name);
    for (size_t i = 0; i < cli->n_commands; i++) {
        if (cli->commands[i].is_hidden)
            continue;
        strncat(list, i ? ", " : "", sizeof(list) - strlen(list) - 1);
        strncat(list, cli->commands[i].name, sizeof(list) - strlen(list) - 1);
    }
    if (meant)
        return cli_usage("unknown command '%s'; do you mean %s? There are: %s", name, meant, list);
    return cli_usage("unknown command '%s'; there are: %s", name, list);
}

/* --- options */

/* What else an option could be called. The first row whose option the command has is taken. */
static const struct {
    const char *word;
    enum option_id meant;
} other_options[] = {
    {"owner", OPT_UID},       {"uid", OPT_OWNER},           {"group", OPT_GID},
    {"name", OPT_NEW_NAME},   {"name", OPT_PREFIX},         {"rename", OPT_NEW_NAME},
    {"perm", OPT_MODE},       {"perms", OPT_MODE},          {"permissions", OPT_MODE},
    {"id", OPT_SHMID},        {"length", OPT_SIZE},         {"bytes", OPT_SIZE},
    {"bytes", OPT_LENGTH},    {"size", OPT_LENGTH},         {"count", OPT_LENGTH},
    {"skip", OPT_OFFSET},     {"seek", OPT_OFFSET},         {"file", OPT_FROM},
    {"input", OPT_FROM},      {"overwrite", OPT_REPLACE},   {"force", OPT_REPLACE},
    {"force", OPT_REMOVE},    {"delete", OPT_REMOVE},       {"expire", OPT_TTL},
    {"expires", OPT_TTL},     {"expiry", OPT_TTL},          {"persist", OPT_NO_TTL},
    {"tag", OPT_LABEL},       {"labels", OPT_LABEL},        {"hugepages", OPT_HUGE},
    {"hugetlb", OPT_HUGE},    {"huge-page-size", OPT_HUGE}, {"lock", OPT_LOCKED},
    {"unlock", OPT_UNLOCKED}, {"columns", OPT_OUTPUT},      {"fields", OPT_OUTPUT},
    {"format", OPT_OUTPUT},   {"format", OPT_JSON},         {"wide", OPT_NOTRUNCATE},
    {"full", OPT_NOTRUNCATE}, {"filter", OPT_PREFIX},       {"everything", OPT_ALL},
    {"all-users", OPT_ALL},   {"unmanaged", OPT_FOREIGN},   {"type", OPT_KINDS},
    {"since", OPT_AFTER},     {"from", OPT_AFTER},          {"limit", OPT_COUNT},
    {"number", OPT_COUNT},    {"interval", OPT_DELAY},      {"batch", OPT_ONCE},
    {"age", OPT_OLDER_THAN},  {"order", OPT_SORT},          {"no-header", OPT_NOHEADINGS},
};

#define GC_TABLES "gc prints a table for each class; --json prints all of it for programs"

/* What no option changes, and what to do instead. */
static const struct {
    const char *command, *word, *instead;
} fixed[] = {
    {"set", "size",
     "the size of a segment cannot be changed; a new segment takes its place with: "
     "shmdctl create NAME --size SIZE --replace"},
    {"set", "huge", "the pages of a segment cannot be changed; create a new one with --huge"},
    {"set", "noreserve",
     "what is reserved for a segment cannot be changed; create a new one with --noreserve"},
    {"set", "ready", "a segment is marked as filled with: shmdctl ready NAME"},
    {"set", "not-ready", "a segment that is ready stays so; create one with --not-ready"},
    {"set", "from", "a segment is filled with: shmdctl write NAME <FILE"},
    {"create", "name", "the name is no option: shmdctl create NAME --size SIZE"},
    {"run", "name", "the name is no option: shmdctl run NAME --size SIZE -- COMMAND"},
    {"run", "lifetime", "the segment always has the lifetime process here"},
    {"run", "from",
     "the command fills the segment itself; or use: shmdctl create NAME --from FILE"},
    {"create", "ready", "a new segment is ready, unless --not-ready is given"},
    {"events", "follow", "events goes on until it is interrupted; leave it out"},
    {"list", "watch", "to watch segments: shmdctl top"},
    {"gc", "dry-run",
     "gc only shows what it would remove, unless --remove is given: leave both out"},
    {"gc", "output", GC_TABLES},
    {"gc", "columns", GC_TABLES},
    {"gc", "sort", GC_TABLES},
    {"gc", "reverse", GC_TABLES},
    {"gc", "all", "gc looks at all segments, unless one is named; leave it out"},
    {"ps", "all", "ps shows all segments, unless one is named; leave it out"},
    {"events", "f", "events goes on until it is interrupted; leave it out"},
    {"write", "from", "what is written comes from standard input: shmdctl write NAME <FILE"},
    {"adopt", "name", "the name is no option, and stands alone: shmdctl adopt --shmid N NAME"},
};

static bool has(uint64_t options, int id)
{
    return (options & (UINT64_C(1) << id)) != 0;
}

static int option_named(const char *word)
{
    struct option_text text;
    for (int i = 0; i < OPTION_COUNT; i++) {
        option_text((enum option_id)i, &text);
        if (strcmp(text.name, word) == 0)
            return i;
    }
    return -1;
}

/* The name of the option with that LETTER, if there is one, which may be of another command. */
static void spell_out(char letter, char *ret_word, size_t size)
{
    struct option_text text;
    for (int i = 0; i < OPTION_COUNT; i++) {
        option_text((enum option_id)i, &text);
        if (text.letter == letter)
            snprintf(ret_word, size, "%s", text.name);
    }
}

static const char *option_name(int id)
{
    struct option_text text;
    option_text((enum option_id)id, &text);
    return text.name;
}

/* What removes or replaces a segment, or does so without asking, must be typed as it is. */
#define DESTROYS (OPT(REMOVE) | OPT(REPLACE) | OPT(FORCE) | OPT(YES))

/* The option in ALLOWED that was meant by WORD; NULL: none is like it. */
static const char *meant_option(uint64_t allowed, const char *word)
{
    struct near near;
    for (size_t i = 0; i < COUNT(other_options); i++)
        if (has(allowed, (int)other_options[i].meant) && strcmp(other_options[i].word, word) == 0)
            return option_name((int)other_options[i].meant);
    near_begin(&near, word);
    for (int i = 0; i < OPTION_COUNT; i++)
        if (has(allowed, i))
            near_try(&near, option_name(i));
    int best = near.best ? option_named(near.best) : -1;
    return best >= 0 && has(DESTROYS, best) ? NULL : near.best;
}

/* Which commands have the option ID, as "create and run"; RET has room for SIZE. */
static void commands_with(const struct cli *cli, int id, char *ret, size_t size)
{
    size_t len = 0;
    const struct command *last = NULL;
    *ret = '\0';
    for (size_t i = 0; i < cli->n_commands; i++) {
        const struct command *command = &cli->commands[i];
        if (command->is_hidden || !has(command->options, id))
            continue;
        if (last && len < size)
            len += (size_t)snprintf(ret + len, size - len, "%s%s", len ? ", " : "", last->name);
        last = command;
    }
    if (last && len < size)
        snprintf(ret + len, size - len, "%s%s", len ? " and " : "", last->name);
}

/* Whether a name is what the command's argument is; set has --new-name, which may be meant. */
static bool takes_name(const struct command *command)
{
    return strstr(command->arguments, "NAME") && !has(command->options, OPT_NEW_NAME);
}

static int refuse_fixed(const struct cli *cli, const char *text, const char *instead)
{
    char *advice = advice_text(cli, instead);
    int status = cli_usage("unknown option %s%s%s", text, advice ? ": " : "", advice ? advice : "");
    free(advice);
    return status;
}

int unknown_option(const struct cli *cli, uint64_t allowed, const char *text)
{
    char word[64], list[256] = "";
    snprintf(word, sizeof(word), "%.*s", (int)strcspn(text, "="), text + strspn(text, "-"));
    word[strcspn(word, "=")] = '\0';
    const bool is_letter = word[0] && !word[1];
    if (is_letter)
        spell_out(*word, word, sizeof(word));
    for (size_t i = 0; cli->command && i < COUNT(fixed); i++)
        if (strcmp(fixed[i].command, cli->command->name) == 0 && strcmp(fixed[i].word, word) == 0)
            return refuse_fixed(cli, text, fixed[i].instead);
    if (cli->command && strcmp(word, "name") == 0 && takes_name(cli->command))
        return cli_usage("unknown option %s: the name is no option: %s %s NAME", text,
                         advice_program(cli), cli->command->name);
    const char *meant = meant_option(allowed, word);
    if (meant)
        return cli_usage("unknown option %s; do you mean --%s?", text, meant);
    int id = option_named(word);
    if (id >= 0)
        commands_with(cli, id, list, sizeof(list));
    bool has_dashes = !cli->command || !cli->command->has_child || cli->child;
    if (*list && (has_dashes || !is_letter))
        return cli_usage("unknown option %s%s; it is an option of %s", text,
                         cli->command ? "" : " before the command", list);
    if (!has_dashes)
        return cli_usage("unknown option %s; if it belongs to the command that is to be run, that "
                         "stands after --: %s %s %s",
                         text, advice_program(cli), cli->command->name, cli->command->arguments);
    return cli_usage("unknown option %s", text);
}

/* --- arguments */

/* The first that is unexpected is a size, and none was given. */
static int expects_size(const struct cli *cli)
{
    const char *word = cli->args[cli->command->max_args];
    char instead[64], *line = NULL;
    snprintf(instead, sizeof(instead), "--size %s", word);
    if (cli->n_args == cli->command->max_args + 1 && strlen(word) < sizeof(instead) / 2)
        line = advice_line(cli, cli->command->max_args, instead);
    int status =
        cli_usage("unexpected argument '%s'; if it is the size: %s", word, line ? line : instead);
    free(line);
    return status;
}

/* What --huge without a value leaves behind. */
static int expects_huge_size(const char *word)
{
    return cli_usage("unexpected argument '%s'; if it is the size of the huge pages: --huge=%s",
                     word, word);
}

/* The memory goes to a file, or comes from one. */
static int expects_file(const struct cli *cli)
{
    const char *word = cli->args[cli->command->max_args];
    char *file = advice_word(word);
    char *line = file && cli->n_args == cli->command->max_args + 1
                     ? advice_line(cli, cli->command->max_args, "")
                     : NULL;
    int status = line ? cli_usage("unexpected argument '%s'; if it is a file: %s %s%s", word, line,
                                  cli->command->run == cmd_read ? ">" : "<", file)
                      : cli_usage("unexpected argument '%s'; the usage is: %s %s %s", word,
                                  advice_program(cli), cli->command->name, cli->command->arguments);
    free(line);
    free(file);
    return status;
}

int unexpected_argument(const struct cli *cli)
{
    const struct command *command = cli->command;
    const char *word = cli->args[command->max_args];
    uint64_t size;
    bool is_size = has(command->options, OPT_SIZE) && parse_size(word, &size) == 0;
    if (is_size && !cli_given(cli, OPT(SIZE)))
        return expects_size(cli);
    if (is_size && cli_given(cli, OPT(HUGE)))
        return expects_huge_size(word);
    if (command->run == cmd_read || command->run == cmd_write)
        return expects_file(cli);
    return cli_usage("unexpected argument '%s'; the usage is: %s %s%s%s", word, advice_program(cli),
                     command->name, *command->arguments ? " " : "", command->arguments);
}
