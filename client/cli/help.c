/* SPDX-License-Identifier: MIT */
#include "client/cli/help.h"

#include <stdio.h>
#include <string.h>

#include "client/cli/columns.h"
#include "client/cli/unknown.h"

static void help_all(const struct cli *cli)
{
    puts("Usage: shmdctl [--socket PATH | --user | --system] [--timeout DURATION] [--json]\n"
         "               COMMAND [OPTIONS] [ARGUMENTS]\n\n"
         "Manages System V shared memory through the daemon shmd.\n\nCommands:");
    for (size_t i = 0; i < cli->n_commands; i++) {
        const struct command *command = &cli->commands[i];
        if (command->is_hidden)
            continue;
        printf("  %-8s %s", command->name, command->summary);
        printf(command->alias ? " (or %s)\n" : "\n", command->alias);
    }
    puts("\nOptions:");
    options_list(OPTIONS_BEFORE_COMMAND);
    puts("\nExit status:");
    exit_status_list();
    puts("\n'shmdctl help COMMAND' lists the options of a command; shmdctl(1) has everything.");
}

void help_command(const struct command *command)
{
    printf("Usage: shmdctl %s [OPTIONS]%s%s\n\n%s.\n\nOptions:\n", command->name,
           *command->arguments ? " " : "", command->arguments, command->summary);
    options_list(command->options | OPTIONS_EVERYWHERE);
    if (command->column) {
        fputs("\nColumns: ", stdout);
        for (int i = 0; command->column(i); i++)
            printf(i > 0 ? ", %s" : "%s", command->column(i));
        putchar('\n');
    } else if (command->options & OPT(OUTPUT)) {
        columns_list();
    }
}

const struct command *help_find_command(const struct cli *cli, const char *name)
{
    for (size_t i = 0; i < cli->n_commands; i++) {
        const struct command *command = &cli->commands[i];
        if (strcmp(command->name, name) == 0 ||
            (command->alias && strcmp(command->alias, name) == 0))
            return command;
    }
    return NULL;
}

/* What helps on is the list of commands, and not the help of `help`. */
static int unknown_help(const struct cli *cli, const char *name)
{
    cli_usage_of("");
    return unknown_command(cli, name);
}

int cmd_help(struct cli *cli)
{
    const char *name = cli->n_args > 0 ? cli->args[0] : NULL;
    const struct command *command = name ? help_find_command(cli, name) : NULL;
    if (!name)
        help_all(cli);
    else if (!command || command->is_hidden)
        return unknown_help(cli, name);
    else
        help_command(command);
    return EXIT_OK;
}

int cmd_version(struct cli *cli)
{
    (void)cli;
    printf("shmdctl %s\n", shmd_version());
    return EXIT_OK;
}
