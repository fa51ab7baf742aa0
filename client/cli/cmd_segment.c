/* SPDX-License-Identifier: MIT */
/*
 * The commands that are one request about one segment: stat, set, ready, disown, adopt.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "client/cli/advice.h"
#include "client/cli/cli.h"
#include "client/cli/output.h"
#include "client/cli/parse.h"
#include "client/cli/plain_text.h"
#include "client/cli/targets.h"

/* Prints SEGMENT, or the failure R. */
static int answer(struct cli *cli, int r, struct shmd_segment *segment)
{
    if (r != 0)
        return cli_failure(cli, r);
    int status = output_segment(cli, segment);
    cli_warn_of_ids(cli);
    shmd_segment_free(segment);
    return status;
}

/* Connects, and finds which segment is meant: 0 or an exit status. */
static int prepare(struct cli *cli, struct shmd_target *ret)
{
    int r = cli_target(cli, ret);
    if (r == 0)
        r = output_check(&cli->options);
    return r != 0 ? r : cli_connect_for_ids(cli, IDS_SHOWN);
}

/* What stat has found. */
struct seen {
    struct segment_table *table; /* owned; NULL: not as one table */
    size_t count;
};

static int stat_one(struct cli *cli, const struct shmd_target *target, void *data)
{
    struct seen *seen = data;
    struct shmd_segment *segment;
    char subject[TARGET_TEXT_SIZE];
    int status = EXIT_OK;
    bool is_alone = cli->n_args + (int)cli->options.n_targets == 1;
    target_text(target, subject);
    int r = shmd_stat(cli_ask(cli), target, &segment);
    if (r != 0)
        return is_alone ? cli_failure(cli, r) : cli_failure_of(cli, subject, r);
    if (seen->table && segment_table_add(seen->table, segment) < 0)
        status = cli_error(EXIT_REFUSED, "out of memory");
    else if (!seen->table && seen->count > 0 && !cli_given(cli, OPT(JSON)))
        putchar('\n');
    if (!seen->table)
        status = output_details(cli, segment);
    seen->count++;
    shmd_segment_free(segment);
    return status;
}

int cmd_stat(struct cli *cli)
{
    struct seen seen = {0};
    int status = targets_check(cli);
    if (status == EXIT_OK)
        status = output_check(&cli->options);
    if (status == EXIT_OK)
        status = cli_connect_for_ids(cli, IDS_SHOWN);
    if (status == EXIT_OK && cli_given(cli, OPT(OUTPUT)) && !cli_given(cli, OPT(JSON)))
        status = segment_table_new(&cli->options, &seen.table);
    if (status != EXIT_OK)
        return status;
    status = targets_each(cli, stat_one, &seen);
    if (seen.table && seen.count > 0)
        segment_table_print(seen.table);
    segment_table_free(seen.table);
    if (seen.count > 0)
        cli_warn_of_ids(cli);
    return status;
}

/*
 * Whether SEGMENT, which others may need, would go as soon as this command ends: whoever gives a
 * lifetime that has holders is the only holder at first, and that is this command. 0, or an exit
 * status when it was refused.
 */
static int check_end(const struct cli *cli, const struct shmd_segment *segment)
{
    enum shmd_lifetime lifetime = cli->options.lifetime;
    char named[TARGET_TEXT_SIZE];
    typed_target(cli, named);
    bool has_holders = lifetime == SHMD_LIFETIME_PROCESS || lifetime == SHMD_LIFETIME_CONNECTION;
    if (segment->managed && segment->lifetime == lifetime)
        return 0; /* nothing changes */
    if (has_holders)
        return cli_error(EXIT_USAGE,
                         "--lifetime %s: nothing was changed, because this command would be the "
                         "only holder and the segment would go with it; a process that stays gives "
                         "it that lifetime%s: '%s hold %s --lifetime %s', or a program "
                         "by libshmd or JSON",
                         shmd_lifetime_word(lifetime), segment->managed ? "" : ", once adopted",
                         advice_program(cli), named, shmd_lifetime_word(lifetime));
    if (lifetime == SHMD_LIFETIME_ATTACHED && segment->nattch == 0)
        return cli_error(EXIT_USAGE, "--lifetime attached: nothing was changed, because no process "
                                     "has the segment attached and it would go with this "
                                     "command; attach it first");
    return 0;
}

static int check_change(const struct cli *cli)
{
    const uint64_t changes = OPT(MODE) | OPT(UID) | OPT(GID) | OPT(NEW_NAME) | OPT(LIFETIME) |
                             OPT(TTL) | OPT(NO_TTL) | OPT(IDLE_TTL) | OPT(LABEL) | OPT(NO_LABELS) |
                             OPT(LOCKED) | OPT(UNLOCKED);
    if (cli_given(cli, changes))
        return 0;
    return cli_usage("set needs what is to be changed: --mode, --uid, --gid, --new-name, "
                     "--lifetime, --ttl or --no-ttl, --idle-ttl, --label or --no-labels, --locked "
                     "or --unlocked");
}

