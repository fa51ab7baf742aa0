/* SPDX-License-Identifier: MIT */
/*
 * __complete: what the shells' completions ask. Behind "--" stand the words of a command line of
 * shmdctl, without the program and up to the one that is typed; printed is what that may become:
 *
 *   first line  how to take the rest: "words"; "list", after which no space comes; "files": any
 *               path; "command N": the Nth of the words, from 0, is another program
 *   the rest    a candidate for the whole word, a tab, what it means
 *
 * So there is one completion, and the scripts only hand it on. It fails silently.
 */
#include <ctype.h>
#include <grp.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "client/cli/cli.h"
#include "client/cli/columns.h"
#include "client/cli/help.h"
#include "client/cli/plain_text.h"
#include "client/cli/top_view.h"
#include "protocol/methods.h"

enum { PATIENCE_MS = 1000 }; /* for the daemon: somebody has pressed a key */

struct completion {
    struct cli *cli;
    const struct command *command; /* NULL: it is not there yet */
    uint64_t allowed;              /* options */
    int n_arguments;               /* of the command, before the word that is typed */
    const char *word;              /* what is typed: the part that the candidates begin with */
    const char *before;            /* a part of the word that stays as it is */
    size_t before_len;
};

/* --- candidates */

static void put(const struct completion *c, const char *text, const char *meaning)
{
    printf("%.*s", (int)c->before_len, c->before);
    print_plain(stdout, text);
    putchar('\t');
    print_plain(stdout, meaning);
    putchar('\n');
}

static void offer(const struct completion *c, const char *text, const char *meaning)
{
    if (strncmp(text, c->word, strlen(c->word)) == 0)
        put(c, text, meaning);
}

/* A column, whose letters may be small: where all are that are typed, all of it is. */
static void offer_column(const struct completion *c, const char *name, const char *meaning)
{
    char text[64]; /* names of columns are short */
    size_t n = 0;
    bool has_small = false, has_large = false;
    if (strncasecmp(name, c->word, strlen(c->word)) != 0)
        return;
    for (const char *at = c->word; *at; at++) {
        has_small |= islower((unsigned char)*at) != 0;
        has_large |= isupper((unsigned char)*at) != 0;
    }
    for (; n < sizeof(text) - 1 && name[n]; n++) {
        text[n] = name[n];
        if (has_small && !has_large)
            text[n] = (char)tolower((unsigned char)name[n]);
    }
    text[n] = '\0';
    put(c, text, meaning);
}

static void offer_commands(const struct completion *c)
{
    puts("words");
    for (size_t i = 0; i < c->cli->n_commands; i++)
        if (!c->cli->commands[i].is_hidden)
            offer(c, c->cli->commands[i].name, c->cli->commands[i].summary);
}

static void offer_options(const struct completion *c)
{
    puts("words");
    for (int i = 0; i < OPTION_COUNT; i++) {
        struct option_text text;
        char option[64];
        if (!(c->allowed & (UINT64_C(1) << i)))
            continue;
        option_text((enum option_id)i, &text);
        snprintf(option, sizeof(option), "--%s", text.name);
        offer(c, option, text.help);
    }
}

/* Words that are numbered from FIRST on, up to the first that there is not. */
static void offer_words(const struct completion *c, const char *(*word)(int), int first)
{
    puts("words");
    for (int i = first; word(i); i++)
        offer(c, word(i), "");
}

static const char *state(int i)
{
    return i <= SHMD_STATE_REMOVED ? shmd_state_word((enum shmd_state)i) : NULL;
}

static const char *lifetime(int i)
{
    return i <= SHMD_LIFETIME_ATTACHED ? shmd_lifetime_word((enum shmd_lifetime)i) : NULL;
}

static const char *time_format(int i)
{
    return i < TIME_FORMATS ? time_format_word((enum time_format)i) : NULL;
}

static const char *scope(int i)
{
    static const char *const words[] = {"managed", "foreign", "all", NULL};
    return words[i];
}

static const char *method(int i)
{
    return i < METHOD_COUNT ? method_word((enum method)i) : NULL;
}

/* Of a list with commas, the last word is typed now. */
static void begin_list(struct completion *c)
{
    const char *comma = strrchr(c->word, ',');
    const char *last = comma ? comma + 1 : c->word + (*c->word == '+');
    /* Both are parts of one word. */
    c->before_len = (size_t)(last - c->before);
    c->word = last;
    puts("list");
}

