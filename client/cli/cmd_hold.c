/*
 * hold, release and run. A holder is a process (or its connection), so the command to be run
 * replaces shmdctl by exec: it is the holder then, and its exit status is shmdctl's, whatever
 * happens to either.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/cli/cli.h"
#include "client/cli/output.h"

static int become(char **command)
{
    fflush(stdout);
    execvp(*command, command);
    int error = errno;
    return cli_error(error == ENOENT ? EXIT_NO_SUCH_COMMAND : EXIT_CANNOT_RUN, "cannot run %s: %s",
                     *command, strerror(error));
}

static int check_child(const struct cli *cli)
{
    return cli->child && !*cli->child ? cli_usage("a command must follow --") : 0;
}

/* Whether the end of standard input means that the user ended it: not for /dev/null and files. */
static bool input_can_end(void)
{
    struct stat st;
    return isatty(STDIN_FILENO) ||
           (fstat(STDIN_FILENO, &st) == 0 && (S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode)));
}

static bool input_ended(void)
{
    char waste[4096];
    return read(STDIN_FILENO, waste, sizeof(waste)) == 0;
}

/*
 * Until SIGINT or SIGTERM, or the end of input; when the connection is what holds, also until that
 * is lost. 0, or an exit status. RET_CONNECTED: it was not lost.
 */
static int wait_for_end(const struct cli *cli, const struct shmd_segment *segment, int signals,
                        bool *ret_connected)
{
    struct pollfd fds[] = {
        {.fd = signals, .events = POLLIN},
        {.fd = shmd_fd(cli->shmd), .events = POLLIN},
        {.fd = input_can_end() ? STDIN_FILENO : -1, .events = POLLIN},
    };
    *ret_connected = true;
    for (;;) {
        if (poll(fds, COUNT(fds), -1) < 0) {
            if (errno == EINTR)
                continue;
            return cli_error(EXIT_REFUSED, "cannot wait: %s", strerror(errno));
        }
        if (fds[0].revents)
            return 0;
        if (fds[1].revents) {
            /* The daemon sends nothing unasked, so the connection has ended. */
            *ret_connected = false;
            fds[1].fd = -1;
            if (segment->lifetime != SHMD_LIFETIME_PROCESS)
                return cli_error(EXIT_UNREACHABLE, "the daemon closed the connection");
        }
        if (fds[2].revents && input_ended())
            return 0;
    }
}

static int hold_until_end(struct cli *cli, const struct shmd_segment *segment, int signals)
{
    bool connected;
    int status = wait_for_end(cli, segment, signals, &connected);
    /* A process stays a holder while the daemon restarts; it stops being one by exiting. */
    if (status != 0 || !connected)
        return status;
    /* Release it now rather than by exiting, so that it is released when this command has ended.
     * The segment may be gone already. */
    cli_restart_timeout(cli);
    int r = shmd_release(cli_ask(cli), &(struct shmd_target){.serial = segment->serial}, NULL);
    return r != 0 && r != SHMD_ERROR_NO_SUCH_SEGMENT && r != SHMD_ERROR_STALE_SEGMENT
               ? cli_failure(cli, r)
               : EXIT_OK;
}

/* The connection is what holds a segment of lifetime `connection`: COMMAND inherits it. */
static int hold_by_command(const struct cli *cli, const struct shmd_segment *segment)
{
    if (segment->lifetime == SHMD_LIFETIME_CONNECTION && fcntl(shmd_fd(cli->shmd), F_SETFD, 0) < 0)
        return cli_error(EXIT_REFUSED, "cannot hand the connection on: %s", strerror(errno));
    return become(cli->child);
}

static int show_and_hold(struct cli *cli, const struct shmd_segment *segment, int signals)
{
    int status = output_segment(cli, segment);
    fflush(stdout);
    return status == EXIT_OK ? hold_until_end(cli, segment, signals) : status;
}

/* --- hold --lifetime: the process that holds sets the lifetime */