int cmd_set(struct cli *cli)
{
    const struct options *o = &cli->options;
    struct shmd_target target;
    struct shmd_segment *segment = NULL;
    const struct shmd_set_options options = {
        .has_mode = cli_given(cli, OPT(MODE)),
        .mode = o->mode,
        .has_uid = cli_given(cli, OPT(UID)),
        .uid = o->uid,
        .has_gid = cli_given(cli, OPT(GID)),
        .gid = o->gid,
        .new_name = o->new_name,
        .has_labels = cli_given(cli, OPT(LABEL) | OPT(NO_LABELS)),
        .labels = o->labels,
        .n_labels = o->n_labels,
        .lifetime = o->lifetime,
        .has_ttl = cli_given(cli, OPT(TTL) | OPT(NO_TTL)),
        .ttl_ms = o->ttl_ms,
        .has_idle_ttl = cli_given(cli, OPT(IDLE_TTL)),
        .idle_ttl_ms = o->idle_ttl_ms,
        .has_locked = cli_given(cli, OPT(LOCKED) | OPT(UNLOCKED)),
        .locked = cli_given(cli, OPT(LOCKED)),
    };
    int r = check_change(cli);
    if (r == 0)
        r = prepare(cli, &target);
    if (r != 0)
        return r;
    if (cli_given(cli, OPT(LIFETIME))) {
        r = shmd_stat(cli_ask(cli), &target, &segment);
        if (r != 0)
            return cli_failure(cli, r);
        r = segment->managed ? check_end(cli, segment) : 0; /* set itself refuses a foreign one */
        shmd_segment_free(segment);
        if (r != 0)
            return r;
    }
    r = shmd_set(cli_ask(cli), &target, &options, &segment);
    return answer(cli, r, segment);
}

int cmd_ready(struct cli *cli)
{
    struct shmd_target target;
    struct shmd_segment *segment = NULL;
    int r = prepare(cli, &target);
    if (r != 0)
        return r;
    r = shmd_ready(cli_ask(cli), &target, &segment);
    return answer(cli, r, segment);
}

int cmd_disown(struct cli *cli)
{
    struct shmd_target target;
    struct shmd_segment *segment = NULL;
    int r = prepare(cli, &target);
    if (r != 0)
        return r;
    r = shmd_disown(cli_ask(cli), &target, &segment);
    return answer(cli, r, segment);
}

/* Whether WORD is written as a number. */
static bool is_written_as_number(const char *word)
{
    if (strncasecmp(word, "0x", 2) == 0)
        return word[2] && strspn(word + 2, "0123456789abcdefABCDEF") == strlen(word + 2);
    return strspn(word, "0123456789") == strlen(word);
}

/* The option that takes the number in WORD; NULL: no segment has it. */
static const char *option_of_number(const char *word)
{
    uint64_t id;
    uint32_t key;
    if (parse_number(word, 0, INT32_MAX, &id) == 0)
        return "--shmid";
    return parse_key(word, &key) == 0 && key != 0 ? "--key" : NULL;
}

/* What is to be adopted has no name yet, so an argument is its new name; or its number. */
static int refuse_without_target(const struct cli *cli)
{
    static const char needs[] = "adopt needs one of --shmid N and --key K";
    const char *word = cli->n_args > 0 ? cli->args[0] : NULL;
    char *line = NULL, name[512] = "", instead[sizeof(name) + sizeof("--shmid N ")];
    const bool is_number = word && is_written_as_number(word);
    const char *option = is_number ? option_of_number(word) : "--shmid N";
    if (word)
        shell_word(word, name, sizeof(name));
    if (*name && !option)
        return cli_usage("%s; '%s' is the number of no segment; %s list --all shows the numbers",
                         needs, word, advice_program(cli));
    if (*name) {
        snprintf(instead, sizeof(instead), "%s %s", option, name);
        line = advice_line(cli, 0, instead);
    }
    const char *gap = line ? ": " : "", *shown = line ? line : "";
    int status = is_number && line ? cli_usage("%s%s%s", needs, gap, shown)
                                   : cli_usage("%s%s%s; %s list --all shows the numbers", needs,
                                               gap, shown, advice_program(cli));
    free(line);
    return status;
}

int cmd_adopt(struct cli *cli)
{
    const struct options *o = &cli->options;
    struct shmd_segment *segment = NULL;
    if (cli_given(cli, OPT(SHMID)) && cli_given(cli, OPT(KEY)))
        return cli_usage("adopt takes only one of --shmid and --key");
    if (!cli_given(cli, OPT(SHMID) | OPT(KEY)))
        return refuse_without_target(cli);
    if (cli_given(cli, OPT(KEY)) && o->key == 0)
        return cli_usage("--key 0 is IPC_PRIVATE and denotes no segment");
    const struct shmd_adopt_options options = {
        .has_shmid = cli_given(cli, OPT(SHMID)),
        .shmid = o->shmid,
        .key = o->key,
        .name = cli->n_args > 0 ? cli->args[0] : NULL,
        .lifetime = o->lifetime,
        .ttl_ms = o->ttl_ms,
        .labels = o->labels,
        .n_labels = o->n_labels,
    };
    int r = options_check_new(o);
    if (r == 0)
        r = output_check(o);
    if (r == 0)
        r = cli_connect_for_ids(cli, IDS_USED);
    if (r != 0)
        return r;
    const struct shmd_target target = {
        .has_shmid = options.has_shmid, .shmid = o->shmid, .key = o->key};
    /* If stat fails, adopt fails as well, with the reason. */
    if (cli_given(cli, OPT(LIFETIME)) && shmd_stat(cli_ask(cli), &target, &segment) == 0) {
        r = segment->managed ? 0 : check_end(cli, segment);
        shmd_segment_free(segment);
        if (r != 0)
            return r;
    }
    r = shmd_adopt(cli_ask(cli), &options, &segment);
    return answer(cli, r, segment);
}