static void offer_columns(struct completion *c, bool is_list)
{
    if (is_list)
        begin_list(c);
    else
        puts("words");
    const char *(*column)(int) = c->command ? c->command->column : NULL;
    for (int i = 0; column && column(i); i++)
        offer_column(c, column(i), "");
    for (size_t i = 0; !column && i < columns_count; i++)
        offer_column(c, columns[i].name, columns[i].help);
}

static const char *top_order(int i)
{
    enum top_order order = top_panel_order(TOP_SEGMENTS, (size_t)i);
    return order == TOP_ORDERS ? NULL : top_order_word(order);
}

static void offer_orders(struct completion *c)
{
    if (!c->command || c->command->run != cmd_top) {
        offer_columns(c, false);
        return;
    }
    puts("words");
    for (int i = 0; top_order(i); i++)
        offer_column(c, top_order(i), "");
}

static void offer_kinds(struct completion *c)
{
    begin_list(c);
    for (unsigned kind = SHMD_EVENT_CREATED; kind <= SHMD_EVENT_ADOPTED; kind <<= 1)
        offer(c, shmd_event_word((enum shmd_event_kind)kind), "");
}

static void offer_users(const struct completion *c)
{
    const struct passwd *user;
    puts("words");
    setpwent();
    while ((user = getpwent()))
        offer(c, user->pw_name, user->pw_gecos ? user->pw_gecos : "");
    endpwent();
}

static void offer_groups(const struct completion *c)
{
    const struct group *group;
    puts("words");
    setgrent();
    while ((group = getgrent()))
        offer(c, group->gr_name, "");
    endgrent();
}

/* --- segments, from the daemon */

struct wanted {
    const struct completion *completion;
    enum option_id by; /* OPT_SHMID, OPT_KEY or OPT_SERIAL; else by name */
};

/* For shmd_list(). */
static int offer_segment(const struct shmd_segment *s, void *data)
{
    const struct wanted *wanted = data;
    char text[32] = "", size[32], meaning[SEGMENT_NAME_MAX + 64];
    const char *name = s->name ? s->name : "";
    format_size(s->size, size, sizeof(size));
    snprintf(meaning, sizeof(meaning), "%s%s%s", name, *name ? ", " : "", size);
    if (wanted->by == OPT_SHMID)
        snprintf(text, sizeof(text), "%d", s->shmid);
    else if (wanted->by == OPT_KEY && s->key)
        snprintf(text, sizeof(text), "0x%08" PRIx32, s->key);
    else if (wanted->by == OPT_SERIAL && s->serial)
        snprintf(text, sizeof(text), "%" PRIu64, s->serial);
    if (*text)
        offer(wanted->completion, text, meaning);
    else if (*name && wanted->by != OPT_KEY)
        offer(wanted->completion, name, size);
    return 0;
}

static void offer_segments(struct completion *c, enum option_id by)
{
    struct wanted wanted = {c, by};
    const struct shmd_list_options options = {
        .scope = by == OPT_SHMID || by == OPT_KEY ? SHMD_SCOPE_ALL : SHMD_SCOPE_MANAGED,
    };
    puts("words");
    if (cli_open(c->cli, PATIENCE_MS) == 0)
        (void)shmd_list(cli_ask(c->cli), &options, offer_segment, &wanted);
}

/* --- what is typed */

static void offer_value(struct completion *c, enum option_id option)
{
    switch ((int)option) {
    case OPT_SOCKET:
    case OPT_FROM: puts("files"); break;
    case OPT_SHMID:
    case OPT_KEY:
    case OPT_SERIAL: offer_segments(c, option); break;
    case OPT_PREFIX: offer_segments(c, OPTION_COUNT); break;
    case OPT_UID:
    case OPT_OWNER: offer_users(c); break;
    case OPT_GID: offer_groups(c); break;
    case OPT_LIFETIME: offer_words(c, lifetime, SHMD_LIFETIME_PERSISTENT); break;
    case OPT_STATE: offer_words(c, state, SHMD_STATE_INITIALISING); break;
    case OPT_SCOPE: offer_words(c, scope, 0); break;
    case OPT_TIME_FORMAT: offer_words(c, time_format, 0); break;
    case OPT_OUTPUT: offer_columns(c, true); break;
    case OPT_SORT: offer_orders(c); break;
    case OPT_KINDS: offer_kinds(c); break;
    default: puts("words"); break;
    }
}

