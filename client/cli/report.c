/*
 * How a failure is reported, and with which exit status: the only table of both.
 */
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/cli/cli.h"
#include "client/cli/hints.h"
#include "client/cli/plain_text.h"
#include "protocol/json_slice.h"

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

static bool is_word_part(char c)
{
    return isalnum((unsigned char)c) || c == '_';
}

/* Whether TEXT has WORD, and not only as a part of a longer word. */
static bool has_word(const char *text, struct json_slice word)
{
    const char *end = text + strlen(text);
    for (const char *at = text; at < end; at++) {
        at = memmem(at, (size_t)(end - at), word.text, word.len);
        if (!at)
            return false;
        if ((at == text || !is_word_part(at[-1])) && !is_word_part(at[word.len]))
            return true;
    }
    return false;
}

static bool is_empty_list(struct json_slice value)
{
    return value.len == 2 && memcmp(value.text, "[]", 2) == 0;
}

/* The parameters of a refusal whose values its sentence does not have. Strings are names, words and
 * sentences, so they can be read without unescaping. */
static void print_parameters(FILE *out, const struct shmd_failure *failure)
{
    struct json_walk walk =
        json_walk_begin((struct json_slice){failure->parameters, strlen(failure->parameters)});
    struct json_slice key, value;
    const char *before = " (";
    while (json_walk_next(&walk, &key, &value)) {
        if (value.len > 1 && *value.text == '"')
            value = (struct json_slice){value.text + 1, value.len - 2};
        if (value.len == 0 || is_empty_list(value) || has_word(failure->message, value))
            continue;
        if (key.len == 3 && memcmp(key.text, "key", 3) == 0) /* as ipcs and its user write it */
            fprintf(out, "%skey: 0x%08lx", before, strtoul(value.text, NULL, 10));
        else
            fprintf(out, "%s%.*s: %.*s", before, (int)key.len, key.text, (int)value.len,
                    value.text);
        before = "; ";
    }
    if (*before == ';')
        fputc(')', out);
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
        fputs(failure->message, out);
        print_parameters(out, failure);
        hints_add(out, failure);
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
