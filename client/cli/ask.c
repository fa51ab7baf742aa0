/*
 * How a command comes to an answer: the connection to the daemon, and the segment that the command
 * line names. Each failure is printed here, with its exit status.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "client/cli/cli.h"
#include "client/cli/kernel_segments.h"

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
