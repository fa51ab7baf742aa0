/* SPDX-License-Identifier: MIT */
/*
 * top: what there is and what happens, on the whole terminal until somebody quits, or once.
 */
#include "client/cli/cli.h"
#include "client/cli/top_once.h"
#include "client/cli/top_view.h"
#include "config.h"

#ifdef HAVE_NCURSES
#include "client/cli/top_live.h"
#endif

enum { DELAY_MS = 1000 };

#ifdef HAVE_NCURSES

static int live(struct cli *cli, const struct shmd_list_options *filters, struct top_view *view)
{
    struct top_model model;
    struct top_feed feed = {
        .cli = cli,
        .model = &model,
        .filters = *filters,
        .delay_ms = cli_given(cli, OPT(DELAY)) ? cli->options.delay_ms : DELAY_MS,
        .wants_events = true,
    };
    top_model_init(&model, format_user);
    int status = top_live(&feed, view);
    top_model_deinit(&model);
    return status;
}

/* Whether there is a full screen: 0 or an exit status. */
static int check_live(void)
{
    return 0;
}

#else

static int check_live(void)
{
    return cli_error(
        EXIT_REFUSED,
        "this shmdctl was built without ncurses, which the full screen needs: --once "
        "prints it as text, and a build with ncursesw has it (Debian: libncurses-dev)");
}

static int live(struct cli *cli, const struct shmd_list_options *filters, struct top_view *view)
{
    (void)cli;
    (void)filters;
    (void)view;
    return EXIT_REFUSED; /* check_live() has said why */
}

#endif

/* What --sort and --reverse say: 0 or EXIT_USAGE. */
static int choose_view(const struct cli *cli, struct top_view *view)
{
    top_view_init(view);
    view->reverse = cli_given(cli, OPT(REVERSE));
    if (!cli->options.sort)
        return 0;
    view->order[TOP_SEGMENTS] = top_find_order(TOP_SEGMENTS, cli->options.sort);
    return view->order[TOP_SEGMENTS] != TOP_ORDERS
               ? 0
               : cli_usage("top is not sorted by '%s'; it is by SIZE, RSS, GROWTH, NATTCH, NAME, "
                           "OWNER, HOLDERS, SHMID or CREATED",
                           cli->options.sort);
}

int cmd_top(struct cli *cli)
{
    const bool is_once = cli_given(cli, OPT(ONCE));
    struct shmd_list_options filters;
    struct top_view view;
    int status = cli_list_options(cli, &filters);
    if (status == 0)
        status = choose_view(cli, &view);
    if (status == 0 && !is_once && cli_given(cli, OPT(JSON) | OPT(BYTES)))
        status = cli_usage("--%s goes with --once", cli_given(cli, OPT(JSON)) ? "json" : "bytes");
    if (status == 0 && !is_once)
        status = check_live();
    if (status == 0)
        status = cli_connect(cli);
    if (status != 0)
        return status;
    if (!is_once)
        return live(cli, &filters, &view);
    status = top_once(cli, &filters, &view, cli_given(cli, OPT(DELAY)) ? cli->options.delay_ms : 0);
    if (status == EXIT_OK)
        cli_warn_of_ids(cli);
    return status;
}
