/*
 * rm: removes each of its targets, prints a line for each, and lets no failure keep another target.
 */
#include <inttypes.h>
#include <stdio.h>

#include "client/cli/cli.h"
#include "client/cli/output.h"
#include "client/cli/plain_text.h"

enum { SUBJECT_SIZE = 512 };

/* TARGET as the command line had it. */
static void subject_text(const struct shmd_target *target, char ret[SUBJECT_SIZE])
{
    char name[SUBJECT_SIZE / 2] = "", serial[40] = "";
    if (target->name)
        plain_text(target->name, name, sizeof(name));
    else if (target->has_shmid)
        snprintf(name, sizeof(name), "--shmid %d", target->shmid);
    else if (target->key)
        snprintf(name, sizeof(name), "--key 0x%08" PRIx32, target->key);
    if (target->serial)
        snprintf(serial, sizeof(serial), "%s--serial %" PRIu64, *name ? " " : "", target->serial);
    snprintf(ret, SUBJECT_SIZE, "%s%s", name, serial);
}

static void print_removed(const struct cli *cli, const char *subject,
                          const struct shmd_segment *segment)
{
    if (output_json(cli))
        return;
    printf("%s: removed", subject);
    if (segment->state == SHMD_STATE_REMOVING)
        printf("; its memory goes with the last process that has it attached (%" PRIu64
               " attached now)",
               segment->nattch);
    putchar('\n');
}

static int remove_one(struct cli *cli, const struct shmd_target *target)
{
    struct shmd_segment *segment;
    char subject[SUBJECT_SIZE];
    subject_text(target, subject);
    int r =
        shmd_remove(cli_ask(cli), target,
                    cli_given(cli, OPT(IF_UNATTACHED)) ? SHMD_REMOVE_IF_UNATTACHED : 0, &segment);
    if (r != 0)
        return cli_failure_of(cli, subject, r);
    print_removed(cli, subject, segment);
    shmd_segment_free(segment);
    return EXIT_OK;
}

/* One --serial beside one other target is a guard, as everywhere; among more it is a target. */
static bool has_guard(const struct cli *cli)
{
    const struct options *o = &cli->options;
    size_t serials = 0;
    for (size_t i = 0; i < o->n_targets; i++)
        serials += o->targets[i].serial != 0;
    return serials == 1 && o->n_targets + (size_t)cli->n_args == 2;
}

static int check_targets(const struct cli *cli)
{
    const struct options *o = &cli->options;
    if (o->n_targets + (size_t)cli->n_args == 0)
        return cli_usage("rm needs a segment: NAME, --shmid N, --key K or --serial N");
    for (size_t i = 0; i < o->n_targets; i++)
        if (!o->targets[i].has_shmid && !o->targets[i].key && !o->targets[i].serial)
            return cli_usage("--key 0 is IPC_PRIVATE and denotes no segment");
    return 0;
}

static int remove_all(struct cli *cli)
{
    const struct options *o = &cli->options;
    int first_failure = EXIT_OK;
    for (int i = 0; i < cli->n_args; i++) {
        int status = remove_one(cli, SHMD_NAME(cli->args[i]));
        first_failure = first_failure ? first_failure : status;
    }
    for (size_t i = 0; i < o->n_targets; i++) {
        int status = remove_one(cli, &o->targets[i]);
        first_failure = first_failure ? first_failure : status;
    }
    return first_failure;
}

int cmd_rm(struct cli *cli)
{
    struct shmd_target guarded = {0};
    int r = check_targets(cli);
    if (r == 0 && has_guard(cli))
        r = cli_target(cli, &guarded);
    if (r == 0)
        r = cli_connect_for_ids(cli, IDS_SHOWN);
    if (r != 0)
        return r;
    r = has_guard(cli) ? remove_one(cli, &guarded) : remove_all(cli);
    if (r == EXIT_OK && cli_given(cli, OPT(JSON)))
        cli_warn_of_ids(cli);
    return r;
}
