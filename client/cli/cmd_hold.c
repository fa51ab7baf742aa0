/* SPDX-License-Identifier: MIT */
/*
 * hold and release.
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

#include "client/cli/advice.h"
#include "client/cli/child.h"
#include "client/cli/cli.h"
#include "client/cli/output.h"
#include "client/cli/target_text.h"

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

static int show_and_hold(struct cli *cli, const struct shmd_segment *segment, int signals)
{
    int status = output_segment(cli, segment);
    fflush(stdout);
    cli_warn_of_ids(cli);
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
    const struct shmd_trust trust = cli_trust(cli);
    int r = shmd_stat_trusted(cli_ask(cli), target, &trust, &segment);
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

/* It is there, and is none that could be held. */
static int refuse_lifetime(const struct cli *cli, const struct shmd_segment *segment)
{
    const char *name = cli->args[0], *word = shmd_lifetime_word(segment->lifetime);
    char named[TARGET_TEXT_SIZE];
    typed_target(cli, named);
    if (segment->lifetime == SHMD_LIFETIME_PERSISTENT && advice_may_change(segment))
        return cli_error(EXIT_REFUSED,
                         "%s is persistent and has no holders: it stays until somebody removes it; "
                         "if it is to go with its last holder: %s hold %s --lifetime process",
                         name, advice_program(cli), named);
    if (segment->lifetime == SHMD_LIFETIME_PERSISTENT)
        return cli_error(EXIT_REFUSED,
                         "%s is persistent and has no holders: it stays until somebody removes it",
                         name);
    return cli_error(EXIT_REFUSED, "%s has no holders: its lifetime is %s", name,
                     word ? word : "unknown");
}

/* 0 or an exit status. */
static int hold(struct cli *cli, const struct shmd_target *target, struct shmd_segment **ret)
{
    const struct shmd_trust trust = cli_trust(cli);
    int r = shmd_hold_trusted(cli_ask(cli), target, &trust, ret);
    return r != 0 ? cli_failure(cli, r) : EXIT_OK;
}

/* Waiting and holding are one step, so the last holder's exit cannot come in between. */
static int wait_and_hold(struct cli *cli, struct shmd_segment **ret)
{
    const struct shmd_trust trust = cli_trust(cli);
    struct shmd_segment *segment;
    int status = cli_wait(cli, SHMD_WAIT_HOLD, &trust, &segment);
    if (status != EXIT_OK)
        return status;
    if (segment->lifetime != SHMD_LIFETIME_PROCESS &&
        segment->lifetime != SHMD_LIFETIME_CONNECTION) {
        status = refuse_lifetime(cli, segment);
        shmd_segment_free(segment);
        return status;
    }
    *ret = segment;
    return EXIT_OK;
}

static int check_wait(const struct cli *cli)
{
    return cli_given(cli, OPT(WAIT)) && cli_given(cli, OPT(SHMID) | OPT(KEY) | OPT(SERIAL))
               ? cli_usage(
                     "--wait takes a NAME: a segment that does not exist yet has nothing else")
               : 0;
}

int cmd_hold(struct cli *cli)
{
    struct shmd_target target;
    struct shmd_segment *segment = NULL; /* set when it is held */
    bool converted = false;
    int signals = -1;
    int r = child_check(cli);
    if (r == 0)
        r = check_lifetime(cli);
    if (r == 0)
        r = check_wait(cli);
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
    if (status == EXIT_OK && cli_given(cli, OPT(WAIT)))
        status = wait_and_hold(cli, &segment);
    else if (status == EXIT_OK)
        status = hold(cli, &target, &segment);
    if (segment) {
        if (cli->child)
            status = child_hold(cli, segment);
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

/* How many holders TARGET has; 0: that cannot be seen. */
static uint64_t count_holders(struct cli *cli, const struct shmd_target *target)
{
    struct shmd_segment *segment;
    if (shmd_stat(cli_ask(cli), target, &segment) != 0)
        return 0;
    uint64_t holders = segment->holders;
    shmd_segment_free(segment);
    return holders;
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
    uint64_t before = count_holders(cli, &target);
    r = shmd_release(cli_ask(cli), &target, &segment);
    if (r != 0)
        return cli_failure(cli, r);
    int status = output_segment(cli, segment);
    if (before > 0 && segment->holders >= before)
        cli_note(cli, "this process did not hold it, so nothing has changed: a holder releases it "
                      "itself, by exec or by its end");
    cli_warn_of_ids(cli);
    shmd_segment_free(segment);
    return status;
}
