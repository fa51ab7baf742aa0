/* SPDX-License-Identifier: MIT */
#include "client/cli/target_text.h"

#include <inttypes.h>
#include <stdio.h>

#include "client/cli/plain_text.h"

void target_text(const struct shmd_target *target, char ret[TARGET_TEXT_SIZE])
{
    char name[TARGET_TEXT_SIZE / 2] = "", serial[40] = "";
    if (target->name)
        plain_text(target->name, name, sizeof(name));
    else if (target->has_shmid)
        snprintf(name, sizeof(name), "--shmid %d", target->shmid);
    else if (target->key)
        snprintf(name, sizeof(name), "--key 0x%08" PRIx32, target->key);
    if (target->serial)
        snprintf(serial, sizeof(serial), "%s--serial %" PRIu64, *name ? " " : "", target->serial);
    snprintf(ret, TARGET_TEXT_SIZE, "%s%s", name, serial);
}

void typed_target(const struct cli *cli, char ret[TARGET_TEXT_SIZE])
{
    const struct options *o = &cli->options;
    /* The name that adopt is given is not the segment's yet. */
    if (cli->n_args > 0 && cli->command->options & (OPT(SERIAL) | OPT(SIZE)))
        shell_word(cli->args[0], ret, TARGET_TEXT_SIZE);
    else
        target_text(&(struct shmd_target){.has_shmid = cli_given(cli, OPT(SHMID)),
                                          .shmid = o->shmid,
                                          .key = o->key,
                                          .serial = o->serial},
                    ret);
}
