/* SPDX-License-Identifier: MIT */
/*
 * shmdctl: the daemon's methods, and the memory itself, as commands. This file finds the command
 * and hands it its options; global ones may stand before or behind its name.
 */
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/cli/advice.h"
#include "client/cli/cli.h"
#include "client/cli/help.h"
#include "client/cli/parse.h"
#include "client/cli/plain_text.h"
#include "client/cli/unknown.h"

/* What follows the target is a command, but "--" is not before it: shows the same line with it. The
 * size may be missing, too, or stand there as a bare word. */
static int lacks_dashes(const struct cli *cli)
{
    const char *name = cli->command->name;
    int at = cli->command->max_args;
    bool lacks_size = cli->command->options & OPT(SIZE) && !cli_given(cli, OPT(SIZE));
    uint64_t bytes;
    bool is_size = lacks_size && parse_size(cli->args[at], &bytes) == 0;
    bool has_command = !is_size || cli->n_args > at + 1;
    char *word = advice_word(cli->args[at]), *line = NULL, *instead = NULL;
    const char *size = is_size ? word : lacks_size ? "SIZE" : "";
    const char *behind = !is_size ? word : has_command ? "" : "COMMAND...";
    if (word && asprintf(&instead, "%s%s%s--%s%s", lacks_size ? "--size " : "", size,
                         lacks_size ? " " : "", *behind ? " " : "", behind) >= 0)
        line = advice_line(cli, at, instead);
    const char *gap = line ? ": " : "", *shown = line ? line : "";
    int status = has_command ? cli_usage("%s needs -- before the command '%s'%s%s", name,
                                         cli->args[at + is_size], gap, shown)
                             : cli_usage("%s needs -- and a command%s%s", name, gap, shown);
    free(instead);
    free(line);
    free(word);
    return status;
}

static int refuse_bytes(const char *what, const char *text)
{
    return cli_usage("the %s '%s' is not UTF-8, as text has to be here", what, text);
}

/* What goes into a request has to be text. 0 or EXIT_USAGE. */
static int check_texts(const struct cli *cli)
{
    const struct options *o = &cli->options;
    for (int i = 0; i < cli->n_args; i++)
        if (!plain_text_is_utf8(cli->args[i]))
            return refuse_bytes(cli->command->options & OPT(PREFIX) ? "prefix" : "name",
                                cli->args[i]);
    if (o->new_name && !plain_text_is_utf8(o->new_name))
        return refuse_bytes("name", o->new_name);
    if (o->prefix && !plain_text_is_utf8(o->prefix))
        return refuse_bytes("prefix", o->prefix);
    for (size_t i = 0; i < o->n_labels; i++)
        if (!plain_text_is_utf8(o->labels[i].key) || !plain_text_is_utf8(o->labels[i].value))
            return refuse_bytes("label", o->labels[i].key);
    return 0;
}

static int run_command(struct cli *cli)
{
    const struct command *command = cli->command;
    if (cli->options.given & OPT(JSON) & ~command->options)
        return cli_usage("%s does not print JSON", command->name);
    const char *gap = *command->arguments ? " " : "";
    if (command->has_child && !cli->child && cli->n_args > command->max_args)
        return lacks_dashes(cli);
    if (cli->n_args < command->min_args)
        return cli_usage("too few arguments: %s %s%s%s", advice_program(cli), command->name, gap,
                         command->arguments);
    if (cli->n_args > command->max_args)
        return unexpected_argument(cli);
    int status = check_texts(cli);
    if (status == 0)
        status = command->run(cli);
    shmd_disconnect(cli->shmd);
    cli->shmd = NULL;
    return status;
}

/* ARGV begins with the command's name. */
static int parse_command(struct cli *cli, int argc, char **argv)
{
    const struct command *command = cli->command;
    for (int i = 1; command->has_child && i < argc && !cli->child; i++) {
        if (strcmp(argv[i], "--") == 0) {
            cli->child = argv + i + 1;
            argc = i;
        }
    }
    int rest;
    const struct option_rules rules = {.allowed = command->options | OPTIONS_EVERYWHERE,
                                       .repeatable = command->repeatable,
                                       .permute = true,
                                       .unknown = unknown_option};
    int r = options_parse(cli, &rules, argc, argv, &rest);
    if (r != 0)
        return r;
    cli->args = argv + rest;
    cli->n_args = argc - rest;
    cli->n_options = rest - 1;
    if (cli_given(cli, OPT(HELP))) {
        help_command(command);
        return EXIT_OK;
    }
    return run_command(cli);
}

/* Where a command is run, its exit status and that of a failure to run it are told apart, as env
 * does it. */
static int status_of_child(const struct cli *cli, int status)
{
    bool runs_child = cli->child || cli->command->needs_child;
    if (status == EXIT_OK || status == EXIT_CANNOT_RUN || status == EXIT_NO_SUCH_COMMAND)
        return status;
    return runs_child ? EXIT_NOT_STARTED : status;
}

static int start(struct cli *cli, int argc, char **argv)
{
    int rest;
    const struct option_rules rules = {.allowed = OPTIONS_BEFORE_COMMAND,
                                       .unknown = unknown_option};
    int r = options_parse(cli, &rules, argc, argv, &rest);
    if (r != 0)
        return r;
    const char *name = rest < argc ? argv[rest] : NULL;
    if (cli_given(cli, OPT(VERSION)))
        return cmd_version(cli);
    if (cli_given(cli, OPT(HELP)))
        return cmd_help(cli);
    cli->words_before = argv + 1;
    cli->n_words_before = rest - 1;
    if (!name)
        return cli_usage("a command is missing");
    cli->command = help_find_command(cli, name);
    if (!cli->command)
        return unknown_command(cli, name);
    cli_usage_of(cli->command->name);
    return status_of_child(cli, parse_command(cli, argc - rest, argv + rest));
}

/*
 * A standard stream that is closed would be taken by the next file or socket that is opened, and
 * what is meant for the stream would go there. In its place comes what fails when it is used.
 */
static int guard_streams(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) >= 0 || errno != EBADF)
            continue;
        /* The lowest that is free, so it is FD. */
        if (open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) < 0)
            return cli_error(EXIT_REFUSED,
                             "a standard stream is closed, and /dev/null cannot take its place: %s",
                             strerror(errno));
    }
    return EXIT_OK;
}

/* A table, or a line of standard error, goes out in one piece: what others print to the same
 * terminal comes before or behind it. */
static void buffer_streams(void)
{
    static char out[256 * 1024], err[16 * 1024];
    setvbuf(stdout, out, _IOFBF, sizeof(out));
    setvbuf(stderr, err, _IOLBF, sizeof(err));
}

/* For the width of characters, and for the terminal's encoding. */
static void use_locale(void)
{
    if (!setlocale(LC_CTYPE, "") || MB_CUR_MAX == 1)
        setlocale(LC_CTYPE, "C.UTF-8");
}

int main(int argc, char **argv)
{
    buffer_streams();
    if (guard_streams() != EXIT_OK)
        return EXIT_REFUSED;
    use_locale();
    struct cli cli = {.commands = commands,
                      .n_commands = commands_count,
                      .options = {.timeout_ms = -1},
                      .deadline_ms = -1};
    int status = start(&cli, argc, argv);
    options_deinit(&cli.options);
    /* What could not be written was not done, full disks included. */
    if ((fflush(stdout) != 0 || ferror(stdout)) && status == EXIT_OK)
        return cli_output_failure(errno);
    return status;
}
