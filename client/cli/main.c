/*
 * shmdctl: the daemon's methods, and the memory itself, as commands. This file finds the command
 * and hands it its options; global ones may stand before or behind its name.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "client/cli/cli.h"
#include "client/cli/kernel_segments.h"
#include "client/cli/output.h"

#define EVERYWHERE (OPT(SOCKET) | OPT(HELP))
#define GLOBAL     (EVERYWHERE | OPT(JSON) | OPT(VERSION)) /* before the command */

#define SYSTEM_SOCKET "/run/shmd/shmd.sock"
enum { FIRST_USER_UID = 1000 }; /* who may have a daemon of their own, as the library has it */
enum { LATE_MS = 5000 };        /* how much later than --timeout an answer may come */

/* The socket was not named, and that of the user's own daemon could not be looked for. */
static bool lacks_runtime_directory(const struct cli *cli)
{
    const char *given = getenv("SHMD_SOCKET"), *runtime = getenv("XDG_RUNTIME_DIR");
    return !cli->options.socket && !(given && *given) && !(runtime && *runtime) &&
           geteuid() >= FIRST_USER_UID;
}

static int tell_unreachable(const struct cli *cli, const char *path, int r)
{
    struct stat st;
    const char *start = "", *name = "", *runtime = "";
    if (stat(path, &st) == 0 && !S_ISSOCK(st.st_mode))
        return cli_error(EXIT_UNREACHABLE, "cannot reach the daemon at %s: it is not a socket",
                         path);
    if (r == -ENOENT || r == -ECONNREFUSED) {
        start = strcmp(path, SYSTEM_SOCKET) == 0
                    ? "; is it running? Start it (systemctl start shmd.socket), or name its socket"
                    : "; is it running? Start it, or name its socket";
        name = " with --socket or SHMD_SOCKET";
    } else if (r == -EACCES) {
        start = "; the socket's mode and group say who may";
    }
    if (lacks_runtime_directory(cli))
        runtime = "; a daemon of your own was not looked for, as XDG_RUNTIME_DIR is not set";
    return cli_error(EXIT_UNREACHABLE, "cannot reach the daemon at %s: %s%s%s%s",
                     *path ? path : "the path in SHMD_SOCKET", strerror(-r), start, name, runtime);
}

int cli_connect(struct cli *cli)
{
    char path[sizeof(((struct sockaddr_un *)NULL)->sun_path)] = "";
    int r = 0;
    if (cli->options.socket)
        snprintf(path, sizeof(path), "%s", cli->options.socket);
    else
        r = shmd_socket_path(path, sizeof(path));
    if (r == 0)
        r = shmd_connect(cli->options.socket, cli_given(cli, OPT(TIMEOUT)) ? LATE_MS : -1,
                         &cli->shmd);
    return r == 0 ? 0 : tell_unreachable(cli, path, r);
}

int cli_target(const struct cli *cli, struct shmd_target *ret)
{
    const struct options *o = &cli->options;
    struct shmd_target target = {
        .name = cli->n_args > 0 ? cli->args[0] : NULL,
        .has_shmid = cli_given(cli, OPT(SHMID)),
        .shmid = o->shmid,
        .key = o->key,
        .serial = o->serial,
    };
    bool has_key = cli_given(cli, OPT(KEY));
    int n = (target.name != NULL) + target.has_shmid + has_key;
    if (n > 1)
        return cli_usage("%s takes only one of NAME, --shmid and --key", cli->command->name);
    if (n == 0 && !cli_given(cli, OPT(SERIAL)))
        return cli_usage("%s needs to know which segment: NAME, --shmid N, --key K or --serial N",
                         cli->command->name);
    if (has_key && o->key == 0)
        return cli_usage("--key 0 is IPC_PRIVATE and denotes no segment");
    *ret = target;
    return 0;
}

int cli_shares_namespace(struct cli *cli, bool *ret)
{
    struct shmd_info *info;
    int r = shmd_info(cli->shmd, &info);
    if (r != 0)
        return cli_failure(cli, r);
    uint64_t own = own_ipc_namespace();
    *ret = own == 0 || own == info->ipc_namespace;
    shmd_info_free(info);
    return 0;
}