static int check_lifetime(const struct cli *cli)
{
    enum shmd_lifetime lifetime = cli->options.lifetime;
    if (!cli_given(cli, OPT(LIFETIME)) || lifetime == SHMD_LIFETIME_PROCESS ||
        lifetime == SHMD_LIFETIME_CONNECTION)
        return 0;
    return cli_usage("a segment of lifetime %s has no holders: hold takes process or connection",
                     shmd_lifetime_word(lifetime));
}

/*
 * By this process and no other: whoever gives the lifetime is the first holder. Only what persists
 * is converted, because holders under another lifetime would lose their hold. 0 or an exit status;
 * TARGET is the segment's serial then.
 */
static int convert(struct cli *cli, struct shmd_target *target, bool *ret_converted)
{
    const struct shmd_set_options options = {.lifetime = cli->options.lifetime};
    struct shmd_segment *segment;
    int r = shmd_stat(cli_ask(cli), target, &segment);
    if (r != 0)
        return cli_failure(cli, r);
    enum shmd_lifetime before = segment->lifetime;
    bool managed = segment->managed;
    if (managed)
        *target = (struct shmd_target){.serial = segment->serial};
    shmd_segment_free(segment);
    if (!managed || before == options.lifetime)
        return EXIT_OK; /* hold itself refuses a foreign segment, with the reason */
    if (before != SHMD_LIFETIME_PERSISTENT)
        return cli_error(
            EXIT_REFUSED,
            "its lifetime is %s, and its present holders would lose it: hold can change "
            "the lifetime of a persistent segment only",
            shmd_lifetime_word(before));
    r = shmd_set(cli_ask(cli), target, &options, NULL);
    if (r != 0)
        return cli_failure(cli, r);
    *ret_converted = true;
    return EXIT_OK;
}

static void convert_back(struct cli *cli, const struct shmd_target *target)
{
    const struct shmd_set_options options = {.lifetime = SHMD_LIFETIME_PERSISTENT};
    int r = shmd_set(cli_ask(cli), target, &options, NULL);
    if (r != 0)
        (void)cli_failure(cli, r);
}

/* 0 or an exit status. */
static int hold(struct cli *cli, const struct shmd_target *target, struct shmd_segment **ret)
{
    int r = shmd_hold(cli_ask(cli), target, ret);
    if (r == SHMD_ERROR_NOT_HOLDABLE)
        return cli_error(EXIT_REFUSED, "a segment of this lifetime has no holders; if it is "
                                       "persistent and should be removed with its last holder: "
                                       "shmdctl hold TARGET --lifetime process");
    return r != 0 ? cli_failure(cli, r) : EXIT_OK;
}

int cmd_hold(struct cli *cli)
{
    struct shmd_target target;
    struct shmd_segment *segment;
    bool converted = false;
    int signals = -1;
    int r = check_child(cli);
    if (r == 0)
        r = check_lifetime(cli);
    if (r == 0)
        r = cli_target(cli, &target);
    if (r == 0)
        r = output_check(&cli->options);
    if (r == 0)
        r = cli_connect_for_ids(cli, IDS_SHOWN);
    if (r != 0)
        return r;
    if (!cli->child) {
        /* Before it is held, so that an early signal is not lost. */
        sigset_t set;
        sigemptyset(&set);
        sigaddset(&set, SIGINT);
        sigaddset(&set, SIGTERM);
        sigaddset(&set, SIGHUP);
        sigprocmask(SIG_BLOCK, &set, NULL);
        signals = signalfd(-1, &set, SFD_CLOEXEC);
        if (signals < 0)
            return cli_error(EXIT_REFUSED, "cannot wait for signals: %s", strerror(errno));
    }
    int status = cli_given(cli, OPT(LIFETIME)) ? convert(cli, &target, &converted) : EXIT_OK;
    if (status == EXIT_OK)
        status = hold(cli, &target, &segment);
    if (status == EXIT_OK) {
        if (cli->child)
            status = hold_by_command(cli, segment);
        else
            status = show_and_hold(cli, segment, signals);
        shmd_segment_free(segment);
        /* The command that was to hold it did not start. */
        if (cli->child && converted)
            convert_back(cli, &target);
    }
    if (signals >= 0)
        close(signals);
    return status;
}

