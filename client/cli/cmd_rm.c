/* SPDX-License-Identifier: MIT */
/*
 * rm: removes each of its targets, or what its filters find, prints a line for each, and lets no
 * failure keep another target.
 */
#include "client/cli/cli.h"
#include "client/cli/rm_many.h"
#include "client/cli/rm_one.h"
#include "client/cli/targets.h"

int cmd_rm(struct cli *cli)
{
    bool is_filtered = cli_given(cli, RM_FILTERS);
    int r = is_filtered ? rm_many_check(cli) : targets_check(cli);
    if (r == 0) /* with --force the kernel is asked by the daemon's ids */
        r = cli_connect_for_ids(cli, cli_given(cli, OPT(FORCE)) ? IDS_USED : IDS_SHOWN);
    if (r != 0)
        return r;
    if (is_filtered)
        r = rm_many(cli);
    else
        r = targets_each(cli, cli_given(cli, OPT(DRY_RUN)) ? rm_show : rm_target, NULL);
    if (r == EXIT_OK && cli_given(cli, OPT(JSON)))
        cli_warn_of_ids(cli);
    return r;
}
