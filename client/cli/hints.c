/* SPDX-License-Identifier: MIT */
#include "client/cli/hints.h"

#include <errno.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/cli/advice.h"
#include "client/cli/kernel_segments.h"
#include "client/cli/near.h"
#include "client/cli/parse.h"
#include "client/cli/target_text.h"
#include "protocol/json_slice.h"
#include "protocol/methods.h"

/* The value of a parameter of the refusal; "" when there is none. */
static struct json_slice parameter(const struct shmd_failure *failure, const char *name)
{
    struct json_slice value;
    if (!json_slice_member((struct json_slice){failure->parameters, strlen(failure->parameters)},
                           name, &value))
        return (struct json_slice){"", 0};
    return value;
}

static bool slice_is(struct json_slice slice, const char *text)
{
    return slice.len == strlen(text) && memcmp(slice.text, text, slice.len) == 0;
}

static bool is_stranger(const struct shmd_failure *failure)
{
    if (!failure || failure->code != SHMD_ERROR_PERMISSION_DENIED)
        return false;
    struct json_slice needs = parameter(failure, "needs");
    return (slice_is(needs, "\"owner\"") || slice_is(needs, "\"any_owner\"")) &&
           parameter(failure, "uid").len > 0;
}

bool cli_is_stranger(const struct cli *cli)
{
    return is_stranger(shmd_last_failure(cli->shmd));
}

/* Whose the segment is, and what to type if that is right. */
static void print_stranger(FILE *out, const struct cli *cli, const struct shmd_failure *failure)
{
    uint32_t uid = (uint32_t)strtoul(parameter(failure, "uid").text, NULL, 10);
    const struct passwd *user = getpwuid(uid);
    char name[64];
    if (user)
        snprintf(name, sizeof(name), "%s", user->pw_name);
    else
        snprintf(name, sizeof(name), "%" PRIu32, uid);
    fprintf(out,
            "permission denied: %s belongs to user %s (uid %" PRIu32
            "), and not to you, root or the daemon; if you trust that user: ",
            cli->n_args > 0 ? cli->args[0] : "the segment", name, uid);
    if (cli->command->options & OPT(OWNER))
        fprintf(out, "--owner %s, or ", name);
    fputs("--any-owner", out);
}

/* A number was taken for a name, which it can be: is there a segment with that id or key? */
static void add_number(FILE *out, const struct shmd_failure *failure)
{
    struct json_slice name;
    char text[32];
    uint32_t number;
    struct kernel_segments all;
    bool is_id = false, is_key = false;
    if (failure->code != SHMD_ERROR_NO_SUCH_SEGMENT ||
        !json_slice_member((struct json_slice){failure->parameters, strlen(failure->parameters)},
                           "name", &name) ||
        name.len < 3 || name.len - 2 >= sizeof(text))
        return;
    snprintf(text, sizeof(text), "%.*s", (int)(name.len - 2), name.text + 1);
    if (parse_key(text, &number) < 0 || kernel_segments_read(&all) < 0)
        return;
    bool is_decimal = strspn(text, "0123456789") == strlen(text);
    for (size_t i = 0; i < all.count; i++) {
        is_id |= is_decimal && (uint32_t)all.rows[i].shmid == number;
        is_key |= number != 0 && all.rows[i].key == number;
    }
    kernel_segments_deinit(&all);
    if (is_id)
        fprintf(out, "; the segment with that id is --shmid %s", text);
    if (is_key)
        fprintf(out, "; the segment with that key is --key %s", text);
}

