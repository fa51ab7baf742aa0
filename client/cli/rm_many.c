/* SPDX-License-Identifier: MIT */
#include "client/cli/rm_many.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/cli/format.h"
#include "client/cli/rm_one.h"
#include "client/cli/targets.h"

struct found {
    struct shmd_target target; /* the serial; the id of one that is not the daemon's */
    struct shmd_segment seen;  /* its numbers, as it was listed */
    char subject[TARGET_TEXT_SIZE];
};

struct found_list {
    struct found *rows; /* owned */
    size_t count, capacity;
};

static bool chooses_foreign(const struct cli *cli)
{
    return cli->options.scope == SHMD_SCOPE_FOREIGN || cli->options.scope == SHMD_SCOPE_ALL;
}

/* What is meant is mostly one of the others, which harm nobody else. */
static int refuse_foreign(const struct cli *cli)
{
    char user[64];
    format_user(geteuid(), user, sizeof(user));
    return cli_usage("rm %s also removes what other programs have made and the daemon does not "
                     "manage; do you mean rm --uid %s, your own, or rm --scope managed? To remove "
                     "the others, too: look with --dry-run first, then add --force",
                     cli_given(cli, OPT(ALL))       ? "--all"
                     : cli_given(cli, OPT(FOREIGN)) ? "--foreign"
                                                    : "with that --scope",
                     user);
}

int rm_many_check(const struct cli *cli)
{
    if (cli->n_args > 0 || cli->options.n_targets > 0)
        return cli_usage("rm takes either segments or filters (--prefix, --label, --uid, "
                         "--lifetime, --state)");
    if (cli_given(cli, OPT(PREFIX)) && !*cli->options.prefix)
        return cli_usage("--prefix is empty, so every name begins with it; for all segments that "
                         "the daemon manages and you may see: rm --scope managed");
    if (chooses_foreign(cli) && !cli_given(cli, OPT(FORCE) | OPT(DRY_RUN)))
        return refuse_foreign(cli);
    if (!cli_given(cli, OPT(DRY_RUN) | OPT(YES)) &&
        !(isatty(STDIN_FILENO) && isatty(STDERR_FILENO)))
        return cli_usage("rm by filters asks before it removes anything, and there is no terminal "
                         "to ask: say --yes, or look with --dry-run");
    return 0;
}

/* For shmd_list(). */
static int add(const struct shmd_segment *segment, void *data)
{
    struct found_list *list = data;
    if (segment->state == SHMD_STATE_REMOVING)
        return 0;
    if (list->count == list->capacity) {
        size_t capacity = list->capacity * 2 + 64;
        struct found *more = reallocarray(list->rows, capacity, sizeof(*more));
        if (!more)
            return -ENOMEM;
        list->rows = more;
        list->capacity = capacity;
    }
    struct found *found = &list->rows[list->count++];
    *found = (struct found){.seen = *segment};
    if (segment->managed)
        found->target.serial = segment->serial;
    else
        found->target = (struct shmd_target){.has_shmid = true, .shmid = segment->shmid};
    const struct shmd_target called = {.name = segment->name};
    target_text(segment->name ? &called : &found->target, found->subject);
    return 0;
}

static int show(struct cli *cli, const struct found *found)
{
    char size[32], owner[64];
    bool needs_force = !found->seen.managed && !cli_given(cli, OPT(FORCE));
    int status = rm_check(cli, &found->seen, found->subject);
    if (status != EXIT_OK)
        return status;
    format_size(found->seen.size, size, sizeof(size));
    format_user(found->seen.uid, owner, sizeof(owner));
    printf("%s: would be removed%s: %s of %s, %" PRIu64 " attached%s\n", found->subject,
           needs_force ? " with --force" : "", size, owner, found->seen.nattch,
           found->seen.managed ? "" : ", not the daemon's");
    return EXIT_OK;
}

/* Shows what LIST has, and leaves in it what the caller may remove: EXIT_OK, or the status of the
 * first that was taken out. */
static int keep_removable(struct cli *cli, struct found_list *list)
{
    int first_failure = EXIT_OK;
    size_t kept = 0;
    for (size_t i = 0; i < list->count; i++) {
        int status = show(cli, &list->rows[i]);
        if (status == EXIT_OK)
            list->rows[kept++] = list->rows[i];
        first_failure = first_failure ? first_failure : status;
    }
    list->count = kept;
    return first_failure;
}

/* Whether the user agrees. */
static bool ask(const struct found_list *list)
{
    char size[32], line[16] = "";
    uint64_t bytes = 0;
    for (size_t i = 0; i < list->count; i++)
        bytes += list->rows[i].seen.size;
    format_size(bytes, size, sizeof(size));
    fflush(stdout);
    fprintf(stderr, "Remove %zu segment%s, %s? [y/N] ", list->count, list->count > 1 ? "s" : "",
            size);
    fflush(stderr);
    if (!fgets(line, sizeof(line), stdin))
        fputc('\n', stderr);
    return strcmp(line, "y\n") == 0 || strcmp(line, "Y\n") == 0 || strcmp(line, "yes\n") == 0;
}

static int act(struct cli *cli, struct found *found)
{
    if (cli_given(cli, OPT(DRY_RUN)))
        return cli_given(cli, OPT(JSON)) ? rm_show(cli, &found->target, found) : show(cli, found);
    return found->seen.managed ? rm_listed(cli, &found->target, found->subject)
                               : rm_foreign(cli, &found->seen, found->subject);
}

static int act_on_all(struct cli *cli, struct found_list *list)
{
    int first_failure = EXIT_OK;
    if (list->count == 0)
        cli_note(cli, "there is no such segment");
    else if (!cli_given(cli, OPT(DRY_RUN) | OPT(YES))) {
        first_failure = keep_removable(cli, list);
        if (list->count > 0 && !ask(list))
            return cli_error(EXIT_REFUSED, "nothing was removed");
    }
    for (size_t i = 0; i < list->count; i++) {
        int status = act(cli, &list->rows[i]);
        first_failure = first_failure ? first_failure : status;
    }
    return first_failure;
}

int rm_many(struct cli *cli)
{
    struct shmd_list_options options;
    struct found_list list = {0};
    int status = cli_list_options(cli, &options);
    if (status != 0)
        return status;
    int r = shmd_list(cli_ask(cli), &options, add, &list);
    if (r == -ENOMEM)
        status = cli_error(EXIT_REFUSED, "out of memory");
    else
        status = r != 0 ? cli_failure(cli, r) : act_on_all(cli, &list);
    free(list.rows);
    return status;
}
