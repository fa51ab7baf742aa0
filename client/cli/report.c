/* SPDX-License-Identifier: MIT */
/*
 * How a failure is reported, and with which exit status: the only table of both.
 */
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/cli/cli.h"
#include "client/cli/hints.h"
#include "client/cli/plain_text.h"

static const struct {
    enum exit_status status;
    const char *meaning;
    int codes[2]; /* of enum shmd_error, that end in it */
} statuses[] = {
    {EXIT_OK, "done", {0, 0}},
    {EXIT_REFUSED, "refused for a reason not listed here, or it failed on this side", {0, 0}},
    {EXIT_USAGE, "the command line is wrong", {0, 0}},
    {EXIT_UNREACHABLE,
     "the daemon cannot be reached, does not answer in time, or was lost",
     {SHMD_ERROR_SHUTTING_DOWN, 0}},
    {EXIT_NO_SUCH_SEGMENT, "NoSuchSegment", {SHMD_ERROR_NO_SUCH_SEGMENT, 0}},
    {EXIT_PERMISSION_DENIED, "PermissionDenied", {SHMD_ERROR_PERMISSION_DENIED, 0}},
    {EXIT_EXISTS, "SegmentExists or KeyInUse", {SHMD_ERROR_SEGMENT_EXISTS, SHMD_ERROR_KEY_IN_USE}},
    {EXIT_LIMIT,
     "LimitReached or QuotaExceeded",
     {SHMD_ERROR_LIMIT_REACHED, SHMD_ERROR_QUOTA_EXCEEDED}},
    {EXIT_BUSY, "SegmentBusy", {SHMD_ERROR_SEGMENT_BUSY, 0}},
    {EXIT_TIMED_OUT, "TimedOut", {SHMD_ERROR_TIMED_OUT, 0}},
    {EXIT_INITIALISER_DIED, "InitialiserDied", {SHMD_ERROR_INITIALISER_DIED, 0}},
    {EXIT_STALE, "StaleSegment", {SHMD_ERROR_STALE_SEGMENT, 0}},
    {EXIT_SIZE_MISMATCH, "SizeMismatch", {SHMD_ERROR_SIZE_MISMATCH, 0}},
    {EXIT_NOT_STARTED, "run, and hold with a command: the command was not started", {0, 0}},
    {EXIT_CANNOT_RUN, "run and hold: the command cannot be run", {0, 0}},
    {EXIT_NO_SUCH_COMMAND, "run and hold: there is no such command", {0, 0}},
};

void exit_status_list(void)
{
    for (size_t i = 0; i < COUNT(statuses); i++)
        printf("  %3d  %s\n", (int)statuses[i].status, statuses[i].meaning);
}

bool cli_is_lost(int r)
{
    return r == -ECONNRESET || r == -ENOTCONN || r == -EPIPE || r == -ETIMEDOUT ||
           r == SHMD_ERROR_SHUTTING_DOWN;
}

static int status_of(int code)
{
    if (cli_is_lost(code))
        return EXIT_UNREACHABLE;
    switch (code) {
    case -EACCES:
    case -EPERM: return EXIT_PERMISSION_DENIED;
    case -EINVAL:
    case -EIDRM: return EXIT_NO_SUCH_SEGMENT; /* shmat: it went while we looked */
    }
    for (size_t i = 0; code > 0 && i < COUNT(statuses); i++)
        if (statuses[i].codes[0] == code || statuses[i].codes[1] == code)
            return (int)statuses[i].status;
    return EXIT_REFUSED;
}

/* What standard output has is written first: the two may go to one terminal. */
__attribute__((format(printf, 1, 0))) static void say(const char *format, va_list args)
{
    char *text;
    fflush(stdout);
    fputs("shmdctl: ", stderr);
    if (vasprintf(&text, format, args) < 0) {
        fputs("out of memory", stderr);
    } else {
        print_plain(stderr, text);
        free(text);
    }
}

int cli_error(int status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    say(format, args);
    fputc('\n', stderr);
    va_end(args);
    return status;
}

void cli_note(const struct cli *cli, const char *format, ...)
{
    va_list args;
    if (cli_given(cli, OPT(JSON)))
        return;
    va_start(args, format);
    say(format, args);
    fputc('\n', stderr);
    va_end(args);
}

static const char *usage_command = ""; /* which cli_usage() is about */

void cli_usage_of(const char *command)
{
    usage_command = command;
}

int cli_usage(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    say(format, args);
    va_end(args);
    /* One call for both ends of lines, for stderr may go out at each that it sees. */
    char advice[80];
    snprintf(advice, sizeof(advice), "\nTry 'shmdctl %s%s--help'.\n", usage_command,
             *usage_command ? " " : "");
    fputs(advice, stderr);
    return EXIT_USAGE;
}

/* Whether standard output is a pipe or a socket whose other end is closed. */
static bool reader_is_gone(void)
{
    struct pollfd out = {.fd = STDOUT_FILENO, .events = POLLOUT};
    return poll(&out, 1, 0) == 1 && (out.revents & (POLLERR | POLLHUP)) != 0;
}

int cli_output_failure(int error)
{
    if (error == EPIPE || reader_is_gone())
        return EXIT_REFUSED;
    return cli_error(EXIT_REFUSED, "cannot write to standard output: %s", strerror(error));
}

static void print_whole(FILE *out, const struct shmd *shmd)
{
    size_t length = shmd_failure_text(shmd, NULL, 0);
    char *text = malloc(length + 1);
    if (text)
        shmd_failure_text(shmd, text, length + 1);
    fputs(text ? text : shmd_last_failure(shmd)->message, out);
    free(text);
}

/* The daemon's refusal, or what went wrong in asking it. */
static void print_failure(FILE *out, const struct cli *cli, int r)
{
    const struct shmd_failure *failure = shmd_last_failure(cli->shmd);
    char daemon[DAEMON_TEXT_SIZE];
    if (!failure) {
        fputs(shmd_strerror(r), out);
        return;
    }
    if (!hints_replace(out, cli, failure)) {
        print_whole(out, cli->shmd);
        hints_add(out, cli, failure);
    }
    daemon_choice_text(&cli->daemon, daemon);
    fprintf(out, " [%s%s]", daemon, daemon_choice_hint(&cli->daemon));
}

int cli_failure_of(const struct cli *cli, const char *subject, int r)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (out) {
        if (subject)
            fprintf(out, "%s: ", subject);
        print_failure(out, cli, r);
        if (fclose(out) == 0)
            (void)cli_error(EXIT_OK, "%s", text);
        free(text);
    } else {
        (void)cli_error(EXIT_OK, "%s", shmd_strerror(r));
    }
    return status_of(r);
}

int cli_failure(const struct cli *cli, int r)
{
    return cli_failure_of(cli, NULL, r);
}
