/* SPDX-License-Identifier: MIT */
#include "client/cli/targets.h"

static bool has_guard(const struct cli *cli)
{
    const struct options *o = &cli->options;
    size_t serials = 0;
    for (size_t i = 0; i < o->n_targets; i++)
        serials += o->targets[i].serial != 0;
    return serials == 1 && o->n_targets + (size_t)cli->n_args == 2;
}

int targets_check(const struct cli *cli)
{
    const struct options *o = &cli->options;
    if (o->n_targets + (size_t)cli->n_args == 0)
        return cli_usage("%s needs a segment: NAME, --shmid N, --key K or --serial N%s",
                         cli->command->name,
                         cli->command->options & OPT(PREFIX)
                             ? "; or what chooses segments: --prefix P, --label KEY=VALUE, --uid "
                               "USER, --lifetime L or --state S"
                             : "");
    for (size_t i = 0; i < o->n_targets; i++)
        if (!o->targets[i].has_shmid && !o->targets[i].key && !o->targets[i].serial)
            return cli_usage("--key 0 is IPC_PRIVATE and denotes no segment");
    return 0;
}

int targets_each(struct cli *cli, target_fn *each, void *data)
{
    const struct options *o = &cli->options;
    struct shmd_target guarded;
    int first_failure = EXIT_OK;
    if (has_guard(cli)) {
        int r = cli_target(cli, &guarded);
        return r != 0 ? r : each(cli, &guarded, data);
    }
    for (int i = 0; i < cli->n_args; i++) {
        int status = each(cli, SHMD_NAME(cli->args[i]), data);
        first_failure = first_failure ? first_failure : status;
    }
    for (size_t i = 0; i < o->n_targets; i++) {
        int status = each(cli, &o->targets[i], data);
        first_failure = first_failure ? first_failure : status;
    }
    return first_failure;
}
