/* SPDX-License-Identifier: MIT */
/*
 * How a command comes to an answer: the connection to the daemon, and the segment that the command
 * line names. Each failure is printed here, with its exit status.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "client/cli/cli.h"
#include "client/cli/kernel_segments.h"

enum {
    DELAY_MS = 1000, /* after which it is told that the daemon does not answer */
};

int64_t cli_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* --- the connection */

/* What is left of the time until DEADLINE_MS, in what the library takes; -1: no limit. */
static int time_left(int64_t deadline_ms)
{
    if (deadline_ms < 0)
        return -1;
    int64_t left = deadline_ms - cli_now_ms();
    if (left > INT32_MAX)
        return INT32_MAX;
    return left > 0 ? (int)left : 0;
}

static void tell_delay(void *data)
{
    struct cli *cli = data;
    char daemon[DAEMON_TEXT_SIZE];
    if (cli->delay_is_told)
        return;
    cli->delay_is_told = true;
    daemon_choice_text(&cli->daemon, daemon);
    (void)cli_error(EXIT_OK, "%s does not answer yet; waiting for it%s", daemon,
                    cli->deadline_ms < 0 ? " (--timeout sets a limit)" : "");
}

static void set_deadline(struct cli *cli, int64_t timeout_ms)
{
    cli->deadline_ms = timeout_ms < 0 ? -1 : cli_now_ms() + timeout_ms + cli->grace_ms;
}

int cli_time_left(const struct cli *cli)
{
    return time_left(cli->deadline_ms);
}

void cli_restart_timeout(struct cli *cli)
{
    set_deadline(cli, cli_given(cli, OPT(TIMEOUT)) ? cli->options.timeout_ms : -1);
}

static int connect_to(struct cli *cli)
{
    int left = time_left(cli->deadline_ms);
    bool can_be_late = left < 0 || left > DELAY_MS;
    int r = shmd_connect(cli->daemon.path, can_be_late ? DELAY_MS : left, &cli->shmd);
    if (r != -ETIMEDOUT || !can_be_late)
        return r;
    tell_delay(cli);
    return shmd_connect(cli->daemon.path, time_left(cli->deadline_ms), &cli->shmd);
}

void cli_watch_delay(struct cli *cli)
{
    cli->delay_is_told = false;
    shmd_on_delay(cli->shmd, DELAY_MS, tell_delay, cli);
}

int cli_open(struct cli *cli, int64_t timeout_ms)
{
    const struct daemon_wish wish = {
        .socket = cli->options.socket,
        .user = cli_given(cli, OPT(USER)),
        .system = cli_given(cli, OPT(SYSTEM)),
    };
    set_deadline(cli, cli_given(cli, OPT(TIMEOUT)) ? cli->options.timeout_ms : timeout_ms);
    int r = daemon_choose(&wish, &cli->daemon);
    if (r == 0)
        r = connect_to(cli);
    if (r == 0) {
        cli_ask(cli); /* the limit of the connecting does not hold for what comes */
        cli_watch_delay(cli);
    }
    return r;
}

int cli_unreachable(const struct cli *cli, int r)
{
    const struct daemon_choice *choice = &cli->daemon;
    char daemon[DAEMON_TEXT_SIZE], why[512];
    const char *flags = "";
    struct stat st;
    daemon_choice_text(choice, daemon);
    shmd_unreachable_text(choice->by_default ? NULL : choice->path, r, why, sizeof(why));
    if (r == -ENXIO)
        return cli_error(EXIT_UNREACHABLE, "cannot reach %s: %s; name it with --socket", daemon,
                         why);
    if (r == -ENAMETOOLONG)
        return cli_error(EXIT_UNREACHABLE, "cannot reach the daemon: %s", why);
    if (stat(choice->path, &st) == 0 && !S_ISSOCK(st.st_mode)) /* whatever connect() says of it */
        flags = ": name the daemon's socket with --socket or SHMD_SOCKET";
    else if (r == -ENOENT || r == -ECONNREFUSED)
        flags = "; --socket and SHMD_SOCKET name another socket";
    return cli_error(EXIT_UNREACHABLE, "cannot reach %s: %s%s%s", daemon, why, flags,
                     daemon_choice_hint(choice));
}

int cli_connect(struct cli *cli)
{
    int r = cli_open(cli, -1);
    return r == 0 ? 0 : cli_unreachable(cli, r);
}

struct shmd *cli_ask(struct cli *cli)
{
    shmd_set_timeout(cli->shmd, time_left(cli->deadline_ms));
    return cli->shmd;
}

/* --- what the command line names */