/* There are too many segments: how many of them nobody needs any more? */
static void add_orphans(FILE *out, const struct cli *cli, const struct shmd_failure *failure)
{
    struct kernel_segments all;
    size_t orphans = 0;
    if (failure->code != SHMD_ERROR_LIMIT_REACHED ||
        !slice_is(parameter(failure, "limit"), "\"kernel.shmmni\"") ||
        kernel_segments_read(&all) < 0)
        return;
    for (size_t i = 0; i < all.count; i++) {
        const struct kernel_segment *s = &all.rows[i];
        const struct orphan_facts facts = {.creator = process_look(s->cpid),
                                           .cpid = s->cpid,
                                           .lpid = s->lpid,
                                           .nattch = s->nattch,
                                           .atime = s->atime};
        orphans += orphan_is_orphaned(&facts);
    }
    kernel_segments_deinit(&all);
    if (orphans > 0)
        fprintf(out,
                "; the creators of %zu segments are dead and nobody has them attached: see %s gc",
                orphans, advice_program(cli));
}

/* What `set` would do, but this command would not outlive it. */
static void add_holding(FILE *out, const struct cli *cli, const struct shmd_failure *failure)
{
    char named[TARGET_TEXT_SIZE];
    typed_target(cli, named);
    if (failure->code == SHMD_ERROR_NOT_HOLDABLE && cli->command->options & OPT(WAIT) &&
        slice_is(parameter(failure, "lifetime"), "\"persistent\""))
        fprintf(out, "; %s: %s hold %s --lifetime process",
                geteuid() == 0 ? "that is" : "as its owner or root", advice_program(cli), named);
}

/* What is to be adopted is not the daemon's yet, and a plain list does not show it. */
static bool is_nothing_to_adopt(const struct cli *cli, const struct shmd_failure *failure)
{
    return failure->code == SHMD_ERROR_NO_SUCH_SEGMENT && strcmp(cli->command->name, "adopt") == 0;
}

static void print_nothing_to_adopt(FILE *out, const struct cli *cli,
                                   const struct shmd_failure *failure)
{
    struct json_slice shmid = parameter(failure, "shmid"), key = parameter(failure, "key");
    fprintf(out, "no such segment: %s list --all shows what there is", advice_program(cli));
    if (shmid.len > 0)
        fprintf(out, " (shmid: %.*s)", (int)shmid.len, shmid.text);
    else if (key.len > 0)
        fprintf(out, " (key: 0x%08lx)", strtoul(key.text, NULL, 10));
}

/* The daemon's advice is to leave out a parameter, which is an option here. */
static bool is_busy(const struct cli *cli, const struct shmd_failure *failure)
{
    return failure->code == SHMD_ERROR_SEGMENT_BUSY && cli->command->options & OPT(IF_UNATTACHED);
}

static void print_busy(FILE *out, const struct shmd_failure *failure)
{
    struct json_slice nattch = parameter(failure, "nattch");
    fprintf(out,
            "the segment is attached: detach it first, or leave out --if-unattached (nattch: %.*s)",
            (int)nattch.len, nattch.text);
}

/* The segment is there, and not the daemon's. */
static void add_foreign(FILE *out, const struct cli *cli, const struct shmd_failure *failure)
{
    struct json_slice shmid = parameter(failure, "shmid"), key = parameter(failure, "key");
    char named[64];
    if (failure->code != SHMD_ERROR_NO_SUCH_SEGMENT || parameter(failure, "hint").len == 0 ||
        shmid.len + key.len == 0)
        return;
    if (shmid.len > 0)
        snprintf(named, sizeof(named), "--shmid %.*s", (int)shmid.len, shmid.text);
    else
        snprintf(named, sizeof(named), "--key 0x%08lx", strtoul(key.text, NULL, 10));
    if (strcmp(cli->command->name, "rm") == 0)
        fprintf(out, "; %s rm --force %s removes it", advice_program(cli), named);
    else if (strcmp(cli->command->name, "disown") != 0)
        fprintf(out, "; as its creator or root: %s adopt %s", advice_program(cli), named);
}

/* The request was sent, and nobody takes it back. */
static void add_still(FILE *out, const struct cli *cli, const struct shmd_failure *failure)
{
    static const char *const changing[] = {"create",  "set",   "rm",     "ready", "hold",
                                           "release", "adopt", "disown", "run",   "reload"};
    bool is_late = failure->code == -ETIMEDOUT && !cli_given(cli, OPT(DRY_RUN));
    for (size_t i = 0; is_late && i < COUNT(changing); i++)
        if (strcmp(cli->command->name, changing[i]) == 0)
            fputs("; it may still do what was asked", out);
}

