/* SPDX-License-Identifier: MIT */
/*
 * reload: the daemon reads its configuration again. When the daemon refuses, each error of the
 * files is printed on a line of its own, as compilers do: FILE:LINE: MESSAGE. When it accepts them,
 * each declared segment that is still otherwise than its file says has a line.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/cli/cli.h"
#include "client/cli/plain_text.h"
#include "protocol/json_slice.h"

static unsigned hex_digit(char c)
{
    return (unsigned)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
}

/* Prints a JSON string without its quotes and escapes. The daemon's strings are printable: what is
 * escaped is a quote, a slash or a backslash. Whatever else is escaped is printed as `?`. */
static void print_string(struct json_slice s)
{
    char *text = malloc(s.len + 1);
    size_t len = 0;
    if (!text)
        return;
    for (size_t i = 1; i + 1 < s.len; i++) {
        char c = s.text[i];
        if (c == '\\' && i + 2 < s.len) {
            c = s.text[++i];
            if (c == 'u' && i + 5 < s.len) {
                unsigned code = 0;
                for (int digit = 0; digit < 4; digit++)
                    code = code << 4 | hex_digit(s.text[++i]);
                c = '?';
                if (code >= 0x20 && code < 0x7F)
                    c = (char)code;
            } else if (!strchr("\"\\/", c)) {
                c = '?';
            }
        }
        text[len++] = c;
    }
    text[len] = '\0';
    print_plain(stderr, text);
    free(text);
}

static void print_error(struct json_slice error)
{
    struct json_slice file, line, message;
    if (!json_slice_member(error, "file", &file) || !json_slice_member(error, "line", &line) ||
        !json_slice_member(error, "message", &message))
        return;
    fputs("shmdctl: ", stderr);
    print_string(file);
    if (line.len != 1 || *line.text != '0') /* 0: it is in no single line */
        fprintf(stderr, ":%.*s", (int)line.len, line.text);
    fputs(": ", stderr);
    print_string(message);
    putc('\n', stderr);
}

static void print_errors(const struct shmd_failure *failure)
{
    const struct json_slice all = {failure->parameters, strlen(failure->parameters)};
    struct json_slice errors, key, error;
    if (!json_slice_member(all, "errors", &errors))
        return;
    struct json_walk walk = json_walk_begin(errors);
    while (json_walk_next(&walk, &key, &error))
        print_error(error);
}

/* The daemon has done what `set` can do; what is left it will not do. */
static int tell_drift(const struct shmd_segment *s, void *data)
{
    size_t *count = data, used = 0;
    char fields[256] = "", key[32];
    if (!s->declared || s->n_drift == 0)
        return 0;
    for (size_t i = 0; i < s->n_drift && used < sizeof(fields); i++)
        used += (size_t)snprintf(fields + used, sizeof(fields) - used, "%s%s", i > 0 ? ", " : "",
                                 s->drift[i]);
    snprintf(key, sizeof(key), "with the key 0x%08" PRIx32, s->key);
    ++*count;
    (void)cli_error(EXIT_OK, "the declared segment %s is not as its file says: %s",
                    s->name ? s->name : key, fields);
    return 0;
}

static int check_declared(struct cli *cli)
{
    const struct shmd_list_options all = {.scope = SHMD_SCOPE_ALL};
    size_t count = 0;
    int r = shmd_list(cli_ask(cli), &all, tell_drift, &count);
    if (r != 0)
        return cli_failure(cli, r);
    if (count == 0)
        return EXIT_OK;
    return cli_error(EXIT_REFUSED,
                     "the new configuration is in force, but the segment%s above stay%s as %s; the "
                     "daemon's log has the reason",
                     count > 1 ? "s" : "", count > 1 ? "" : "s", count > 1 ? "they are" : "it is");
}

int cmd_reload(struct cli *cli)
{
    int r = cli_connect(cli);
    if (r != 0)
        return r;
    r = shmd_reload(cli_ask(cli));
    if (r == 0)
        return check_declared(cli);
    const struct shmd_failure *failure = shmd_last_failure(cli->shmd);
    if (r != SHMD_ERROR_INVALID_CONFIGURATION || !failure)
        return cli_failure(cli, r);
    print_errors(failure);
    return cli_error(EXIT_REFUSED, "%s", failure->message);
}