static void offer_argument(struct completion *c)
{
    const struct command *command = c->command;
    const bool has_more = c->n_arguments < command->max_args;
    if (has_more && command->run == cmd_help)
        offer_commands(c);
    else if (has_more && command->run == cmd_call && c->n_arguments == 0)
        offer_words(c, method, 0);
    else if (has_more && (command->options & (OPT(SERIAL) | OPT(OWNER) | OPT(PREFIX))))
        offer_segments(c, OPTION_COUNT);
    else
        puts("words");
}

/* The option that WORD is, with its value (NULL: that is to come); OPTION_COUNT: none of the
 * allowed ones. */
static enum option_id option_of(uint64_t allowed, const char *word, const char **ret_value)
{
    const char *equals = strchr(word, '=');
    size_t len = equals ? (size_t)(equals - word) : strlen(word);
    bool is_long = strncmp(word, "--", 2) == 0;
    *ret_value = is_long && equals ? equals + 1 : NULL;
    for (int i = 0; i < OPTION_COUNT; i++) {
        struct option_text text;
        option_text((enum option_id)i, &text);
        bool is_it =
            is_long ? strlen(text.name) == len - 2 && strncmp(text.name, word + 2, len - 2) == 0
                    : len == 2 && text.letter == word[1];
        if (is_it && (allowed & (UINT64_C(1) << i)))
            return (enum option_id)i;
    }
    return OPTION_COUNT;
}

static bool wants_value(enum option_id option)
{
    struct option_text text;
    if (option == OPTION_COUNT)
        return false;
    option_text(option, &text);
    return text.argument && *text.argument != '[';
}

/* One of the words before the typed one. Which daemon is asked depends on some of them. */
static void take_option(struct completion *c, enum option_id option, const char *value)
{
    if (option == OPT_SOCKET)
        c->cli->options.socket = value;
    if (option != OPTION_COUNT)
        c->cli->options.given |= (UINT64_C(1) << option) & (OPT(SOCKET) | OPT(USER) | OPT(SYSTEM));
}

static void take_argument(struct completion *c, const char *word)
{
    if (c->command) {
        c->n_arguments++;
        return;
    }
    c->command = help_find_command(c->cli, word);
    if (c->command)
        c->allowed = c->command->options | OPTIONS_EVERYWHERE;
}

/* The typed word, behind PENDING (OPTION_COUNT: none), an option that wants a value. */
static void offer_last(struct completion *c, const char *word, enum option_id pending)
{
    const char *value;
    c->word = c->before = word;
    if (pending != OPTION_COUNT) {
        offer_value(c, pending);
        return;
    }
    enum option_id option = *word == '-' ? option_of(c->allowed, word, &value) : OPTION_COUNT;
    if (option != OPTION_COUNT && value) {
        c->word = value;
        c->before_len = (size_t)(value - word);
        offer_value(c, option);
    } else if (*word == '-') {
        offer_options(c);
    } else if (!c->command) {
        offer_commands(c);
    } else {
        offer_argument(c);
    }
}

int cmd_complete(struct cli *cli)
{
    struct completion c = {.cli = cli, .allowed = OPTIONS_BEFORE_COMMAND};
    enum option_id pending = OPTION_COUNT;
    char **words = cli->child;
    size_t n = 0;
    while (words && words[n])
        n++;
    for (size_t i = 0; i + 1 < n; i++) {
        const char *value;
        if (pending != OPTION_COUNT) {
            take_option(&c, pending, words[i]);
            pending = OPTION_COUNT;
        } else if (strcmp(words[i], "--") == 0 && c.command && c.command->has_child) {
            printf("command %zu\n", i + 1);
            return EXIT_OK;
        } else if (*words[i] == '-' && words[i][1]) {
            enum option_id option = option_of(c.allowed, words[i], &value);
            if (wants_value(option) && !value)
                pending = option;
            else
                take_option(&c, option, value);
        } else {
            take_argument(&c, words[i]);
            if (!c.command)
                return EXIT_OK;
        }
    }
    if (n > 0)
        offer_last(&c, words[n - 1], pending);
    return EXIT_OK;
}