int cmd_release(struct cli *cli)
{
    struct shmd_target target;
    struct shmd_segment *segment;
    int r = cli_target(cli, &target);
    if (r == 0)
        r = output_check(&cli->options);
    if (r == 0)
        r = cli_connect_for_ids(cli, IDS_SHOWN);
    if (r != 0)
        return r;
    r = shmd_release(cli_ask(cli), &target, &segment);
    if (r == SHMD_ERROR_NOT_HOLDABLE)
        return cli_error(EXIT_REFUSED,
                         "there is nothing to release: a segment of this lifetime has no holders");
    if (r != 0)
        return cli_failure(cli, r);
    int status = output_segment(cli, segment);
    shmd_segment_free(segment);
    return status;
}

/* The segment, in the environment of the command. 0 or an exit status. */
static int set_environment(const struct cli *cli, const struct shmd_segment *segment)
{
    char shmid[16], size[24], serial[24];
    bool is_chosen = cli_given(cli, OPT(SOCKET) | OPT(USER) | OPT(SYSTEM));
    snprintf(shmid, sizeof(shmid), "%d", segment->shmid);
    snprintf(size, sizeof(size), "%" PRIu64, segment->size);
    snprintf(serial, sizeof(serial), "%" PRIu64, segment->serial);
    if (setenv("SHMD_SHMID", shmid, 1) < 0 || setenv("SHMD_SIZE", size, 1) < 0 ||
        setenv("SHMD_SERIAL", serial, 1) < 0 || setenv("SHMD_NAME", cli->args[0], 1) < 0 ||
        (is_chosen && setenv("SHMD_SOCKET", cli->daemon.path, 1) < 0))
        return cli_error(EXIT_REFUSED, "cannot set the environment: %s", strerror(errno));
    return 0;
}

static const char *lifetime_text(const struct shmd_segment *segment)
{
    const char *word = shmd_lifetime_word(segment->lifetime);
    return word ? word : "unknown";
}

/* One that was there already keeps its lifetime. */
static int join(struct cli *cli, const struct shmd_segment *segment)
{
    int r = shmd_hold(cli_ask(cli), &(struct shmd_target){.serial = segment->serial}, NULL);
    if (r == SHMD_ERROR_NOT_HOLDABLE)
        return cli_error(EXIT_REFUSED,
                         "%s exists already, and a segment of lifetime %s has no holders%s",
                         cli->args[0], lifetime_text(segment),
                         segment->lifetime == SHMD_LIFETIME_PERSISTENT
                             ? "; to remove it with the command: shmdctl hold NAME "
                               "--lifetime process -- COMMAND"
                             : "");
    if (r != 0)
        return cli_failure(cli, r);
    cli_note(cli, "%s exists already and is left as it is; the command becomes one of its holders",
             cli->args[0]);
    return EXIT_OK;
}

int cmd_run(struct cli *cli)
{
    struct shmd_create_options options;
    struct shmd_segment *segment;
    bool created;
    int status = check_child(cli);
    if (status == 0 && !cli->child)
        status = cli_usage("run needs a command after --");
    if (status == 0)
        status = options_create(&cli->options, &options);
    if (status == 0)
        status = cli_connect_for_ids(cli, IDS_USED);
    if (status != 0)
        return status;
    options.name = cli->args[0];
    options.lifetime = SHMD_LIFETIME_PROCESS;
    int r = shmd_create(cli_ask(cli), &options, &segment, &created);
    if (r != 0)
        return cli_failure(cli, r);
    /* The creator holds it already. */
    status = created ? EXIT_OK : join(cli, segment);
    if (status == 0)
        status = set_environment(cli, segment);
    if (status == 0)
        status = hold_by_command(cli, segment);
    shmd_segment_free(segment);
    return status;
}