int cli_stat(struct cli *cli, struct shmd_segment **ret)
{
    struct shmd_target target;
    int r = cli_target(cli, &target);
    if (r != 0)
        return r;
    r = cli_connect(cli);
    if (r != 0)
        return r;
    r = shmd_stat(cli->shmd, &target, ret);
    return r != 0 ? cli_failure(cli, r) : 0;
}

static void help(void)
{
    puts("Usage: shmdctl [--socket PATH] [--json] COMMAND [OPTIONS] [ARGUMENTS]\n\n"
         "Manages System V shared memory through the daemon shmd.\n\nCommands:");
    for (size_t i = 0; i < commands_count; i++)
        printf("  %-8s %s\n", commands[i].name, commands[i].summary);
    puts("\nOptions:");
    options_list(GLOBAL);
    puts("\nExit status:");
    exit_status_list();
    puts("\n'shmdctl COMMAND --help' tells a command's options; shmdctl(1) tells everything.");
}

static void help_command(const struct command *command)
{
    printf("Usage: shmdctl %s [OPTIONS]%s%s\n\n%s.\n\nOptions:\n", command->name,
           *command->arguments ? " " : "", command->arguments, command->summary);
    options_list(command->options | EVERYWHERE);
    if (command->options & OPT(OUTPUT))
        output_list_columns();
}

static int unknown_command(const char *name)
{
    char list[512] = "";
    for (size_t i = 0; i < commands_count; i++) {
        strncat(list, i ? ", " : "", sizeof(list) - strlen(list) - 1);
        strncat(list, commands[i].name, sizeof(list) - strlen(list) - 1);
    }
    return cli_usage("unknown command '%s'; there are: %s", name, list);
}

static int run_command(struct cli *cli)
{
    const struct command *command = cli->command;
    if (cli->options.given & OPT(JSON) & ~command->options)
        return cli_usage("%s does not print JSON", command->name);
    const char *gap = *command->arguments ? " " : "";
    if (cli->n_args < command->min_args)
        return cli_usage("too few arguments: shmdctl %s%s%s", command->name, gap,
                         command->arguments);
    if (cli->n_args > command->max_args)
        return cli_usage("what is '%s'? The usage is: shmdctl %s%s%s", cli->args[command->max_args],
                         command->name, gap, command->arguments);
    int status = command->run(cli);
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
    int r = options_parse(&cli->options, command->options | EVERYWHERE, true, argc, argv, &rest);
    if (r != 0)
        return r;
    cli->args = argv + rest;
    cli->n_args = argc - rest;
    if (cli_given(cli, OPT(HELP))) {
        help_command(command);
        return EXIT_OK;
    }
    return run_command(cli);
}

static int start(struct cli *cli, int argc, char **argv)
{
    int rest;
    int r = options_parse(&cli->options, GLOBAL, false, argc, argv, &rest);
    if (r != 0)
        return r;
    const char *name = rest < argc ? argv[rest] : NULL;
    if (cli_given(cli, OPT(VERSION))) {
        printf("shmdctl %s\n", shmd_version());
        return EXIT_OK;
    }
    if (cli_given(cli, OPT(HELP)) || (name && strcmp(name, "help") == 0)) {
        help();
        return EXIT_OK;
    }
    if (!name)
        return cli_usage("which command?");
    cli->command = command_find(name);
    if (!cli->command)
        return unknown_command(name);
    cli_usage_of(name);
    return parse_command(cli, argc - rest, argv + rest);
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
            return cli_error(EXIT_REFUSED, "a standard stream is closed, and /dev/null: %s",
                             strerror(errno));
    }
    return EXIT_OK;
}

int main(int argc, char **argv)
{
    if (guard_streams() != EXIT_OK)
        return EXIT_REFUSED;
    struct cli cli = {.options = {.timeout_ms = -1}};
    int status = start(&cli, argc, argv);
    options_deinit(&cli.options);
    /* What could not be written was not done, full disks included. */
    if ((fflush(stdout) != 0 || ferror(stdout)) && status == EXIT_OK)
        return cli_error(EXIT_REFUSED, "cannot write to standard output: %s", strerror(errno));
    return status;
}