/* `info` says it in the words of people. */
static bool is_huge_page_size(const struct cli *cli, const struct shmd_failure *failure)
{
    return failure->code == SHMD_ERROR_INVALID_PARAMETER && cli_given(cli, OPT(HUGE)) &&
           slice_is(parameter(failure, "parameter"), "\"huge_page_size\"");
}

static void print_huge_page_size(FILE *out, const struct cli *cli)
{
    char size[32];
    format_size(cli->options.huge_page_size, size, sizeof(size));
    fprintf(out,
            "this kernel has no huge pages of %s; those it has are shown by %s info, as huge page "
            "size",
            size, advice_program(cli));
}

/* Only `call` can name one that there is not. */
static bool is_no_method(const struct shmd_failure *failure)
{
    return failure->code == SHMD_ERROR_METHOD_NOT_FOUND;
}

static void print_no_method(FILE *out, const struct cli *cli)
{
    const char *word = cli->n_args > 0 ? cli->args[0] : "";
    struct near near;
    near_begin(&near, word);
    for (int i = 0; i < METHOD_COUNT; i++)
        if ((enum method)i != METHOD_REMOVE)
            near_try(&near, method_word((enum method)i));
    fprintf(out, "there is no method '%s'", word);
    if (near.best)
        fprintf(out, "; do you mean %s?", near.best);
    fprintf(out, near.best ? " There are: " : "; there are: ");
    for (int i = 0; i < METHOD_COUNT; i++)
        fprintf(out, "%s%s", i ? ", " : "", method_word((enum method)i));
}

/* What was there before must not go with the command of `run`, and nothing is replaced by its key.
 */
static bool can_replace(const struct cli *cli)
{
    return cli->command->options & OPT(REPLACE) && !cli->command->needs_child &&
           !cli_given(cli, OPT(KEY));
}

/* The daemon advises to replace it. */
static bool is_too_small(const struct cli *cli, const struct shmd_failure *failure)
{
    return failure->code == SHMD_ERROR_SIZE_MISMATCH && cli->command->options & OPT(REPLACE) &&
           !can_replace(cli) && parameter(failure, "size").len > 0;
}

static void print_too_small(FILE *out, const struct shmd_failure *failure)
{
    struct json_slice size = parameter(failure, "size");
    struct json_slice requested = parameter(failure, "requested");
    fprintf(out,
            "the segment exists with %.*s bytes, fewer than the %.*s asked for: ask for less, or "
            "have it removed first",
            (int)size.len, size.text, (int)requested.len, requested.text);
}

bool hints_replace(FILE *out, const struct cli *cli, const struct shmd_failure *failure)
{
    if (is_stranger(failure))
        print_stranger(out, cli, failure);
    else if (is_nothing_to_adopt(cli, failure))
        print_nothing_to_adopt(out, cli, failure);
    else if (is_busy(cli, failure))
        print_busy(out, failure);
    else if (is_too_small(cli, failure))
        print_too_small(out, failure);
    else if (is_huge_page_size(cli, failure))
        print_huge_page_size(out, cli);
    else if (is_no_method(failure))
        print_no_method(out, cli);
    else
        return false;
    return true;
}

/* The daemon knows no command lines. */
static void add_replace(FILE *out, const struct cli *cli, const struct shmd_failure *failure)
{
    if (failure->code == SHMD_ERROR_SIZE_MISMATCH && can_replace(cli))
        fprintf(out, "; %s--replace puts a new one in its place",
                geteuid() == 0 ? "" : "as its owner or root: ");
}

void hints_add(FILE *out, const struct cli *cli, const struct shmd_failure *failure)
{
    add_holding(out, cli, failure);
    add_foreign(out, cli, failure);
    add_replace(out, cli, failure);
    add_still(out, cli, failure);
    add_number(out, failure);
    add_orphans(out, cli, failure);
}
