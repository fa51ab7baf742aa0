/* SPDX-License-Identifier: MIT */
/*
 * run: a command and a segment that lives as long as it. Making the segment, or finding it, and
 * holding it are one step of the daemon, so that the last holder's exit cannot come in between.
 */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/cli/advice.h"
#include "client/cli/child.h"
#include "client/cli/cli.h"
#include "client/cli/target_text.h"

struct run {
    struct cli *cli;
    struct shmd_create_options options;
    struct shmd_segment *segment; /* owned; held */
    bool created;
};

enum {
    FOUND = 0,       /* an exit status when it is positive */
    LOOK_AGAIN = -1, /* it went, or another took its place */
};

static const char *lifetime_text(const struct shmd_segment *segment)
{
    const char *word = shmd_lifetime_word(segment->lifetime);
    return word ? word : "unknown";
}

static void forget(struct run *run)
{
    shmd_segment_free(run->segment);
    run->segment = NULL;
}

/* The daemon refused a stranger's segment to create: it is taken if --owner names the owner. */
static int find_trusted(struct run *run)
{
    struct cli *cli = run->cli;
    const struct shmd_trust trust = cli_trust(cli);
    int r = shmd_hold_trusted(cli_ask(cli), SHMD_NAME(cli->args[0]), &trust, &run->segment);
    if (r == SHMD_ERROR_NOT_HOLDABLE) /* whoever checks the lifetime says so */
        r = shmd_stat_trusted(cli_ask(cli), SHMD_NAME(cli->args[0]), &trust, &run->segment);
    if (r == SHMD_ERROR_NO_SUCH_SEGMENT)
        return LOOK_AGAIN;
    if (r != 0)
        return cli_failure(cli, r);
    if (run->segment->size >= run->options.size)
        return FOUND;
    return cli_error(EXIT_SIZE_MISMATCH,
                     "%s has %" PRIu64 " bytes, fewer than the %" PRIu64
                     " asked for: ask for less, or have it removed first",
                     cli->args[0], run->segment->size, run->options.size);
}

static int make_or_find(struct run *run)
{
    struct cli *cli = run->cli;
    int r = shmd_create(cli_ask(cli), &run->options, &run->segment, &run->created);
    if (r == SHMD_ERROR_PERMISSION_DENIED && cli_given(cli, OPT(OWNER)) && cli_is_stranger(cli))
        return find_trusted(run);
    return r != 0 ? cli_failure(cli, r) : FOUND;
}

/* What could not be held; of what persists, the line that gives it holders, to those who may. Their
 * segment is no stranger's, so the line needs no --owner. EXIT_REFUSED. */
static int refuse_lifetime(const struct run *run)
{
    const struct cli *cli = run->cli;
    const char *name = cli->args[0], *word = lifetime_text(run->segment);
    char named[TARGET_TEXT_SIZE];
    bool is_convertible =
        run->segment->lifetime == SHMD_LIFETIME_PERSISTENT && advice_may_change(run->segment);
    char *child = is_convertible ? advice_child(cli) : NULL;
    typed_target(cli, named);
    if (child)
        (void)cli_error(EXIT_OK,
                        "%s exists already, and a segment of lifetime %s has no holders; to remove "
                        "it with the command: %s hold %s --lifetime process --%s",
                        name, word, advice_program(cli), named, child);
    else
        (void)cli_error(EXIT_OK, "%s exists already, and a segment of lifetime %s has no holders",
                        name, word);
    free(child);
    return EXIT_REFUSED;
}

/* One that was there already keeps its lifetime. 0 or an exit status. */
static int check_existing(const struct run *run)
{
    const char *name = run->cli->args[0];
    const struct shmd_segment *segment = run->segment;
    assert(segment); /* it was found */
    if (segment->lifetime != SHMD_LIFETIME_PROCESS && segment->lifetime != SHMD_LIFETIME_CONNECTION)
        return refuse_lifetime(run);
    cli_note(run->cli,
             "%s exists already and is left as it is; the command becomes one of its holders",
             name);
    return 0;
}

/* Another process is filling the segment: waits for that, unless the command wants to see it. */
static int wait_until_ready(struct run *run)
{
    struct cli *cli = run->cli;
    const struct shmd_trust trust = cli_trust(cli);
    struct shmd_segment *ready;
    if (run->segment->state != SHMD_STATE_INITIALISING || cli_given(cli, OPT(INITIALISING)))
        return FOUND;
    int r = cli_wait(cli, 0, &trust, &ready);
    if (r != 0)
        return r;
    bool is_same = ready->serial == run->segment->serial;
    shmd_segment_free(run->segment);
    run->segment = ready;
    return is_same ? FOUND : LOOK_AGAIN;
}

static int find(struct run *run)
{
    int r;
    do {
        forget(run);
        r = make_or_find(run);
        if (r == FOUND && !run->created) {
            r = check_existing(run);
            if (r == FOUND)
                r = wait_until_ready(run);
        }
    } while (r == LOOK_AGAIN);
    return r;
}

/* The segment, in the environment of the command. 0 or an exit status. */
static int set_environment(const struct run *run)
{
    const struct cli *cli = run->cli;
    char shmid[16], size[24], serial[24];
    bool is_chosen = cli_given(cli, OPT(SOCKET) | OPT(USER) | OPT(SYSTEM));
    assert(run->segment); /* it was made or found */
    snprintf(shmid, sizeof(shmid), "%d", run->segment->shmid);
    snprintf(size, sizeof(size), "%" PRIu64, run->segment->size);
    snprintf(serial, sizeof(serial), "%" PRIu64, run->segment->serial);
    if (setenv("SHMD_SHMID", shmid, 1) < 0 || setenv("SHMD_SIZE", size, 1) < 0 ||
        setenv("SHMD_SERIAL", serial, 1) < 0 || setenv("SHMD_NAME", cli->args[0], 1) < 0 ||
        setenv("SHMD_CREATED", run->created ? "1" : "0", 1) < 0 ||
        (is_chosen && setenv("SHMD_SOCKET", cli->daemon.path, 1) < 0))
        return cli_error(EXIT_REFUSED, "cannot set the environment: %s", strerror(errno));
    return 0;
}

int cmd_run(struct cli *cli)
{
    struct run run = {.cli = cli};
    int status = child_check(cli);
    if (status == 0)
        status = options_create(cli, &run.options);
    if (status == 0)
        status = cli_connect_for_ids(cli, IDS_USED);
    if (status != 0)
        return status;
    run.options.name = cli->args[0];
    run.options.lifetime = SHMD_LIFETIME_PROCESS;
    status = find(&run);
    if (status == 0)
        status = set_environment(&run);
    if (status == 0)
        status = child_hold(cli, run.segment);
    forget(&run);
    return status;
}