int cli_target(const struct cli *cli, struct shmd_target *ret)
{
    const struct options *o = &cli->options;
    struct shmd_target target = {
        .name = cli->n_args > 0 ? cli->args[0] : NULL,
        .has_shmid = cli_given(cli, OPT(SHMID)),
        .shmid = o->shmid,
        .key = o->key,
        .serial = o->serial,
    };
    bool has_key = cli_given(cli, OPT(KEY));
    int n = (target.name != NULL) + target.has_shmid + has_key;
    if (n > 1)
        return cli_usage("%s takes only one of NAME, --shmid and --key", cli->command->name);
    if (n == 0 && !cli_given(cli, OPT(SERIAL)))
        return cli_usage("%s needs a segment: NAME, --shmid N, --key K or --serial N",
                         cli->command->name);
    if (has_key && o->key == 0)
        return cli_usage("--key 0 is IPC_PRIVATE and denotes no segment");
    *ret = target;
    return 0;
}

int cli_list_options(const struct cli *cli, struct shmd_list_options *ret)
{
    const struct options *o = &cli->options;
    if (cli->n_args > 0 && o->prefix)
        return cli_usage("the prefix is given twice: %s and --prefix %s", cli->args[0], o->prefix);
    *ret = (struct shmd_list_options){
        .prefix = cli->n_args > 0 ? cli->args[0] : o->prefix,
        .has_uid = cli_given(cli, OPT(UID)),
        .uid = o->uid,
        .lifetime = o->lifetime,
        .state = o->state,
        .labels = o->labels,
        .n_labels = o->n_labels,
        .scope = o->scope,
    };
    return 0;
}

#define ELSEWHERE                                                                                  \
    "the daemon is in another IPC namespace, and its ids denote no segments here, or others"

/* 0 or what the library returned. */
static int share_ids(struct shmd *shmd, bool *ret)
{
    struct shmd_info *info;
    int r = shmd_info(shmd, &info);
    if (r != 0)
        return r;
    uint64_t own = own_ipc_namespace();
    *ret = own == 0 || own == info->ipc_namespace;
    shmd_info_free(info);
    return 0;
}

int cli_connect_for_ids(struct cli *cli, enum id_use use)
{
    int r = cli_connect(cli);
    if (r != 0 || (use == IDS_SHOWN && !cli_given(cli, OPT(SHMID))))
        return r;
    r = share_ids(cli_ask(cli), &cli->ids_are_good);
    if (r != 0)
        return cli_failure(cli, r);
    if (cli->ids_are_good)
        return 0;
    if (use == IDS_USED)
        return cli_error(EXIT_REFUSED, ELSEWHERE ": run both in the same container");
    return cli_error(EXIT_REFUSED, ELSEWHERE ": so --shmid is refused; name the segment by NAME, "
                                             "--key or --serial");
}

void cli_warn_of_ids(struct cli *cli)
{
    enum {
        PATIENCE_MS = 500
    }; /* the command is done: a daemon that is slow now is not waited for */
    if (cli->ids_are_good)
        return;
    int left = time_left(cli->deadline_ms);
    shmd_set_timeout(cli->shmd, left < 0 || left > PATIENCE_MS ? PATIENCE_MS : left);
    /* Also with --json: an id that denotes another segment here is worse than none. */
    if (share_ids(cli->shmd, &cli->ids_are_good) == 0 && !cli->ids_are_good)
        (void)cli_error(EXIT_OK, ELSEWHERE);
    shmd_set_timeout(cli->shmd, left);
}

struct shmd_trust cli_trust(const struct cli *cli)
{
    /* An id and a serial denote one segment, which nobody can make another one stand for. */
    bool is_exact = cli->n_args == 0 && cli_given(cli, OPT(SHMID) | OPT(SERIAL));
    return (struct shmd_trust){
        .any_owner = is_exact || cli_given(cli, OPT(ANY_OWNER)),
        .has_owner = cli_given(cli, OPT(OWNER)),
        .owner = cli->options.owner,
    };
}

int cli_stat(struct cli *cli, enum id_use use, struct shmd_segment **ret)
{
    struct shmd_target target;
    int r = cli_target(cli, &target);
    if (r != 0)
        return r;
    r = cli_connect_for_ids(cli, use);
    if (r != 0)
        return r;
    const struct shmd_trust trust = cli_trust(cli);
    bool is_looked_at = !(cli->command->options & OPT(OWNER)); /* and not used */
    r = is_looked_at ? shmd_stat(cli_ask(cli), &target, ret)
                     : shmd_stat_trusted(cli_ask(cli), &target, &trust, ret);
    return r != 0 ? cli_failure(cli, r) : 0;
}
