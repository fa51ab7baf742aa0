/* SPDX-License-Identifier: MIT */
/*
 * info and metrics; and call, for the methods that have no command.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/cli/cli.h"
#include "client/cli/output.h"
#include "client/cli/parse.h"
#include "client/cli/plain_text.h"

#define LINE "%-28s "

/* WHAT may be a word of the daemon's, as a limit's name is. */
static void print_text(const char *what, const char *value)
{
    char name[64];
    plain_text(what, name, sizeof(name));
    printf(LINE, name);
    print_plain(stdout, value);
    putchar('\n');
}

static void print_number(const char *what, uint64_t value)
{
    char name[64];
    plain_text(what, name, sizeof(name));
    printf(LINE "%" PRIu64 "\n", name, value);
}

static void print_bytes(const struct cli *cli, const char *what, uint64_t bytes)
{
    char text[32];
    if (cli_given(cli, OPT(BYTES))) {
        print_number(what, bytes);
        return;
    }
    format_size(bytes, text, sizeof(text));
    printf(LINE "%s\n", what, text);
}

static void print_limit(const struct shmd_limit *limit)
{
    char text[64] = "none";
    int len = 0;
    if (limit->is_counted)
        len = snprintf(text, sizeof(text), "%" PRIu64 " of ", limit->used);
    if (limit->max != UINT64_MAX)
        snprintf(text + len, sizeof(text) - (size_t)len, "%" PRIu64, limit->max);
    else if (limit->is_counted)
        snprintf(text, sizeof(text), "%" PRIu64 " (no limit)", limit->used);
    print_text(limit->name, text);
}

static void print_info(const struct cli *cli, const struct shmd_info *info)
{
    static const char *const kinds[] = {
        [DAEMON_NAMED] = "the one at the socket that was named",
        [DAEMON_USERS] = "your own (--system asks the system's)",
        [DAEMON_SYSTEMS] = "the system's",
    };
    char started[64];
    format_time(TIME_ISO, info->started_at_ms, started, sizeof(started));
    print_text("daemon", kinds[cli->daemon.kind]);
    print_text("socket", cli->daemon.path);
    print_text("version", info->version);
    print_number("protocol", (uint64_t)info->protocol);
    print_number("pid", (uint64_t)info->pid);
    print_number("uid", info->uid);
    print_text("started", started);
    print_text("boot_id", info->boot_id);
    print_number("ipc_namespace", info->ipc_namespace);
    print_text("durable", info->durable ? "yes" : "no");
    if (info->store_failure)
        print_text("store failure", info->store_failure);
    if (info->kernel.shmmax == UINT64_MAX)
        print_text("kernel shmmax", "none");
    else
        print_bytes(cli, "kernel shmmax", info->kernel.shmmax);
    if (info->kernel.shmall == UINT64_MAX)
        print_text("kernel shmall (pages)", "none");
    else
        print_number("kernel shmall (pages)", info->kernel.shmall);
    print_number("kernel shmmni", info->kernel.shmmni);
    print_number("kernel segments", info->kernel.segments);
    print_bytes(cli, "kernel bytes", info->kernel.bytes);
    print_number("kernel shm_rmid_forced", info->kernel.shm_rmid_forced);
    print_number("your segments", info->usage_segments);
    print_bytes(cli, "your bytes", info->usage_bytes);
    if (info->n_huge_page_sizes == 0)
        print_text("huge page size", "none");
    for (size_t i = 0; i < info->n_huge_page_sizes; i++)
        print_bytes(cli, "huge page size", info->huge_page_sizes[i]);
    for (size_t i = 0; i < info->n_limits; i++)
        print_limit(&info->limits[i]);
}

int cmd_info(struct cli *cli)
{
    struct shmd_info *info;
    int r = cli_connect(cli);
    if (r != 0)
        return r;
    r = shmd_info(cli_ask(cli), &info);
    if (r != 0)
        return cli_failure(cli, r);
    if (!output_json(cli))
        print_info(cli, info);
    shmd_info_free(info);
    return EXIT_OK;
}

int cmd_metrics(struct cli *cli)
{
    char *text;
    int r = cli_connect(cli);
    if (r != 0)
        return r;
    r = shmd_metrics(cli_ask(cli), &text);
    if (r != 0)
        return cli_failure(cli, r);
    for (char *line = text, *end; *line; line = end) {
        end = line + strcspn(line, "\n");
        bool is_whole = *end;
        *end = '\0';
        print_plain(stdout, line);
        putchar('\n');
        end += is_whole;
    }
    free(text);
    return EXIT_OK;
}

/* All of standard input as text; NULL when it cannot be had. */
static char *read_text(void)
{
    char *text = NULL;
    size_t size = 0;
    /* Up to the end: JSON text holds no NUL. */
    ssize_t len = getdelim(&text, &size, '\0', stdin);
    if (len >= 0 && (size_t)len == strlen(text) && !ferror(stdin))
        return text;
    free(text);
    return NULL;
}

int cmd_call(struct cli *cli)
{
    char *owned = NULL, *reply = NULL;
    const char *parameters = cli->n_args > 1 ? cli->args[1] : NULL;
    if (parameters && strcmp(parameters, "-") == 0) {
        parameters = owned = read_text();
        if (!owned)
            return cli_error(EXIT_REFUSED, "there is no JSON text on standard input");
    }
    int r = cli_connect(cli);
    if (r != 0) {
        free(owned);
        return r;
    }
    r = shmd_call(cli_ask(cli), cli->args[0], parameters, &reply);
    free(owned);
    if (reply)
        output_json_text(reply, strlen(reply));
    free(reply);
    if (r == -EINVAL)
        return cli_usage("the parameters of %s are not one JSON value; they are an object such as "
                         "'{\"name\":\"frames\"}'",
                         cli->args[0]);
    if (r != 0)
        return cli_failure(cli, r);
    cli_warn_of_ids(cli);
    return EXIT_OK;
}
