/*
 * How a failure is told, and with which exit status: the only table of both.
 */
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "client/cli/cli.h"
#include "protocol/json_slice.h"

static const struct {
    enum exit_status status;
    const char *meaning;
    int codes[2]; /* of enum shmd_error, that end in it */
} statuses[] = {
    {EXIT_OK, "done", {0, 0}},
    {EXIT_REFUSED, "refused for a reason not listed here, or it failed on this side", {0, 0}},
    {EXIT_USAGE, "the command line is wrong", {0, 0}},
    {EXIT_UNREACHABLE, "the daemon cannot be reached, or was lost", {0, 0}},
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
};

void exit_status_list(void)
{
    for (size_t i = 0; i < COUNT(statuses); i++)
        printf("  %2d  %s\n", (int)statuses[i].status, statuses[i].meaning);
}

static int status_of(int code)
{
    switch (code) {
    case -EACCES:
    case -EPERM: return EXIT_PERMISSION_DENIED;
    case -EINVAL:
    case -EIDRM: return EXIT_NO_SUCH_SEGMENT; /* shmat: it went while we looked */
    case -ETIMEDOUT: return EXIT_TIMED_OUT;
    case -ECONNRESET:
    case -ENOTCONN:
    case -EPIPE: return EXIT_UNREACHABLE;
    }
    for (size_t i = 0; code > 0 && i < COUNT(statuses); i++)
        if (statuses[i].codes[0] == code || statuses[i].codes[1] == code)
            return (int)statuses[i].status;
    return EXIT_REFUSED;
}

__attribute__((format(printf, 1, 0))) static void say(const char *format, va_list args)
{
    fflush(stdout);
    fputs("shmdctl: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
}

int cli_error(int status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    say(format, args);
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
    fputs("shmdctl: ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fprintf(stderr, "\nTry 'shmdctl %s%s--help'.\n", usage_command, *usage_command ? " " : "");
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

/* What the daemon says beyond its sentence: parameters whose values are not in it. Strings are
 * names, words and sentences: they need no unescaping to be read. */
static void print_parameters(const struct shmd_failure *failure)
{
    struct json_walk walk =
        json_walk_begin((struct json_slice){failure->parameters, strlen(failure->parameters)});
    struct json_slice key, value;
    const char *before = " (";
    while (json_walk_next(&walk, &key, &value)) {
        if (value.len > 1 && *value.text == '"')
            value = (struct json_slice){value.text + 1, value.len - 2};
        if (value.len == 0 || has_word(failure->message, value))
            continue;
        fprintf(stderr, "%s%.*s: %.*s", before, (int)key.len, key.text, (int)value.len, value.text);
        before = "; ";
    }
    if (*before == ';')
        fputc(')', stderr);
}

int cli_failure(const struct cli *cli, int r)
{
    const struct shmd_failure *failure = shmd_last_failure(cli->shmd);
    fflush(stdout);
    if (failure) {
        fprintf(stderr, "shmdctl: %s", failure->message);
        print_parameters(failure);
        fputc('\n', stderr);
    } else {
        fprintf(stderr, "shmdctl: %s\n", shmd_strerror(r));
    }
    return status_of(r);
}
