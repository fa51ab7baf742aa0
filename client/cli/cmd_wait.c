/* SPDX-License-Identifier: MIT */
/*
 * wait: until a segment exists and is ready. A daemon that restarts meanwhile is connected to
 * again; one that cannot be reached at the beginning is not waited for.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "client/cli/cli.h"
#include "client/cli/output.h"
#include "protocol/limits.h"

enum {
    LATE_MS = 5000, /* how much later than the timeout an answer may come */
    RETRY_MS = 100, /* between two attempts to connect again */
    TELL_MS = 1000, /* after which it is told that the daemon is gone */
};

static void pause_ms(int64_t ms)
{
    const struct timespec time = {.tv_sec = (time_t)(ms / 1000),
                                  .tv_nsec = (long)(ms % 1000) * 1000000};
    (void)nanosleep(&time, NULL);
}

static bool is_over(int64_t end_ms)
{
    return end_ms >= 0 && cli_now_ms() >= end_ms;
}

/* Asks for the segment until END_MS (-1: for ever). */
static int ask(struct cli *cli, int64_t end_ms, unsigned flags, const struct shmd_trust *trust,
               struct shmd_segment **ret)
{
    /* First whether the daemon answers at all: after that, silence is no news. */
    shmd_set_timeout(cli->shmd, end_ms < 0 ? -1 : LATE_MS);
    int r = shmd_info(cli->shmd, NULL);
    if (r != 0)
        return r;
    int64_t left = end_ms < 0 ? -1 : end_ms - cli_now_ms();
    if (end_ms >= 0 && left < 0)
        left = 0;
    return shmd_wait_trusted(cli->shmd, cli->args[0], left, flags, trust, ret);
}

/* The daemon is gone: 0 when there is one again, or an exit status when the time is over. */
static int connect_again(struct cli *cli, int64_t end_ms)
{
    int64_t lost_at = cli_now_ms();
    bool is_told = false;
    shmd_disconnect(cli->shmd);
    cli->shmd = NULL;
    while (shmd_connect(cli->daemon.path, RETRY_MS, &cli->shmd) != 0) {
        char daemon[DAEMON_TEXT_SIZE];
        daemon_choice_text(&cli->daemon, daemon);
        if (is_over(end_ms))
            return cli_error(EXIT_UNREACHABLE, "lost %s, and it did not come back in time", daemon);
        if (!is_told && cli_now_ms() - lost_at >= TELL_MS) {
            (void)cli_error(EXIT_OK, "lost %s; waiting for it to come back%s", daemon,
                            end_ms < 0 ? " (--timeout sets a limit)" : "");
            is_told = true;
        }
        pause_ms(RETRY_MS);
    }
    return 0;
}

/* Why SEGMENT (NULL: there is none, or it may not be seen) is not what is waited for. */
static void state_text(const struct cli *cli, int r, const struct shmd_segment *segment, char *ret,
                       size_t size)
{
    const char *name = cli->args[0];
    if (r == SHMD_ERROR_NO_SUCH_SEGMENT)
        snprintf(ret, size, "there is no segment %s", name);
    else if (r == 0 && segment->state == SHMD_STATE_INITIALISING)
        snprintf(ret, size, "%s is initialising: pid %" PRId32 " (%s) has not made it ready", name,
                 segment->creator.pid, segment->creator.comm ? segment->creator.comm : "?");
    else
        snprintf(ret, size, "%s was not ready in time", name);
}

/* --timeout is over. */
static int tell_timeout(struct cli *cli)
{
    struct shmd_segment *segment = NULL;
    char why[SEGMENT_NAME_MAX + 128], time[64], over[96] = "", daemon[DAEMON_TEXT_SIZE];
    /* It is late already, and how things stand is worth a moment more. */
    shmd_set_timeout(cli->shmd, LATE_MS);
    int r = shmd_stat(cli->shmd, SHMD_NAME(cli->args[0]), &segment);
    state_text(cli, r, segment, why, sizeof(why));
    shmd_segment_free(segment);
    format_duration(cli->options.timeout_ms, time, sizeof(time));
    if (cli->options.timeout_ms > 0)
        snprintf(over, sizeof(over), "the time of %s is over: ", time);
    daemon_choice_text(&cli->daemon, daemon);
    return cli_error(EXIT_TIMED_OUT, "%s%s [%s%s]", over, why, daemon,
                     daemon_choice_hint(&cli->daemon));
}

int cli_wait(struct cli *cli, unsigned flags, const struct shmd_trust *trust,
             struct shmd_segment **ret)
{
    int64_t end_ms = cli->deadline_ms < 0 ? -1 : cli->deadline_ms - cli->grace_ms;
    int r = ask(cli, end_ms, flags, trust, ret);
    while (cli_is_lost(r) && r != -ETIMEDOUT) {
        int status = connect_again(cli, end_ms);
        if (status != 0)
            return status;
        cli_watch_delay(cli);
        r = ask(cli, end_ms, flags, trust, ret);
        if (r != 0 && is_over(end_ms))
            break;
        if (r != 0)
            pause_ms(RETRY_MS); /* one that ends at once each time is not asked without a pause */
    }
    if (r == SHMD_ERROR_TIMED_OUT)
        return tell_timeout(cli);
    return r != 0 ? cli_failure(cli, r) : EXIT_OK;
}

int cmd_wait(struct cli *cli)
{
    const struct shmd_trust trust = cli_trust(cli);
    struct shmd_segment *segment = NULL;
    cli->grace_ms = LATE_MS;
    int status = output_check(&cli->options);
    if (status == 0)
        status = cli_connect(cli);
    if (status == 0)
        status = cli_wait(cli, 0, &trust, &segment);
    if (status != 0)
        return status;
    status = output_segment(cli, segment);
    cli_warn_of_ids(cli);
    shmd_segment_free(segment);
    return status;
}
