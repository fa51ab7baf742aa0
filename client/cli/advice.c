/* SPDX-License-Identifier: MIT */
#include "client/cli/advice.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/cli/plain_text.h"

#define PROGRAM "shmdctl"

enum { QUOTES = sizeof("$''") }; /* what shell_word() adds to a word, with its end */

const char *advice_program(const struct cli *cli)
{
    static char program[4096];
    char path[sizeof(program) - sizeof(PROGRAM " --socket ")];
    const char *option = "";
    path[0] = '\0';
    if (cli_given(cli, OPT(USER))) {
        option = " --user";
    } else if (cli_given(cli, OPT(SYSTEM))) {
        option = " --system";
    } else if (cli->options.socket) {
        option = " --socket ";
        shell_word(cli->options.socket, path, sizeof(path));
        if (!*path) /* it is longer than any socket's */
            strcpy(path, "PATH");
    }
    snprintf(program, sizeof(program), PROGRAM "%s%s", option, path);
    return program;
}

char *advice_text(const struct cli *cli, const char *text)
{
    char *ret = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&ret, &size);
    if (!out)
        return NULL;
    for (const char *at; (at = strstr(text, PROGRAM " ")); text = at + strlen(PROGRAM))
        fprintf(out, "%.*s%s", (int)(at - text), text, advice_program(cli));
    fputs(text, out);
    if (fclose(out) == 0)
        return ret;
    free(ret);
    return NULL;
}

char *advice_word(const char *text)
{
    size_t size = PLAIN_TEXT_GROWTH * strlen(text) + QUOTES;
    char *ret = malloc(size);
    if (ret)
        shell_word(text, ret, size);
    return ret;
}

bool advice_may_change(const struct shmd_segment *segment)
{
    uint32_t uid = geteuid();
    return uid == 0 || uid == segment->uid || uid == segment->creator.uid;
}

/* COUNT words; false: out of memory. */
static bool add_words(FILE *out, char **words, int count)
{
    for (int i = 0; i < count; i++) {
        char *word = advice_word(words[i]);
        if (!word)
            return false;
        fprintf(out, " %s", word);
        free(word);
    }
    return true;
}

static int count_words(char **words)
{
    int n = 0;
    while (words && words[n])
        n++;
    return n;
}

char *advice_child(const struct cli *cli)
{
    char *ret = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&ret, &size);
    if (!out)
        return NULL;
    bool is_whole = add_words(out, cli->child, count_words(cli->child));
    if (fclose(out) == 0 && is_whole)
        return ret;
    free(ret);
    return NULL;
}

/* Behind "--" nothing is an option. */
static bool takes_options(const struct cli *cli)
{
    return cli->n_options == 0 || strcmp(cli->args[-1], "--") != 0;
}

char *advice_line(const struct cli *cli, int at, const char *instead)
{
    char *ret = NULL;
    size_t size = 0;
    FILE *out = takes_options(cli) ? open_memstream(&ret, &size) : NULL;
    if (!out)
        return NULL;
    fputs(PROGRAM, out);
    bool is_whole = add_words(out, cli->words_before, cli->n_words_before);
    fprintf(out, " %s", cli->command->name);
    is_whole = is_whole && add_words(out, cli->args - cli->n_options, cli->n_options + at);
    fprintf(out, "%s%s", *instead ? " " : "", instead);
    is_whole = is_whole && add_words(out, cli->args + at + 1, cli->n_args - at - 1);
    if (cli->child) {
        fputs(" --", out);
        is_whole = is_whole && add_words(out, cli->child, count_words(cli->child));
    }
    if (fclose(out) == 0 && is_whole)
        return ret;
    free(ret);
    return NULL;
}
